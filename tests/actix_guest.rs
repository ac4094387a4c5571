//! actix actors as guests: named, in order, bounded, watched, and restarted fresh by our supervisors.
//!
//! Everything runs on one thread under one virtual clock, the guests' own timers included.

#![expect(clippy::unwrap_used, reason = "what fails here fails its test")]

use std::sync::Mutex;

use actix::{ActorContext, AsyncContext, ResponseFuture};
use mobula::actix_guest::{Guest, RESTARTS_DEFAULT, host};
use mobula::prelude::*;
use mobula::testkit::{self, DeadLetterProbe, Probe, advance, ends};
use mobula::{ActorOptions, Kind, Undelivered};

/// An actix actor that notes what happens to it in a log that outlives it.
struct Cellar {
    bottles: u32,
    log: Log,
}

type Log = Arc<Mutex<Vec<String>>>;

fn note(log: &Log, text: impl Into<String>) {
    log.lock().unwrap().push(text.into());
}

fn noted(log: &Log) -> Vec<String> {
    std::mem::take(&mut *log.lock().unwrap())
}

impl actix::Actor for Cellar {
    type Context = actix::Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        note(&self.log, "started");
    }

    fn stopping(&mut self, _: &mut Self::Context) -> actix::Running {
        note(&self.log, "stopping");
        actix::Running::Stop
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        note(&self.log, "stopped");
    }
}

fn cellar(log: &Log) -> impl Fn() -> Cellar + Send + Sync + Clone + 'static {
    let log = Arc::clone(log);
    move || Cellar { bottles: 0, log: Arc::clone(&log) }
}

/// A message of the guest's, and what its handler does.
macro_rules! handled {
    ($message:ident $(($content:ty))?, $result:ty, |$guest:ident, $value:pat_param, $ctx:pat_param| $body:expr) => {
        struct $message $(($content))?;

        impl actix::Message for $message {
            type Result = $result;
        }

        impl actix::Handler<$message> for Cellar {
            type Result = actix::MessageResult<$message>;

            fn handle(&mut self, $value: $message, $ctx: &mut actix::Context<Self>) -> Self::Result {
                let $guest = self;
                actix::MessageResult($body)
            }
        }
    };
}

handled!(Store(u32), u32, |cellar, Store(bottles), _| {
    assert!(bottles < 100, "the shelf breaks under {bottles} bottles");
    cellar.bottles += bottles;
    note(&cellar.log, format!("stored {bottles}"));
    cellar.bottles
});
handled!(Close, (), |_cellar, _, ctx| ctx.stop());
handled!(Remind(Duration), (), |_cellar, Remind(after), ctx| {
    ctx.run_later(after, |cellar, _| note(&cellar.log, "reminded"));
});
handled!(Drip, (), |_cellar, _, ctx| {
    ctx.run_interval(secs(60), |cellar, _| cellar.bottles += 1);
});
handled!(BreakLater, (), |_cellar, _, ctx| {
    ctx.run_later(secs(1), |_, _| panic!("the roof leaks"));
});
handled!(Address, actix::Addr<Cellar>, |_cellar, _, ctx| ctx.address());
handled!(Find(&'static str), bool, |_cellar, Find(name), _| {
    let node = Node::current().unwrap();
    node.actors().iter().any(|actor| actor.name.as_deref() == Some(name))
});

/// Takes its time.
struct Inspect;

impl actix::Message for Inspect {
    type Result = ();
}

impl actix::Handler<Inspect> for Cellar {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Inspect, _: &mut actix::Context<Self>) -> ResponseFuture<()> {
        let log = Arc::clone(&self.log);
        Box::pin(async move {
            tokio::time::sleep(secs(1)).await;
            note(&log, "inspected");
        })
    }
}

/// Panics in the future that its handler returns, which actix runs as a task of its own.
struct Burst;

impl actix::Message for Burst {
    type Result = ();
}

impl actix::Handler<Burst> for Cellar {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Burst, _: &mut actix::Context<Self>) -> ResponseFuture<()> {
        Box::pin(async {
            tokio::time::sleep(secs(1)).await;
            panic!("a cask bursts")
        })
    }
}

/// Gets no answer.
struct Shrug;

/// An answer that is none.
struct NoAnswer;

impl actix::Message for Shrug {
    type Result = ();
}

impl actix::dev::MessageResponse<Cellar, Shrug> for NoAnswer {
    fn handle(self, _: &mut actix::Context<Cellar>, asker: Option<actix::dev::OneshotSender<()>>) {
        drop(asker);
    }
}

impl actix::Handler<Shrug> for Cellar {
    type Result = NoAnswer;

