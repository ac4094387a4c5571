//! Points in time and spans of it, as text and as seconds.
//!
//! Flights need a calendar only twice: to read `2013-01-01T10:00:00Z` at 6 million cells a second,
//! and to print it. A date crate would be slower at the first and larger than this file.
//! Times are whole seconds since 1970 in UTC; days are proleptic Gregorian
//! (Howard Hinnant, "chrono-compatible low-level date algorithms").
//!
//! Pure: no clock, no I/O, no tasks.

/// Seconds in a minute, an hour, a day.
pub(crate) const MINUTE: i64 = 60;
pub(crate) const HOUR: i64 = 3600;
pub(crate) const DAY: i64 = 86_400;

/// Days from 1970-01-01 to the given date; `None` if there is no such date.
pub(crate) fn days_from_date(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=last).contains(&day) || !(0..=9999).contains(&year) {
        return None;
    }
    // Years start in March here, so that the leap day is the last day of one.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// Year, month and day of a number of days since 1970-01-01.
fn date_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Reads `2013-01-31`, `2013-01-31T10:00:00Z`, `2013-01-31 10:00`, seconds optional, `Z` optional.
/// Every time is UTC. `None` for anything else.
pub(crate) fn parse_time(text: &[u8]) -> Option<i64> {
    let text = text.strip_suffix(b"Z").unwrap_or(text);
    let date = text.get(..10)?;
    if date[4] != b'-' || date[7] != b'-' {
        return None;
    }
    let days = days_from_date(digits(&date[..4])?, digits(&date[5..7])?, digits(&date[8..])?)?;
    let clock = &text[10..];
    let seconds = match clock {
        [] => 0,
        [b'T' | b' ', hour @ .., b':', m1, m2] if hour.len() == 2 => {
            clock_seconds(hour, &[*m1, *m2], b"00")?
        }
        [b'T' | b' ', h1, h2, b':', m1, m2, b':', s1, s2] => {
            clock_seconds(&[*h1, *h2], &[*m1, *m2], &[*s1, *s2])?
        }
        _ => return None,
    };
    Some(days * DAY + seconds)
}

fn clock_seconds(hour: &[u8], minute: &[u8], second: &[u8]) -> Option<i64> {
    let (hour, minute, second) = (digits(hour)?, digits(minute)?, digits(second)?);
    (hour < 24 && minute < 60 && second < 60).then_some(hour * HOUR + minute * MINUTE + second)
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0'))
    })
}

/// `2013-01-31T10:00:00Z`.
pub(crate) fn format_time(time: i64) -> String {
    let (year, month, day) = date_from_days(time.div_euclid(DAY));
    let second = time.rem_euclid(DAY);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second / HOUR,
        second % HOUR / MINUTE,
        second % MINUTE
    )
}

/// `Jan 31`, for chart axes.
pub(crate) fn format_day(time: i64) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, month, day) = date_from_days(time.div_euclid(DAY));
    let name = usize::try_from(month - 1).ok().and_then(|index| MONTHS.get(index)).unwrap_or(&"?");
    format!("{name} {day}")
}

/// Reads a span such as `90s`, `15m`, `24h` or `7d` as seconds; `None` for anything else or zero.
pub(crate) fn parse_span(text: &str) -> Option<i64> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => MINUTE,
        'h' => HOUR,
        'd' => DAY,
        _ => return None,
    };
    let count: i64 = text.get(..text.len() - 1)?.parse().ok()?;
    count.checked_mul(unit).filter(|seconds| *seconds > 0)
}

/// A span in its largest whole unit: `24h`, `7d`, `90s`.
pub(crate) fn format_span(seconds: i64) -> String {
    // A single day reads better as `24h`.
    for (unit, letter, at_least) in [(DAY, 'd', 2 * DAY), (HOUR, 'h', HOUR), (MINUTE, 'm', MINUTE)]
    {
        if seconds % unit == 0 && seconds >= at_least {
            return format!("{}{letter}", seconds / unit);
        }
    }
    format!("{seconds}s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_four_centuries_survives_a_round_trip() {
        for days in -141_000..11_000 {
            let (year, month, day) = date_from_days(days);
            assert_eq!(days_from_date(year, month, day), Some(days));
        }
    }

    #[test]
    fn times_are_read_in_the_forms_csv_files_use() {
        let ten = 1_357_034_400;
        for text in ["2013-01-01T10:00:00Z", "2013-01-01 10:00:00", "2013-01-01T10:00"] {
            assert_eq!(parse_time(text.as_bytes()), Some(ten), "{text}");
        }
        assert_eq!(parse_time(b"2013-01-01"), Some(ten - 10 * HOUR));
        assert_eq!(format_time(ten), "2013-01-01T10:00:00Z");
        for text in ["", "2013", "2013-02-29", "2013-01-01T25:00:00Z", "2013-01-01 1", "x013-01-01"]
        {
            assert_eq!(parse_time(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn spans_are_read_and_printed() {
        assert_eq!(parse_span("24h"), Some(DAY));
        assert_eq!(format_span(DAY), "24h");
        assert_eq!(format_span(7 * DAY), "7d");
        assert_eq!(format_span(90), "90s");
        for text in ["", "h", "0h", "-3h", "3 w", "3y"] {
            assert_eq!(parse_span(text), None, "{text}");
        }
    }
}
