//! Objects of other nodes: found, pulled, kept alive, let go, and lost with a reason.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
#![expect(clippy::expect_used, reason = "helpers of tests may fail like tests")]

#[path = "exchange/cluster.rs"]
mod cluster;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cluster::{Cluster, id, look};
use mobula_store::{
    GetError, ObjectId, ObjectRef, TaskError, TransferError, free,
    lineage::{Beside, Recipe},
    message::{LossReason, Message},
};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Letter {
    title: String,
    object: ObjectRef<Vec<u64>>,
}

fn put<T: mobula_store::Object>(cluster: &Cluster, node: u64, value: T) -> ObjectRef<T> {
    cluster.store(node).put(value).try_now().unwrap()
}

const GRACE: Duration = Duration::from_secs(20);

#[test]
fn a_reference_in_a_message_leads_to_its_object_on_another_node() {
    let cluster = Cluster::new(2);
    let object = put(&cluster, 1, vec![1_u64, 2, 3]);
    let letter = cluster.send(1, 2, &Letter { title: "numbers".into(), object: object.clone() });
    assert_eq!((letter.object.id(), letter.title.as_str()), (object.id(), "numbers"));
    assert_eq!(*cluster.get(&letter.object).unwrap(), [1, 2, 3]);
    assert_eq!(*cluster.get(&object).unwrap(), [1, 2, 3]);
}

#[test]
fn o4_an_object_lives_as_long_as_a_borrower_and_its_bytes_come_back_on_both_nodes() {
    let cluster = Cluster::new(2);
    let object = put(&cluster, 1, vec![7_u64; 100]);
    let borrowed = cluster.send(1, 2, &object);
    cluster.deliver();
    drop(object);
    assert_eq!(cluster.objects(1), (1, 800), "borrowed elsewhere");
    assert_eq!(cluster.get(&borrowed).unwrap().len(), 100);
    assert_eq!(cluster.objects(2), (1, 800));
    drop(borrowed);
    cluster.deliver();
    assert_eq!((cluster.objects(1), cluster.objects(2)), ((0, 0), (0, 0)));
}

#[test]
fn an_object_lives_while_its_only_reference_is_on_its_way() {
    let cluster = Cluster::new(3);
    let object = put(&cluster, 3, 5_u64);
    let at_first = cluster.send(3, 1, &object);
    drop(object);
    cluster.deliver();
    // From a borrower to a third node: the sender lets go at once.
    let (bytes, parcel) = cluster.pack(1, 2, &at_first);
    drop(at_first);
    cluster.deliver();
    assert_eq!(cluster.objects(3).0, 1, "in flight");
    let at_second: ObjectRef<u64> = cluster.unpack(1, 2, &bytes, parcel.as_ref());
    cluster.deliver();
    assert_eq!(cluster.objects(1).0, 0, "the sender has let go");
    assert_eq!(*cluster.get(&at_second).unwrap(), 5);
    drop(at_second);
    cluster.deliver();
    assert_eq!(cluster.objects(3).0, 0);
}

#[test]
fn a_message_that_is_not_delivered_or_not_decoded_keeps_nothing() {
    let cluster = Cluster::new(2);
    let object = put(&cluster, 1, 5_u64);
    let (_, parcel) = cluster.pack(1, 2, &object);
    cluster.store(1).undelivered(parcel.unwrap().pin);
    let (_, parcel) = cluster.pack(1, 2, &object);
    cluster.store(2).unpack(id(1), parcel.as_ref(), || ()).unwrap();
    let (_, parcel) = cluster.pack(1, 2, &object);
    cluster.store(1).uncertain(parcel.as_ref().unwrap().pin);
    drop(object);
    cluster.deliver();
    assert_eq!((cluster.objects(1).0, cluster.objects(2).0), (0, 0));
    let late = cluster.store(2).unpack(id(1), parcel.as_ref(), || ());
    assert!(late.unwrap_err().to_string().contains("after its sender had given it up"));
}

