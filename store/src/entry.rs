//! One object: its state, its counts, and who wants to hear when it is ready.
//!
//! A watch channel per object would do, at three allocations and a lock each; tasks make hundreds of thousands
//! of objects a second. So an entry is one allocation that everybody shares, readiness is one atomic word, and
//! the small mutex is taken only to write, to read the value, or to register.
//!
//! Laws:
//! 1. `ready` goes from 0 to its final order under the mutex, together with the slot; whoever sees it set
//!    finds the slot settled.
//! 2. Whoever settles the slot takes the waiters out under the same lock and wakes them after it.
//! 3. Values, wakers and callbacks are dropped or called with no lock held.
//! 4. The entry lives as long as anybody points at it; its value lives as long as its counts are not zero.

use std::{
    any::{Any, TypeId},
    fmt,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;

use crate::{
    board::Board,
    codec::ValueType,
    discard::AnyValue,
    elsewhere::Elsewhere,
    error::GetError,
    ledger::Ledger,
    object_id::{ObjectId, StoreId},
    refcount::{Counts, RefCounts},
    table::Slot,
    waiters::{WaiterKey, Waiters},
};

mod listing;
mod settle;
mod ties;

pub(crate) use ties::Holding;

pub use listing::ObjectListing;

/// Whoever can cancel the task that is to make an object.
pub trait Canceller: Send + Sync {
    /// Cancels the task, and those it submitted if `recursive`. False if it has ended already.
    fn cancel(&self, recursive: bool) -> bool;
}

/// What entries of one store have in common.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) store_id: StoreId,
    pub(crate) spin_rounds: u32,
    pub(crate) ledger: Ledger<Entry>,
    /// Who joins this store to others.
    pub(crate) elsewhere: OnceLock<Arc<dyn Elsewhere>>,
}

/// One object, whatever its type. Tasks register with it to hear when it is ready.
pub struct Entry {
    id: ObjectId,
    value_type: &'static ValueType,
    home: Arc<Home>,
    counts: Counts,
    /// 0 while pending; then the place in the order of becoming ready, shifted left, with the lowest bit set
    /// if there is no value.
    ready: AtomicU64,
    running: AtomicBool,
    /// What other stores have to do with it: [`AWAY`], [`ASKED`], [`KNOWN`], [`FOREIGN`], [`MADE`], [`PLACE_ASKED`].
    ties: AtomicU8,
    /// Where the board is that registered last; 0 if none did. The board lives while this points at it, since
    /// only a later registration takes it off.
    board: AtomicUsize,
    written: Mutex<Written>,
}

/// The value may be elsewhere: whoever wants it says so.
const AWAY: u8 = 1;
/// Somebody has said so.
const ASKED: u8 = 2;
/// Others know the object: whoever keeps it is told of its end.
const KNOWN: u8 = 4;
/// Somebody else keeps the object.
const FOREIGN: u8 = 8;
/// Of a foreign object its keeper has said that it is made.
const MADE: u8 = 16;
/// Its keeper was asked whether it is.
const PLACE_ASKED: u8 = 32;

struct Written {
    slot: Slot<AnyValue, Box<GetError>>,
    waiters: Waiters<Waiter>,
    canceller: Option<Weak<dyn Canceller>>,
}

enum Waiter {
    Waker(Waker),
    Board(Arc<Board>),
    Callback(Box<dyn FnOnce() + Send>),
    /// Content with a value on another node.
    Made(Box<dyn FnOnce() + Send>),
    /// The same.
    MadeBoard(Arc<Board>),
}

/// Where a value must be for whoever waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// On this node: it is fetched.
    Here,
    /// On any.
    Anywhere,
}

impl Waiter {
    fn is_unused(&self) -> bool {
        match self {
            Self::Board(board) | Self::MadeBoard(board) => board.try_retire(),
            Self::Waker(_) | Self::Callback(_) | Self::Made(_) => false,
        }
    }
}

/// The order of becoming ready, and whether there is a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Readiness(u64);

