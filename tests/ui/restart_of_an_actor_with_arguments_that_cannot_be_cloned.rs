//! Each restart calls the constructor again.

struct Config;
struct Counter;

#[mobula::actor]
impl Counter {
    pub fn new(config: Config) -> Self {
        drop(config);
        Self
    }
}

fn start() {
    drop(Counter::options().max_restarts(3).remote(Config));
}

fn main() {}
