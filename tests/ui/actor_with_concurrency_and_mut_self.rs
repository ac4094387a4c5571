//! Several calls at a time share the actor.

use mobula::prelude::*;

struct Cache;

#[mobula::actor(max_concurrency = 4)]
impl Cache {
    pub fn put(&mut self) {}

    pub fn get(&self, ctx: &mut Context<Self>) {
        let _ = ctx;
    }
}

fn main() {}
