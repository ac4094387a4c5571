//! `reply` and `name` are all there is.

use mobula::prelude::*;

#[derive(Message)]
#[message(answer = u64)]
struct Get;

#[derive(Message)]
#[message(reply = &str)]
struct Find;

fn main() {}