impl Readiness {
    /// Of a value on another node, of which it is not known when it came to be: after all others.
    const ELSEWHERE: Self = Self(u64::MAX - 1);

    pub(crate) const fn failed(self) -> bool {
        self.0 & 1 == 1
    }
}

impl Entry {
    /// A pending object with one local reference.
    pub(crate) fn pending(home: &Arc<Home>, value_type: &'static ValueType) -> Arc<Self> {
        let id = home.ledger.next_id();
        let entry = Self::new(home, id, value_type, 0);
        home.ledger.enter(id, &entry);
        entry
    }

    /// An object of this store that nobody needed any more and that is made again, with one local reference; the
    /// caller enters it in the index.
    pub(crate) fn again(
        home: &Arc<Home>,
        id: ObjectId,
        value_type: &'static ValueType,
    ) -> Arc<Self> {
        Self::new(home, id, value_type, KNOWN)
    }

    /// An object that somebody else keeps, with one local reference; the caller enters it in the index.
    pub(crate) fn borrowed(
        home: &Arc<Home>,
        id: ObjectId,
        value_type: &'static ValueType,
    ) -> Arc<Self> {
        Self::new(home, id, value_type, AWAY | FOREIGN)
    }

    fn new(home: &Arc<Home>, id: ObjectId, value_type: &'static ValueType, ties: u8) -> Arc<Self> {
        Arc::new(Self {
            id,
            value_type,
            home: Arc::clone(home),
            counts: Counts::one_local(),
            ready: AtomicU64::new(0),
            running: AtomicBool::new(false),
            ties: AtomicU8::new(ties),
            board: AtomicUsize::new(0),
            written: Mutex::new(Written {
                slot: Slot::Pending,
                waiters: Waiters::new(),
                canceller: None,
            }),
        })
    }

    /// The object's name.
    #[must_use]
    pub const fn id(&self) -> ObjectId {
        self.id
    }

