use super::{
    attaching::{Heard, MAX_MISSED, Missed, Reach},
    outbox::{Ended, Outbox},
    ring::Ring,
    simulated_log::{PARTITIONS, PEOPLE, SMALL, direct, group, partition_of, session, user},
    simulation::World,
    state::{Guest, SeatId, State},
    stay::Stay,
    told::Said,
};
use events::{Aggregate, Partition, UserEvent, Vector};
use serde_json::Value;
use std::{collections::BTreeSet, sync::Arc};

fn connect(state: &mut State, person: u8, of_session: u8) -> (SeatId, Arc<Outbox>) {
    let outbox = Arc::new(Outbox::default());
    (state.enter(user(person), session(of_session), Guest::Socket, Arc::clone(&outbox)), outbox)
}

/// Gathers what was missed and goes live, at one go.
fn attach(state: &mut State, seat: SeatId, from: &Vector) -> Heard {
    let missed = match state.reach(from) {
        Reach::Whole => {
            let run = state.run(seat.user_id, from).unwrap();
            Missed::Said { said: run.said(), upto: run.upto().clone() }
        }
        Reach::Short(_) | Reach::Foreign => Missed::TooMuch,
    };
    state.go_live(seat, missed).unwrap()
}

fn frames(outbox: &Outbox) -> Vec<Value> {
    outbox.take().iter().map(|frame| serde_json::from_str(frame).unwrap()).collect()
}

fn types(outbox: &Outbox) -> Vec<String> {
    frames(outbox).iter().map(|frame| frame["type"].as_str().unwrap().to_owned()).collect()
}

fn world_with(ring: Ring) -> World {
    let mut world = World::empty();
    world.nodes[0].hub.follow(Partition(0), ring);
    world
}

#[test]
fn of_one_event_only_the_last_frame_carries_the_position() {
    let mut world = World::empty();
    for to in 1..PEOPLE {
        world.log.send(0, to, false);
    }
    let (reader, reader_outbox) = connect(&mut world.nodes[0].hub, 0, 0);
    attach(&mut world.nodes[0].hub, reader, &Vector::default());
    for partition in 0..PARTITIONS {
        world.log.read(0, partition, (1, 1), false);
        world.hear(0, partition, usize::MAX);
    }
    let heard = frames(&reader_outbox);
    let receipts: Vec<_> = heard.iter().filter(|frame| frame["type"] == "receipt").collect();
    assert_eq!(receipts.len(), usize::from(PEOPLE) - 1);
    let with_position = receipts.iter().filter(|frame| frame["position"].is_string()).count();
    let partitions: BTreeSet<_> = (1..PEOPLE).map(|to| partition_of(direct(0, to))).collect();
    assert_eq!(with_position, partitions.len());
}

#[test]
fn an_opening_message_is_told_as_a_message_only() {
    let mut world = World::empty();
    let (peer, outbox) = connect(&mut world.nodes[0].hub, 1, 0);
    attach(&mut world.nodes[0].hub, peer, &Vector::default());
    world.log.send(0, 1, false);
    (0..PARTITIONS).for_each(|partition| world.hear(0, partition, usize::MAX));
    assert_eq!(types(&outbox), ["live", "message"]);
}

#[test]
fn what_the_ring_does_not_reach_back_to_it_does_not_tell() {
    let mut world = world_with(Ring::starting_after(0).of_at_most(2));
    let (person, to) = (0..PEOPLE)
        .flat_map(|by| (0..PEOPLE).map(move |to| (by, to)))
        .find(|&(by, to)| by != to && partition_of(direct(by, to)) == 0)
        .unwrap();
    for _ in 0..5 {
        world.log.send(person, to, false);
    }
    world.hear(0, 0, usize::MAX);
    let joined = world.log.memberships(person, [5, 0]);
    for (from, expected) in [
        ("0:5,1:0", vec!["live"]),
        ("0:3,1:0", vec!["message", "message", "live"]),
        ("0:2,1:0", vec!["reset", "live"]),
        ("1:0", vec!["reset", "live"]),
        ("0:6,1:0", vec!["reset", "live"]),
        ("0:5,1:0,2:0", vec!["reset", "live"]),
    ] {
        let (seat, outbox) = connect(&mut world.nodes[0].hub, person, 0);
        world.nodes[0].hub.learn(user(person), &joined, &"0:5,1:0".parse().unwrap());
        attach(&mut world.nodes[0].hub, seat, &from.parse().unwrap());
        assert_eq!(types(&outbox), expected, "{from}");
        world.nodes[0].hub.leave(seat);
    }
}

