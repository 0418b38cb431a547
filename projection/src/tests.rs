use crate::{
    directory::{Directory, Person},
    inbox::{Inbox, Last, Watermark},
    projection::Projection,
    store::checkpoint::Mark,
    timeline::{Member, Timeline},
};
use events::{
    Aggregate, Envelope, Event, EventId, MessageKey, Partition, Position, Text, ThreadEvent, ThreadId, Timestamp,
    UserEvent, UserId,
    clock::millis,
    event::{Receipt, ReceiptEvent},
};
use proptest::{collection::vec, prelude::*};
use std::{collections::BTreeMap, sync::Arc};
use uuid::Uuid;

const ANNA: UserId = UserId::from_uuid(Uuid::from_u128(1));
const BEN: UserId = UserId::from_uuid(Uuid::from_u128(2));
const CARA: UserId = UserId::from_uuid(Uuid::from_u128(3));
const STRANGER: UserId = UserId::from_uuid(Uuid::from_u128(9));

fn at(sequence: u64) -> Timestamp {
    millis(i64::try_from(sequence).unwrap() * 1000)
}

fn envelope(sequence: u64, aggregate: Aggregate, by: Option<UserId>, event: impl Into<Event>) -> Envelope {
    let position = Position { partition: Partition(0), sequence };
    let id = EventId::from_uuid(Uuid::from_u128(sequence.into()));
    Envelope { position, aggregate, id, by, at: at(sequence), trace: None, event: event.into() }
}

fn sent(sequence: u64, by: UserId, to: UserId, number: u32, opens: bool) -> Envelope {
    let key = MessageKey::from_uuid(Uuid::from_u128(sequence.into()));
    let opens = opens.then_some(to);
    let event = ThreadEvent::MessageSent { number, key, body: Text::new("hi"), reply_to: None, opens };
    envelope(sequence, Aggregate::Thread(ThreadId::direct(by, to)), Some(by), event)
}

fn opened(sequence: u64, by: UserId, peer: UserId) -> Envelope {
    let thread = Aggregate::Thread(ThreadId::direct(by, peer));
    envelope(sequence, thread, Some(by), ThreadEvent::DirectOpened { peer })
}

fn received(sequence: u64, user_id: UserId, thread: [UserId; 2], delivered: u32, read: u32) -> Envelope {
    let receipt = Receipt { thread_id: ThreadId::direct(thread[0], thread[1]), user_id, delivered, read };
    let event = ReceiptEvent::ReceiptsAdvanced { receipts: vec![receipt] };
    envelope(sequence, Aggregate::Receipts(Partition(0)), None, event)
}

fn signed_up(sequence: u64, user_id: UserId, username: Text) -> Envelope {
    let event = UserEvent::SignedUp { username, display_name: Text::new("Anna") };
    envelope(sequence, Aggregate::User(user_id), Some(user_id), event)
}

fn projected<P: Projection>(facts: &[Envelope]) -> P {
    let mut writes = P::default();
    for fact in facts {
        writes.project(fact);
    }
    writes
}

#[test]
fn a_sign_up_is_a_user_and_a_log_in_is_nothing_to_the_directory() {
    let log_in = UserEvent::SessionRevoked { session_id: events::SessionId::from_uuid(Uuid::nil()) };
    let facts = [
        signed_up(1, ANNA, Text::new("anna")),
        envelope(2, Aggregate::User(ANNA), Some(ANNA), Event::User(log_in)),
        signed_up(3, BEN, Text::ERASED),
    ];
    let user = |user_id, username, sequence| Person {
        user_id,
        username,
        display_name: Text::new("Anna"),
        created_at: at(sequence),
    };
    let expected = vec![user(ANNA, Text::new("anna"), 1), user(BEN, Text::ERASED, 3)];
    assert_eq!(projected::<Directory>(&facts).users, expected);
    assert!(projected::<Directory>(&facts[1..2]).is_empty());
    assert!(projected::<Timeline>(&facts).is_empty());
    assert!(projected::<Inbox>(&facts).is_empty());
}

