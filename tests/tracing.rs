//! The span of a handler: a root that follows from its sender's, not nested in it, or two actors that talk for a day
//! would make one tree of a day's messages.

#![expect(clippy::unwrap_used, reason = "what fails here fails its test")]

use std::collections::BTreeMap;
use std::sync::Mutex;

use mobula::prelude::*;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::subscriber::DefaultGuard;
use tracing::{Instrument, Span, Subscriber, info_span};
use tracing_subscriber::layer::{Context as LayerContext, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// One span, as it was opened.
#[derive(Clone, Debug, Default)]
struct Seen {
    message: Option<String>,
    is_root: bool,
    depth: usize,
    follows: Vec<u64>,
}

/// Every span of the test, in the order in which they were opened.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<BTreeMap<u64, Seen>>>);

impl Spans {
    /// Collects on this thread, which is all that virtual time has, until the guard goes.
    fn collect() -> (Self, DefaultGuard) {
        let spans = Self::default();
        let registry = tracing_subscriber::registry().with(spans.clone());
        (spans, tracing::subscriber::set_default(registry))
    }

    fn of(&self, message: &str) -> Vec<(u64, Seen)> {
        let seen = self.0.lock().unwrap();
        let all = seen.iter().map(|(id, seen)| (*id, seen.clone()));
        all.filter(|(_, seen)| seen.message.as_deref() == Some(message)).collect()
    }

    #[track_caller]
    fn the_one_of(&self, message: &str) -> (u64, Seen) {
        let found = self.of(message);
        assert_eq!(found.len(), 1, "spans of {message}: {found:?}");
        found[0].clone()
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: LayerContext<'_, S>) {
        let mut seen = Seen { is_root: attributes.is_root(), ..Seen::default() };
        seen.depth = ctx.span_scope(id).map_or(0, Iterator::count);
        attributes.record(&mut MessageName(&mut seen.message));
        self.0.lock().unwrap().insert(id.into_u64(), seen);
    }

    fn on_follows_from(&self, span: &Id, follows: &Id, _: LayerContext<'_, S>) {
        let mut spans = self.0.lock().unwrap();
        spans.get_mut(&span.into_u64()).unwrap().follows.push(follows.into_u64());
    }
}

struct MessageName<'a>(&'a mut Option<String>);

impl Visit for MessageName<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            *self.0 = Some(format!("{value:?}").trim_matches('"').to_owned());
        }
    }
}

/// The id of the span that this code runs in.
fn here() -> Option<u64> {
    Span::current().id().map(|id| id.into_u64())
}

struct Player;

#[derive(Message)]
struct Ball {
    left: u32,
    over: Recipient<Over>,
    to: ActorRef<Player>,
}

#[derive(Message)]
struct Over;

#[mobula::actor]
impl Player {
    pub fn new() -> Self {
        Self
    }

    pub fn span(&self) -> Option<u64> {
        here()
    }

    pub async fn span_after_a_while(&self) -> (Option<u64>, Option<u64>) {
        let before = here();
        tokio::time::sleep(ms(10)).await;
        (before, here())
    }

    pub async fn span_of(&self, other: ActorRef<Self>) -> Option<u64> {
        other.span().await.unwrap()
    }

    pub fn whose(&mut self, ctx: &mut Context<Self>) -> Option<u64> {
        ctx.trace().map(|span| span.into_u64())
    }

    pub async fn boom(&self) {
        tokio::task::yield_now().await;
        panic!("boom");
    }
}

impl Handler<Ball> for Player {
    async fn handle(&mut self, ball: Ball, ctx: &mut Context<Self>) {
        match ball.left {
            0 => ball.over.tell(Over).await.unwrap(),
            left => {
                let (other, to) = (ball.to, ctx.actor_ref());
                other.tell(Ball { left: left - 1, over: ball.over, to }).await.unwrap();
            }
        }
    }
}

