//! Messages own what they carry.

use std::borrow::Cow;

struct Store;

#[mobula::actor]
impl Store {
    pub fn put(&mut self, key: &str, value: Cow<'_, [u8]>) {
        drop((key, value));
    }

    pub fn get(&self) -> &str {
        ""
    }

    pub fn find(&self, key: impl Into<String>) {
        drop(key.into());
    }
}

fn main() {}
