//! What a core must offer to be simulated, and what it can ask for.
//!
//! Each pure core has its own inputs and outputs, because production drives it with its own types.
//! A simulator written for one of them would be written again for the next.
//! So the world knows a narrow waist: messages on links, floods, datagrams, wake-ups; an adapter of some
//! dozen lines maps a core onto it, and membership, associations and borrow counts share one network.
//!
//! Invariant: a core sees nothing of the simulation but its inputs, its own clock and its own random numbers.

use std::fmt;

use mobula_proto::time::Time;
use rand::rngs::SmallRng;

/// A simulated machine, by number from 0; one process at a time runs on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(pub u32);

impl Host {
    /// The number as an index.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// How a link ended, as far as this end can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The other end closed it in order.
    Closed,
    /// The other end's kernel answered that there is no such connection, or its process died.
    Reset,
    /// Nothing was acknowledged for too long.
    TimedOut,
}

/// What happens to a process.
#[derive(Debug, Clone)]
pub enum Input<M, C> {
    /// It has just started.
    Start,
    /// The time it asked for has come.
    Wake,
    /// A message came in over the link from this host.
    Received(Host, M),
    /// A message came in as a datagram: it may be lost, doubled or late.
    Datagram(Host, M),
    /// A flooded message came in, last forwarded by this host.
    Flooded(Host, M),
    /// A link to this host stands now, whoever dialled.
    Connected(Host),
    /// Nobody listens there: the machine lives, the process does not.
    Refused(Host),
    /// No answer to a dial within the time limit.
    Unreachable(Host),
    /// The link to this host is gone.
    Ended(Host, Ending),
    /// The workload or the fault script wants something of it.
    Command(C),
}

/// What a process does.
#[derive(Debug, Clone)]
pub enum Effect<M, N> {
    /// Sends over the standing link; without one the message is dropped and counted.
    Send(Host, M),
    /// Sends a datagram.
    Datagram(Host, M),
    /// Publishes to everybody, over whoever is linked.
    Flood(M),
    /// Wants a link.
    Dial(Host),
    /// Ends a link.
    HangUp(Host),
    /// Tells its surroundings; goes to the invariants.
    Notice(N),
    /// Ends its own process, in order.
    Exit,
}

/// One core behind the narrow waist.
pub trait Protocol: Sized {
    /// What travels. Cloned once for each copy on the way, so large parts belong behind an `Arc`.
    type Message: Clone + fmt::Debug;
    /// What a workload can ask of a process.
    type Command: Clone + fmt::Debug;
    /// What a process tells its surroundings.
    type Notice: fmt::Debug;

    /// Handles one input at the local time `now`.
    fn on(
        &mut self,
        now: Time,
        input: Input<Self::Message, Self::Command>,
        rng: &mut SmallRng,
        effects: &mut Vec<Effect<Self::Message, Self::Notice>>,
    );

    /// When this process wants to be woken, on its own clock.
    fn next_wake(&self) -> Option<Time>;

    /// How many bytes `message` takes, encoded, without any framing below the codec.
    fn size_bytes(message: &Self::Message) -> u32;

    /// The command that makes a process leave in order, if it knows one.
    #[must_use]
    fn leave() -> Option<Self::Command> {
        None
    }
}
