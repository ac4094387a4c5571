//! Messages own what they carry.

use mobula::prelude::*;

#[derive(Message)]
struct Put<'a>(&'a str);

fn main() {}
