//! An owner's answers, one at a time.

use rand::{SeedableRng, rngs::SmallRng};

use super::*;
use crate::object_id::{Incarnation, NodeId};

fn store(node: u64) -> StoreId {
    StoreId::new(NodeId(node), Incarnation(1))
}

fn object() -> ObjectId {
    ObjectId::new(store(1), 1).unwrap()
}

struct Desk {
    owner: Owner,
    rng: SmallRng,
    now: Time,
}

impl Desk {
    fn new() -> Self {
        let mut owner = Owner::new(store(1), OwnerLimits::default());
        owner.share(object()).unwrap();
        Self { owner, rng: SmallRng::seed_from_u64(7), now: Time(0) }
    }

    fn hear(&mut self, from: u64, message: &Message) -> Vec<Effect> {
        let mut out = Vec::new();
        let Self { owner, rng, now } = self;
        match message {
            Message::Borrow { sequence, .. } => {
                owner.borrow(store(from), object(), *sequence, *now, &mut out);
            }
            Message::Release { sequence, .. } => {
                owner.release(store(from), object(), *sequence, rng, &mut out);
            }
            Message::Located { bytes, .. } => {
                owner.located(store(from), object(), *bytes, rng, &mut out);
                owner.hosted(store(from), object());
            }
            other => panic!("{other:?}"),
        }
        out.retain(|effect| {
            !matches!(effect, Effect::Send { message: Message::Counted { .. }, .. })
        });
        out
    }

    fn want(&mut self, from: u64, local: Local) -> Vec<Effect> {
        let mut out = Vec::new();
        self.owner.want(store(from), object(), local, (self.now, &mut self.rng), &mut out);
        out
    }

    fn want_place(&mut self, from: u64, local: Local) -> Vec<Effect> {
        let mut out = Vec::new();
        self.owner.want_place(store(from), object(), local, (self.now, &mut self.rng), &mut out);
        out
    }

    fn down(&mut self, node: u64) -> Vec<Effect> {
        let mut out = Vec::new();
        self.owner.down(store(node), self.now, &mut self.rng, &mut out);
        out
    }
}

fn borrow(number: u64) -> Message {
    Message::Borrow { object: object(), sequence: Sequence(number) }
}

fn release(number: u64) -> Message {
    Message::Release { object: object(), sequence: Sequence(number) }
}

fn located(bytes: u64) -> Message {
    Message::Located { object: object(), bytes, hosted: true }
}

fn at(to: u64, bytes: u64, source: u64) -> Effect {
    let answer = Answer::At { bytes, sources: vec![store(source)] };
    Effect::Send { to: store(to), message: Message::Answer { object: object(), answer } }
}

#[test]
fn words_count_by_their_numbers_in_whatever_order_and_however_often_they_come() {
    let mut desk = Desk::new();
    assert_eq!(desk.hear(2, &release(2)), []);
    assert_eq!(desk.hear(2, &borrow(1)), [], "older than the release");
    assert_eq!(desk.hear(2, &borrow(3)), [Effect::Export(object())]);
    assert_eq!(desk.hear(2, &release(2)), [], "a double of the past");
    assert_eq!(desk.hear(3, &borrow(9)), []);
    assert_eq!(desk.hear(2, &release(4)), []);
    assert_eq!(desk.hear(3, &release(10)), [Effect::Unexport(object())]);
}

#[test]
fn small_values_travel_in_the_answer_and_large_ones_are_pulled() {
    let mut desk = Desk::new();
    let inline = Effect::Inline { to: store(2), object: object() };
    assert_eq!(desk.want(2, Local::Here { bytes: 100 << 10 }), [inline]);
    let large = (100 << 10) + 1;
    assert_eq!(desk.want(2, Local::Here { bytes: large }), [at(2, large, 1)]);
}

