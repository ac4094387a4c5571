//! Two nodes, message by message.

use rand::SeedableRng as _;
use rand::rngs::SmallRng;

use super::*;

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);
const LIFE: Incarnation = Incarnation(7);
const LATER: Time = Time(1_000_000_000);

type Entry = u32;

fn node(own: NodeId, other: NodeId) -> Postings<Entry> {
    let mut node = Postings::new(own, LIFE);
    let mut out = Vec::new();
    on(&mut node, Input::Member { node: other, life: LIFE }, &mut out);
    on(&mut node, Input::Connected { node: other }, &mut out);
    node
}

fn on(node: &mut Postings<Entry>, input: Input<Entry>, out: &mut Vec<Output<Entry>>) {
    node.on(Time::ZERO, input, &mut SmallRng::seed_from_u64(1), out);
}

fn turn(node: &mut Postings<Entry>) -> Vec<Message<Entry>> {
    let mut out = Vec::new();
    node.on(LATER, Input::Tick, &mut SmallRng::seed_from_u64(1), &mut out);
    sent(out)
}

fn sent(out: Vec<Output<Entry>>) -> Vec<Message<Entry>> {
    let messages = out.into_iter().filter_map(|output| match output {
        Output::Send { message, .. } => Some(message),
        Output::Changed { .. } | Output::Gone { .. } => None,
    });
    messages.collect()
}

fn hear(node: &mut Postings<Entry>, from: NodeId, message: Message<Entry>) -> Vec<Output<Entry>> {
    let mut out = Vec::new();
    on(node, Input::Received { from, message }, &mut out);
    out
}

fn news(version: u64, entries: &[Entry]) -> Message<Entry> {
    Message::News { owner: A, life: LIFE, buckets: vec![(0, version, entries.to_vec())] }
}

fn known(node: &Postings<Entry>, owner: NodeId) -> Vec<Entry> {
    let mut entries: Vec<Entry> = node.entries_of(owner).copied().collect();
    entries.sort_unstable();
    entries
}

#[test]
fn an_entry_reaches_a_neighbour_in_the_next_turn_and_so_does_its_end() {
    let (mut a, mut b) = (node(A, B), node(B, A));
    assert_eq!(a.post(Time::ZERO, 5), Ok(true));
    assert_eq!(a.post(Time::ZERO, 5), Ok(false));
    assert_eq!(a.next_wake(), Time::ZERO, "the first summary is due at once");
    for message in turn(&mut a) {
        let out = hear(&mut b, A, message);
        assert!(sent(out).iter().all(|message| matches!(message, Message::Pages { .. })));
    }
    assert_eq!(known(&b, A), [5]);
    assert_eq!(a.hash(), b.hash());
    assert!(a.withdraw(Time::ZERO, &5) && !a.withdraw(Time::ZERO, &5));
    for message in turn(&mut a) {
        hear(&mut b, A, message);
    }
    assert_eq!(known(&b, A), []);
    assert_eq!(a.hash(), b.hash());
}

