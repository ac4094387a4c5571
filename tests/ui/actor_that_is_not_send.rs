//! An actor that is not `Send` is `#[actor(local)]`.

use std::rc::Rc;

struct Counter(Rc<u64>);

#[mobula::actor]
impl Counter {
    pub fn count(&self) -> u64 {
        *self.0
    }
}

fn main() {}
