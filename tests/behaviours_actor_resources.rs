//! Rows R of what users rely on, for actors: what one holds while it lives.

#![expect(clippy::unwrap_used, reason = "what fails here fails its test")]

use mobula::prelude::*;
use mobula::testkit::{self, RestartProbe, advance, ends};

/// Draws on a device that it has to itself.
struct Plotter {
    lines: u32,
}

#[mobula::actor]
impl Plotter {
    pub fn new() -> Self {
        Self { lines: 0 }
    }

    pub fn draw(&mut self) -> u32 {
        self.lines += 1;
        self.lines
    }

    pub fn jam(&mut self) {
        panic!("the pen is stuck");
    }
}

#[mobula::task]
fn print() -> u32 {
    7
}

#[mobula::task]
async fn hold_open(gate: Arc<tokio::sync::Semaphore>) -> u32 {
    gate.acquire().await.unwrap().forget();
    7
}

/// What is free of a resource.
fn free(node: &Node, resource: &str) -> String {
    let all = node.resources();
    let found = all.iter().find(|amount| amount.resource == resource);
    found.map(|amount| amount.free.to_string()).unwrap()
}

fn with_a_device() -> mobula::NodeBuilder {
    Node::builder().num_cpus(2.0).resource("gpu", 1.0)
}

#[test]
fn r1_actors_and_tasks_together_never_hold_more_than_the_node_has() {
    testkit::run_with(with_a_device(), |node| async move {
        let first = Plotter::options().resource("gpu", 1.0).num_cpus(0.5).remote();
        assert_eq!(first.draw().await.unwrap(), 1);
        assert_eq!((free(&node, "gpu"), free(&node, "cpu")), ("0".to_owned(), "1.5".to_owned()));

        // A second one is there, and takes messages, but has no device yet; nor has a task.
        let second = Plotter::options().name("second").resource("gpu", 0.5).remote();
        let third = Plotter::options().pinned().resource("gpu", 0.5).remote();
        let task = print::options().num_cpus(0.0).resource("gpu", 1.0).remote();
        let drawn = second.draw().remote();
        second.draw().tell().await.unwrap();
        advance(secs(3600)).await;
        assert!(!drawn.is_ready() && !task.is_ready());
        assert!(mobula::actor::<Plotter>("second").await.is_ok(), "it has its name");
        let listing = node.actors().into_iter().find(|actor| actor.id == second.id()).unwrap();
        assert_eq!((listing.state, listing.mailbox_len), ("waiting", 2));
        let citizen = node.system().directory().get(second.id()).unwrap();
        assert_eq!(citizen.why().unwrap(), "waiting for 0.5 gpu (0 of 1 free)");

        first.stop().await.unwrap();
        assert_eq!(*drawn.get().await.unwrap(), 1);
        assert_eq!(second.draw().await.unwrap(), 3, "in order, and none was lost");
        assert_eq!(third.draw().await.unwrap(), 1, "half a device each");
        assert_eq!((free(&node, "gpu"), free(&node, "cpu")), ("0".to_owned(), "2".to_owned()));

        second.kill().await.unwrap();
        drop(third);
        assert_eq!(*task.get().await.unwrap(), 7);
        assert_eq!(free(&node, "gpu"), "1");
    });
}

#[test]
fn r1_an_actor_keeps_what_it_holds_over_restarts_and_gives_it_back_at_its_end() {
    testkit::run_with(with_a_device(), |node| async move {
        let first = Plotter::options().resource("gpu", 1.0).max_restarts(1).remote();
        let mut restarts = RestartProbe::new(&first);
        let second = Plotter::options().resource("gpu", 1.0).remote();
        first.jam().await.unwrap_err();
        restarts.next().await;
        assert_eq!(first.draw().await.unwrap(), 1);
        assert_eq!(free(&node, "gpu"), "0");
        let drawn = second.draw().remote();
        advance(secs(60)).await;
        assert!(!drawn.is_ready(), "the device is the first one's, restarted or not");
        first.jam().await.unwrap_err();
        assert_eq!(*drawn.get().await.unwrap(), 1);
    });
}

#[test]
fn r1_an_actor_that_ends_while_it_waits_gives_up_its_place() {
    testkit::run_with(with_a_device(), |node| async move {
        let wants = || Plotter::options().resource("gpu", 1.0);
        let first = wants().remote();
        first.draw().await.unwrap();
        let (stopped, killed, dropped, last) =
            (wants().remote(), wants().remote(), wants().remote(), wants().remote());
        assert!(matches!(stopped.stop().await.unwrap(), ExitReason::Shutdown));
        let unheard = killed.draw().remote();
        advance(secs(1)).await;
        assert!(matches!(killed.kill().await.unwrap(), ExitReason::Killed));
        let error = unheard.get().await.unwrap_err().to_string();
        assert!(error.contains("was killed"), "{error}");
        let watched = dropped.downgrade();
        drop(dropped);
        assert!(matches!(ends(&watched).await, ExitReason::Normal));
        // Thousands that come and go leave nothing behind.
        for _ in 0..5_000 {
            wants().remote().kill().await.unwrap();
        }
        first.stop().await.unwrap();
        assert_eq!(last.draw().await.unwrap(), 1);
        last.stop().await.unwrap();
        assert_eq!(free(&node, "gpu"), "1");
    });
}

