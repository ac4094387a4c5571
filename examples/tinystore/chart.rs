//! One line chart as SVG text.
//!
//! A plotting crate would bring fonts and rasterizers for a picture of three lines; SVG is text,
//! opens in every browser, and can be tested by reading it.
//!
//! Pure: no clock, no I/O, no tasks.

use std::fmt::Write;

use super::moment::{DAY, format_day};

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 110.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 48.0;
/// Told apart by colour-blind readers too (Okabe and Ito).
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// Lines over time.
#[derive(Debug)]
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) subtitle: String,
    pub(crate) series: Vec<Series>,
}

/// One line; a gap where there is no value.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(i64, Option<f64>)>,
}

impl Chart {
    /// The whole SVG document.
    pub(crate) fn to_svg(&self) -> String {
        let scale = Scale::of(&self.series);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             width=\"{WIDTH}\" height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        text(
            &mut svg,
            (LEFT, 26.0),
            "start",
            "#222",
            &format!(
                "<tspan font-size=\"17\" font-weight=\"bold\">{}</tspan>",
                escape(&self.title)
            ),
        );
        text(&mut svg, (LEFT, 46.0), "start", "#666", &escape(&self.subtitle));
        scale.draw_axes(&mut svg);
        for (series, colour) in self.series.iter().zip(COLOURS.iter().cycle()) {
            scale.draw_line(&mut svg, series, colour);
        }
        scale.draw_names(&mut svg, &self.series);
        svg.push_str("</svg>\n");
        svg
    }
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, colour: &str, content: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{content}</text>"
    );
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), colour: &str) {
    let _ = writeln!(
        svg,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// From times and values to places on the paper.
struct Scale {
    first: i64,
    last: i64,
    low: f64,
    high: f64,
    step: f64,
}

impl Scale {
    fn of(series: &[Series]) -> Self {
        let points = || series.iter().flat_map(|series| &series.points);
        let first = points().map(|(time, _)| *time).min().unwrap_or(0);
        let last = points().map(|(time, _)| *time).max().unwrap_or(DAY).max(first + 1);
        let values = || points().filter_map(|(_, value)| *value);
        let low = values().fold(0.0, f64::min);
        let high = values().fold(low + 1e-9, f64::max);
        // A round step that gives four to eight grid lines.
        let rough = (high - low) / 6.0;
        let magnitude = 10f64.powf(rough.log10().floor());
        let rounder = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|by| by * magnitude >= rough);
        let step = rounder.unwrap_or(10.0) * magnitude;
        Self {
            first,
            last,
            low: (low / step).floor() * step,
            high: (high / step).ceil() * step,
            step,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a pixel is coarser than 2^53 seconds")]
    fn x(&self, time: i64) -> f64 {
        let share = (time - self.first) as f64 / (self.last - self.first) as f64;
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
    }

    fn draw_axes(&self, svg: &mut String) {
        let mut value = self.low;
        while value <= self.high + self.step / 2.0 {
            let y = self.y(value);
            let colour = if value.abs() < self.step / 2.0 { "#888" } else { "#e4e4e4" };
            line(svg, (LEFT, y), (WIDTH - RIGHT, y), colour);
            text(
                svg,
                (LEFT - 8.0, y + 4.0),
                "end",
                "#666",
                &format!("{}", (value * 1e6).round() / 1e6),
            );
            value += self.step;
        }
        let bottom = HEIGHT - BOTTOM;
        // At most about ten labels, however many days there are.
        let days = ((self.last - self.first) / DAY / 10 + 1) * DAY;
        let mut day = self.first + (-self.first).rem_euclid(DAY);
        while day <= self.last {
            line(svg, (self.x(day), TOP), (self.x(day), bottom + 5.0), "#e4e4e4");
            text(svg, (self.x(day), bottom + 20.0), "middle", "#666", &format_day(day));
            day += days;
        }
    }

    fn draw_line(&self, svg: &mut String, series: &Series, colour: &str) {
        for run in series.points.split(|(_, value)| value.is_none()) {
            let place = |(time, value): &(i64, Option<f64>)| {
                format!("{:.1},{:.1}", self.x(*time), self.y(value.unwrap_or_default()))
            };
            let places: Vec<String> = run.iter().map(place).collect();
            if !places.is_empty() {
                let _ = writeln!(
                    svg,
                    "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" \
                     stroke-linejoin=\"round\" stroke-linecap=\"round\" points=\"{}\"/>",
                    places.join(" ")
                );
            }
        }
    }

    /// Names stand at the end of their lines, moved apart where they would overlap.
    fn draw_names(&self, svg: &mut String, series: &[Series]) {
        let end = |series: &Series| series.points.iter().rev().find_map(|(_, value)| *value);
        let mut names: Vec<(f64, &str, &str)> = series
            .iter()
            .zip(COLOURS.iter().cycle())
            .filter_map(|(series, colour)| {
                Some((self.y(end(series)?), series.name.as_str(), *colour))
            })
            .collect();
        names.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut lowest = f64::NEG_INFINITY;
        for (y, name, colour) in names {
            let y = f64::max(y, lowest + 16.0);
            lowest = y;
            let bold = format!("<tspan font-weight=\"bold\">{}</tspan>", escape(name));
            text(svg, (WIDTH - RIGHT + 8.0, y + 4.0), "start", colour, &bold);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_of_values_is_a_line_and_gaps_are_gaps() {
        let points = vec![(0, Some(1.0)), (DAY, None), (2 * DAY, Some(-3.0)), (3 * DAY, Some(2.0))];
        let chart = Chart {
            title: "a < b".into(),
            subtitle: String::new(),
            series: vec![Series { name: "EWR".into(), points }],
        };
        let svg = chart.to_svg();
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(svg.contains("a &lt; b") && svg.contains("Jan 2") && svg.contains("EWR"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn an_empty_chart_is_still_a_document() {
        let chart = Chart { title: String::new(), subtitle: String::new(), series: Vec::new() };
        let svg = chart.to_svg();
        assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN"));
    }
}