    /// Whether a get would answer at once.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire) != 0
    }

    /// Who needs the object.
    #[must_use]
    pub fn counts(&self) -> RefCounts {
        self.counts.read()
    }

    /// The name of the value's type.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        (self.value_type.name)()
    }

    /// Why there is no value and will be none; `None` while pending and when there is one.
    #[must_use]
    pub fn failure(&self) -> Option<GetError> {
        match &self.written.lock().slot {
            Slot::Pending | Slot::Sealed(_) => None,
            Slot::Failed(error) => Some(GetError::clone(error)),
            Slot::Freed | Slot::Dropped => Some(GetError::Freed { object: self.id }),
        }
    }

    /// Calls `callback` once the object is ready, on the thread that makes it so; at once if it is.
    ///
    /// The key withdraws the callback by [`forget`](Entry::forget); `None` if it was called already.
    pub fn on_sealed(&self, callback: Box<dyn FnOnce() + Send>) -> Option<WaiterKey> {
        let mut written = self.written.lock();
        if self.is_ready() {
            drop(written);
            callback();
            return None;
        }
        let key = written.waiters.insert(Waiter::Callback(callback));
        drop(written);
        self.ask();
        Some(key)
    }

    /// Withdraws what [`on_sealed`](Entry::on_sealed) registered.
    pub fn forget(&self, key: WaiterKey) {
        let waiter = self.written.lock().waiters.remove(key);
        drop(waiter);
    }

    /// Cancels the task that is to make the object; false if nobody can or it is ready.
    pub fn cancel(&self, recursive: bool) -> bool {
        let canceller = self.written.lock().canceller.as_ref().and_then(Weak::upgrade);
        canceller.is_some_and(|canceller| canceller.cancel(recursive))
    }

    pub(crate) fn home(&self) -> &Arc<Home> {
        &self.home
    }

    /// The type of the value.
    #[must_use]
    pub fn value_type_id(&self) -> TypeId {
        (self.value_type.id)()
    }

    pub(crate) fn readiness(&self) -> Option<Readiness> {
        match self.ready.load(Ordering::Acquire) {
            0 => None,
            word => Some(Readiness(word)),
        }
    }

    /// The same for whoever is content with less.
    pub(crate) fn readiness_at(&self, reach: Reach) -> Option<Readiness> {
        let elsewhere = reach == Reach::Anywhere && self.is_made();
        self.readiness().or(elsewhere.then_some(Readiness::ELSEWHERE))
    }

    /// Whether anybody would ever see a result.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.counts.is_unreferenced()
    }

    /// The value or why there is none; `None` while pending.
    pub(crate) fn outcome<T: Any + Send + Sync>(&self) -> Option<Result<Arc<T>, GetError>> {
        if !self.is_ready() {
            return None;
        }
        let written = self.written.lock();
        let value = match &written.slot {
            Slot::Sealed(held) => Arc::clone(&held.value),
            Slot::Failed(error) => return Some(Err(GetError::clone(error))),
            Slot::Pending | Slot::Freed | Slot::Dropped => {
                return Some(Err(GetError::Freed { object: self.id }));
            }
        };
        drop(written);
        #[expect(clippy::expect_used, reason = "every typed reference is checked when it is made")]
        let value = value.downcast().expect("a reference has the type of its object");
        Some(Ok(value))
    }

    // Waiting.

    /// Ready, or the waker is registered; `key` keeps its place from poll to poll.
    pub(crate) fn poll_ready(&self, key: &mut Option<WaiterKey>, cx: &Context<'_>) -> Poll<()> {
        if self.is_ready() {
            return Poll::Ready(());
        }
        let mut written = self.written.lock();
        if self.is_ready() {
            return Poll::Ready(());
        }
        match key {
            None => *key = Some(written.waiters.insert(Waiter::Waker(cx.waker().clone()))),
            Some(key) => {
                if let Some(Waiter::Waker(waker)) = written.waiters.get_mut(key) {
                    waker.clone_from(cx.waker());
                }
            }
        }
        drop(written);
        self.ask();
        // Asking may have found it next door.
        if self.is_ready() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Tells `board` once ready; takes the place of a board that nobody uses.
    pub(crate) fn register(&self, board: &Arc<Board>, reach: Reach) {
        // Also with one that is made elsewhere: it may be lost before enough are ready, and made again.
        if self.is_ready() {
            return;
        }
        let waiter = match reach {
            Reach::Here => Waiter::Board(Arc::clone(board)),
            Reach::Anywhere => Waiter::MadeBoard(Arc::clone(board)),
        };
        let mut written = self.written.lock();
        if self.is_ready() {
            return;
        }
        let displaced = written.waiters.replace(waiter, Waiter::is_unused);
        self.board.store(Arc::as_ptr(board).addr(), Ordering::Relaxed);
        drop(written);
        drop(displaced);
        // Of an object that another node keeps nobody here knows whether it is made.
        if reach == Reach::Here || self.is_foreign() {
            self.ask();
        }
    }

    /// A board that was left behind here, now in use.
    pub(crate) fn idle_board(&self, reach: Reach) -> Option<Arc<Board>> {
        let written = self.written.lock();
        written.waiters.first_few().find_map(|waiter| match (waiter, reach) {
            (Waiter::Board(board), Reach::Here) | (Waiter::MadeBoard(board), Reach::Anywhere) => {
                board.try_acquire().then(|| Arc::clone(board))
            }
            (_, _) => None,
        })
    }

    /// Whether `board` registered here last; asked by whoever uses it, so that nobody takes it off meanwhile.
    pub(crate) fn has_board(&self, board: &Arc<Board>) -> bool {
        self.board.load(Ordering::Relaxed) == Arc::as_ptr(board).addr()
    }

    /// Turns a few rounds in place if the producer is at work, since it may be done sooner than a wake-up takes.
    pub(crate) fn spin(&self) -> bool {
        if self.running.load(Ordering::Relaxed) {
            for _ in 0..self.home.spin_rounds {
                if self.is_ready() {
                    return true;
                }
                std::hint::spin_loop();
            }
        }
        self.is_ready()
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.listing(), f)
    }
}
