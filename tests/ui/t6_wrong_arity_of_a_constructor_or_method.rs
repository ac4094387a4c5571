//! Constructors and methods take their own number of arguments: nothing is sent otherwise.

struct Counter(u64);

#[mobula::actor]
impl Counter {
    pub fn new(start: u64) -> Self {
        Self(start)
    }

    pub fn add(&mut self, by: u64) -> u64 {
        self.0 += by;
        self.0
    }
}

fn main() {
    let _without_start = Counter::remote();
    let counter = Counter::options().name("clicks").remote(1, 2);
    let _without_by = counter.add();
    let _too_many = counter.add(1, 2);
}