#[test]
fn the_first_message_opens_the_thread_for_both_and_is_seen_by_both() {
    let timeline: Timeline = projected(&[sent(5, ANNA, BEN, 1, true), sent(6, BEN, ANNA, 2, false)]);
    let thread_id = ThreadId::direct(ANNA, BEN);
    let member = |user_id| Member { joined_sequence: 5, joined_number: 0, thread_id, user_id };
    assert_eq!(timeline.members, vec![member(ANNA), member(BEN)]);
    let numbers: Vec<_> = timeline.messages.iter().map(|message| (message.number, message.sequence)).collect();
    assert_eq!(numbers, vec![(1, 5), (2, 6)]);
}

#[test]
fn receipts_are_nothing_to_the_timeline() {
    assert!(projected::<Timeline>(&[received(1, ANNA, [ANNA, BEN], 1, 1)]).is_empty());
}

#[test]
fn of_many_messages_of_a_batch_the_last_one_is_the_head() {
    let inbox: Inbox = projected(&[opened(1, ANNA, BEN), sent(2, ANNA, BEN, 1, false), sent(3, BEN, ANNA, 2, false)]);
    let head = &inbox.heads[&ThreadId::direct(ANNA, BEN)];
    let last = Last { number: 2, sequence: 3, sender_id: BEN, body: Text::new("hi"), sent_at: at(3) };
    assert_eq!(head.last, Some(last));
    assert!(head.opened.is_some());
}

#[test]
fn sending_reads_up_to_what_one_sent() {
    let inbox: Inbox = projected(&[sent(1, ANNA, BEN, 1, true), sent(2, BEN, ANNA, 2, false)]);
    let read = |user_id| inbox.members[&(ThreadId::direct(ANNA, BEN), user_id)].read;
    assert_eq!(read(ANNA), Watermark { number: 1, at: Some(at(1)) });
    assert_eq!(read(BEN), Watermark { number: 2, at: Some(at(2)) });
}

#[test]
fn reading_is_having_got_and_neither_goes_beyond_the_last_number() {
    let inbox: Inbox = projected(&[sent(1, ANNA, BEN, 1, true), received(2, BEN, [ANNA, BEN], 0, 77)]);
    let ben = &inbox.members[&(ThreadId::direct(ANNA, BEN), BEN)];
    let one = Watermark { number: 1, at: Some(at(2)) };
    assert_eq!((ben.delivered, ben.read), (one, one));
}

#[test]
fn a_receipt_of_a_stranger_is_ignored() {
    let inbox: Inbox = projected(&[sent(1, ANNA, BEN, 1, true), received(2, STRANGER, [ANNA, BEN], 1, 1)]);
    assert!(!inbox.members.contains_key(&(ThreadId::direct(ANNA, BEN), STRANGER)));
}

/// What the store makes of a batch, in memory: the same rules as its SQL.
#[derive(Debug, Default, PartialEq)]
struct Rows {
    heads: BTreeMap<ThreadId, (u32, u64, Option<UserId>)>,
    members: BTreeMap<(ThreadId, UserId), (Watermark, Watermark)>,
}

impl Rows {
    fn write(&mut self, batch: Inbox) {
        for unsettled in batch.unsettled {
            let Receipt { thread_id, user_id, delivered, read } = unsettled.receipt;
            let last = self.heads.get(&thread_id).map_or(0, |head| head.0);
            if let Some((got, seen)) = self.members.get_mut(&(thread_id, user_id)) {
                raise(got, Watermark { number: delivered.min(last), at: Some(unsettled.at) });
                raise(seen, Watermark { number: read.min(last), at: Some(unsettled.at) });
            }
        }
        for (thread_id, head) in batch.heads {
            let opened = head.opened.map(|opened| (0, opened.sequence, None));
            let last = head.last.map(|last| (last.number, last.sequence, Some(last.sender_id)));
            self.heads.insert(thread_id, last.or(opened).unwrap());
        }
        for (key, member) in batch.members {
            if member.joined.is_some() {
                self.members.insert(key, (member.delivered, member.read));
            } else if let Some((got, seen)) = self.members.get_mut(&key) {
                raise(got, member.delivered);
                raise(seen, member.read);
            }
        }
    }
}

