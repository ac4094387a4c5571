//! A message has one concrete type.

struct Store;

#[mobula::actor]
impl Store {
    pub fn put<T>(&mut self, value: T)
    where
        T: Send,
    {
        drop(value);
    }
}

fn main() {}
