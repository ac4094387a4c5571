//! The cell between an asker and its answer, under every order of events that the memory model allows.
//!
//! The source file itself is compiled here, over loom's checked twins of its primitives. What is left undropped fails the
//! model: loom counts its own pointers, of which each answer is one.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test may fail by a panic"
)]

#[path = "../src/reply/cell.rs"]
mod cell;

#[path = "fixture/checked.rs"]
mod sync;

use std::future::poll_fn;
use std::task::Poll;

use cell::{AnswerReceiver, AnswerSender, reply_cell};
use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;

/// Asks of a thread that does `answer`, and waits for what comes of it.
fn ask(answer: impl FnOnce(AnswerSender<Arc<u32>>) + Clone + Send + 'static) -> Option<Arc<u32>> {
    let mut asked: Option<AnswerReceiver<Arc<u32>>> = None;
    let mut answerer = None;
    let mut answer = Some(answer);
    let got = block_on(poll_fn(|cx| {
        let Some(receiver) = asked.take() else {
            let (sender, receiver) = reply_cell(cx.waker());
            let answer = answer.take().expect("asked once");
            answerer = Some(thread::spawn(move || answer(sender)));
            asked = Some(receiver);
            return Poll::Pending;
        };
        match receiver.poll(cx) {
            Ok(answer) => Poll::Ready(answer),
            Err(receiver) => {
                asked = Some(receiver);
                Poll::Pending
            }
        }
    }));
    answerer.expect("somebody was asked").join().unwrap();
    got
}

#[test]
fn an_answer_comes_once_and_whole() {
    loom::model(|| {
        assert!(ask(|sender| sender.send(Arc::new(7))).is_some_and(|answer| *answer == 7));
    });
}

#[test]
fn a_sender_that_is_dropped_ends_the_wait() {
    loom::model(|| {
        assert!(ask(drop).is_none());
    });
}

#[test]
fn whoever_gives_up_leaves_nothing_behind() {
    loom::model(|| {
        let waker = std::task::Waker::noop();
        let (sender, receiver) = reply_cell(waker);
        let answerer = thread::spawn(move || sender.send(Arc::new(7)));
        drop(receiver);
        answerer.join().unwrap();
    });
}
