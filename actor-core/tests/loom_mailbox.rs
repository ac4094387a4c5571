//! The mailbox's two lanes under every order of events that the memory model allows.
//!
//! The source file itself is compiled here, over loom's checked twins of its two primitives.
#![allow(
    dead_code,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::expect_used,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::new_without_default,
    clippy::unwrap_used,
    clippy::use_self,
    reason = "a test's actors are public for the macro's sake alone, and a test may fail by a panic"
)]

#[path = "../src/mailbox/lanes.rs"]
mod lanes;

#[path = "fixture/checked.rs"]
mod sync;

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Wake, Waker};

use lanes::{Admission, Brief, InLine, Lanes, Refused, Rule, Signalled, Taken};
use loom::future::block_on;
use loom::thread;

type Mailbox = Lanes<u32, &'static str>;

/// One of the two has a code, as of the real signals.
impl Brief for &'static str {
    type Code = bool;

    fn shorten(signalled: Signalled<Self>) -> Result<bool, Signalled<Self>> {
        if signalled.signal == "stop" { Ok(signalled.aborts) } else { Err(signalled) }
    }

    fn lengthen(aborts: bool) -> Signalled<Self> {
        Signalled { signal: "stop", aborts }
    }
}

/// Every order of events with at most two preemptions: where known faults of queues show, and soon over.
fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

fn mailbox(capacity: u32, rule: Rule) -> loom::sync::Arc<Mailbox> {
    loom::sync::Arc::new(Lanes::new(capacity, rule))
}