    fn handle(&mut self, _: Shrug, _: &mut actix::Context<Self>) -> NoAnswer {
        NoAnswer
    }
}

/// Asks back whoever asks.
struct CallBack(ActorRef<Visitor>);

impl actix::Message for CallBack {
    type Result = String;
}

impl actix::Handler<CallBack> for Cellar {
    type Result = actix::ResponseActFuture<Self, String>;

    fn handle(
        &mut self,
        CallBack(visitor): CallBack,
        _: &mut actix::Context<Self>,
    ) -> Self::Result {
        let asked = async move {
            match visitor.rest().await {
                Ok(()) => "rested".to_owned(),
                Err(error) => error.to_string(),
            }
        };
        Box::pin(actix::fut::wrap_future(asked))
    }
}

struct Visitor;

#[mobula::actor]
impl Visitor {
    pub fn new() -> Self {
        Self
    }

    pub async fn visit(
        &mut self,
        ctx: &mut Context<Self>,
        guest: ActorRef<Guest<Cellar>>,
    ) -> String {
        guest.send(CallBack(ctx.actor_ref())).await.unwrap()
    }

    pub async fn rest(&mut self) {
        tokio::time::sleep(secs(60)).await;
    }
}

#[derive(Message, Clone, Debug)]
struct Ended(ExitReason);

/// Passes on each `down` that it is told.
struct Neighbour {
    news: Recipient<Ended>,
}

#[mobula::actor]
impl Neighbour {
    pub fn new(news: Recipient<Ended>) -> Self {
        Self { news }
    }

    pub fn watch_over(&mut self, ctx: &mut Context<Self>, guest: ActorRef<Guest<Cellar>>) {
        ctx.watch(&guest);
    }

    async fn down(&mut self, reason: ExitReason) {
        self.news.tell(Ended(reason)).await.unwrap();
    }
}

#[mobula::test]
async fn a_guest_has_a_name_a_kind_and_a_line_in_the_listing(node: Node) {
    let guest = host("cellar", cellar(&Log::default()));
    assert_eq!(guest.send(Store(6)).await.unwrap(), 6);
    let found = mobula::actor::<Guest<Cellar>>("cellar").await.unwrap();
    assert_eq!(found, guest);
    let listing = node.actors().into_iter().find(|actor| actor.id == guest.id()).unwrap();
    assert_eq!(listing.kind, Kind::Guest);
    assert_eq!(listing.type_name, "Guest<Cellar>");
    assert!(listing.name.unwrap().ends_with("cellar"));
}

#[mobula::test]
async fn messages_of_one_sender_keep_their_order_across_the_bridge() {
    let log = Log::default();
    let guest = host("cellar", cellar(&log));
    guest.send(Inspect).tell().await.unwrap();
    for bottles in 1..=50 {
        guest.send(Store(bottles)).tell().await.unwrap();
    }
    assert_eq!(guest.send(Store(0)).await.unwrap(), 50 * 51 / 2);
    let mut expected = vec!["started".to_owned(), "inspected".to_owned()];
    expected.extend((1..=50).chain([0]).map(|bottles| format!("stored {bottles}")));
    assert_eq!(noted(&log), expected);
}

#[mobula::test]
async fn a_slow_guest_fills_our_mailbox_which_hands_messages_back() {
    let log = Log::default();
    let make = cellar(&log);
    let guest = ActorOptions::here()
        .mailbox(Mailbox::bounded(2))
        .spawn_with(move || Guest::new(make.clone()));
    guest.send(Inspect).tell().await.unwrap();
    advance(ms(500)).await; // its handler has begun, and its slot is free
    guest.send(Store(1)).try_tell().unwrap();
    guest.send(Store(2)).try_tell().unwrap();
    let back = guest.send(Store(3)).try_tell().unwrap_err();
    assert!(matches!(back.reason(), Undelivered::MailboxFull), "{back}");
    assert_eq!(back.into_message().unwrap().into_inner().0, 3);

    // A sender that waits gets in when there is room, after what was there.
    assert_eq!(guest.send(Store(4)).await.unwrap(), 1 + 2 + 4);
    assert_eq!(noted(&log), ["started", "inspected", "stored 1", "stored 2", "stored 4"]);
}

#[mobula::test]
async fn a_deadline_holds_across_the_bridge() {
    let guest = host("cellar", cellar(&Log::default()));
    let late = guest.send(Inspect).timeout(ms(10)).await.unwrap_err();
    assert!(late.to_string().contains("no reply within 10ms"), "{late}");
}

