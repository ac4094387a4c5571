//! Pinned actors live on one thread: their state need not be `Send`, and actors of one group share a thread, so that
//! those who talk much need not wake each other across cores.
//!
//! `cargo run --example 12_pinned_actors`
#![expect(clippy::print_stdout, reason = "an example speaks")]

use std::cell::RefCell;
use std::rc::Rc;
use std::thread::ThreadId;

/// Holds what no other thread may touch.
struct Scrapbook {
    pages: Rc<RefCell<Vec<String>>>,
}

#[mobula::actor(local)]
impl Scrapbook {
    pub fn new() -> Self {
        Self { pages: Rc::default() }
    }

    pub async fn paste(&mut self, page: String) -> usize {
        let pages = Rc::clone(&self.pages); // held over an await, though it is not Send
        tokio::task::yield_now().await;
        pages.borrow_mut().push(page);
        pages.borrow().len()
    }
}

/// An ordinary actor, which can be pinned, too.
struct Player;

#[mobula::actor]
impl Player {
    pub fn new() -> Self {
        Self
    }

    pub fn thread(&self) -> ThreadId {
        std::thread::current().id()
    }
}

#[mobula::main(arbiters = 2)]
async fn main() -> anyhow::Result<()> {
    let scrapbook = Scrapbook::remote();
    scrapbook.paste("a feather".to_owned()).await?;
    println!("the scrapbook has {} pages", scrapbook.paste("a ticket".to_owned()).await?);

    let table = || Player::options().group("table tennis").remote();
    let (ping, pong) = (table(), table());
    println!("ping and pong share a thread: {}", ping.thread().await? == pong.thread().await?);
    let elsewhere = Player::options().group("chess").remote();
    println!("another group has its own: {}", ping.thread().await? != elsewhere.thread().await?);
    Ok(())
}
