//! Carries packets between machines, or does not.
//!
//! One thread for each wire reads what its machine sends, asks the rules, and writes to the receiver's wire, at once or
//! by way of the one thread that keeps what is delayed. Packets of one wire that are delayed by different times
//! overtake each other: that is the point.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLock};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tappers::Tun;

use crate::shape::{Rules, Verdict};

/// 10.77.0.0/16; machine n is n + 1 in it.
pub(super) const NETWORK: u32 = Ipv4Addr::new(10, 77, 0, 0).to_bits();

/// Packets that may be on their way; more are dropped, as a router does.
const DELAYED_MAX: usize = 20_000;

/// What a device says that is gone: `EFAULT`, `EBADFD`.
const GONE: [i32; 2] = [14, 77];
/// How often in a row reading may fail for other reasons, with a pause after each.
const FAILURES_MAX: u32 = 2000;
const PAUSE: Duration = Duration::from_millis(5);

pub(super) struct Router(Arc<Shared>);

struct Shared {
    wires: Vec<Arc<Tun>>,
    rules: RwLock<Rules>,
    delayed: Mutex<BinaryHeap<Reverse<Delayed>>>,
    earlier: Condvar,
    is_over: AtomicBool,
    forwarded: AtomicU64,
    dropped: AtomicU64,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Delayed {
    due: Instant,
    to: usize,
    packet: Vec<u8>,
}

impl Router {
    pub(super) fn start(wires: Vec<Arc<Tun>>, seed: u64) -> Self {
        let shared = Arc::new(Shared {
            wires,
            rules: RwLock::default(),
            delayed: Mutex::default(),
            earlier: Condvar::new(),
            is_over: AtomicBool::new(false),
            forwarded: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        // They end with their devices, or with the router.
        for from in 0..shared.wires.len() {
            let shared = Arc::clone(&shared);
            let rng = SmallRng::seed_from_u64(seed.wrapping_add(from as u64));
            drop(thread::spawn(move || shared.carry(from, rng)));
        }
        let keeper = Arc::clone(&shared);
        drop(thread::spawn(move || keeper.keep()));
        Self(shared)
    }

    pub(super) fn set(&self, rules: Rules) {
        *self.0.rules.write() = rules;
    }

    pub(super) fn carried(&self) -> (u64, u64) {
        let Shared { forwarded, dropped, .. } = &*self.0;
        (forwarded.load(Ordering::Relaxed), dropped.load(Ordering::Relaxed))
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
        self.0.earlier.notify_all();
    }
}

impl Shared {
    #[expect(
        clippy::disallowed_methods,
        reason = "a thread of its own, which has nothing else to do"
    )]
    fn carry(&self, from: usize, mut rng: SmallRng) {
        let mut buffer = vec![0; 1 << 16];
        let mut failures = 0;
        while failures < FAILURES_MAX && !self.is_over.load(Ordering::Relaxed) {
            match self.wires[from].recv(&mut buffer) {
                Ok(length) => {
                    failures = 0;
                    self.route(from, &buffer[..length], &mut rng);
                }
                Err(error) if error.raw_os_error().is_some_and(|code| GONE.contains(&code)) => {
                    break;
                }
                Err(_) => {
                    failures += 1;
                    thread::sleep(PAUSE);
                }
            }
        }
    }

    fn route(&self, from: usize, packet: &[u8], rng: &mut SmallRng) {
        // Machines speak IPv6 to all of their link when it comes up; nobody listens.
        let Some(to) = receiver(packet).filter(|to| *to < self.wires.len()) else { return };
        let machine = |index: usize| u16::try_from(index).unwrap_or(u16::MAX);
        let verdict = self.rules.read().judge(machine(from), machine(to), rng);
        match verdict {
            Verdict::Drop => self.drop_one(),
            Verdict::Deliver { after: Duration::ZERO } => self.deliver(to, packet),
            Verdict::Deliver { after } => {
                let mut delayed = self.delayed.lock();
                if delayed.len() >= DELAYED_MAX {
                    return self.drop_one();
                }
                let due = Instant::now() + after;
                delayed.push(Reverse(Delayed { due, to, packet: packet.to_vec() }));
                self.earlier.notify_all();
            }
        }
    }

    fn deliver(&self, to: usize, packet: &[u8]) {
        match self.wires[to].send(packet) {
            Ok(_) => drop(self.forwarded.fetch_add(1, Ordering::Relaxed)),
            // The link is down, or the machine is gone.
            Err(_) => self.drop_one(),
        }
    }

    fn drop_one(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    fn keep(&self) {
        let mut delayed = self.delayed.lock();
        while !self.is_over.load(Ordering::Relaxed) {
            let now = Instant::now();
            match delayed.peek() {
                Some(Reverse(next)) if next.due <= now => {
                    let Some(Reverse(next)) = delayed.pop() else { continue };
                    parking_lot::MutexGuard::unlocked(&mut delayed, || {
                        self.deliver(next.to, &next.packet);
                    });
                }
                Some(Reverse(next)) => {
                    let due = next.due;
                    self.earlier.wait_until(&mut delayed, due);
                }
                None => drop(self.earlier.wait_for(&mut delayed, Duration::from_secs(1))),
            }
        }
    }
}

/// The machine that an IPv4 packet is for.
fn receiver(packet: &[u8]) -> Option<usize> {
    if packet.first()? >> 4 != 4 {
        return None;
    }
    let bytes: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
    let number = Ipv4Addr::from(bytes).to_bits().checked_sub(NETWORK)?;
    usize::try_from(number).ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_receiver_is_read_from_the_header() {
        let mut packet = vec![0_u8; 20];
        packet[0] = 0x45;
        packet[16..20].copy_from_slice(&[10, 77, 0, 3]);
        assert_eq!(receiver(&packet), Some(2));
        packet[16..20].copy_from_slice(&[10, 76, 0, 3]);
        assert_eq!(receiver(&packet), None);
        packet[0] = 0x60;
        assert_eq!(receiver(&packet), None);
        assert_eq!(receiver(&[0x45, 0, 0]), None);
    }
}
