//! What the old build and the new one have in common.

/// Known by a name of its own, which is the same in both programs.
#[mobula::task(name = "shop::double")]
pub(crate) fn double(number: u64) -> u64 {
    number * 2
}

pub(crate) struct Till {
    cents: u64,
}

#[mobula::actor(key = "shop")]
impl Till {
    pub fn new(cents: u64) -> Self {
        Self { cents }
    }

    pub fn pay(&mut self, cents: u64) -> u64 {
        self.cents += cents;
        self.cents
    }
}
