//! The table of one program: everything that it does for others, each with the key by which it is asked.
//!
//! Invariants: rows are sorted by their keys, each key once; equal tables have equal numbers on every machine.
//!
//! Pure: no clock, no I/O, no tasks.

use std::fmt;
use std::sync::Arc;

use mobula_actor_core::remote::table::Table;
use mobula_tasks::{functions, visitors};
use serde::{Deserialize, Serialize};

/// Rows of one table at most; a larger one is not believed.
pub(crate) const ROWS_MAX: usize = 65_536;

/// Bytes of a name or signature at most.
const TEXT_BYTES_MAX: usize = 4 * 1024;

/// What a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum What {
    Function,
    Constructor,
    Handler,
}

/// Something that a program does for others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Provision {
    pub(crate) key: u64,
    pub(crate) what: What,
    pub(crate) name: String,
    /// Of a function; 0 elsewhere.
    #[serde(default)]
    pub(crate) version: u32,
    /// Of a function; empty elsewhere.
    #[serde(default)]
    pub(crate) signature: String,
}

impl fmt::Display for Provision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, what, name, version, signature } = self;
        match what {
            What::Function => write!(f, "`{name}` v{version} {signature} [{key:016x}]"),
            What::Constructor => write!(f, "the constructor of `{name}` [{key:016x}]"),
            What::Handler => write!(f, "the handler of `{name}` [{key:016x}]"),
        }
    }
}

/// Everything that one program does for others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct BuildTable {
    rows: Vec<Provision>,
}

impl BuildTable {
    pub(crate) fn new(mut rows: Vec<Provision>) -> Self {
        rows.sort_unstable();
        rows.dedup_by_key(|row| row.key);
        Self { rows }
    }

    /// What is linked into this program and can be done for others.
    pub(crate) fn linked() -> Self {
        let portable = visitors();
        let functions = functions().into_iter().filter(|entry| portable.contains_key(&entry.hash));
        let mut rows: Vec<Provision> = functions
            .map(|entry| Provision {
                key: entry.hash,
                what: What::Function,
                name: entry.name.to_owned(),
                version: entry.version,
                signature: entry.signature.to_owned(),
            })
            .collect();
        rows.extend(Table::linked().provided().into_iter().map(|entry| Provision {
            key: entry.key,
            what: if entry.message.is_some() { What::Handler } else { What::Constructor },
            name: entry.message.map_or_else(
                || entry.actor.to_owned(),
                |message| format!("{} at {}", message, entry.actor),
            ),
            version: 0,
            signature: String::new(),
        }));
        Self::new(rows)
    }

    /// What nodes tell each other instead of the table: FNV-1a over the keys, 64 bits.
    pub(crate) fn number(&self) -> u64 {
        let bytes = self.rows.iter().flat_map(|row| row.key.to_le_bytes());
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }

    /// The keys of all rows, rising.
    pub(crate) fn keys(&self) -> Arc<[u64]> {
        self.rows.iter().map(|row| row.key).collect()
    }

    pub(crate) fn get(&self, key: u64) -> Option<&Provision> {
        let at = self.rows.binary_search_by_key(&key, |row| row.key).ok()?;
        self.rows.get(at)
    }

    /// What came from another node is sorted, and not too much.
    pub(crate) fn is_within_limits(&self) -> bool {
        self.rows.len() <= ROWS_MAX
            && self.rows.is_sorted_by(|one, next| one.key < next.key)
            && self.rows.iter().all(|row| {
                row.name.len() <= TEXT_BYTES_MAX && row.signature.len() <= TEXT_BYTES_MAX
            })
    }

    /// What there is of the name of `wanted`, for errors.
    pub(crate) fn instead_of(&self, wanted: &Provision) -> String {
        let same = |row: &&Provision| row.what == wanted.what && row.name == wanted.name;
        let others: Vec<String> = self.rows.iter().filter(same).map(ToString::to_string).collect();
        if others.is_empty() {
            return format!("has nothing named `{}`", wanted.name);
        }
        format!("has {}", others.join(" and "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(key: u64, name: &str, signature: &str) -> Provision {
        Provision {
            key,
            what: What::Function,
            name: name.to_owned(),
            version: 1,
            signature: signature.to_owned(),
        }
    }

    #[test]
    fn equal_contents_have_equal_numbers_in_any_order() {
        let (a, b) = (function(1, "a", "fn()"), function(2, "b", "fn()"));
        let one = BuildTable::new(vec![a.clone(), b.clone()]);
        let other = BuildTable::new(vec![b, a.clone(), a.clone()]);
        assert_eq!(one.number(), other.number());
        assert_ne!(one.number(), BuildTable::new(vec![a]).number());
        assert!(one.is_within_limits());
    }

    #[test]
    fn what_is_there_under_the_same_name_is_said() {
        let table = BuildTable::new(vec![function(7, "price", "fn(u32) -> u32")]);
        let said = table.instead_of(&function(8, "price", "fn(u64) -> u64"));
        assert_eq!(said, "has `price` v1 fn(u32) -> u32 [0000000000000007]");
        let said = table.instead_of(&function(9, "cost", "fn()"));
        assert_eq!(said, "has nothing named `cost`");
    }

    #[test]
    fn a_table_out_of_order_or_too_large_is_not_believed() {
        let rows = vec![function(2, "b", ""), function(1, "a", "")];
        assert!(!BuildTable { rows }.is_within_limits());
        let many = (0..=ROWS_MAX as u64).map(|key| function(key, "f", "")).collect();
        assert!(!BuildTable::new(many).is_within_limits());
        let long = BuildTable::new(vec![function(1, &"x".repeat(5000), "")]);
        assert!(!long.is_within_limits());
    }

    #[test]
    fn this_program_has_its_own_services() {
        let table = BuildTable::linked();
        let named = |name: &str| table.rows.iter().any(|row| row.name.contains(name));
        assert!(named("Inspector::status") && named("TaskService::run"), "{table:?}");
        assert!(table.is_within_limits());
    }
}
