//! A message has one concrete type.

struct Cache<T>(T);

#[mobula::actor]
impl<T: Send + 'static> Cache<T> {
    pub fn get(&self) {}
}

fn main() {}
