//! What an association promises, as a ledger of what was said, heard and lost.
//!
//! - In each epoch and lane what comes out is a prefix of what was said, in order, each number once.
//! - What was said and did not come out comes back as lost, once; what comes back as never sent never comes out.
//! - What was said to one life of the peer does not come out in the next.
//! - Between two lives, nothing of an earlier life's talk comes out after something of a later one.
//!
//! Invariant: the ledger knows only what the talkers told, not what their cores think.

use std::collections::{BTreeMap, BTreeSet};

use super::Told;
use crate::protocol::Host;

/// Who said it, in which life, on which lane, in which epoch.
type Stream = (Host, u32, u8, u64);

/// The ledger of a run. Numbers must not be used twice.
#[derive(Debug, Default)]
pub struct Ledger {
    said: BTreeMap<Stream, Vec<u64>>,
    stream_of: BTreeMap<u64, Stream>,
    meant_for: BTreeMap<u64, u32>,
    heard: BTreeMap<(Stream, u32), usize>,
    out: BTreeSet<u64>,
    lost: BTreeSet<u64>,
    unsent: BTreeSet<u64>,
    newest: BTreeMap<(Host, u8), (u32, u64)>,
}

impl Ledger {
    /// Enters what a host told.
    ///
    /// # Errors
    /// The promise that was broken.
    pub fn enter(&mut self, host: Host, told: &Told) -> Result<(), String> {
        match told {
            Told::Said { life, lane, epoch, to_life, number } => {
                let stream = (host, *life, *lane, *epoch);
                self.said.entry(stream).or_default().push(*number);
                self.stream_of.insert(*number, stream);
                self.meant_for.extend(to_life.map(|to_life| (*number, to_life)));
                Ok(())
            }
            Told::Full => Ok(()),
            Told::Heard { life, lane, number, .. } => self.hear(host, *life, *lane, *number),
            Told::Lost { sent, unsent, .. } => {
                for number in sent.iter().chain(unsent) {
                    if !self.lost.insert(*number) {
                        return Err(format!("{number} is lost twice"));
                    }
                }
                for number in unsent {
                    if self.out.contains(number) {
                        return Err(format!("{number} was never sent, and came out"));
                    }
                    self.unsent.insert(*number);
                }
                Ok(())
            }
            Told::Fault(fault) => Err(fault.clone()),
        }
    }

    fn hear(&mut self, host: Host, life: u32, lane: u8, number: u64) -> Result<(), String> {
        let Some(&stream) = self.stream_of.get(&number) else {
            return Err(format!("{number} was never said"));
        };
        let (by, of_life, said_lane, epoch) = stream;
        if by == host || said_lane != lane {
            return Err(format!("{number} came out at host {host} on lane {lane}"));
        }
        if self.meant_for.get(&number).is_some_and(|meant| *meant < life) {
            return Err(format!("{number} was meant for an earlier life than {life}"));
        }
        if self.unsent.contains(&number) {
            return Err(format!("{number} came back as never sent, and comes out"));
        }
        let newest = self.newest.entry((host, lane)).or_insert((of_life, epoch));
        if (of_life, epoch) < *newest {
            return Err(format!("{number} is of an ended epoch"));
        }
        *newest = (of_life, epoch);
        let count = self.heard.entry((stream, life)).or_default();
        let due = self.said.get(&stream).and_then(|said| said.get(*count)).copied();
        if due != Some(number) {
            return Err(format!("{number} comes out, {due:?} was due ({stream:?})"));
        }
        *count += 1;
        if !self.out.insert(number) {
            return Err(format!("{number} came out in two lives"));
        }
        Ok(())
    }

    /// At the end, when all links stand and all is said: `lives` are the present lives of the hosts.
    ///
    /// # Errors
    /// Numbers that a process which still lives said, and of which nothing was heard since.
    pub fn settle(&self, lives: &BTreeMap<Host, u32>) -> Result<(), String> {
        for (stream, numbers) in &self.said {
            if lives.get(&stream.0) != Some(&stream.1) {
                continue;
            }
            let vanished =
                |number: &&u64| !self.out.contains(*number) && !self.lost.contains(*number);
            if let Some(number) = numbers.iter().find(vanished) {
                return Err(format!("{number} vanished without a word ({stream:?})"));
            }
        }
        Ok(())
    }

    /// How many numbers were said, came out, and came back as lost.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.stream_of.len(), self.out.len(), self.lost.len())
    }
}
