//! One situation each, by what is said.

use super::*;

const HERE: NodeId = NodeId(1);
const THERE: NodeId = NodeId(2);

type Out = Vec<Output<char, &'static str>>;

fn monitors() -> Monitors<char, &'static str> {
    Monitors::new()
}

fn to(node: NodeId, message: Message<char, &'static str>) -> Output<char, &'static str> {
    Output::Send { to: node, message }
}

fn outputs(call: impl FnOnce(&mut Out)) -> Out {
    let mut out = Vec::new();
    call(&mut out);
    out
}

#[test]
fn an_end_is_told_once_and_forgotten_when_confirmed() {
    let (mut watcher, mut watched) = (monitors(), monitors());
    let out = outputs(|out| assert_eq!(watcher.watch(THERE, 'a', out), Ok(1)));
    let watch = Message::Watch { id: 1, actor: 'a' };
    assert_eq!(out, [to(THERE, watch.clone())]);
    for _ in 0..2 {
        assert_eq!(outputs(|out| watched.handle_message(HERE, watch.clone(), |_| true, out)), []);
    }
    let down = Message::Down { id: 1, reason: Down::Exited("panic") };
    assert_eq!(outputs(|out| watched.actor_ended(&'a', &"panic", out)), [to(HERE, down.clone())]);
    let unwatch = to(THERE, Message::Unwatch { id: 1 });
    let notify = Output::Notify { id: 1, reason: Down::Exited("panic") };
    let out = outputs(|out| watcher.handle_message(THERE, down.clone(), |_| true, out));
    assert_eq!(out, [notify, unwatch.clone()]);
    let out = outputs(|out| watcher.handle_message(THERE, down, |_| true, out));
    assert_eq!(out, [unwatch]);
    assert_eq!(watched.watched_count(), 1);
    watched.handle_message(HERE, Message::Unwatch { id: 1 }, |_| true, &mut Vec::new());
    assert_eq!((watched.watched_count(), watcher.open_count()), (0, 0));
}

#[test]
fn nobody_there_is_said_so() {
    let watch = Message::Watch { id: 9, actor: 'z' };
    let out = outputs(|out| monitors().handle_message(HERE, watch, |_| false, out));
    assert_eq!(out, [to(HERE, Message::Down { id: 9, reason: Down::NoActor })]);
}

#[test]
fn a_node_that_is_down_ends_all_its_monitors_and_no_others() {
    let mut watcher = monitors();
    let mut out = Vec::new();
    watcher.watch(THERE, 'a', &mut out).unwrap();
    watcher.watch(NodeId(7), 'b', &mut out).unwrap();
    let out = outputs(|out| watcher.node_down(THERE, out));
    assert_eq!(out, [Output::Notify { id: 1, reason: Down::NodeDown }]);
    let late = Message::Down { id: 1, reason: Down::Exited("late") };
    let out = outputs(|out| watcher.handle_message(THERE, late, |_| true, out));
    assert_eq!(out, [to(THERE, Message::Unwatch { id: 1 })]);
    assert_eq!(watcher.open_count(), 1);
}

#[test]
fn after_an_epoch_both_sides_say_again_what_may_be_lost() {
    let (mut watcher, mut watched) = (monitors(), monitors());
    let mut out = Vec::new();
    for actor in ['a', 'b', 'c'] {
        watcher.watch(THERE, actor, &mut out).unwrap();
    }
    for output in out.drain(..) {
        if let Output::Send { message, .. } = output {
            watched.handle_message(HERE, message, |_| true, &mut Vec::new());
        }
    }
    // All of this is lost on the way.
    watcher.unwatch(2, &mut out);
    watched.actor_ended(&'a', &"end", &mut out);
    let again = outputs(|out| watcher.associated(THERE, out));
    let open = vec![(1, 'a'), (3, 'c')];
    let list = Message::Watches { from: 0, to: 3, open };
    assert_eq!(again, [to(THERE, list.clone())]);
    assert_eq!(outputs(|out| watched.handle_message(HERE, list, |_| true, out)), []);
    assert_eq!(watched.watched_count(), 2, "the second is no longer wanted");
    let again = outputs(|out| watched.associated(HERE, out));
    let down = to(HERE, Message::Down { id: 1, reason: Down::Exited("end") });
    let nothing = Message::Watches { from: 0, to: 0, open: Vec::new() };
    assert_eq!(again, [to(HERE, nothing), down]);
}

#[test]
fn limits_refuse_on_both_sides() {
    let mut small = monitors().with_open_max(1);
    let mut out = Vec::new();
    small.watch(THERE, 'a', &mut out).unwrap();
    assert_eq!(small.watch(THERE, 'b', &mut out), Err(MonitorError::Full { max: 1 }));
    let watch = |id| Message::Watch { id, actor: 'x' };
    small.handle_message(THERE, watch(1), |_| true, &mut out);
    let out = outputs(|out| small.handle_message(THERE, watch(2), |_| true, out));
    assert_eq!(out, [to(THERE, Message::Down { id: 2, reason: Down::Refused })]);
}

#[test]
fn many_watches_are_repeated_in_parts() {
    let mut watcher = monitors();
    let mut out = Vec::new();
    for _ in 0..2_500 {
        watcher.watch(THERE, 'a', &mut out).unwrap();
    }
    out.clear();
    watcher.associated(THERE, &mut out);
    let ranges: Vec<_> = out
        .iter()
        .filter_map(|output| match output {
            Output::Send { message: Message::Watches { from, to, open }, .. } => {
                Some((*from, *to, open.len()))
            }
            Output::Send { .. } | Output::Notify { .. } => None,
        })
        .collect();
    assert_eq!(ranges, [(0, 1024, 1024), (1025, 2048, 1024), (2049, 2500, 452)]);
}