#[test]
fn the_end_of_a_session_reaches_its_sockets_also_before_they_are_live() {
    let mut world = World::empty();
    let (_, pending) = connect(&mut world.nodes[0].hub, 0, 1);
    let (_, other) = connect(&mut world.nodes[0].hub, 0, 2);
    let revoked = UserEvent::SessionRevoked { session_id: session(1) };
    world.log.append(0, Aggregate::User(user(0)), Some(user(0)), revoked.into());
    world.hear(0, 0, 1);
    assert_eq!((pending.ended(), other.ended()), (Some(Ended::Revoked), None));
    let replaced = UserEvent::SessionOpened { session_id: session(3), device: None, replaces: Some(session(2)) };
    world.log.append(0, Aggregate::User(user(0)), Some(user(0)), replaced.into());
    world.hear(0, 0, 1);
    assert_eq!(other.ended(), Some(Ended::Revoked));
}

#[test]
fn the_seventh_socket_of_a_person_ends_the_oldest() {
    let mut state = State::default();
    let outboxes: Vec<_> = (0..8).map(|_| connect(&mut state, 0, 0).1).collect();
    let ended: Vec<_> = outboxes.iter().map(|outbox| outbox.ended()).collect();
    let superseded = Some(Ended::Superseded);
    assert_eq!(ended, [superseded, superseded, None, None, None, None, None, None]);
}

#[test]
fn who_does_not_read_is_cut_off_and_keeps_nothing() {
    let outbox = Outbox::default();
    (0..256).for_each(|_| outbox.push("x".into()));
    assert_eq!((outbox.ended(), outbox.take().len()), (None, 256));
    (0..257).for_each(|_| outbox.push("x".into()));
    assert_eq!((outbox.ended(), outbox.take().len()), (Some(Ended::Slow), 0));

    let outbox = Outbox::default();
    let large = "x".repeat(1 << 18);
    (0..4).for_each(|_| outbox.push(large.as_str().into()));
    assert_eq!(outbox.ended(), None);
    outbox.push("x".into());
    assert_eq!(outbox.ended(), Some(Ended::Slow));
}

#[test]
fn a_request_that_polls_ends_no_socket_and_is_ended_by_none() {
    let mut state = State::default();
    let (_, socket) = connect(&mut state, 0, 0);
    let polls: Vec<_> = (0..8).map(|_| Arc::new(Outbox::default())).collect();
    for outbox in &polls {
        state.enter(user(0), session(0), Guest::Poll, Arc::clone(outbox));
    }
    assert_eq!(socket.ended(), None);
    let _sockets: Vec<_> = (0..7).map(|_| connect(&mut state, 0, 0)).collect();
    assert_eq!(socket.ended(), Some(Ended::Superseded));
    assert!(polls.iter().all(|outbox| outbox.ended().is_none()));
}

