//! Arbiters: single-threaded executors for actors that are pinned.
//!
//! Two talking actors on one thread need no wake-up across threads; the same two split over threads
//! run hundreds of times slower. So what is spread over arbiters is the *group*, never the single actor:
//! a group goes whole to the arbiter with the fewest groups when its first actor starts, and is forgotten
//! when its last one has ended. A pinned actor without a group joins the arbiter of whoever spawns it, or the
//! group `""`.
//!
//! The threads are actix-rt's, so that actix guests live on them too. They start with the first
//! pinned actor: a node that pins nothing has none.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use actix_rt::{Arbiter, ArbiterHandle};
use parking_lot::Mutex;

thread_local! {
    /// Which arbiter of which pool this thread is.
    static HERE: RefCell<Option<(Arc<Token>, usize)>> = const { RefCell::new(None) };
}

/// Where pinned actors run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ArbiterChoice {
    /// On this many threads of their own.
    Threads(usize),
    /// On the thread that builds the system.
    Here,
}

/// Where an actor is pinned to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin {
    /// The spawner's arbiter, or the unnamed group's.
    Near,
    /// The arbiter of this group.
    Group(String),
}

pub(crate) struct Arbiters {
    choice: ArbiterChoice,
    here: Option<ArbiterHandle>,
    pool: OnceLock<Pool>,
    seats: Arc<Mutex<Seats>>,
}

/// Tells pools apart: two nodes may live in one process.
struct Token;

struct Pool {
    token: Arc<Token>,
    handles: Vec<ArbiterHandle>,
    stop: Option<(actix_rt::System, JoinHandle<()>)>,
}

impl Arbiters {
    pub(crate) fn new(choice: ArbiterChoice) -> Self {
        let here = match choice {
            ArbiterChoice::Threads(_) => None,
            ArbiterChoice::Here => Arbiter::try_current(),
        };
        Self { choice, here, pool: OnceLock::new(), seats: Arc::default() }
    }

    /// Runs on the arbiter for an actor pinned so the future that `make` makes there. Without a detour, if this is that
    /// arbiter's thread.
    pub(crate) fn spawn<F: Future<Output = ()> + 'static>(
        &self,
        pin: &Pin,
        make: impl FnOnce() -> F + Send + 'static,
    ) {
        let pool = self.pool.get_or_init(|| self.start());
        let here = HERE.with_borrow(|here| match here {
            Some((token, index)) if Arc::ptr_eq(token, &pool.token) => Some(*index),
            Some(_) | None => None,
        });
        let arbiters = pool.handles.len();
        match pin {
            Pin::Near => {
                let index = here.unwrap_or_else(|| self.seats.lock().of_nobody(arbiters));
                pool.spawn(here, index, make);
            }
            Pin::Group(group) => {
                let index = self.seats.lock().join(group, arbiters);
                let member = Member { group: group.clone(), seats: Arc::clone(&self.seats) };
                pool.spawn(here, index, move || {
                    let actor = make();
                    async move {
                        actor.await;
                        drop(member);
                    }
                });
            }
        }
    }

    fn start(&self) -> Pool {
        match (self.choice, &self.here) {
            (ArbiterChoice::Here, Some(here)) => {
                Pool { token: Arc::new(Token), handles: vec![here.clone()], stop: None }
            }
            (ArbiterChoice::Here, None) => start_threads(1),
            (ArbiterChoice::Threads(count), _) => start_threads(count.max(1)),
        }
    }
}

impl Pool {
    fn spawn<F: Future<Output = ()> + 'static>(
        &self,
        here: Option<usize>,
        index: usize,
        make: impl FnOnce() -> F + Send + 'static,
    ) {
        if here == Some(index) {
            drop(tokio::task::spawn_local(make()));
        } else {
            self.handles[index % self.handles.len()]
                .spawn_fn(move || drop(tokio::task::spawn_local(make())));
        }
    }
}

/// Which group sits on which arbiter.
#[derive(Default)]
struct Seats {
    of_group: HashMap<String, Seat>,
    of_nobody: Option<usize>,
}