#[test]
fn what_an_actor_was_told_before_it_was_stopped_or_left_is_handled_when_it_has_what_it_needs() {
    testkit::run_with(with_a_device(), |_node| async move {
        let wants = || Plotter::options().resource("gpu", 1.0);
        let first = wants().remote();
        first.draw().await.unwrap();
        let (left, stopped) = (wants().remote(), wants().remote());
        let (last_wish, last_order) = (left.draw().remote(), stopped.draw().remote());
        drop(left);
        let stopping = tokio::task::spawn({
            let stopped = stopped.clone();
            async move { stopped.stop().await }
        });
        advance(secs(1)).await;
        assert!(!last_wish.is_ready() && !last_order.is_ready());
        let late = stopped.draw().await.unwrap_err();
        assert!(late.is_safe_to_retry(), "it takes nothing new: {late}");
        first.stop().await.unwrap();
        assert_eq!(*last_wish.get().await.unwrap(), 1);
        assert_eq!(*last_order.get().await.unwrap(), 1);
        assert!(matches!(stopping.await.unwrap().unwrap(), ExitReason::Shutdown));
    });
}

#[test]
fn nobody_is_held_back_for_one_who_waits_for_what_an_actor_holds_or_who_is_gone() {
    testkit::run_with(Node::builder().num_cpus(2.0), |node| async move {
        let holder = Plotter::options().num_cpus(1.0).remote();
        holder.draw().await.unwrap();
        let large = print::options().num_cpus(2.0).remote();
        for _ in 0..200 {
            assert_eq!(*print::remote().get().await.unwrap(), 7, "small ones go on");
        }
        assert!(!large.is_ready());
        holder.stop().await.unwrap();
        assert_eq!(*large.get().await.unwrap(), 7);

        // One that has lost its patience, and is cancelled then.
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let mut running = vec![hold_open::remote(Arc::clone(&gate))];
        let large = print::options().num_cpus(2.0).remote();
        for _ in 0..200 {
            running.push(print::remote());
        }
        advance(secs(1)).await;
        let waiting = running.iter().filter(|task| !task.is_ready()).count();
        assert!(waiting > 1, "others make room for it");
        large.cancel();
        for task in running.drain(1..) {
            assert_eq!(*task.get().await.unwrap(), 7, "and no longer");
        }
        gate.add_permits(1);
        assert_eq!(*running[0].get().await.unwrap(), 7);
        assert_eq!(free(&node, "cpu"), "2");
    });
}

#[test]
fn to_look_an_actor_up_takes_no_place_in_line() {
    testkit::run_with(Node::builder().num_cpus(3.0), |node| async move {
        let named = || Plotter::options().name("plotter").num_cpus(2.0).get_if_exists().remote();
        let first = named();
        first.draw().await.unwrap();
        for _ in 0..100 {
            assert_eq!(named(), first);
        }
        assert_eq!(free(&node, "cpu"), "1");
        for _ in 0..200 {
            assert_eq!(*print::remote().get().await.unwrap(), 7);
        }
    });
}

#[test]
fn r1_an_actor_that_needs_all_cpus_has_its_turn_in_a_stream_of_small_tasks() {
    testkit::run_with(Node::builder().num_cpus(2.0), |_node| async move {
        let mut running = vec![print::remote()];
        let large = Plotter::options().num_cpus(2.0).remote();
        let drawn = large.draw().remote();
        let mut before = 0;
        while !drawn.is_ready() {
            // There is always one task running and one more waiting.
            running.push(print::remote());
            mobula::wait(vec![running.remove(0), drawn.clone()]).await.unwrap();
            before += 1;
            assert!(before < 1_000, "small tasks keep it waiting");
        }
        assert_eq!(*drawn.get().await.unwrap(), 1);
    });
}

#[test]
fn r2_an_actor_that_wants_more_than_the_node_has_waits_until_there_is_more() {
    testkit::run_with(Node::builder().num_cpus(1.0), |node| async move {
        let plotter = Plotter::options().resource("gpu", 1.0).remote();
        let drawn = plotter.draw().remote();
        advance(secs(3600)).await;
        assert!(!drawn.is_ready());
        node.add_resource("gpu", 1.0).unwrap();
        assert_eq!(*drawn.get().await.unwrap(), 1);
    });
}

#[test]
fn a_demand_that_makes_no_sense_is_refused_with_a_sentence() {
    testkit::run_with(with_a_device(), |_node| async move {
        for (wrong, text) in [
            (Plotter::options().num_cpus(-1.0), "must lie between 0 and 1e15, not -1"),
            (Plotter::options().num_cpus(0.000_01), "counted in steps of 0.0001"),
            (Plotter::options().resource("gpu", 1.5), "must be a whole number"),
        ] {
            let error = wrong.remote().draw().await.unwrap_err().to_string();
            assert!(error.contains(text) && error.contains("Plotter"), "{error}");
        }
    });
}
