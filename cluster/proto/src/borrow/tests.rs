//! One situation each, by what is said.

use super::*;

const OWNER: NodeId = NodeId(3);
const SENDER: NodeId = NodeId(1);
const RECEIVER: NodeId = NodeId(2);
const LANE: u8 = 4;

fn send(to: NodeId, message: Message<char>) -> Output<char> {
    Output::Send { to, lane: None, message }
}

fn node(id: NodeId) -> Borrows<char> {
    Borrows::new(id)
}

/// Calls with a fresh list and returns it.
fn outputs(call: impl FnOnce(&mut Vec<Output<char>>)) -> Vec<Output<char>> {
    let mut out = Vec::new();
    call(&mut out);
    out
}

/// A sender that holds `x` of the owner.
fn sender_with_reference() -> Borrows<char> {
    let mut sender = node(SENDER);
    let mut out = Vec::new();
    sender.receive('x', OWNER, OWNER, 0, &mut out);
    sender.handle_message(OWNER, Message::Held { holds: vec![('x', 1)] }, &mut out);
    sender
}

#[test]
fn a_third_party_learns_of_a_thing_before_the_second_lets_go() {
    let mut sender = sender_with_reference();
    let pin = sender.pin('x', RECEIVER, LANE).unwrap();
    assert_eq!(outputs(|out| sender.release('x', out)), [], "pinned while in flight");

    let mut receiver = node(RECEIVER);
    let hold = Message::Hold { thing: 'x', sequence: 1 };
    let out = outputs(|out| receiver.receive('x', OWNER, SENDER, pin, out));
    assert_eq!(out, [send(OWNER, hold.clone())], "the sender is not told yet");

    let mut owner = node(OWNER);
    owner.own('x');
    let held = Message::Held { holds: vec![('x', 1)] };
    let out = outputs(|out| owner.handle_message(RECEIVER, hold, out));
    assert_eq!(out, [send(RECEIVER, held.clone())]);

    let arrived = Message::Received { pins: vec![pin] };
    let out = outputs(|out| receiver.handle_message(OWNER, held, out));
    assert_eq!(out, [send(SENDER, arrived.clone())]);

    let out = outputs(|out| sender.handle_message(RECEIVER, arrived, out));
    assert_eq!(out, [send(OWNER, Message::Release { thing: 'x', sequence: 1 })]);
    assert!(sender.is_empty());
    assert_eq!(owner.holder_count('x'), 1);
}

#[test]
fn a_second_reference_to_what_is_held_costs_no_word_to_the_owner() {
    let mut node = sender_with_reference();
    let out = outputs(|out| node.receive('x', OWNER, RECEIVER, 7, out));
    assert_eq!(out, [send(RECEIVER, Message::Received { pins: vec![7] })]);
    assert_eq!(outputs(|out| node.release('x', out)), []);
    assert_eq!(outputs(|out| node.release('x', out)).len(), 1);
}

#[test]
fn a_late_hold_does_not_bring_back_an_ended_one() {
    let mut owner = node(OWNER);
    owner.own('x');
    let mut out = Vec::new();
    owner.handle_message(SENDER, Message::Release { thing: 'x', sequence: 5 }, &mut out);
    owner.handle_message(SENDER, Message::Hold { thing: 'x', sequence: 5 }, &mut out);
    assert_eq!(owner.holder_count('x'), 0);
    owner.handle_message(SENDER, Message::Hold { thing: 'x', sequence: 6 }, &mut out);
    owner.handle_message(SENDER, Message::Release { thing: 'x', sequence: 5 }, &mut out);
    assert_eq!(owner.holder_count('x'), 1);
}

#[test]
fn a_node_that_is_down_holds_nothing() {
    let mut owner = node(OWNER);
    owner.own('x');
    let mut out = Vec::new();
    owner.handle_message(SENDER, Message::Hold { thing: 'x', sequence: 1 }, &mut out);
    owner.release('x', &mut out);
    let out = outputs(|out| owner.node_down(SENDER, out));
    assert_eq!(out, [Output::Free { thing: 'x' }]);
    assert!(owner.is_empty());
}

#[test]
fn who_was_believed_down_learns_that_its_reference_dangles() {
    let mut owner = node(OWNER);
    let mut sender = sender_with_reference();
    let out = outputs(|out| sender.associated(OWNER, out));
    let holds = vec![('x', 1)];
    let repeat = Message::Holds { after: None, up_to: None, snapshot: 2, holds };
    assert_eq!(out, [send(OWNER, repeat.clone())]);
    let gone = Message::Gone { thing: 'x', sequence: 1 };
    let out = outputs(|out| owner.handle_message(SENDER, repeat, out));
    assert_eq!(out, [send(SENDER, gone.clone())]);
    let out = outputs(|out| sender.handle_message(OWNER, gone, out));
    assert_eq!(out, [Output::Lost { thing: 'x' }]);
    assert_eq!(sender.pin('x', RECEIVER, LANE), None);
    assert_eq!(outputs(|out| sender.release('x', out)), []);
    assert!(sender.is_empty());
}

#[test]
fn the_death_of_the_owner_is_told_once() {
    let mut node = sender_with_reference();
    assert_eq!(outputs(|out| node.node_down(OWNER, out)), [Output::Lost { thing: 'x' }]);
    assert_eq!(outputs(|out| node.node_down(OWNER, out)), []);
}

#[test]
fn a_long_list_is_repeated_in_parts_that_stand_alone() {
    let count = HOLDS_MAX as u32 + 10;
    let mut borrower: Borrows<u32> = Borrows::new(SENDER);
    let mut owner: Borrows<u32> = Borrows::new(OWNER);
    let mut out = Vec::new();
    for thing in 0..count {
        owner.own(thing);
        borrower.receive(thing, OWNER, OWNER, u64::from(thing), &mut out);
    }
    let is_hold =
        |output: &Output<u32>| matches!(output, Output::Send { message: Message::Hold { .. }, .. });
    for output in out.drain(..).filter(is_hold).collect::<Vec<_>>() {
        if let Output::Send { message, .. } = output {
            owner.handle_message(SENDER, message, &mut out);
        }
    }
    // Two releases are lost, one in each part.
    for thing in [5, count - 1] {
        borrower.release(thing, &mut Vec::new());
    }
    out.clear();
    borrower.associated(OWNER, &mut out);
    assert_eq!(out.len(), 2);
    let mut answers = Vec::new();
    for output in out.into_iter().rev() {
        if let Output::Send { message, .. } = output {
            owner.handle_message(SENDER, message, &mut answers);
        }
    }
    let held = |thing| owner.holder_count(thing);
    assert_eq!((held(4), held(5), held(count - 2), held(count - 1)), (1, 0, 1, 0));
}

#[test]
fn only_the_receiver_may_speak_for_a_pin() {
    let mut sender = sender_with_reference();
    let pin = sender.pin('x', RECEIVER, LANE).unwrap();
    sender.release('x', &mut Vec::new());
    let lie = Message::Received { pins: vec![pin] };
    assert_eq!(outputs(|out| sender.handle_message(NodeId(9), lie, out)), []);
    let ask = Message::AskPins { pins: vec![pin] };
    let out = outputs(|out| sender.associated(RECEIVER, out));
    let nothing = Message::Holds { after: None, up_to: None, snapshot: 2, holds: Vec::new() };
    let asked = Output::Send { to: RECEIVER, lane: Some(LANE), message: ask };
    assert_eq!(out, [send(RECEIVER, nothing), asked]);
    assert_eq!(outputs(|out| sender.unpin(pin, out)).len(), 1);
}
