//! Boot, stop, kill, crash, stall: what befalls a process and its machine.
//!
//! "The node fails" is four different things, and a detector that handles one may miss another:
//! a killed process leaves a kernel that answers resets, a dead machine answers nothing, a stopped process holds
//! its links open and says nothing, a leaving one says good-bye.
//!
//! Invariant: after a kill or crash nothing of that process acts; what it had sent is on its way all the same.

use rand::Rng;

use super::{Birth, Event, World};
use crate::network::links::End;
use crate::protocol::{Ending, Host, Input, Protocol};
use crate::queue::Tick;

impl<P: Protocol> World<P> {
    /// Starts a process on a machine; does nothing if one runs there.
    pub fn boot(&mut self, host: Host) {
        let now = self.now;
        let machine = &mut self.machines[host.index()];
        if machine.process.is_some() {
            return;
        }
        if machine.record.ended_at.is_some() {
            machine.life += 1;
        }
        machine.powered = true;
        machine.stalled = false;
        machine.wake = None;
        machine.record = super::Record { booted_at: now, ..super::Record::default() };
        let birth = Birth { host, life: machine.life, local: machine.clock.local(now), now };
        let process = (self.factory)(birth, &mut self.rng);
        self.machines[host.index()].process = Some(process);
        self.feed(host, Input::Start);
    }

    /// Ends a process at once; its kernel closes its links, which the peers learn after a latency.
    pub fn kill(&mut self, host: Host) {
        if self.end_process(host) {
            self.close_all(host, Ending::Reset);
        }
    }

    /// The machine goes dark: nobody is told, nothing answers.
    pub fn crash(&mut self, host: Host) {
        if self.end_process(host) {
            self.machines[host.index()].powered = false;
            let peers: Vec<Host> = self.links.ends(host).iter().map(|(peer, _)| *peer).collect();
            for peer in peers {
                self.links.clear_end(host, peer);
            }
        }
    }

    /// The process ends in order; its links are closed in order.
    pub(super) fn exit(&mut self, host: Host) {
        self.machines[host.index()].record.leaving = true;
        if self.end_process(host) {
            self.close_all(host, Ending::Closed);
        }
    }

    /// Tells a process to leave, if its protocol knows how; false if it does not run or cannot.
    pub fn leave(&mut self, host: Host) -> bool {
        let Some(command) = P::leave() else { return false };
        let asked = self.command(host, command);
        if asked {
            self.machines[host.index()].record.leaving = true;
        }
        asked
    }

    fn end_process(&mut self, host: Host) -> bool {
        let now = self.now;
        let machine = &mut self.machines[host.index()];
        if machine.process.take().is_none() {
            return false;
        }
        machine.record.ended_at = Some(now);
        machine.stalled = false;
        machine.wake = None;
        for event in std::mem::take(&mut machine.backlog) {
            self.discard(event);
        }
        true
    }

    fn close_all(&mut self, host: Host, ending: Ending) {
        let peers: Vec<Host> = self.links.ends(host).iter().map(|(peer, _)| *peer).collect();
        for peer in peers {
            if let Some(End::Open(id)) = self.links.end(host, peer) {
                self.tell_ending(id, host, peer, ending);
            }
            self.links.clear_end(host, peer);
        }
    }

    /// A middlebox forgets all links of a host: both ends see a reset, both processes live.
    pub fn drop_links(&mut self, host: Host) {
        let peers: Vec<Host> = self.links.ends(host).iter().map(|(peer, _)| *peer).collect();
        for peer in peers {
            let Some(id) = self.links.open_end(host, peer) else { continue };
            self.tell_ending(id, host, peer, Ending::Reset);
            self.tell_ending(id, peer, host, Ending::Reset);
        }
    }

    /// Stops a process for a while: it does nothing, its links stand, what arrives is buffered.
    pub fn stall(&mut self, host: Host, span: Tick) {
        let until = self.now + span;
        let now = self.now;
        let machine = &mut self.machines[host.index()];
        if machine.process.is_none() || machine.stalled {
            return;
        }
        machine.stalled = true;
        machine.record.stall = Some((now, until));
        self.queue.push(until, Event::Resume { host, until });
    }

    /// The process goes on: first its timer or first what was buffered, as the scheduler likes.
    pub(super) fn resume(&mut self, host: Host, until: Tick) {
        let machine = &mut self.machines[host.index()];
        if !machine.stalled || machine.record.stall.is_none_or(|(_, end)| end != until) {
            return;
        }
        machine.stalled = false;
        machine.wake = None;
        let backlog = std::mem::take(&mut machine.backlog);
        let timer_first = self.rng.random_bool(0.5);
        let local = self.machines[host.index()].clock.local(self.now);
        let due = self.machines[host.index()]
            .process
            .as_ref()
            .and_then(P::next_wake)
            .is_some_and(|at| at <= local);
        if due && timer_first {
            self.feed(host, Input::Wake);
        }
        for event in backlog {
            if !matches!(event, Event::Wake { .. }) {
                self.happen(event);
            }
        }
        self.plan_wake(host);
    }

    /// Drops an event that will not happen, and what it counts for.
    fn discard(&mut self, event: Event<P::Message>) {
        match event {
            Event::Flood { id, .. } => {
                self.floods.land(id, None);
                self.floods.settle(id);
            }
            Event::Established { id, host, peer, .. } => self.refuse_link(id, host, peer),
            Event::Wake { .. }
            | Event::Resume { .. }
            | Event::Stream { .. }
            | Event::Datagram { .. }
            | Event::Syn { .. }
            | Event::Redial { .. }
            | Event::Refused { .. }
            | Event::DialLimit { .. }
            | Event::Broken { .. }
            | Event::Retransmit { .. } => {}
        }
    }
}
