//! The text form of a script: one fault a line, the time in seconds first.
//!
//! ```text
//! 0.000000 boot 0-9
//! 5.250000 stall 3 1.500000
//! 9.000000 cut 1 bridge 0-3|4-7|8-9
//! 9.000000 lossy 2 0.3 0-4|5-9
//! 20.000000 lift 1
//! 21.000000 weather 0.05 0.01 0.01
//! ```
//!
//! Invariant: what is written is read back as it was, to the microsecond.

use std::fmt;
use std::str::FromStr;

use super::{Fault, Hosts, Script, Shape};
use crate::queue::{SECOND, Tick};

/// Why a text is no script. Nothing was run; correct the line and try again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// The line does not read `TIME FAULT …`.
    #[error("no fault in line {line}: {text}")]
    NotAFault {
        /// Which line, from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
}

struct Seconds(Tick);

impl fmt::Display for Seconds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{:06}", self.0 / SECOND, self.0 % SECOND)
    }
}

fn seconds(text: &str) -> Option<Tick> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{rest:0<6}");
    let micros: Tick = digits.get(..6)?.parse().ok()?;
    whole.parse::<Tick>().ok()?.checked_mul(SECOND)?.checked_add(micros)
}

impl fmt::Display for Hosts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut index = 0;
        while index < self.0.len() {
            let first = self.0[index].0;
            let mut last = first;
            while self.0.get(index + 1).is_some_and(|next| next.0 == last + 1) {
                last += 1;
                index += 1;
            }
            index += 1;
            let comma = if index < self.0.len() { "," } else { "" };
            if first == last {
                write!(formatter, "{first}{comma}")?;
            } else {
                write!(formatter, "{first}-{last}{comma}")?;
            }
        }
        Ok(())
    }
}

fn hosts(text: &str) -> Option<Hosts> {
    let mut numbers = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        match part.split_once('-') {
            Some((first, last)) => {
                numbers.extend(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?);
            }
            None => numbers.push(part.parse().ok()?),
        }
    }
    Some(Hosts::of(numbers))
}

fn zones(text: &str) -> Option<Vec<Hosts>> {
    text.split('|').map(hosts).collect()
}

impl Shape {
    fn word(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Bridge => "bridge",
            Self::Ring => "ring",
            Self::OneWay => "oneway",
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        [Self::Clean, Self::Bridge, Self::Ring, Self::OneWay]
            .into_iter()
            .find(|shape| shape.word() == word)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boot(hosts) => write!(formatter, "boot {hosts}"),
            Self::Kill(hosts) => write!(formatter, "kill {hosts}"),
            Self::Crash(hosts) => write!(formatter, "crash {hosts}"),
            Self::Stall(hosts, span) => write!(formatter, "stall {hosts} {}", Seconds(*span)),
            Self::Reset(hosts) => write!(formatter, "reset {hosts}"),
            Self::Leave(hosts) => write!(formatter, "leave {hosts}"),
            Self::Cut(number, shape, parts) => {
                let parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
                write!(formatter, "cut {number} {} {}", shape.word(), parts.join("|"))
            }
            Self::Lossy(number, loss, from, to) => {
                write!(formatter, "lossy {number} {loss} {from}|{to}")
            }
            Self::Lift(number) => write!(formatter, "lift {number}"),
            Self::LiftAll => write!(formatter, "lift all"),
            Self::Weather(loss, duplicates, reordered) => {
                write!(formatter, "weather {loss} {duplicates} {reordered}")
            }
        }
    }
}

fn fault(words: &[&str]) -> Option<Fault> {
    match *words {
        ["boot", some] => Some(Fault::Boot(hosts(some)?)),
        ["kill", some] => Some(Fault::Kill(hosts(some)?)),
        ["crash", some] => Some(Fault::Crash(hosts(some)?)),
        ["reset", some] => Some(Fault::Reset(hosts(some)?)),
        ["leave", some] => Some(Fault::Leave(hosts(some)?)),
        ["stall", some, span] => Some(Fault::Stall(hosts(some)?, seconds(span)?)),
        ["cut", number, shape, parts] => {
            Some(Fault::Cut(number.parse().ok()?, Shape::of_word(shape)?, zones(parts)?))
        }
        ["lossy", number, loss, parts] => {
            let parts = zones(parts)?;
            let [from, to] = <[Hosts; 2]>::try_from(parts).ok()?;
            Some(Fault::Lossy(number.parse().ok()?, share(loss)?, from, to))
        }
        ["lift", "all"] => Some(Fault::LiftAll),
        ["lift", number] => Some(Fault::Lift(number.parse().ok()?)),
        ["weather", loss, duplicates, reordered] => {
            Some(Fault::Weather(share(loss)?, share(duplicates)?, share(reordered)?))
        }
        _ => None,
    }
}

fn share(text: &str) -> Option<f64> {
    text.parse().ok().filter(|share| (0.0..=1.0).contains(share))
}

impl fmt::Display for Script {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in &self.0 {
            writeln!(formatter, "{} {fault}", Seconds(*at))?;
        }
        Ok(())
    }
}

impl FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        let mut script = Self::default();
        for (index, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let Some((at, rest)) = words.split_first().filter(|(first, _)| !first.starts_with('#'))
            else {
                continue;
            };
            let broken = || ScriptError::NotAFault { line: index + 1, text: line.to_owned() };
            script.add(seconds(at).ok_or_else(broken)?, fault(rest).ok_or_else(broken)?);
        }
        script.sort();
        Ok(script)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::draw::{self, Family};

    #[test]
    fn a_script_is_read_back_as_it_was() {
        for seed in 0..200 {
            let (_, script) = draw::script(seed, 24, 60 * SECOND, None);
            assert_eq!(script.to_string().parse::<Script>(), Ok(script), "seed {seed}");
        }
        assert_eq!(Family::ALL.len(), 5);
    }

    #[test]
    fn nonsense_is_named_with_its_line() {
        let error = "0 boot 0-3\n1.5 explode 2\n".parse::<Script>();
        let text = "1.5 explode 2".to_owned();
        assert_eq!(error, Err(ScriptError::NotAFault { line: 2, text }));
    }
}