#[test]
fn a_thousand_references_are_one_borrow_and_one_release() {
    let cluster = Cluster::new(2);
    let object = put(&cluster, 1, 5_u64);
    let list = vec![object; 1000];
    let borrowed: Vec<ObjectRef<u64>> = cluster.send(1, 2, &list);
    cluster.deliver();
    drop((borrowed, list));
    cluster.deliver();
    assert_eq!((cluster.counted("borrow"), cluster.counted("release")), (1, 1));
}

#[test]
fn a_pending_object_is_waited_for_from_afar_and_its_failure_arrives_with_kind_and_text() {
    let cluster = Cluster::new(2);
    let (object, sealer) = cluster.store(1).create_pending::<u64>();
    let borrowed = cluster.send(1, 2, &object);
    let mut get = cluster.begin(&borrowed);
    cluster.deliver();
    assert!(look(&mut get).is_none());
    sealer.seal(Ok(9));
    cluster.deliver();
    assert_eq!(*look(&mut get).unwrap().unwrap(), 9);

    let (object, sealer) = cluster.store(1).create_pending::<u64>();
    let borrowed = cluster.send(1, 2, &object);
    let mut get = cluster.begin(&borrowed);
    cluster.deliver();
    let error = TaskError::user_error("parse a3", "no number");
    sealer.seal(Err(error.clone()));
    cluster.deliver();
    let arrived = look(&mut get).unwrap().unwrap_err();
    assert_eq!(arrived.to_string(), error.to_string());
    assert!(matches!(arrived.task(), Some(TaskError::UserError { .. })));
}

#[test]
fn o9_references_inside_a_value_lead_on_and_are_kept_to_any_depth() {
    let cluster = Cluster::new(2);
    let inner = put(&cluster, 1, vec![1_u64]);
    let middle = put(&cluster, 1, Letter { title: "in".into(), object: inner.clone() });
    let outer = put(&cluster, 1, vec![middle.clone()]);
    let borrowed = cluster.send(1, 2, &outer);
    drop((inner, middle, outer));
    cluster.deliver();
    assert_eq!(cluster.objects(1).0, 3);
    let list = cluster.get(&borrowed).unwrap();
    let middle = list[0].clone();
    drop((borrowed, list));
    cluster.deliver();
    assert_eq!(cluster.objects(1).0, 2, "only the outer one is gone");
    let letter = cluster.get(&middle).unwrap();
    assert_eq!(*cluster.get(&letter.object).unwrap(), [1]);
    drop((letter, middle));
    cluster.deliver();
    assert_eq!((cluster.objects(1), cluster.objects(2)), ((0, 0), (0, 0)));
}

#[test]
fn a_large_value_comes_in_parts_and_once_however_many_want_it() {
    let cluster = Cluster::new(2);
    let bytes: Vec<u8> = (0..12_u32 << 20).map(|place| (place >> 8) as u8).collect();
    let object = put(&cluster, 1, bytes);
    let first = cluster.send(1, 2, &object);
    let second = cluster.send(1, 2, &object);
    let mut gets = [cluster.begin(&first), cluster.begin(&second)];
    cluster.deliver();
    let values = gets.each_mut().map(|get| look(get).unwrap().unwrap());
    assert!(Arc::ptr_eq(&values[0], &values[1]));
    assert!(*values[0] == *cluster.get(&object).unwrap(), "bit for bit");
    let parts: Vec<u64> = cluster.parts().iter().map(|(_, _, _, offset)| *offset).collect();
    assert_eq!(parts, [0, 5 << 20, 10 << 20], "each part once");
}

#[test]
fn o14_a_broadcast_sends_an_object_once_per_pair_and_later_ones_pull_from_earlier_ones() {
    let cluster = Cluster::new(9);
    let object = put(&cluster, 1, vec![1_u8; 200 << 10]);
    let borrowed: Vec<_> = (2..=9).map(|node| cluster.send(1, node, &object)).collect();
    let mut gets: Vec<_> = borrowed.iter().map(|object| cluster.begin(object)).collect();
    cluster.deliver();
    for get in &mut gets {
        assert_eq!(look(get).unwrap().unwrap().len(), 200 << 10);
    }
    let pairs: BTreeSet<_> = cluster.parts().iter().map(|(from, to, ..)| (*from, *to)).collect();
    assert_eq!((cluster.parts().len(), pairs.len()), (8, 8), "once per pair");
    let from_owner = pairs.iter().filter(|(from, _)| *from == id(1)).count();
    assert!(from_owner < 8, "the owner served all of them itself");
}

