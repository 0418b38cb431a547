//! A thread's facts, and how it stood after some of them.

use super::standing::{Keep, Standing, State};
use events::{
    Aggregate, Envelope, EventId, MessageKey, Partition, Position, Text, ThreadEvent, ThreadId, UserId, clock::millis,
    event::Role,
};
use uuid::Uuid;

fn person(number: u128) -> UserId {
    UserId::from_uuid(Uuid::from_u128(number))
}

/// The facts of a thread, each a second after the other.
fn after(keep: Keep, facts: &[(u128, ThreadEvent)]) -> Standing {
    let mut standing = Standing::keeping(keep);
    for (index, (by, event)) in facts.iter().enumerate() {
        let sequence = index as u64 + 1;
        standing.take(&Envelope {
            position: Position { partition: Partition(0), sequence },
            aggregate: Aggregate::Thread(ThreadId::from_uuid(Uuid::from_u128(99))),
            id: EventId::from_uuid(Uuid::from_u128(u128::from(sequence))),
            by: Some(person(*by)),
            at: millis(1_000 * i64::try_from(sequence).unwrap()),
            trace: None,
            event: event.clone().into(),
        });
    }
    standing.told()
}

fn sent(number: u32, text: Text) -> ThreadEvent {
    ThreadEvent::MessageSent {
        number,
        key: MessageKey::from_uuid(Uuid::from_u128(u128::from(number))),
        body: text,
        reply_to: None,
        opens: None,
        mentions: Vec::new(),
        attachments: Vec::new(),
    }
}

fn story() -> Vec<(u128, ThreadEvent)> {
    let group = ThreadEvent::GroupCreated { title: Text::new("walks"), members: vec![person(2)] };
    vec![
        (1, group),
        (1, sent(1, Text::new("first"))),
        (1, ThreadEvent::MemberAdded { user_id: person(3), role: Role::Admin, number: 1 }),
        (2, sent(2, Text::new("second"))),
        (2, ThreadEvent::MessageEdited { number: 2, body: Text::new("2nd"), mentions: Vec::new() }),
        (1, ThreadEvent::MessageDeleted { number: 1, attachments: Vec::new() }),
        (1, ThreadEvent::MessageEdited { number: 1, body: Text::new("too late"), mentions: Vec::new() }),
        (2, ThreadEvent::MemberLeft { number: 2 }),
        (1, ThreadEvent::RoleChanged { user_id: person(3), role: Role::Member, number: 2 }),
        (1, ThreadEvent::MemberAdded { user_id: person(2), role: Role::Member, number: 2 }),
        (3, sent(3, Text::ERASED)),
    ]
}

fn body(standing: &Standing, number: u32) -> Option<&str> {
    standing.messages[&number].body.as_ref().and_then(Text::as_str)
}

#[test]
fn each_message_reads_as_it_did_then() {
    let newest = Keep::Newest(10);
    let at = |facts: usize| after(newest, &story()[..facts]);
    assert_eq!(body(&at(4), 2), Some("second"));
    assert_eq!(body(&at(5), 2), Some("2nd"));
    assert_eq!(body(&at(5), 1), Some("first"));
    assert_eq!((body(&at(6), 1), at(6).messages[&1].state), (None, State::Deleted));
    assert_eq!(at(7).messages, at(6).messages, "a deletion is final");
    assert_eq!((body(&at(11), 3), at(11).messages[&3].state), (None, State::Erased));
    assert_eq!(at(11).at, Some(millis(11_000)));
}

#[test]
fn who_could_see_it_is_who_was_in_then_and_had_joined_before_it() {
    let seen = |facts: usize, number: u32| {
        let standing = after(Keep::Newest(10), &story()[..facts]);
        standing.messages[&number].seen_by.iter().copied().collect::<Vec<_>>()
    };
    assert_eq!(seen(2, 1), [person(1), person(2)]);
    assert_eq!(seen(4, 1), [person(1), person(2)], "who came later does not see what was before");
    assert_eq!(seen(4, 2), [person(1), person(2), person(3)]);
    assert_eq!(seen(8, 2), [person(1), person(3)], "who has left sees nothing");
    assert_eq!(seen(11, 2), [person(1), person(3)], "who comes again sees from then on");
    assert_eq!(seen(11, 3), [person(1), person(2), person(3)]);
    let standing = after(Keep::Newest(10), &story());
    assert_eq!((standing.members[&person(1)].role, standing.members[&person(3)].role), (Role::Owner, Role::Member));
    assert_eq!(standing.members[&person(2)].sees_from, 3);
}

#[test]
fn no_more_is_kept_than_was_asked_for() {
    let numbers = |keep: Keep| after(keep, &story()).messages.into_keys().collect::<Vec<_>>();
    assert_eq!(numbers(Keep::Newest(2)), [2, 3]);
    assert_eq!(numbers(Keep::One(1)), [1]);
    assert_eq!(numbers(Keep::One(9)), [0; 0]);
    assert_eq!(numbers(Keep::Newest(0)), [0; 0]);
}

#[test]
fn a_direct_thread_is_of_two_and_says_who_blocks() {
    let standing = after(
        Keep::Newest(10),
        &[
            (1, ThreadEvent::PeerBlocked { peer: person(2) }),
            (1, ThreadEvent::PeerUnblocked { peer: person(2) }),
            (2, ThreadEvent::DirectOpened { peer: person(1) }),
            (2, ThreadEvent::PeerBlocked { peer: person(1) }),
        ],
    );
    assert_eq!((standing.kind, standing.members.len()), (Some("direct"), 2));
    assert!(standing.blocked_by.iter().eq([&person(2)]));
}