#[mobula::test]
async fn a_panic_is_told_to_the_asker_and_to_each_watcher_once_and_a_fresh_guest_follows() {
    let log = Log::default();
    let guest = host("cellar", cellar(&log));
    let news = Probe::<Ended>::spawn();
    for _ in 0..2 {
        let neighbour = Neighbour::options().detached().remote(news.actor().recipient());
        neighbour.watch_over(guest.clone()).await.unwrap();
    }
    guest.send(Store(6)).await.unwrap();

    let error = guest.send(Store(100)).await.unwrap_err();
    assert!(error.to_string().contains("the shelf breaks under 100 bottles"), "{error}");
    assert!(!error.is_safe_to_retry());
    assert_eq!(guest.send(Store(1)).await.unwrap(), 1, "the new guest begins with nothing");
    for _ in 0..2 {
        let Ended(reason) = news.next().await;
        assert!(
            matches!(&reason, ExitReason::Panic(report) if report.message.contains("the shelf")),
            "{reason}"
        );
    }
    news.expect_silence(secs(3600)).await;
    // What was damaged ran nothing any more.
    assert_eq!(noted(&log), ["started", "stored 6", "started", "stored 1"]);
}

#[mobula::test]
async fn a_panic_outside_any_message_ends_the_guest_as_well() {
    let log = Log::default();
    let guest = host("cellar", cellar(&log));
    guest.send(Store(6)).await.unwrap();
    guest.send(BreakLater).await.unwrap();
    advance(secs(10)).await;
    assert_eq!(guest.send(Store(1)).await.unwrap(), 1);
    assert_eq!(noted(&log), ["started", "stored 6", "started", "stored 1"]);
}

#[mobula::test]
async fn a_panic_in_the_future_that_a_handler_returned_ends_the_guest_as_well(node: Node) {
    let log = Log::default();
    let guest = host("cellar", cellar(&log));
    guest.send(Store(6)).await.unwrap();
    let error = guest.send(Burst).await.unwrap_err();
    assert!(error.to_string().contains("a cask bursts"), "{error}");
    assert_eq!(guest.send(Store(1)).await.unwrap(), 1, "the new guest begins with nothing");
    assert_eq!(noted(&log), ["started", "stored 6", "started", "stored 1"]);
    let report = node.crash_reports()[0].to_string();
    assert!(report.contains("Burst") && report.contains("actix_guest.rs"), "{report}");
}

#[mobula::test]
async fn a_guest_that_drops_a_reply_lives_on_and_its_asker_is_told() {
    let log = Log::default();
    let guest = host("cellar", cellar(&log));
    guest.send(Store(6)).await.unwrap();
    let error = guest.send(Shrug).await.unwrap_err();
    assert!(error.to_string().contains("dropped the reply"), "{error}");
    assert_eq!(guest.send(Store(1)).await.unwrap(), 7);
    assert_eq!(noted(&log), ["started", "stored 6", "stored 1"]);
}

#[mobula::test]
async fn a_guest_asks_as_part_of_the_message_it_handles() {
    let guest = host("cellar", cellar(&Log::default()));
    // In a circle.
    let visitor = Visitor::remote();
    let said = visitor.visit(guest.clone()).await.unwrap();
    assert!(said.contains("would wait for itself: Visitor"), "{said}");
    // Under the asker's deadline.
    let began = tokio::time::Instant::now();
    let late = guest.send(CallBack(visitor)).timeout(secs(1)).await;
    late.unwrap_err();
    assert_eq!(guest.send(Store(6)).await.unwrap(), 6);
    assert_eq!(began.elapsed(), secs(1), "the guest waited no longer, either");
}

#[mobula::test]
async fn restarts_are_counted_and_what_waited_is_handed_back(node: Node) {
    let guest = host("cellar", cellar(&Log::default()));
    let mut letters = DeadLetterProbe::new(node.system());
    guest.send(Store(100)).tell().await.unwrap();
    guest.send(Store(1)).tell().await.unwrap();
    advance(secs(3600)).await;
    letters.expect(|letter| letter.to == guest.id());
    assert_eq!(guest.send(Store(2)).await.unwrap(), 2);

    for _ in 1..RESTARTS_DEFAULT {
        guest.send(Store(100)).await.unwrap_err();
        advance(secs(3600)).await;
        assert_eq!(guest.send(Store(2)).await.unwrap(), 2);
    }
    guest.send(Store(100)).await.unwrap_err();
    let reason = ends(&guest).await;
    assert!(reason.to_string().contains("the shelf"), "{reason}");
    assert!(guest.send(Store(1)).await.unwrap_err().is_safe_to_retry());
}