#[test]
fn o10_when_the_owner_dies_borrowers_get_an_error_that_names_it_and_copies_go() {
    let cluster = Cluster::new(3);
    let (pending, _sealer) = cluster.store(1).create_pending::<u64>();
    let sealed = put(&cluster, 1, vec![7_u64; 100]);
    let (pending, sealed) = (cluster.send(1, 2, &pending), cluster.send(1, 2, &sealed));
    let passed_on = cluster.pack(2, 3, &sealed);
    assert_eq!(cluster.get(&sealed).unwrap().len(), 100);
    let mut get = cluster.begin(&pending);
    cluster.deliver();
    cluster.kill(1);
    let late: ObjectRef<Vec<u64>> = cluster.unpack(2, 3, &passed_on.0, passed_on.1.as_ref());
    let errors = [
        look(&mut get).unwrap().map(drop).unwrap_err(),
        cluster.get(&sealed).map(drop).unwrap_err(),
        cluster.get(&late).map(drop).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(&error, GetError::OwnerDied { owner, .. } if *owner == id(1)), "{error}");
        assert!(error.to_string().contains("n0000000000000001"), "{error}");
    }
    assert_eq!(cluster.objects(2).1, 0, "the copy is gone");
}

#[test]
fn a_dead_borrower_keeps_nothing() {
    let cluster = Cluster::new(2);
    let object = put(&cluster, 1, 5_u64);
    let _borrowed = cluster.send(1, 2, &object);
    let _on_its_way = cluster.pack(1, 2, &object);
    cluster.deliver();
    drop(object);
    assert_eq!(cluster.objects(1).0, 1);
    cluster.kill(2);
    cluster.pass(GRACE);
    assert_eq!(cluster.objects(1).0, 0);
}

#[test]
fn who_was_out_of_reach_for_a_while_reads_again() {
    let cluster = Cluster::new(2);
    let object = put(&cluster, 1, vec![7_u8; 200 << 10]);
    cluster.store(1).node_down(id(2));
    cluster.store(2).node_down(id(1));
    cluster.store(1).node_back(id(2));
    cluster.store(2).node_back(id(1));
    let borrowed = cluster.send(1, 2, &object);
    assert_eq!(cluster.get(&borrowed).unwrap().len(), 200 << 10);
}

#[test]
fn what_a_borrower_forgot_while_it_took_the_keeper_for_gone_is_not_counted_for_ever() {
    let cluster = Cluster::new(2);
    let object = put(&cluster, 1, vec![7_u8; 200 << 10]);
    let borrowed = cluster.send(1, 2, &object);
    cluster.deliver();
    // The keeper notices nothing.
    cluster.store(2).node_down(id(1));
    cluster.store(2).node_back(id(1));
    // Nor when somebody still holds what is lost to him.
    cluster.deliver();
    drop(object);
    cluster.deliver();
    cluster.pass(GRACE);
    assert_eq!(cluster.objects(1), (0, 0));
    drop(borrowed);
    cluster.deliver();
    cluster.pass(GRACE);
    assert_eq!((cluster.objects(1), cluster.objects(2)), ((0, 0), (0, 0)));
}

#[test]
fn who_was_taken_for_gone_and_did_not_notice_still_borrows() {
    let cluster = Cluster::new(2);
    let object = put(&cluster, 1, vec![7_u8; 200 << 10]);
    let borrowed = cluster.send(1, 2, &object);
    cluster.deliver();
    cluster.store(1).node_down(id(2));
    cluster.store(1).node_back(id(2));
    drop(object);
    cluster.deliver();
    cluster.pass(GRACE);
    assert_eq!(cluster.get(&borrowed).unwrap().len(), 200 << 10);
    drop(borrowed);
    cluster.deliver();
    cluster.pass(GRACE);
    assert_eq!((cluster.objects(1), cluster.objects(2)), ((0, 0), (0, 0)));
}