/// Takes until `done`, as the run loop does; sleeps when the mailbox says so.
fn consume(
    mailbox: &Mailbox,
    mut done: impl FnMut(&[u32], &[&'static str]) -> bool,
) -> (Vec<u32>, Vec<&'static str>) {
    let (mut seen, mut signals) = (Vec::new(), Vec::new());
    let mut batch = VecDeque::new();
    let mut unreleased = 0;
    block_on(std::future::poll_fn(|cx| {
        loop {
            while let Some((signal, _)) = mailbox.pop_signal() {
                signals.push(signal);
            }
            if done(&seen, &signals) {
                return std::task::Poll::Ready(());
            }
            // As the run loop does: what is alone is taken with going idle.
            if let Some(envelope) = mailbox.take_only(&mut unreleased) {
                seen.push(envelope);
                if !done(&seen, &signals) && mailbox.is_idle() {
                    return std::task::Poll::Pending;
                }
                continue;
            }
            match mailbox.take(&mut batch, std::mem::take(&mut unreleased), cx.waker()) {
                Taken::Batch => {
                    unreleased = u32::try_from(batch.len()).unwrap();
                    seen.extend(batch.drain(..));
                }
                Taken::Signal => {}
                Taken::Idle => return std::task::Poll::Pending,
                Taken::Drained => return std::task::Poll::Ready(()),
            }
        }
    }));
    (seen, signals)
}

/// Sends as `tell` does: waits in line for room.
fn tell(mailbox: &Mailbox, envelope: u32) -> Result<(), u32> {
    let mut ticket = None;
    let mut envelope = Some(envelope);
    block_on(std::future::poll_fn(|cx| {
        if let Some(envelope) = envelope.take() {
            match mailbox.push_or_wait(envelope, Some(cx.waker()), 8) {
                Admission::Admitted(_) => return std::task::Poll::Ready(Ok(())),
                Admission::Refused(Refused::Full(envelope) | Refused::Closed(envelope)) => {
                    return std::task::Poll::Ready(Err(envelope));
                }
                Admission::Waiting(place) => ticket = Some(place),
            }
            return std::task::Poll::Pending;
        }
        match mailbox.poll_line(ticket.expect("it stands in line"), cx.waker()) {
            InLine::Waiting => std::task::Poll::Pending,
            InLine::Admitted => std::task::Poll::Ready(Ok(())),
            InLine::Closed(envelope) => std::task::Poll::Ready(Err(envelope)),
        }
    }))
}

#[test]
fn no_push_is_lost_on_a_consumer_that_goes_idle() {
    check(|| {
        let mailbox = mailbox(4, Rule::Wait);
        let senders: Vec<_> = [1, 2]
            .into_iter()
            .map(|envelope| {
                let mailbox = mailbox.clone();
                thread::spawn(move || mailbox.push(envelope).map(drop).expect("there is room"))
            })
            .collect();
        let (mut seen, _) = consume(&mailbox, |seen, _| seen.len() == 2);
        seen.sort_unstable();
        assert_eq!(seen, [1, 2]);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}

#[test]
fn no_signal_is_lost_on_a_consumer_that_goes_idle() {
    check(|| {
        let mailbox = mailbox(4, Rule::Wait);
        let signaller = {
            let mailbox = mailbox.clone();
            thread::spawn(move || assert!(mailbox.signal("stop", true).is_none()))
        };
        let sender = {
            let mailbox = mailbox.clone();
            thread::spawn(move || mailbox.push(1).map(drop).expect("there is room"))
        };
        let (seen, signals) =
            consume(&mailbox, |seen, signals| !signals.is_empty() && !seen.is_empty());
        assert_eq!((seen, signals), (vec![1], vec!["stop"]));
        assert!(!mailbox.is_signalled() && !mailbox.is_aborted());
        signaller.join().unwrap();
        sender.join().unwrap();
    });
}

#[test]
fn a_signal_wakes_a_consumer_that_waits_in_a_handler() {
    check(|| {
        let mailbox = mailbox(4, Rule::Wait);
        let signaller = {
            let mailbox = mailbox.clone();
            thread::spawn(move || assert!(mailbox.signal("kill", true).is_none()))
        };
        block_on(std::future::poll_fn(|cx| {
            mailbox.register(cx.waker());
            if mailbox.is_aborted() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        }));
        assert!(matches!(mailbox.pop_signal(), Some(("kill", true))));
        signaller.join().unwrap();
    });
}

#[test]
fn who_waits_in_line_gets_in_and_nobody_overtakes() {
    check(|| {
        let mailbox = mailbox(1, Rule::Wait);
        let sender = {
            let mailbox = mailbox.clone();
            thread::spawn(move || {
                for envelope in 1..=3 {
                    tell(&mailbox, envelope).expect("it stays open");
                }
            })
        };
        let (seen, _) = consume(&mailbox, |seen, _| seen.len() == 3);
        assert_eq!(seen, [1, 2, 3], "one sender's messages, in order");
        sender.join().unwrap();
        assert!(mailbox.len() <= 1);
    });
}

#[test]
fn two_who_wait_in_line_both_get_in() {
    check(|| {
        let mailbox = mailbox(1, Rule::Wait);
        mailbox.push(0).map(drop).expect("there is room");
        let senders: Vec<_> = [1, 2]
            .into_iter()
            .map(|envelope| {
                let mailbox = mailbox.clone();
                thread::spawn(move || tell(&mailbox, envelope).expect("it stays open"))
            })
            .collect();
        let (mut seen, _) = consume(&mailbox, |seen, _| seen.len() == 3);
        assert_eq!(seen.remove(0), 0);
        seen.sort_unstable();
        assert_eq!(seen, [1, 2]);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}

struct Deaf;

impl Wake for Deaf {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_place_in_line_is_withdrawn_or_admitted_never_both_and_never_neither() {
    check(|| {
        let mailbox = mailbox(1, Rule::Wait);
        mailbox.push(0).map(drop).expect("there is room");
        let waker = Waker::from(Arc::new(Deaf));
        let Admission::Waiting(ticket) = mailbox.push_or_wait(1, Some(&waker), 8) else {
            panic!("there is no room");
        };
        let withdrawing = {
            let mailbox = mailbox.clone();
            thread::spawn(move || mailbox.withdraw(ticket))
        };
        let mut seen = VecDeque::new();
        assert_eq!(mailbox.take(&mut seen, 0, &waker), Taken::Batch);
        mailbox.release(1);
        let withdrawn = withdrawing.join().unwrap();
        let mut later = VecDeque::new();
        mailbox.take(&mut later, 0, &waker);
        match withdrawn {
            Some(envelope) => assert_eq!((envelope, later.len()), (1, 0)),
            None => assert_eq!(later, [1]),
        }
    });
}

#[test]
fn what_meets_a_seal_is_handled_or_handed_back_never_both_and_never_neither() {
    check(|| {
        let mailbox = mailbox(1, Rule::Wait);
        let sender = {
            let mailbox = mailbox.clone();
            thread::spawn(move || tell(&mailbox, 1))
        };
        let unwatched = {
            let mailbox = mailbox.clone();
            thread::spawn(move || mailbox.push_or_wait(2, None, 8))
        };
        let mut left = mailbox.seal();
        let (mut seen, _) = consume(&mailbox, |_, _| false);
        left.extend(mailbox.close());
        let told = sender.join().unwrap();
        let unwatched = unwatched.join().unwrap();
        if let Err(envelope) = told {
            left.push(envelope);
        }
        if let Admission::Refused(Refused::Closed(envelope)) = unwatched {
            left.push(envelope);
        }
        seen.extend(left);
        seen.sort_unstable();
        assert_eq!(seen, [1, 2]);
        assert!(mailbox.signal("late", false).is_some(), "a closed lane hands signals back");
    });
}

#[test]
fn a_displacing_mailbox_keeps_or_displaces_each_message_once() {
    check(|| {
        let mailbox = mailbox(1, Rule::Displace);
        let senders: Vec<_> = [1, 2]
            .into_iter()
            .map(|envelope| {
                let mailbox = mailbox.clone();
                thread::spawn(move || mailbox.push(envelope).expect("it is never full"))
            })
            .collect();
        let waker = Waker::from(Arc::new(Deaf));
        let mut all = VecDeque::new();
        mailbox.take(&mut all, 0, &waker);
        for sender in senders {
            all.extend(sender.join().unwrap());
        }
        let mut batch = VecDeque::new();
        while mailbox.take(&mut batch, 0, &waker) == Taken::Batch {
            all.extend(batch.drain(..));
        }
        let mut all = Vec::from(all);
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
    });
}
