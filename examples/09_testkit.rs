//! A test with the testkit: time stands still while anything can run and jumps when nothing can, so an hour's wait
//! takes no time and never races. In your tests, `#[mobula::test]` on an `async fn` does what `run` does here.
//!
//! `cargo run --example 09_testkit`
#![expect(clippy::print_stdout, reason = "an example speaks")]

use std::time::Instant;

use mobula::prelude::*;
use mobula::testkit::{self, DeadLetterProbe, Probe, RestartProbe};

/// Asks its owner, an hour after the last sign of life, whether anybody is there.
struct Nightwatch {
    owner: Recipient<Alarm>,
}

#[derive(Message, Clone, Debug, PartialEq)]
struct Alarm;

#[derive(Message)]
struct Silence;

#[mobula::actor]
impl Nightwatch {
    pub fn new(owner: Recipient<Alarm>) -> Self {
        Self { owner }
    }

    /// Falls over; whoever supervises it starts it again.
    pub fn stumble(&mut self) {
        panic!("the lamp went out");
    }

    /// A keyed timer: setting it again replaces it.
    pub fn sign_of_life(&mut self, ctx: &mut Context<Self>) {
        ctx.after_keyed("silence", secs(3600), Silence);
    }
}

impl Handler<Silence> for Nightwatch {
    async fn handle(&mut self, _: Silence, ctx: &mut Context<Self>) {
        if self.owner.tell(Alarm).await.is_err() {
            ctx.stop();
        }
    }
}

fn main() -> anyhow::Result<()> {
    let began = Instant::now();
    testkit::run(|node| async move {
        let owner = Probe::<Alarm>::spawn();
        let watch = Nightwatch::options().max_restarts(1).remote(owner.actor().recipient());
        let mut restarts = RestartProbe::new(&watch);
        let mut letters = DeadLetterProbe::new(node.system());

        for _ in 0..3 {
            watch.sign_of_life().await?;
            owner.expect_silence(secs(3599)).await;
        }
        assert_eq!(owner.next().await, Alarm);
        println!("no alarm while there are signs of life, one when they end");

        watch.stumble().tell().await?;
        watch.sign_of_life().tell().await?; // waits behind the stumble
        let reason = restarts.next().await;
        let letter = letters.expect(|letter| letter.to == watch.id());
        println!("restarted, for it {reason}; {} is a dead letter", letter.message);

        watch.kill().await?;
        assert!(testkit::ends(&watch).await.is_abnormal());
        owner.expect_silence(secs(24 * 3600)).await;
        letters.expect_none();
        println!("a killed watch is silent for a day");
        anyhow::Ok(())
    })?;
    assert!(began.elapsed() < secs(20));
    println!("over 27 hours of virtual time passed in {:?}", began.elapsed());
    Ok(())
}