#[test]
fn a_copy_kept_for_a_keeper_that_took_its_holder_for_gone_goes_in_the_end() {
    let cluster = Cluster::new(2);
    let (object, _sealer) = cluster.store(1).create_pending::<Vec<u8>>();
    let message = cluster.store(2).deliver(object.id(), id(1), Ok(Arc::new(vec![3_u8; 1 << 20])));
    cluster.store(1).receive(id(2), message.unwrap());
    cluster.deliver();
    cluster.pass(3 * GRACE);
    assert_eq!(cluster.objects(2).1, 1 << 20);
    cluster.store(1).node_down(id(2));
    cluster.store(1).node_back(id(2));
    drop(object);
    cluster.pass(GRACE);
    cluster.deliver();
    assert_eq!(cluster.objects(2), (0, 0));
}

#[test]
fn o13_freeing_by_hand_reaches_every_copy() {
    let cluster = Cluster::new(2);
    let object = put(&cluster, 1, vec![7_u8; 200 << 10]);
    let borrowed = cluster.send(1, 2, &object);
    cluster.get(&borrowed).unwrap();
    cluster.deliver();
    free(&object);
    cluster.deliver();
    assert!(matches!(cluster.get(&borrowed), Err(GetError::Freed { .. })));
    assert_eq!((cluster.objects(1).1, cluster.objects(2).1), (0, 0));
}

#[test]
fn a_result_made_on_another_node_arrives_small_in_the_answer_and_large_on_demand() {
    let cluster = Cluster::new(3);
    let (small, _small_sealer) = cluster.store(1).create_pending::<u64>();
    let (large, _large_sealer) = cluster.store(1).create_pending::<Vec<u8>>();
    let mut gets = (cluster.begin(&small), cluster.begin(&large));
    let at_third = cluster.send(1, 3, &large);
    let mut third = cluster.begin(&at_third);
    cluster.deliver();
    let executor = cluster.store(2);
    for message in [
        executor.deliver(small.id(), id(1), Ok(Arc::new(8_u64))).unwrap(),
        executor.deliver(large.id(), id(1), Ok(Arc::new(vec![3_u8; 6 << 20]))).unwrap(),
    ] {
        cluster.store(1).receive(id(2), message);
    }
    assert_eq!(cluster.objects(2).1, 6 << 20, "charged where it is");
    cluster.deliver();
    assert_eq!(*look(&mut gets.0).unwrap().unwrap(), 8);
    assert_eq!(look(&mut gets.1).unwrap().unwrap().len(), 6 << 20);
    assert_eq!(look(&mut third).unwrap().unwrap().len(), 6 << 20);
    let place = cluster.store(1).whereabouts(large.id()).unwrap();
    assert!(place.is_here && place.copies.contains(&id(2)) && place.copies.contains(&id(3)));
    drop((gets, third, large, at_third));
    cluster.deliver();
    assert_eq!(cluster.objects(2), (0, 0), "the copy went with the last reference");
    let failed = executor.deliver::<u64>(
        small.id(),
        id(1),
        Err(TaskError::NoProvider { task: "f a1".into(), seen: "none".into() }),
    );
    assert!(matches!(failed, Ok(Message::Answer { .. })));
}

#[test]
fn f18_a_result_lost_with_its_node_is_made_again_and_f20_a_put_one_says_why_not() {
    let cluster = Cluster::new(2);
    let (object, _sealer) = cluster.store(1).create_pending::<Vec<u8>>();
    let recipe = Recipe {
        call: b"make it".to_vec(),
        beside: Beside::default(),
        inputs: Vec::new(),
        outputs: vec![object.id()],
        attempts_left: 1,
        attempts: 0,
        refusal: None,
    };
    cluster.store(1).remember(recipe);
    let value = || Arc::new(vec![1_u8; 1 << 20]);
    let message = cluster.store(2).deliver(object.id(), id(1), Ok(value())).unwrap();
    cluster.store(1).receive(id(2), message);
    cluster.kill(2);
    let mut get = cluster.begin(&object);
    cluster.deliver();
    let [rebuild] = &cluster.rebuilds()[..] else { panic!("once") };
    assert_eq!((&rebuild.call[..], &rebuild.lost[..]), (&b"make it"[..], &[object.id()][..]));
    assert_eq!(rebuild.attempts_left, 0);
    // It runs here this time.
    let message = cluster.store(1).deliver(object.id(), id(1), Ok(value())).unwrap();
    cluster.store(1).receive(id(1), message);
    cluster.deliver();
    assert_eq!(look(&mut get).unwrap().unwrap().len(), 1 << 20);

    let cluster = Cluster::new(2);
    let (object, _sealer) = cluster.store(1).create_pending::<Vec<u8>>();
    let message = cluster.store(2).deliver(object.id(), id(1), Ok(value())).unwrap();
    cluster.store(1).receive(id(2), message);
    cluster.kill(2);
    let error = cluster.get(&object).unwrap_err();
    assert!(matches!(error, GetError::Lost { reason: LossReason::NotRebuildable { .. }, .. }));
}