/// What b knows, in two steps, and what it tells those above.
#[test]
fn of_two_copies_of_a_bucket_the_newer_one_holds() {
    struct Case(u64, &'static [Entry], u64, &'static [Entry], &'static [Entry]);
    let cases = [
        Case(1, &[1], 2, &[1, 2], &[1, 2]),
        Case(2, &[1, 2], 1, &[1], &[1, 2]),
        Case(2, &[1], 2, &[3], &[1]),
        Case(1, &[1, 2], 3, &[], &[]),
        Case(3, &[], 1, &[1, 2], &[]),
    ];
    for Case(first_version, first, second_version, second, expected) in cases {
        let mut b = node(B, A);
        hear(&mut b, A, news(first_version, first));
        let out = hear(&mut b, A, news(second_version, second));
        assert_eq!(known(&b, A), expected);
        let changed = out.iter().any(|output| matches!(output, Output::Changed { .. }));
        assert_eq!(changed, first != expected, "{first_version} {second_version}");
    }
}

#[test]
fn a_change_says_what_came_and_what_went() {
    let mut b = node(B, A);
    hear(&mut b, A, news(1, &[1, 2]));
    let out = hear(&mut b, A, news(2, &[3, 2]));
    let expected = Output::Changed { owner: A, life: LIFE, added: vec![3], removed: vec![1] };
    assert_eq!(out, [expected]);
}

#[test]
fn only_members_in_their_life_have_pages() {
    let mut b: Postings<Entry> = Postings::new(B, LIFE);
    hear(&mut b, A, news(1, &[1]));
    assert_eq!(known(&b, A), [], "nobody knows it");
    let mut out = Vec::new();
    on(&mut b, Input::Member { node: A, life: LIFE }, &mut out);
    hear(&mut b, A, news(1, &[1]));
    assert_eq!(known(&b, A), [1]);
    on(&mut b, Input::Member { node: A, life: LIFE.next() }, &mut out);
    assert_eq!(out, [Output::Gone { owner: A, life: LIFE }]);
    hear(&mut b, A, news(9, &[1]));
    assert_eq!(known(&b, A), [], "of an earlier life");
    let later = Message::News { owner: A, life: LIFE.next(), buckets: vec![(0, 1, vec![4])] };
    hear(&mut b, A, later);
    on(&mut b, Input::Lost { node: A }, &mut out);
    assert_eq!(out.last(), Some(&Output::Gone { owner: A, life: LIFE.next() }));
    assert_eq!(known(&b, A), []);
}

#[test]
fn nobody_else_writes_our_page() {
    let mut a = node(A, B);
    a.post(Time::ZERO, 1).unwrap();
    hear(&mut a, B, news(99, &[7]));
    assert_eq!(known(&a, A), [1]);
}

#[test]
fn what_was_lost_on_the_way_is_found_by_comparing() {
    let (mut a, mut b) = (node(A, B), node(B, A));
    for entry in 0..100 {
        a.post(Time::ZERO, entry).unwrap();
        b.post(Time::ZERO, 1000 + entry).unwrap();
    }
    // All news is lost, and so is what b would say by itself.
    drop((turn(&mut a), turn(&mut b)));
    let mut to_b: Vec<_> = vec![Message::Summary { hash: a.hash() }];
    let mut to_a = Vec::new();
    for round in 0.. {
        assert!(round < 10, "they never agree");
        for message in std::mem::take(&mut to_b) {
            to_a.extend(sent(hear(&mut b, A, message)));
        }
        for message in std::mem::take(&mut to_a) {
            to_b.extend(sent(hear(&mut a, B, message)));
        }
        if a.hash() == b.hash() {
            break;
        }
        to_a.extend(turn(&mut b));
        to_b.extend(turn(&mut a));
    }
    assert_eq!(known(&b, A), (0..100).collect::<Vec<_>>());
    assert_eq!(known(&a, B), (1000..1100).collect::<Vec<_>>());
}

#[test]
fn a_full_page_takes_no_more_and_others_do_not_take_more_of_it() {
    let mut a: Postings<Entry> = Postings::new(A, LIFE);
    let mut taken = 0;
    let full = loop {
        match a.post(Time::ZERO, taken) {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(full, PostError::Full { max: ENTRIES_MAX });
    assert_eq!(taken as usize, ENTRIES_MAX, "buckets fill evenly");
    assert!(a.withdraw(Time::ZERO, &0));
    assert_eq!(a.post(Time::ZERO, taken), Ok(true));

    let mut b = node(B, A);
    let many: Vec<Entry> = (0..=BUCKET_ENTRIES_MAX as u32).collect();
    hear(&mut b, A, news(1, &many));
    assert_eq!(known(&b, A), []);
}

#[test]
fn a_turn_sends_a_neighbour_a_bounded_part() {
    let mut a = node(A, B);
    for entry in 0..5_000 {
        a.post(Time::ZERO, entry).unwrap();
    }
    let entries = |messages: &[Message<Entry>]| {
        let sizes = messages.iter().map(|message| match message {
            Message::News { buckets, .. } => {
                buckets.iter().map(|(.., entries)| entries.len()).sum()
            }
            Message::Summary { .. } | Message::Pages { .. } | Message::Versions { .. } => 0,
        });
        sizes.collect::<Vec<usize>>()
    };
    let mut sum = 0;
    let mut now = LATER;
    for _ in 0..100 {
        now = now + TURN;
        let mut out = Vec::new();
        a.on(now, Input::Tick, &mut SmallRng::seed_from_u64(1), &mut out);
        let sizes = entries(&sent(out));
        assert!(sizes.iter().all(|size| *size <= NEWS_ENTRIES_MAX));
        let size: usize = sizes.iter().sum();
        assert!(size <= TURN_ENTRIES_MAX + BUCKET_ENTRIES_MAX, "{size}");
        sum += size;
    }
    assert_eq!(sum, 5_000);
}
