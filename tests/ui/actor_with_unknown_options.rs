//! Every option is known, and some exclude each other.

struct A;
struct B;
struct C;
struct D;

#[mobula::actor(remote)]
impl A {}

#[mobula::actor(local, max_concurrency = 4)]
impl B {}

#[mobula::actor(max_concurrency = 0)]
impl C {}

#[mobula::actor]
impl D {
    #[method(retries = 3)]
    pub fn get(&self) {}

    #[method(max_retries = 3)]
    fn private(&self) {}
}

fn main() {}
