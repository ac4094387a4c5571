//! A hook gets what the actor has to give.

struct Counter;

#[mobula::actor]
impl Counter {
    fn started(&mut self, path: String) {
        drop(path);
    }

    fn stopping(&mut self) -> bool {
        true
    }
}

fn main() {}
