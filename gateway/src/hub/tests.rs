use super::{
    outbox::{Ended, Outbox},
    ring::Ring,
    simulation::{Log, PARTITIONS, PEOPLE, World, session, user},
    state::{SeatId, State},
};
use events::{Aggregate, Partition, UserEvent, Vector};
use serde_json::Value;
use std::{collections::BTreeSet, sync::Arc};

fn connect(state: &mut State, person: u8, of_session: u8) -> (SeatId, Arc<Outbox>) {
    let outbox = Arc::new(Outbox::default());
    (state.enter(user(person), session(of_session), Arc::clone(&outbox)), outbox)
}

fn frames(outbox: &Outbox) -> Vec<Value> {
    outbox.take().iter().map(|frame| serde_json::from_str(frame).unwrap()).collect()
}

fn types(outbox: &Outbox) -> Vec<String> {
    frames(outbox).iter().map(|frame| frame["type"].as_str().unwrap().to_owned()).collect()
}

fn world_with(ring: Ring) -> World {
    let mut world = World::new(0);
    world.hub.follow(Partition(0), ring);
    world
}

#[test]
fn of_one_event_only_the_last_frame_carries_the_position() {
    let mut world = World::new(0);
    for to in 1..PEOPLE {
        world.log.send(0, to, false);
    }
    let (reader, reader_outbox) = connect(&mut world.hub, 0, 0);
    world.hub.attach(reader, &[], &Vector::default());
    for partition in 0..PARTITIONS {
        world.log.read(0, partition);
        world.hear(partition, usize::MAX);
    }
    let heard = frames(&reader_outbox);
    let receipts: Vec<_> = heard.iter().filter(|frame| frame["type"] == "receipt").collect();
    assert_eq!(receipts.len(), 3);
    let with_position = receipts.iter().filter(|frame| frame["position"].is_string()).count();
    let partitions: BTreeSet<_> = (1..PEOPLE).map(|to| Log::thread(0, to).0).collect();
    assert_eq!(with_position, partitions.len());
}

#[test]
fn an_opening_message_is_told_as_a_message_only() {
    let mut world = World::new(0);
    let (peer, outbox) = connect(&mut world.hub, 1, 0);
    world.hub.attach(peer, &[], &Vector::default());
    world.log.send(0, 1, false);
    (0..PARTITIONS).for_each(|partition| world.hear(partition, usize::MAX));
    assert_eq!(types(&outbox), ["live", "message"]);
}

#[test]
fn who_was_away_too_long_or_in_another_log_is_reset() {
    let mut world = world_with(Ring::starting_after(0).of_at_most(2));
    let (person, to) = (0..PEOPLE)
        .flat_map(|by| (0..PEOPLE).map(move |to| (by, to)))
        .find(|&(by, to)| by != to && Log::thread(by, to).0 == 0)
        .unwrap();
    for _ in 0..5 {
        world.log.send(person, to, false);
    }
    world.hear(0, usize::MAX);
    let joined = world.log.memberships(user(person), [5, 0]);
    for (from, expected) in [
        ("0:5,1:0", vec!["live"]),
        ("0:3,1:0", vec!["message", "message", "live"]),
        ("0:2,1:0", vec!["reset", "live"]),
        ("1:0", vec!["reset", "live"]),
        ("0:6,1:0", vec!["reset", "live"]),
        ("0:5,1:0,2:0", vec!["reset", "live"]),
    ] {
        let (seat, outbox) = connect(&mut world.hub, person, 0);
        world.hub.attach(seat, &joined, &from.parse().unwrap());
        assert_eq!(types(&outbox), expected, "{from}");
        world.hub.leave(seat);
    }
}

#[test]
fn the_end_of_a_session_reaches_its_sockets_also_before_they_are_live() {
    let mut world = World::new(0);
    let (_, pending) = connect(&mut world.hub, 0, 1);
    let (_, other) = connect(&mut world.hub, 0, 2);
    let revoked = UserEvent::SessionRevoked { session_id: session(1) };
    world.log.append(0, Aggregate::User(user(0)), Some(user(0)), revoked.into());
    world.hear(0, 1);
    assert_eq!((pending.ended(), other.ended()), (Some(Ended::Revoked), None));
    let replaced = UserEvent::SessionOpened { session_id: session(3), device: None, replaces: Some(session(2)) };
    world.log.append(0, Aggregate::User(user(0)), Some(user(0)), replaced.into());
    world.hear(0, 1);
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