#[test]
fn who_waits_for_the_producer_is_answered_when_it_is_done() {
    let mut desk = Desk::new();
    assert_eq!(desk.want(2, Local::Pending), []);
    assert_eq!(desk.hear(9, &located(1 << 20)), [at(2, 1 << 20, 9)], "its result is elsewhere");
    let mut desk = Desk::new();
    assert_eq!(desk.want(2, Local::Pending), []);
    let mut out = Vec::new();
    let reason = LossReason::Freed;
    let Desk { owner, rng, now } = &mut desk;
    owner.ready(object(), &Local::Lost(reason.clone()), *now, rng, &mut out);
    let message = Message::Answer { object: object(), answer: Answer::Lost(reason) };
    assert_eq!(out, [Effect::Send { to: store(2), message }]);
}

#[test]
fn who_is_content_with_the_place_of_a_large_value_is_told_it_and_pulls_nothing() {
    let large = 1 << 20;
    let made = |to: u64, copies: &[u64]| {
        let copies = copies.iter().copied().map(store).collect();
        let answer = Answer::Made { bytes: large, copies };
        Effect::Send { to: store(to), message: Message::Answer { object: object(), answer } }
    };
    let mut desk = Desk::new();
    let inline = Effect::Inline { to: store(2), object: object() };
    assert_eq!(desk.want_place(2, Local::Here { bytes: 100 << 10 }), [inline], "small ones come");
    assert_eq!(desk.want_place(2, Local::Here { bytes: large }), [made(2, &[1])]);

    let mut desk = Desk::new();
    assert_eq!(desk.want_place(2, Local::Pending), []);
    assert_eq!(desk.want_place(3, Local::Pending), []);
    assert_eq!(desk.want(3, Local::Pending), [], "it wants more than before");
    assert_eq!(desk.want_place(3, Local::Pending), [], "and not less");
    assert_eq!(desk.hear(9, &located(large)), [made(2, &[9]), at(3, large, 9)]);
    assert_eq!(desk.want_place(4, Local::Pending), [made(4, &[9])]);
    for node in [5, 6, 7, 8] {
        assert_eq!(desk.hear(node, &located(large)), []);
    }
    assert_eq!(desk.want_place(4, Local::Pending), [made(4, &[5, 6, 7, 8])], "a few will do");
    // Where a small value is, is not worth knowing.
    let mut desk = Desk::new();
    assert_eq!(desk.hear(9, &located(100)), []);
    assert_eq!(desk.want_place(2, Local::Pending), [at(2, 100, 9)]);
}

#[test]
fn f22_a_surviving_copy_is_used_before_anything_is_made_again() {
    let mut desk = Desk::new();
    for node in [8, 9] {
        assert_eq!(desk.hear(node, &located(1 << 20)), []);
    }
    assert_eq!(desk.down(8), []);
    assert_eq!(desk.want(2, Local::Pending), [at(2, 1 << 20, 9)]);
    assert_eq!(desk.down(9), [Effect::Rebuild(object())]);
    assert_eq!(desk.want(3, Local::Pending), [], "once is enough");
    let effects = desk.hear(4, &located(1 << 20));
    assert_eq!(effects, [at(2, 1 << 20, 4), at(3, 1 << 20, 4)]);
}

#[test]
fn a_crashed_borrower_is_outlived_by_a_while() {
    let mut desk = Desk::new();
    assert_eq!(desk.hear(2, &borrow(1)), [Effect::Export(object())]);
    assert_eq!(desk.down(2), []);
    let wake = desk.owner.next_wake().unwrap();
    let mut out = Vec::new();
    desk.owner.tick(wake, &mut out);
    assert_eq!(out, [Effect::Unexport(object())]);
    assert_eq!(desk.hear(2, &borrow(2)), [], "the dead borrow nothing");
}

#[test]
fn the_copies_of_an_unneeded_object_are_evicted() {
    let mut desk = Desk::new();
    assert_eq!(desk.hear(9, &located(5)), []);
    let mut out = Vec::new();
    desk.owner.unreferenced(object(), &mut out);
    let evict = Effect::Send { to: store(9), message: Message::Evict { object: object() } };
    assert_eq!(out, [evict]);
    assert_eq!(
        desk.hear(8, &located(5)),
        [Effect::Send { to: store(8), message: Message::Evict { object: object() } }]
    );
}