fn raise(mark: &mut Watermark, to: Watermark) {
    if to.number > mark.number {
        *mark = to;
    }
}

#[derive(Debug, Clone)]
enum Deed {
    Open(usize),
    Send(usize, bool),
    Receive { pair: usize, by: UserId, delivered: u32, read: u32 },
}

const PAIRS: [[UserId; 2]; 3] = [[ANNA, BEN], [BEN, CARA], [CARA, ANNA]];

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let by = prop::sample::select(vec![ANNA, BEN, CARA, STRANGER]);
    let deed = prop_oneof![
        1 => (0..3_usize).prop_map(Deed::Open),
        4 => (0..3_usize, any::<bool>()).prop_map(|(pair, other)| Deed::Send(pair, other)),
        4 => (0..3_usize, by, 0..9_u32, 0..9_u32)
            .prop_map(|(pair, by, delivered, read)| Deed::Receive { pair, by, delivered, read }),
    ];
    vec(deed, 1..60)
}

/// The deeds as a log that the thread decider would have let come about.
fn log(deeds: &[Deed]) -> Vec<Arc<Envelope>> {
    let mut last: BTreeMap<usize, u32> = BTreeMap::new();
    let mut facts = Vec::new();
    for deed in deeds {
        let sequence = u64::try_from(facts.len()).unwrap() + 1;
        facts.push(Arc::new(match *deed {
            Deed::Open(pair) if last.contains_key(&pair) => continue,
            Deed::Open(pair) => {
                last.insert(pair, 0);
                opened(sequence, PAIRS[pair][0], PAIRS[pair][1])
            }
            Deed::Send(pair, other) => {
                let opens = !last.contains_key(&pair);
                let number = last.entry(pair).or_default();
                *number += 1;
                let [by, to] = if other { [PAIRS[pair][1], PAIRS[pair][0]] } else { PAIRS[pair] };
                sent(sequence, by, to, *number, opens)
            }
            Deed::Receive { pair, by, delivered, read } => received(sequence, by, PAIRS[pair], delivered, read),
        }));
    }
    facts
}

proptest! {
    #[test]
    fn any_batching_gives_the_same_rows(deeds in deeds(), sizes in vec(1..12_usize, 60)) {
        let facts = log(&deeds);
        let (mut one_by_one, mut batched) = (Rows::default(), Rows::default());
        for fact in &facts {
            one_by_one.write(projected(std::slice::from_ref(fact.as_ref())));
        }
        let mut rest = facts.as_slice();
        for size in sizes {
            let (batch, later) = rest.split_at(size.min(rest.len()));
            let mut writes = Inbox::default();
            for fact in batch {
                writes.project(fact);
            }
            batched.write(writes);
            rest = later;
        }
        prop_assert!(rest.is_empty());
        prop_assert_eq!(&one_by_one, &batched);
        for ((thread_id, _), (delivered, read)) in &batched.members {
            prop_assert!(read.number <= delivered.number && delivered.number <= batched.heads[thread_id].0);
        }
    }
}

#[test]
fn a_batch_moves_the_checkpoint_to_its_last_event_whatever_it_means() {
    let mut batch = crate::intake::Batch::<Timeline>::default();
    batch.add(&[Arc::new(signed_up(1, ANNA, Text::new("anna"))), Arc::new(received(2, ANNA, [ANNA, BEN], 1, 1))]);
    assert!(batch.writes.is_empty());
    let event_id = Some(EventId::from_uuid(Uuid::from_u128(2)));
    let moved: Vec<_> = batch.moved.iter().collect();
    assert_eq!(moved, vec![(Partition(0), Mark { sequence: 2, event_id })]);
}