fn recipe(name: &str, inputs: &[ObjectId], outputs: &[ObjectId]) -> Recipe {
    Recipe {
        call: name.as_bytes().to_vec(),
        beside: Beside::default(),
        inputs: inputs.to_vec(),
        outputs: outputs.to_vec(),
        attempts_left: 2,
        attempts: 0,
        refusal: None,
    }
}

/// A value of a task that ran on `node` for an object of node 1.
fn run_on(cluster: &Cluster, node: u64, object: ObjectId) {
    let value = Ok(Arc::new(vec![1_u8; 1 << 20]));
    let message = cluster.store(node).deliver(object, id(1), value).unwrap();
    cluster.store(1).receive(id(node), message);
    cluster.deliver();
}

#[test]
fn f18_an_argument_that_nobody_kept_is_made_again_for_what_was_made_of_it() {
    let cluster = Cluster::new(2);
    let (base, sealer) = cluster.store(1).create_pending::<Vec<u8>>();
    sealer.leave();
    let (top, sealer) = cluster.store(1).create_pending::<Vec<u8>>();
    sealer.leave();
    cluster.store(1).remember(recipe("base", &[], &[base.id()]));
    cluster.store(1).remember(recipe("top", &[base.id()], &[top.id()]));
    run_on(&cluster, 2, base.id());
    run_on(&cluster, 2, top.id());
    let base_id = base.id();
    drop(base);
    cluster.deliver();
    assert_eq!(cluster.objects(2).1, 1 << 20, "what nobody needs is gone");
    cluster.kill(2);
    let mut get = cluster.begin(&top);
    cluster.deliver();
    let rebuilds = cluster.rebuilds();
    let calls: Vec<&[u8]> = rebuilds.iter().map(|rebuild| &rebuild.call[..]).collect();
    assert_eq!(calls, [&b"base"[..], b"top"]);
    assert_eq!(rebuilds[0].lost, [base_id]);
    // The tasks' room begins both, and the first is kept until the second has it.
    let (base, base_sealer) = cluster.store(1).create_again::<Vec<u8>>(base_id).unwrap();
    let (_top, top_sealer) = cluster.store(1).create_again::<Vec<u8>>(top.id()).unwrap();
    base_sealer.seal(Ok(vec![1; 10]));
    assert_eq!(cluster.get(&base).unwrap().len(), 10);
    top_sealer.seal(Ok(vec![1; 20]));
    cluster.deliver();
    assert_eq!(look(&mut get).unwrap().unwrap().len(), 20);
    drop((base, _top, top, get));
    cluster.deliver();
    assert_eq!(cluster.objects(1), (0, 0));
}

#[test]
fn f23_only_what_is_lost_is_written_again_and_repetitions_count_as_attempts() {
    let cluster = Cluster::new(2);
    let (left, sealer) = cluster.store(1).create_pending::<Vec<u8>>();
    sealer.leave();
    let (right, sealer) = cluster.store(1).create_pending::<Vec<u8>>();
    sealer.leave();
    cluster.store(1).remember(recipe("both", &[], &[left.id(), right.id()]));
    run_on(&cluster, 2, left.id());
    run_on(&cluster, 2, right.id());
    assert_eq!(cluster.get(&left).unwrap().len(), 1 << 20);
    cluster.kill(2);
    let _get = cluster.begin(&right);
    cluster.deliver();
    let [rebuild] = &cluster.rebuilds()[..] else { panic!("once") };
    assert_eq!((&rebuild.lost[..], rebuild.attempts_left), (&[right.id()][..], 1));
    cluster.store(1).repeated(right.id(), 1);
    cluster.store(1).cannot_rebuild(right.id(), "the test says so");
    let error = cluster.get(&right).unwrap_err();
    assert!(error.to_string().contains("the test says so"), "{error}");
    assert_eq!(cluster.get(&left).unwrap().len(), 1 << 20);
}