#[mobula::test]
async fn a_guest_that_stops_itself_ends_normally_and_is_not_restarted() {
    let log = Log::default();
    let guest = host("cellar", cellar(&log));
    guest.send(Close).await.unwrap();
    assert!(matches!(ends(&guest).await, ExitReason::Normal));
    assert_eq!(noted(&log), ["started", "stopping", "stopped"]);
    mobula::actor::<Guest<Cellar>>("cellar").await.unwrap_err();
}

#[mobula::test]
async fn the_guests_own_timers_follow_virtual_time() {
    let log = Log::default();
    let guest = host("cellar", cellar(&log));
    guest.send(Remind(secs(3600))).await.unwrap();
    guest.send(Drip).await.unwrap();
    advance(secs(3599)).await;
    assert_eq!(noted(&log), ["started"]);
    advance(secs(2)).await;
    assert_eq!(noted(&log), ["reminded"]);
    assert_eq!(guest.send(Store(0)).await.unwrap(), 60);
}

#[mobula::test]
async fn stop_drains_and_then_the_guest_runs_its_own_hooks_whatever_keeps_it_alive() {
    let log = Log::default();
    let guest = host("cellar", cellar(&log));
    let address = guest.send(Address).await.unwrap(); // an address of its own, which would hold it
    guest.send(Drip).await.unwrap(); // and a timer
    guest.send(Inspect).tell().await.unwrap();
    guest.send(Store(1)).tell().await.unwrap();
    let began = tokio::time::Instant::now();
    assert!(matches!(guest.stop().await.unwrap(), ExitReason::Shutdown));
    assert_eq!(began.elapsed(), secs(1), "for the inspection, and nothing else");
    assert_eq!(noted(&log), ["started", "inspected", "stored 1", "stopping", "stopped"]);
    assert!(!address.connected());
}

#[mobula::test]
async fn a_killed_guest_runs_nothing_any_more() {
    let log = Log::default();
    let guest = host("cellar", cellar(&log));
    let address = guest.send(Address).await.unwrap();
    let inspection = guest.send(Inspect).remote();
    advance(ms(500)).await;
    assert!(matches!(guest.kill().await.unwrap(), ExitReason::Killed));
    advance(secs(3600)).await;
    assert!(inspection.get().await.unwrap_err().to_string().contains("was killed"));
    assert!(!address.connected());
    // No hook ran. The future that its handler returned is a task of actix's own, and runs on.
    assert_eq!(noted(&log), ["started", "inspected"]);
}

#[mobula::test]
async fn the_last_reference_ends_a_guest() {
    let log = Log::default();
    let make = cellar(&log);
    let guest = ActorOptions::here().spawn_with(move || Guest::new(make.clone()));
    guest.send(Store(1)).await.unwrap();
    drop(guest);
    advance(secs(1)).await;
    assert_eq!(noted(&log), ["started", "stored 1", "stopping", "stopped"]);
}

#[mobula::test]
async fn a_supervisor_restarts_a_guest_and_shuts_it_down(node: Node) {
    let log = Log::default();
    let make = cellar(&log);
    let house = Supervisor::one_for_one()
        .name("house")
        .intensity(1, secs(10))
        .child(
            ChildSpec::new("cellar", move || Guest::new(make.clone()))
                .transient()
                .shutdown(secs(5)),
        )
        .spawn();
    house.up().await.unwrap();
    let guest: ActorRef<Guest<Cellar>> = house.child("cellar").await.unwrap();
    guest.send(Store(6)).await.unwrap();
    guest.send(Store(100)).await.unwrap_err();
    assert_eq!(guest.send(Store(1)).await.unwrap(), 1);
    let reports = node.crash_reports();
    assert_eq!(reports.len(), 1);
    let report = reports[0].to_string();
    assert!(report.starts_with("house/cellar (Guest"), "{report}");
    assert!(report.contains("the shelf breaks") && report.contains("0 restarts left"), "{report}");

    house.stop().await.unwrap();
    let lines = noted(&log);
    assert_eq!(lines, ["started", "stored 6", "started", "stored 1", "stopping", "stopped"]);
}

#[mobula::test]
async fn a_guests_code_belongs_to_the_node() {
    let guest = host("cellar", cellar(&Log::default()));
    assert!(guest.send(Find("cellar")).await.unwrap());
    assert!(!guest.send(Find("attic")).await.unwrap());
}

#[test]
fn a_node_that_shuts_down_lets_its_guests_leave() {
    let log = Log::default();
    testkit::run(|_node| {
        let make = cellar(&log);
        async move {
            let guest = host("cellar", make);
            guest.send(Store(1)).await.unwrap();
        }
    });
    assert_eq!(noted(&log), ["started", "stored 1", "stopping", "stopped"]);
}
