//! A borrower's words, one at a time.

use super::*;
use crate::object_id::{Incarnation, NodeId};

fn store(node: u64) -> StoreId {
    StoreId::new(NodeId(node), Incarnation(1))
}

fn object(number: u64) -> ObjectId {
    ObjectId::new(store(3), number).unwrap()
}

fn carried(number: u64, backup: Option<StoreId>) -> Carried {
    Carried { object: object(number), keeper: store(3), backup }
}

fn send(node: u64, message: Message) -> Effect {
    Effect::Send { to: store(node), message }
}

const NOW: Time = Time(0);

#[test]
fn only_the_first_and_the_last_need_are_said() {
    let (mut borrower, mut out) = (Borrower::default(), Vec::new());
    let first = object(1);
    borrower.hold(carried(1, None), NOW, &mut out);
    borrower.hold(carried(1, None), NOW, &mut out);
    assert_eq!(out, [send(3, Message::Borrow { object: first, sequence: Sequence(1) })]);
    out.clear();
    borrower.counted(store(3), first, (Sequence(1), true, None), NOW, &mut out);
    borrower.let_go(first, NOW, &mut out);
    assert_eq!(out, []);
    borrower.let_go(first, NOW, &mut out);
    let release = send(3, Message::Release { object: first, sequence: Sequence(2) });
    assert_eq!(out, std::slice::from_ref(&release));
    out.clear();
    borrower.tick(NOW + REPEAT, &mut out);
    assert_eq!(out, [release], "until it is heard");
    borrower.counted(store(3), first, (Sequence(2), false, None), NOW, &mut out);
    assert!(borrower.is_empty() && borrower.next_wake().is_none());
}

#[test]
fn a_pin_is_taken_over_only_when_all_under_it_is_counted() {
    let (mut borrower, mut out) = (Borrower::default(), Vec::new());
    for number in [1, 2] {
        borrower.hold(carried(number, None), NOW, &mut out);
    }
    out.clear();
    borrower.arrived(store(9), PinId(5), [object(1), object(2)].into_iter(), NOW, &mut out);
    borrower.counted(store(3), object(1), (Sequence(1), true, None), NOW, &mut out);
    assert_eq!(out, []);
    borrower.counted(store(3), object(2), (Sequence(2), true, None), NOW, &mut out);
    assert_eq!(out, [send(9, Message::Unpin { pin: PinId(5) })]);
    borrower.unpinned(store(9), PinId(5));
    assert!(!borrower.is_arriving(store(9), PinId(5)));
}

#[test]
fn an_object_without_a_keeper_is_lost_and_names_it_or_goes_to_the_backup() {
    let (mut borrower, mut out) = (Borrower::default(), Vec::new());
    borrower.hold(carried(1, None), NOW, &mut out);
    borrower.hold(carried(2, Some(store(4))), NOW, &mut out);
    out.clear();
    borrower.down(store(3), NOW, &mut out);
    let loss = Loss::OwnerDied { owner: store(3) };
    let taken = send(4, Message::Borrow { object: object(2), sequence: Sequence(3) });
    assert_eq!(out, [Effect::Lose { object: object(1), loss: loss.clone() }, taken]);
    out.clear();
    borrower.hold(carried(7, None), NOW, &mut out);
    assert_eq!(out, [Effect::Lose { object: object(7), loss }], "the dead stay dead");
}

#[test]
fn who_counts_here_without_reason_is_told() {
    let (mut borrower, mut out) = (Borrower::default(), Vec::new());
    borrower.counted(store(3), object(1), (Sequence(1), true, None), NOW, &mut out);
    assert_eq!(out, [send(3, Message::Release { object: object(1), sequence: Sequence(1) })]);
}

#[test]
fn a_place_answers_who_wants_the_place_and_not_who_wants_the_value() {
    let (mut borrower, mut out) = (Borrower::default(), Vec::new());
    let first = object(1);
    let want = |or_place| send(3, Message::Want { object: first, or_place });
    borrower.hold(carried(1, None), NOW, &mut out);
    borrower.counted(store(3), first, (Sequence(1), true, None), NOW, &mut out);
    out.clear();
    borrower.want_place(first, NOW, &mut out);
    assert_eq!(out, [want(true)]);
    borrower.tick(NOW + REPEAT, &mut out);
    assert_eq!(out, [want(true), want(true)], "until it is answered");
    out.clear();
    let place = || (7, (1..=9).map(store).collect());
    assert!(!borrower.made(store(4), first, place()), "of its keeper only");
    assert!(borrower.made(store(3), first, place()));
    assert_eq!(borrower.place(first), Some(&(7, [1, 2, 3, 4].map(store).to_vec())));
    borrower.tick(NOW + REPEAT * 60, &mut out);
    assert_eq!(out, []);

    borrower.want(first, NOW, &mut out);
    borrower.want_place(first, NOW, &mut out);
    assert_eq!(out, [want(false)], "which tells the place, too");
    assert!(borrower.made(store(3), first, place()), "an old answer");
    borrower.tick(NOW + REPEAT, &mut out);
    assert_eq!(out, [want(false), want(false)]);
    borrower.down(store(2), NOW, &mut out);
    assert_eq!(borrower.place(first), Some(&(7, [1, 3, 4].map(store).to_vec())));
    out.clear();
    borrower.down(store(3), NOW, &mut out);
    assert_eq!(borrower.place(first), None);
}