#[test]
fn a_full_table_refuses_further_objects() {
    let limits = OwnerLimits { objects_max: 1, ..OwnerLimits::default() };
    let mut owner = Owner::new(store(1), limits);
    owner.share(object()).unwrap();
    owner.share(object()).unwrap();
    let second = ObjectId::new(store(1), 2).unwrap();
    assert_eq!(owner.share(second), Err(TooManyShared { objects_max: 1 }));
}

#[test]
fn a_backup_takes_over_keeps_what_is_needed_and_frees_only_after_the_margin() {
    let mut desk = Desk::new();
    desk.hear(2, &borrow(1));
    desk.hear(9, &located(5));
    let mut out = Vec::new();
    desk.owner.back_up(object(), Some(store(4)), &mut out);
    let mirror = out.iter().find_map(|effect| match effect {
        Effect::Send { to, message: Message::Mirror { version, record: Some(record), .. } } => {
            assert_eq!(*to, store(4));
            Some((*version, record.clone()))
        }
        _ => None,
    });
    let (version, record) = mirror.unwrap();
    let told = |effect: &Effect| {
        let Effect::Send { to, message: Message::Counted { backup, .. } } = effect else {
            return false;
        };
        (*to, *backup) == (store(2), Some(store(4)))
    };
    assert!(out.iter().any(told), "the borrower knows where to turn");

    let mut backup = Owner::new(store(4), OwnerLimits::default());
    let mut rng = SmallRng::seed_from_u64(1);
    out.clear();
    backup.mirrored(store(1), object(), version, Some(record), &mut out);
    out.clear();
    backup.down(store(1), Time(0), &mut rng, &mut out);
    let moved = Message::Moved { object: object(), keeper: store(4), term: 0 };
    assert_eq!(out, [Effect::Send { to: store(2), message: moved }, Effect::Export(object()),]);
    out.clear();
    backup.release(store(2), object(), Sequence(2), &mut rng, &mut out);
    assert!(!out.contains(&Effect::Unexport(object())), "not before the margin");
    out.clear();
    while let Some(at) = backup.next_wake() {
        backup.tick(at, &mut out);
    }
    assert_eq!(out, [Effect::Unexport(object())]);
    out.clear();
    backup.unreferenced(object(), &mut out);
    let evict = Message::Evict { object: object() };
    assert_eq!(out, [Effect::Send { to: store(9), message: evict }]);
}

#[test]
fn an_object_handed_over_is_kept_there_and_questions_find_it() {
    let mut desk = Desk::new();
    desk.hear(2, &borrow(1));
    desk.hear(9, &located(5));
    let mut out = Vec::new();
    assert!(desk.owner.hand_over(object(), store(4), Time(0), &mut out));
    let Some(Effect::Send { message: Message::Adopt { record, .. }, .. }) = out.pop() else {
        panic!("{out:?}")
    };
    let mut other = Owner::new(store(4), OwnerLimits::default());
    other.adopt(store(1), object(), record, Time(0), &mut out);
    assert_eq!(out, [Effect::Export(object())]);
    out.clear();
    desk.owner.adopted(store(4), object(), 2, &mut out);
    assert_eq!(out, [], "another offer");
    desk.owner.adopted(store(4), object(), 1, &mut out);
    let moved = Message::Moved { object: object(), keeper: store(4), term: 1 };
    let told = Effect::Send { to: store(2), message: moved.clone() };
    let handed = Effect::HandedOver { object: object(), keeper: store(4) };
    assert_eq!(out, [told, handed, Effect::Unexport(object())]);
    assert_eq!(desk.hear(3, &borrow(1)), [Effect::Send { to: store(3), message: moved }]);
    assert_eq!(other.borrowers(object()).collect::<Vec<_>>(), [store(1), store(2)]);
}

#[test]
fn who_was_called_gone_and_is_back_in_the_same_life_borrows_again() {
    let mut desk = Desk::new();
    desk.hear(2, &borrow(1));
    desk.down(2);
    desk.hear(2, &borrow(2));
    assert_eq!(desk.owner.borrowers(object()).count(), 0, "the dead borrow nothing");
    desk.owner.back(store(2));
    desk.hear(2, &borrow(2));
    assert_eq!(desk.owner.borrowers(object()).collect::<Vec<_>>(), [store(2)]);
}
