//! Fencing tokens: of two holders of one name, and of two lives of one actor, the later one has the greater.

use mobula::FencingToken;
use mobula::prelude::*;
use mobula::testkit::RestartProbe;

/// Keeps the only pen to a register.
struct Registrar;

#[mobula::actor]
impl Registrar {
    pub fn new() -> Self {
        Self
    }

    pub fn token(&mut self, ctx: &mut Context<Self>) -> FencingToken {
        ctx.fencing_token()
    }

    pub fn faint(&mut self) {
        panic!("too much ink");
    }
}

#[mobula::test]
async fn whoever_comes_later_has_the_greater_token() {
    let named = || Registrar::options().name("registrar").max_restarts(1).remote();
    let first = named();
    let mut restarts = RestartProbe::new(&first);
    let before = first.token().await.unwrap();
    assert_eq!(first.token().await.unwrap(), before, "as long as it lives");

    first.faint().await.unwrap_err();
    restarts.next().await;
    let restarted = first.token().await.unwrap();
    assert!(restarted > before, "{restarted} after {before}");

    first.kill().await.unwrap();
    let next = named().token().await.unwrap();
    assert!(next > restarted, "{next} after {restarted}");
    assert!(next.as_u128() > restarted.as_u128() && restarted.as_u128() > before.as_u128());
}