#[test]
fn more_than_is_told_one_by_one_is_a_reset() {
    for (count, expected) in [(MAX_MISSED, "x"), (MAX_MISSED + 1, "reset")] {
        let mut state = State::default();
        let seat = state.enter(user(0), session(0), Guest::Poll, Arc::default());
        let frame = Said { frame: r#"{"type":"x"}"#.into(), position: Some("0:1".parse().unwrap()) };
        // What has no position is told as it is now, and counts for nothing.
        let now = Said { position: None, ..frame.clone() };
        let missed = Missed::Said { said: [vec![now], vec![frame; count]].concat(), upto: Vector::default() };
        let heard = state.go_live(seat, missed).unwrap();
        let first: Value = serde_json::from_str(&heard.said[0].frame).unwrap();
        assert_eq!(first["type"], expected);
    }
}

/// The removed hears so, and nothing after; the others go on.
#[test]
fn who_is_removed_hears_that_last() {
    let mut world = World::empty();
    world.log.turn(0, 0, 1);
    let partition = partition_of(group(0));
    let clients: Vec<_> = (0..3).map(|person| connect(&mut world.nodes[0].hub, person, 0)).collect();
    for (seat, _) in &clients {
        attach(&mut world.nodes[0].hub, *seat, &Vector::default());
    }
    world.log.write(0, group(0));
    world.log.turn(0, 0, 1);
    world.log.write(0, group(0));
    world.log.read(0, partition, (1, 1), false);
    world.hear(0, partition, usize::MAX);
    let heard: Vec<_> = clients.iter().map(|(_, outbox)| types(outbox)).collect();
    assert_eq!(heard[0], ["live", "thread", "message", "thread", "message", "receipt"]);
    assert_eq!(heard[1], ["live", "thread", "message", "thread"]);
    assert_eq!(heard[2], heard[0]);
}

/// What was heard of a stay in whatever order.
#[test]
fn a_stay_goes_from_the_latest_joining_to_the_latest_leaving() {
    let heard = |facts: &[(u64, u64)]| {
        let stay = |&(joined, left)| Stay { joined, number: 0, left };
        facts.iter().map(stay).fold(Stay::default(), Stay::with)
    };
    let hears = |facts: &[(u64, u64)]| -> Vec<u64> { (1..=9).filter(|&at| heard(facts).hears(at)).collect() };
    assert_eq!(hears(&[]), Vec::<u64>::new());
    // That somebody left is known, and not since when they were there.
    assert_eq!(hears(&[(0, 5)]), Vec::<u64>::new());
    for facts in [[(3, 0), (0, 5)], [(0, 5), (3, 0)], [(3, 5), (3, 0)]] {
        assert_eq!((hears(&facts), heard(&facts).is_present()), (vec![3, 4, 5], false), "{facts:?}");
    }
    for facts in [[(3, 5), (7, 0)], [(7, 0), (3, 5)], [(7, 5), (3, 0)]] {
        assert_eq!((hears(&facts), heard(&facts).is_present()), (vec![7, 8, 9], true), "{facts:?}");
    }
}

/// The same to who comes back, and was away when it happened.
#[test]
fn who_was_removed_while_away_is_told_up_to_that() {
    let mut world = World::empty();
    world.log.turn(0, 0, 1);
    world.log.write(0, group(0));
    world.log.turn(0, 0, 1);
    world.log.write(0, group(0));
    let partition = partition_of(group(0));
    world.hear(0, partition, usize::MAX);
    let end = world.log.end();
    let (seat, outbox) = connect(&mut world.nodes[0].hub, 1, 0);
    let joined = world.log.memberships(1, end);
    let as_of = world.nodes[0].hub.vector();
    world.nodes[0].hub.learn(user(1), &joined, &as_of);
    attach(&mut world.nodes[0].hub, seat, &Vector::default());
    assert_eq!(types(&outbox), ["thread", "message", "thread", "live"]);
    world.log.write(0, group(0));
    world.hear(0, partition, usize::MAX);
    assert_eq!(types(&outbox), Vec::<String>::new());
}

#[test]
fn receipts_of_others_are_not_told_in_a_large_thread() {
    let mut world = World::empty();
    world.log.turn(0, 0, 1);
    let partition = partition_of(group(0));
    let (seat, other) = connect(&mut world.nodes[0].hub, 1, 0);
    let (own_seat, own) = connect(&mut world.nodes[0].hub, 0, 0);
    attach(&mut world.nodes[0].hub, seat, &Vector::default());
    attach(&mut world.nodes[0].hub, own_seat, &Vector::default());
    assert_eq!(world.log.size(group(0), 1), SMALL);
    world.log.read(0, partition, (1, 1), false);
    world.log.turn(0, 0, 4);
    world.log.read(0, partition, (2, 2), false);
    world.log.turn(0, 0, 4);
    world.log.read(0, partition, (3, 3), false);
    world.hear(0, partition, usize::MAX);
    assert_eq!(types(&other), ["live", "thread", "receipt", "thread", "thread", "receipt"]);
    assert_eq!(types(&own), ["live", "thread", "receipt", "thread", "receipt", "thread", "receipt"]);
}

/// What only its author hears, on whatever device.
#[test]
fn what_somebody_keeps_for_themselves_reaches_them_only() {
    let mut world = World::empty();
    let clients: Vec<_> = [0, 0, 1].map(|person| connect(&mut world.nodes[0].hub, person, 0)).into();
    for (seat, _) in &clients {
        attach(&mut world.nodes[0].hub, *seat, &Vector::default());
    }
    let blocks_in = partition_of(direct(0, 1));
    world.log.keep(0, 1, 0);
    world.log.keep(0, 1, 2);
    world.hear(0, blocks_in, usize::MAX);
    (0..PARTITIONS).for_each(|partition| world.hear(0, partition, usize::MAX));
    let heard: Vec<_> = clients.iter().map(|(_, outbox)| types(outbox)).collect();
    assert_eq!(heard[0], ["live", "block", "contact"]);
    assert_eq!(heard[1], heard[0]);
    assert_eq!(heard[2], ["live"]);
}

/// A deleted text is in no frame that is told from now on, nor in memory.
#[test]
fn a_deleted_text_leaves_the_ring() {
    let mut world = World::empty();
    world.log.send(0, 1, false);
    world.log.amend(0, direct(0, 1), 0, 0);
    let partition = partition_of(direct(0, 1));
    world.hear(0, partition, usize::MAX);
    let end = world.log.end();
    let (seat, outbox) = connect(&mut world.nodes[0].hub, 1, 0);
    let as_of = world.nodes[0].hub.vector();
    world.nodes[0].hub.learn(user(1), &world.log.memberships(1, end), &as_of);
    attach(&mut world.nodes[0].hub, seat, &Vector::default());
    let texts = |outbox: &Outbox| -> Vec<_> { frames(outbox).iter().map(|frame| frame["body"].clone()).collect() };
    assert_eq!(texts(&outbox), ["hi".into(), "ho".into(), Value::Null]);
    world.log.amend(0, direct(0, 1), 0, 3);
    world.hear(0, partition, usize::MAX);
    let (late, outbox) = connect(&mut world.nodes[0].hub, 1, 0);
    attach(&mut world.nodes[0].hub, late, &Vector::default());
    assert_eq!(texts(&outbox), [Value::Null, Value::Null, Value::Null, Value::Null]);
    let rings = format!("{:?}", world.nodes[0].hub.rings);
    assert!(!rings.contains("\"ho\"") && !rings.contains("\"hi\""));
}
