//! What the log says of a crash: one error each, with what the actor handled last, if its flight recorder was on.

#![expect(clippy::unwrap_used, reason = "what fails here fails its test")]

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mobula::prelude::*;
use mobula::testkit::RestartProbe;
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context as LayerContext, Layer, SubscriberExt};

/// Whether an event is wanted is asked once, when it is first met, of the subscribers that there are: a test that met one
/// just before another began to collect would hide it from that one.
static ALONE: Mutex<()> = Mutex::new(());

/// Collects until it goes.
struct Collecting {
    _subscriber: DefaultGuard,
    _alone: MutexGuard<'static, ()>,
}

/// The errors that were logged, each with its fields.
#[derive(Clone, Default)]
struct Errors(Arc<Mutex<Vec<String>>>);

impl Errors {
    /// Collects on this thread, which is all that virtual time has, until the guard goes; one test after the other.
    fn collect() -> (Self, Collecting) {
        // One of the tests panics, and is to.
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let errors = Self::default();
        let registry = tracing_subscriber::registry().with(errors.clone());
        let subscriber = tracing::subscriber::set_default(registry);
        (errors, Collecting { _subscriber: subscriber, _alone: alone })
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl<S: Subscriber> Layer<S> for Errors {
    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        if *event.metadata().level() == Level::ERROR {
            let mut text = Fields(String::new());
            event.record(&mut text);
            self.0.lock().unwrap().push(text.0);
        }
    }
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 += &format!("{}={value:?} ", field.name());
    }
}

struct Clerk;

#[mobula::actor]
impl Clerk {
    pub fn new() -> Self {
        Self
    }

    pub fn stamp(&mut self) {}

    pub fn spill(&mut self) {
        panic!("ink everywhere");
    }
}

#[mobula::test]
async fn the_end_of_an_actor_that_nobody_supervises_is_logged_with_what_it_handled_last() {
    let (errors, _guard) = Errors::collect();
    let clerk = Clerk::options().flight_recorder(2).remote();
    for _ in 0..3 {
        clerk.stamp().await.unwrap();
    }
    clerk.spill().await.unwrap_err();
    let logged = errors.take();
    assert_eq!(logged.len(), 1, "{logged:?}");
    assert!(logged[0].contains("ink everywhere"), "{logged:?}");
    assert!(logged[0].contains("#2 Clerk::stamp, #3 Clerk::spill"), "{logged:?}");
}

#[mobula::test]
async fn the_crash_of_a_supervised_actor_is_logged_once_with_what_is_done_about_it() {
    let (errors, _guard) = Errors::collect();
    let clerk = Clerk::options().flight_recorder(2).max_restarts(1).remote();
    let mut restarts = RestartProbe::new(&clerk);
    clerk.spill().await.unwrap_err();
    assert!(restarts.next().await.to_string().contains("ink everywhere"));
    restarts.expect_none();
    let logged = errors.take();
    assert_eq!(logged.len(), 1, "{logged:?}");
    assert!(
        logged[0].contains("restarting") && logged[0].contains("#0 Clerk::spill"),
        "{logged:?}"
    );
}

#[mobula::test]
#[should_panic(expected = "is not restarted")]
async fn a_restart_that_does_not_come_fails_the_test_that_waits_for_it() {
    let (_errors, _guard) = Errors::collect();
    let clerk = Clerk::remote();
    let mut restarts = RestartProbe::new(&clerk);
    clerk.spill().await.unwrap_err();
    restarts.next().await;
}