struct Seat {
    arbiter: usize,
    members: usize,
}

impl Seats {
    /// The arbiter of a group that has one actor more.
    fn join(&mut self, group: &str, arbiters: usize) -> usize {
        if let Some(seat) = self.of_group.get_mut(group) {
            seat.members += 1;
            return seat.arbiter;
        }
        let arbiter = self.emptiest(arbiters);
        self.of_group.insert(group.to_owned(), Seat { arbiter, members: 1 });
        arbiter
    }

    /// An actor of the group has ended.
    fn leave(&mut self, group: &str) {
        if let Some(seat) = self.of_group.get_mut(group) {
            seat.members -= 1;
            if seat.members == 0 {
                self.of_group.remove(group);
            }
        }
    }

    /// The arbiter of the pinned actors without a group.
    fn of_nobody(&mut self, arbiters: usize) -> usize {
        if let Some(arbiter) = self.of_nobody {
            return arbiter;
        }
        let emptiest = self.emptiest(arbiters);
        *self.of_nobody.insert(emptiest)
    }

    fn emptiest(&self, arbiters: usize) -> usize {
        let mut load = vec![0_usize; arbiters.max(1)];
        let groups = self.of_group.values().map(|seat| seat.arbiter);
        groups.chain(self.of_nobody).for_each(|arbiter| load[arbiter] += 1);
        (0..load.len()).min_by_key(|arbiter| load[*arbiter]).unwrap_or(0)
    }
}

/// A running actor's place in its group.
struct Member {
    group: String,
    seats: Arc<Mutex<Seats>>,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.seats.lock().leave(&self.group);
    }
}

/// An actix system on a thread of its own, with `count` arbiters.
fn start_threads(count: usize) -> Pool {
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::Builder::new().name("mobula-arbiters".to_owned()).spawn(move || {
        let runner = actix_rt::System::new();
        let handles: Vec<ArbiterHandle> = runner.block_on(async move {
            let arbiters: Vec<Arbiter> = (0..count).map(|_| Arbiter::new()).collect();
            arbiters.iter().map(Arbiter::handle).collect()
        });
        let token = Arc::new(Token);
        for (index, handle) in handles.iter().enumerate() {
            let token = Arc::clone(&token);
            handle.spawn_fn(move || HERE.set(Some((token, index))));
        }
        // The receiver waits for this message, so it can only fail if that thread died.
        let _ = sender.send((token, handles, actix_rt::System::current()));
        // The result is whether the system was stopped in order; there is nobody to tell.
        let _ = runner.run();
    });
    let started = thread.ok().and_then(|thread| {
        let (token, handles, system) = receiver.recv().ok()?;
        Some(Pool { token, handles, stop: Some((system, thread)) })
    });
    match started {
        Some(pool) => pool,
        None => panic!("cannot start arbiter threads: the operating system gives no more threads"),
    }
}

impl Drop for Arbiters {
    fn drop(&mut self) {
        if let Some((system, _thread)) = self.pool.get_mut().and_then(|pool| pool.stop.take()) {
            system.stop();
        }
    }
}

impl fmt::Debug for Arbiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arbiters").field("choice", &self.choice).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_spread_and_those_whose_actors_have_ended_are_forgotten() {
        let mut seats = Seats::default();
        assert_eq!([seats.join("a", 2), seats.join("b", 2), seats.join("c", 2)], [0, 1, 0]);
        assert_eq!(seats.join("b", 2), 1, "a group stays together");
        seats.leave("a");
        seats.leave("c");
        assert_eq!([seats.join("d", 2), seats.join("e", 2)], [0, 0], "only living groups count");
        seats.leave("b");
        assert_eq!(seats.join("b", 2), 1, "one of two was left");
        for number in 0..1000 {
            let group = format!("session {number}");
            seats.join(&group, 2);
            seats.leave(&group);
        }
        assert_eq!(seats.of_group.len(), 3);
        assert_eq!((seats.of_nobody(2), seats.of_nobody(2)), (1, 1));
    }
}