#[test]
fn whoever_is_content_with_a_value_elsewhere_is_told_without_fetching_it() {
    let cluster = Cluster::new(2);
    let (object, sealer) = cluster.store(1).create_pending::<Vec<u8>>();
    let entry = Arc::clone(sealer.entry().unwrap());
    sealer.leave();
    let told = Arc::new(AtomicUsize::new(0));
    for _ in 0..3 {
        let told = Arc::clone(&told);
        entry.on_made(Box::new(move || {
            told.fetch_add(1, Ordering::SeqCst);
        }));
    }
    cluster.deliver();
    assert_eq!((told.load(Ordering::SeqCst), entry.is_made()), (0, false));
    run_on(&cluster, 2, object.id());
    assert_eq!((told.load(Ordering::SeqCst), entry.is_made()), (3, true));
    assert!(!entry.is_ready() && cluster.parts().is_empty(), "nothing was fetched");
    assert_eq!(cluster.get(&object).unwrap().len(), 1 << 20);
}

#[test]
fn a_result_that_nobody_was_told_of_is_announced_again_and_let_go_of() {
    let cluster = Cluster::new(2);
    let (object, sealer) = cluster.store(1).create_pending::<Vec<u8>>();
    sealer.leave();
    let value = Ok(Arc::new(vec![1_u8; 1 << 20]));
    // The answer of the task is lost, and with it the word of where its result is.
    drop(cluster.store(2).deliver(object.id(), id(1), value).unwrap());
    drop(object);
    assert_eq!(cluster.objects(2).1, 1 << 20);
    cluster.pass(GRACE);
    assert_eq!(cluster.objects(2), (0, 0));
}

#[test]
fn a_durable_object_that_was_never_made_is_lost_with_its_keeper_and_nobody_waits() {
    let cluster = Cluster::new(3);
    let (object, _sealer) = cluster.store(1).create_pending::<u64>();
    cluster.store(1).make_durable(&object).unwrap();
    let borrowed = cluster.send(1, 2, &object);
    let mut get = cluster.begin(&borrowed);
    cluster.deliver();
    cluster.kill(1);
    cluster.pass(GRACE);
    let error = look(&mut get).unwrap().unwrap_err();
    assert!(error.to_string().contains("before it was made"), "{error}");
}

#[test]
fn o17_a_pull_into_a_full_store_waits_and_goes_on_by_itself() {
    let cluster = Cluster::with_capacity(2, 1 << 20);
    let filler = put(&cluster, 2, vec![0_u8; 900 << 10]);
    let object = put(&cluster, 1, vec![1_u8; 500 << 10]);
    let borrowed = cluster.send(1, 2, &object);
    let mut get = cluster.begin(&borrowed);
    cluster.deliver();
    assert!(look(&mut get).is_none());
    drop(filler);
    cluster.deliver();
    assert_eq!(look(&mut get).unwrap().unwrap().len(), 500 << 10);
    drop((get, borrowed));
    cluster.deliver();
    assert_eq!(cluster.objects(2), (0, 0));
}

#[test]
fn a_get_that_is_given_up_gives_its_room_back() {
    let cluster = Cluster::new(2);
    let object = put(&cluster, 1, vec![1_u8; 20 << 20]);
    let borrowed = cluster.send(1, 2, &object);
    let get = cluster.begin(&borrowed);
    drop((get, borrowed));
    cluster.deliver();
    assert_eq!(cluster.objects(2), (0, 0));
    drop(object);
    cluster.deliver();
    assert_eq!(cluster.objects(1), (0, 0));
}