#[mobula::test]
async fn a_handlers_span_is_a_root_that_follows_from_its_senders() {
    let (spans, _collecting) = Spans::collect();
    let player = Player::remote();
    let request = info_span!("request");
    let inside = player.span();
    let inside = async { inside.await }.instrument(request.clone()).await.unwrap();
    let (id, seen) = spans.the_one_of("Player::span");
    assert_eq!(inside, Some(id), "the handler runs in its span");
    assert!(seen.is_root, "{seen:?}");
    assert_eq!(seen.depth, 1);
    assert_eq!(seen.follows, [request.id().unwrap().into_u64()]);
}

#[mobula::test]
async fn a_handler_can_ask_for_its_senders_span() {
    let (_spans, _collecting) = Spans::collect();
    let player = Player::remote();
    let request = info_span!("request");
    let inside = async { player.whose().await }.instrument(request.clone()).await.unwrap();
    assert_eq!(inside, request.id().map(|id| id.into_u64()));
    assert_eq!(player.whose().await.unwrap(), None, "sent from no span");
}

#[mobula::test]
async fn a_handler_that_waits_is_in_its_span_again_afterwards_and_nobody_else_is() {
    let (spans, _collecting) = Spans::collect();
    let player = Player::remote();
    let request = info_span!("request");
    let asking = async { player.span_after_a_while().await }.instrument(request.clone());
    let (inside, outside) = tokio::join!(asking, async {
        tokio::time::sleep(ms(5)).await;
        here()
    });
    let id = Some(spans.the_one_of("Player::span_after_a_while").0);
    assert_eq!(inside.unwrap(), (id, id));
    assert_eq!(outside, None);
}

#[mobula::test]
async fn what_a_handler_asks_follows_from_the_handler() {
    let (spans, _collecting) = Spans::collect();
    let (first, second) = (Player::remote(), Player::remote());
    async { first.span_of(second).await }.instrument(info_span!("request")).await.unwrap();
    let (first, _) = spans.the_one_of("Player::span_of");
    let (_, second) = spans.the_one_of("Player::span");
    assert_eq!(second.follows, [first]);
    assert_eq!(second.depth, 1, "beside the first, not in it");
}

#[mobula::test]
async fn a_long_rally_is_a_chain_of_roots() {
    let (spans, _collecting) = Spans::collect();
    let probe = mobula::testkit::Probe::<Over>::spawn();
    let (ping, pong) = (Player::remote(), Player::remote());
    let ball = Ball { left: 200, over: probe.actor().recipient(), to: pong.clone() };
    async { ping.tell(ball).await }.instrument(info_span!("serve")).await.unwrap();
    let Over = probe.next().await;
    let rally = spans.of("Ball");
    assert_eq!(rally.len(), 201);
    for ((before, _), (_, after)) in rally.iter().zip(&rally[1..]) {
        assert_eq!((after.depth, &after.follows[..]), (1, &[*before][..]));
    }
}

#[mobula::test]
async fn a_result_as_an_object_and_a_retried_call_have_spans_as_well() {
    let (spans, _collecting) = Spans::collect();
    let player = Player::remote();
    let request = info_span!("request");
    let object = request.in_scope(|| player.span().remote());
    let retried = async { player.span().max_retries(2).await }.instrument(request.clone());
    let ids = [*object.get().await.unwrap(), retried.await.unwrap()];
    let found = spans.of("Player::span");
    assert_eq!(ids.to_vec(), found.iter().map(|(id, _)| Some(*id)).collect::<Vec<_>>());
    for (_, seen) in found {
        assert_eq!(seen.follows, [request.id().unwrap().into_u64()]);
        assert!(seen.is_root);
    }
}

#[mobula::test]
async fn a_panic_leaves_the_span() {
    let (_spans, _collecting) = Spans::collect();
    let player = Player::options().max_restarts(1).remote();
    async { player.boom().await }.instrument(info_span!("request")).await.unwrap_err();
    assert_eq!(here(), None);
    assert_eq!(player.span().await.unwrap(), None);
}

#[mobula::test]
async fn who_sends_outside_any_span_opens_none() {
    let (spans, _collecting) = Spans::collect();
    assert_eq!(Player::remote().span().await.unwrap(), None);
    assert!(spans.of("Player::span").is_empty());
}
