//! What `#[mobula::actor]` writes, used as users use it: every mode, every kind of reply, every hook.

use std::io;
use std::rc::Rc;

use mobula::prelude::*;

struct Counter {
    count: u64,
    log: Vec<&'static str>,
}

#[derive(Debug, PartialEq, Eq)]
struct Empty;

#[mobula::actor]
impl Counter {
    pub fn new(start: u64) -> Self {
        Self { count: start, log: Vec::new() }
    }

    pub fn add(&mut self, by: u64) -> u64 {
        self.count += by;
        self.count
    }

    pub async fn load(&mut self, ctx: &mut Context<Self>, key: String) -> Result<u64, Empty> {
        tokio::task::yield_now().await;
        assert!(ctx.actor_ref().is_alive());
        if key.is_empty() { Err(Empty) } else { Ok(self.count) }
    }

    pub fn open(&self) -> io::Result<u64> {
        Err(io::Error::other("the disk is gone"))
    }

    pub fn explain(&self) -> anyhow::Result<u64> {
        Err(anyhow::anyhow!("the cable is loose").context("the disk is gone"))
    }

    pub fn later(&mut self, ctx: &mut Context<Self>) -> Deferred<Result<u64, Empty>> {
        let (reply, deferred) = ctx.defer();
        let count = self.count;
        tokio::spawn(async move { reply.send(Ok(count)) });
        deferred
    }

    // Named like what the expansion uses inside, to see that nothing is captured.
    pub fn sum(&self, args: u64, message: u64, ctx: &mut Context<Self>, reply: u64) -> u64 {
        assert!(ctx.actor_ref().is_alive());
        args + message + reply
    }

    pub fn myself(&self, ctx: &Context<Self>) -> ActorRef<Self> {
        ctx.actor_ref()
    }

    pub fn log(&self) -> Vec<&'static str> {
        self.log.clone()
    }

    async fn started(&mut self) -> Result<(), Empty> {
        tokio::task::yield_now().await;
        self.log.push("started");
        Ok(())
    }

    fn down(&mut self, reason: &ExitReason) {
        assert!(reason.is_abnormal());
        self.log.push("down");
    }

    pub fn observe(&mut self, ctx: &mut Context<Self>, other: ActorRef<Self>) {
        let _monitor = ctx.watch(&other);
    }
}

#[mobula::test]
async fn a_call_is_the_method() {
    let counter = Counter::remote(1);
    assert_eq!(counter.add(2).await.unwrap(), 3);
    counter.add(2).tell().await.unwrap();
    assert_eq!(counter.add(0).await.unwrap(), 5);
    assert_eq!(counter.sum(1, 2, 3).await.unwrap(), 6);
    assert_eq!(counter.myself().await.unwrap(), counter);
}

#[mobula::test]
async fn a_result_is_a_value_or_a_refusal() {
    let counter = Counter::remote(1);
    assert_eq!(counter.load("x".to_owned()).await.unwrap(), 1);
    let error = counter.load(String::new()).await.unwrap_err();
    assert_eq!(error.refusal(), Some(&Empty));
}

#[mobula::test]
async fn a_refusal_is_told_with_its_causes_whatever_its_type() {
    let counter = Counter::remote(1);
    let text = counter.open().await.unwrap_err().to_string();
    assert!(text.contains("the disk is gone"), "{text}");
    let text = counter.explain().await.unwrap_err().to_string();
    assert!(text.contains("the disk is gone: the cable is loose"), "{text}");
    let text = counter.load(String::new()).await.unwrap_err().to_string();
    assert!(text.contains("Empty"), "{text}");
}

#[mobula::test]
async fn a_deferred_reply_comes_later() {
    assert_eq!(Counter::remote(4).later().await.unwrap(), 4);
}

#[mobula::test]
async fn hooks_run_by_their_names() {
    let (counter, other) = (Counter::remote(1), Counter::remote(2));
    counter.observe(other.clone()).await.unwrap();
    other.kill().await.unwrap();
    while counter.log().await.unwrap() != ["started", "down"] {
        tokio::task::yield_now().await;
    }
}

struct Pinned(Rc<u64>);

#[mobula::actor(local)]
impl Pinned {
    pub async fn open(value: u64) -> io::Result<Self> {
        let value = Rc::new(value);
        tokio::task::yield_now().await;
        Ok(Self(value))
    }

    pub async fn get(&self) -> u64 {
        let value = Rc::clone(&self.0);
        tokio::task::yield_now().await;
        *value
    }

    pub fn set(&mut self, value: u64) {
        self.0 = Rc::new(value);
    }
}

#[mobula::test]
async fn a_local_actor_need_not_be_send() {
    let pinned = Pinned::remote(1);
    pinned.set(2).await.unwrap();
    assert_eq!(pinned.get().await.unwrap(), 2);
    let other = Pinned::options().spawn_with(|| Pinned(Rc::new(7)));
    assert_eq!(other.get().await.unwrap(), 7);
}

struct Cache;

#[mobula::actor(max_concurrency = 4, name = "cache")]
impl Cache {
    #[constructor]
    pub fn empty() -> Self {
        Self
    }

    pub fn other() -> Self {
        Self
    }

    pub fn get(&self, key: u64) -> u64 {
        key
    }

    pub async fn fetch(&self, key: u64) -> Result<u64, String> {
        tokio::task::yield_now().await;
        Err(format!("no {key}"))
    }
}

#[mobula::test]
async fn a_shared_actor_takes_several_calls() {
    let Cache = Cache::other();
    let cache = Cache::options().name("hot").max_restarts(2).try_remote().unwrap();
    assert_eq!(cache.get(2).await.unwrap(), 2);
    let text = cache.fetch(3).await.unwrap_err().to_string();
    assert!(text.contains("cache") && text.contains("no 3"), "{text}");
}

#[mobula::test]
async fn an_actor_may_be_declared_in_a_function() {
    struct Inner;
    struct Token;

    #[mobula::actor]
    impl Inner {
        pub fn new() -> Self {
            Self
        }

        pub fn pass(&self, token: Token) -> Token {
            token
        }
    }

    let Token = Inner::remote().pass(Token).await.unwrap();
}

#[derive(Message)]
#[message(reply = Result<u64, Empty>, name = "subtract")]
struct Subtract(u64);

#[derive(Message)]
struct Note<T>(T);

impl Handler<Subtract> for Counter {
    async fn handle(&mut self, message: Subtract, _: &mut Context<Self>) -> Result<u64, Empty> {
        self.count = self.count.checked_sub(message.0).ok_or(Empty)?;
        Ok(self.count)
    }
}

impl Handler<Note<&'static str>> for Counter {
    async fn handle(&mut self, message: Note<&'static str>, _: &mut Context<Self>) {
        self.log.push(message.0);
    }
}

#[mobula::test]
async fn message_structs_reach_the_same_actor() {
    let counter = Counter::remote(3);
    assert_eq!(counter.ask(Subtract(1)).await.unwrap(), 2);
    assert_eq!(counter.ask(Subtract(9)).await.unwrap_err().refusal(), Some(&Empty));
    assert_eq!(Subtract::NAME, "subtract");
    counter.tell(Note("noted")).await.unwrap();
    assert_eq!(counter.log().await.unwrap(), ["started", "noted"]);
}
