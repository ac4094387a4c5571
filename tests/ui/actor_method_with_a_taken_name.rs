//! `ActorRef` has methods of its own, which win.

struct Machine;

#[mobula::actor]
impl Machine {
    pub fn stop(&mut self) {}

    pub fn into(&self) -> u64 {
        0
    }

    pub fn remote() {}
}

fn main() {}
