//! The generated call repeats the names of parameters.

struct Plane;

#[mobula::actor]
impl Plane {
    pub fn move_to(&mut self, (x, y): (f64, f64)) {
        drop((x, y));
    }

    pub fn skip(&mut self, _: u64) {}
}

fn main() {}