#[test]
fn a_durable_object_outlives_its_owner_and_an_ordinary_one_does_not() {
    let cluster = Cluster::new(4);
    let durable = put(&cluster, 1, vec![4_u8; 300 << 10]);
    let small = put(&cluster, 1, vec![4_u64, 5]);
    cluster.store(1).make_durable(&durable).unwrap();
    cluster.store(1).make_durable(&small).unwrap();
    cluster.deliver();
    let borrowed = cluster.send(1, 2, &durable);
    let small = cluster.send(1, 3, &small);
    cluster.deliver();
    cluster.kill(1);
    cluster.pass(GRACE);
    assert_eq!(cluster.get(&borrowed).unwrap().len(), 300 << 10);
    assert_eq!(*cluster.get(&small).unwrap(), [4, 5]);
    drop((borrowed, small));
    cluster.pass(GRACE);
    for node in 2..=4 {
        assert_eq!(cluster.objects(node), (0, 0), "node {node}");
    }
}

#[test]
fn an_object_handed_over_survives_its_maker() {
    let cluster = Cluster::new(3);
    let object = put(&cluster, 1, vec![4_u8; 300 << 10]);
    let borrowed = cluster.send(1, 2, &object);
    cluster.deliver();
    cluster.store(1).transfer(&object, id(3)).unwrap();
    cluster.deliver();
    assert_eq!(cluster.store(2).whereabouts(object.id()).unwrap().keeper, id(3));
    let again = cluster.store(1).transfer(&object, id(2));
    assert!(matches!(again, Err(TransferError::NotOurs { keeper, .. }) if keeper == id(3)));
    assert_eq!(cluster.get(&object).unwrap().len(), 300 << 10);
    cluster.kill(1);
    cluster.pass(GRACE);
    assert_eq!(cluster.get(&borrowed).unwrap().len(), 300 << 10);
    drop(borrowed);
    cluster.pass(GRACE);
    assert_eq!((cluster.objects(2), cluster.objects(3)), ((0, 0), (0, 0)));
}

#[test]
fn an_object_handed_over_and_back_is_let_go_like_any_other() {
    let cluster = Cluster::new(3);
    let object = put(&cluster, 1, vec![4_u8; 300 << 10]);
    cluster.store(1).transfer(&object, id(2)).unwrap();
    cluster.deliver();
    let at_second = cluster.send(1, 2, &object);
    cluster.deliver();
    cluster.store(2).transfer(&at_second, id(1)).unwrap();
    cluster.pass(GRACE);
    let third = cluster.send(2, 3, &at_second);
    cluster.deliver();
    assert_eq!(cluster.store(3).whereabouts(object.id()).unwrap().keeper, id(1));
    assert_eq!(cluster.get(&third).unwrap().len(), 300 << 10);
    drop((object, at_second, third));
    cluster.pass(GRACE);
    for node in 1..=3 {
        assert_eq!(cluster.objects(node), (0, 0), "node {node}");
    }
}

#[test]
fn a_value_of_another_type_is_unreadable_and_says_so() {
    let cluster = Cluster::new(2);
    let object = put(&cluster, 1, "text".to_owned());
    let (bytes, parcel) = cluster.pack(1, 2, &object);
    let wrong: ObjectRef<Vec<f64>> = cluster.unpack(1, 2, &bytes, parcel.as_ref());
    let error = cluster.get(&wrong).unwrap_err();
    assert!(matches!(error, GetError::Unreadable { .. }), "{error}");
}

#[test]
fn a_type_that_refuses_to_be_encoded_fails_the_reader_and_spares_the_owner() {
    #[derive(Debug, Deserialize)]
    struct Stubborn(Vec<u8>);
    impl Serialize for Stubborn {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("I stay here"))
        }
    }
    let cluster = Cluster::new(2);
    let object = put(&cluster, 1, Stubborn(vec![1]));
    let borrowed = cluster.send(1, 2, &object);
    let error = cluster.get(&borrowed).unwrap_err();
    assert!(error.to_string().contains("I stay here"), "{error}");
    assert_eq!(cluster.get(&object).unwrap().0, [1]);
}
