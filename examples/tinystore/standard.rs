//! What there is to read when nothing else is asked for: a week of flights, inside the program.
//!
//! Embedded instead of looked up by path, so that the binary shows its demo wherever it is run.

use super::source::Csv;

/// The files of `data/`.
pub(crate) fn week() -> Vec<Csv> {
    let files: [(&str, &[u8]); 5] = [
        ("airlines.csv", include_bytes!("data/airlines.csv")),
        ("airports.csv", include_bytes!("data/airports.csv")),
        ("flights.csv", include_bytes!("data/flights.csv")),
        ("planes.csv", include_bytes!("data/planes.csv")),
        ("weather.csv", include_bytes!("data/weather.csv")),
    ];
    let csv = |(name, text): (&str, &[u8])| Csv { name: name.to_owned(), text: text.to_vec() };
    files.into_iter().map(csv).collect()
}
