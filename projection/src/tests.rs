use crate::{
    directory::{Directory, Person},
    inbox::{Amended, Inbox, Last, Watermark},
    membership::Joined,
    presence::Presence,
    projection::Projection,
    quarantine::Parked,
    store::checkpoint::Mark,
    timeline::{Kind, Timeline},
};
use events::{
    Aggregate, Emoji, Envelope, Event, EventId, GatewayId, MessageKey, Partition, Position, PresenceEvent, Text,
    ThreadEvent, ThreadId, Timestamp, UserEvent, UserId,
    clock::millis,
    event::{Receipt, ReceiptEvent, Role},
    shard::{Part, Share},
    subject::Names,
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
    let event = ThreadEvent::MessageSent {
        number,
        key,
        body: Text::new("hi"),
        reply_to: None,
        opens,
        mentions: vec![],
        attachments: vec![],
    };
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
    let joined: Vec<_> = timeline.members.iter().map(|(key, member)| (*key, member.joined.as_ref().unwrap())).collect();
    let since = Joined { sequence: 5, number: 0 };
    assert_eq!(joined, vec![((thread_id, ANNA), &since), ((thread_id, BEN), &since)]);
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
    let now = Amended { body: Some(Text::new("hi")), deleted_at: None };
    let last = Last { number: 2, sequence: 3, sender_id: BEN, sent_at: at(3), now };
    assert_eq!(head.last, Some(last));
    assert!(head.opened.is_some());
}

#[test]
fn sending_reads_up_to_what_one_sent() {
    let inbox: Inbox = projected(&[sent(1, ANNA, BEN, 1, true), sent(2, BEN, ANNA, 2, false)]);
    let read = |user_id| inbox.members[&(ThreadId::direct(ANNA, BEN), user_id)].read;
    assert_eq!(read(ANNA), Watermark { number: 1, at: Some(at(1)), sequence: 1 });
    assert_eq!(read(BEN), Watermark { number: 2, at: Some(at(2)), sequence: 2 });
}

#[test]
fn reading_is_having_got_and_neither_goes_beyond_the_last_number() {
    let inbox: Inbox = projected(&[sent(1, ANNA, BEN, 1, true), received(2, BEN, [ANNA, BEN], 0, 77)]);
    let ben = &inbox.members[&(ThreadId::direct(ANNA, BEN), BEN)];
    let one = Watermark { number: 1, at: Some(at(2)), sequence: 2 };
    assert_eq!((ben.delivered, ben.read), (one, one));
}

/// In a group of Anna's, with Ben.
fn in_group(facts: impl IntoIterator<Item = (UserId, ThreadEvent)>) -> Vec<Envelope> {
    let created = ThreadEvent::GroupCreated { title: Text::new("group"), members: vec![BEN] };
    let facts = [(ANNA, created)].into_iter().chain(facts).zip(1..);
    facts.map(|((by, event), sequence)| envelope(sequence, Aggregate::Thread(GROUP), Some(by), event)).collect()
}

fn written(number: u32, body: &str) -> ThreadEvent {
    let key = MessageKey::from_uuid(Uuid::from_u128(number.into()));
    ThreadEvent::MessageSent {
        number,
        key,
        body: Text::new(body),
        reply_to: None,
        opens: None,
        mentions: vec![BEN],
        attachments: vec![],
    }
}

fn edited(body: &str) -> ThreadEvent {
    ThreadEvent::MessageEdited { number: 1, body: Text::new(body), mentions: vec![] }
}

const GROUP: ThreadId = ThreadId::from_uuid(Uuid::from_u128(77));

#[test]
fn a_message_of_a_batch_is_written_as_the_batch_leaves_it() {
    let facts = in_group([(ANNA, written(1, "one")), (ANNA, edited("two"))]);
    let timeline: Timeline = projected(&facts);
    assert_eq!(timeline.messages[0].body, Some(Text::new("two")));
    let amended = &timeline.amended[&(GROUP, 1)];
    assert_eq!((&amended.body, amended.edited_at, amended.mentions.as_slice()), (&None, Some(at(3)), &[][..]));
    let inbox: Inbox = projected(&facts);
    assert_eq!(inbox.heads[&GROUP].last.as_ref().unwrap().now.body, Some(Text::new("two")));
    assert!(inbox.mentions[&(GROUP, 1)].of.is_empty());
}

#[test]
fn a_deletion_is_final() {
    let deleted = (BEN, ThreadEvent::MessageDeleted { number: 1, attachments: Vec::new() });
    let facts = in_group([(ANNA, written(1, "one")), deleted.clone(), (ANNA, edited("again")), deleted]);
    let timeline: Timeline = projected(&facts);
    assert_eq!(timeline.messages[0].body, None);
    assert_eq!(timeline.amended[&(GROUP, 1)].deleted_at, Some(at(3)));
    let inbox: Inbox = projected(&facts[1..]);
    let now = &inbox.heads[&GROUP].last.as_ref().unwrap().now;
    assert_eq!((&now.body, now.deleted_at), (&None, Some(at(3))));
    let without_the_message: Inbox = projected(&facts[2..]);
    assert_eq!(without_the_message.heads[&GROUP].amended[&1].body, None);
}

#[test]
fn who_returns_begins_anew() {
    let removed = ThreadEvent::MemberRemoved { user_id: BEN, number: 1 };
    let returned = ThreadEvent::MemberAdded { user_id: BEN, role: Role::Admin, number: 2 };
    let facts = in_group([(ANNA, written(1, "one")), (ANNA, removed), (ANNA, written(2, "two")), (ANNA, returned)]);
    let inbox: Inbox = projected(&facts);
    let ben = &inbox.members[&(GROUP, BEN)];
    assert_eq!((ben.role, ben.left_sequence, ben.read), (Some(Role::Admin), None, Watermark::default()));
    assert_eq!(ben.joined.as_ref().unwrap().number, 2);
    assert_eq!(inbox.heads[&GROUP].joined, 2);
    let timeline: Timeline = projected(&facts);
    let kinds: Vec<_> = timeline.changes.iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [Kind::Created, Kind::MemberRemoved, Kind::MemberAdded]);
    let ben = &timeline.members[&(GROUP, BEN)];
    assert_eq!((ben.joined.as_ref(), ben.left_sequence), (Some(&Joined { sequence: 5, number: 2 }), None));
}

#[test]
fn a_receipt_of_who_has_left_is_ignored() {
    let mut facts = in_group([(ANNA, written(1, "one")), (BEN, ThreadEvent::MemberLeft { number: 1 })]);
    let receipt = Receipt { thread_id: GROUP, user_id: BEN, delivered: 1, read: 1 };
    let event = ReceiptEvent::ReceiptsAdvanced { receipts: vec![receipt] };
    facts.push(envelope(4, Aggregate::Receipts(Partition(0)), None, event));
    for facts in [&facts[..], &facts[2..]] {
        let inbox: Inbox = projected(facts);
        assert!(inbox.unsettled.is_empty());
        assert_eq!(inbox.members[&(GROUP, BEN)].read, Watermark::default());
    }
}

#[test]
fn a_reaction_that_goes_and_comes_is_a_new_one() {
    let thumb: Emoji = "👍".parse().unwrap();
    let added = (BEN, ThreadEvent::ReactionAdded { number: 1, emoji: thumb.clone() });
    let removed = (BEN, ThreadEvent::ReactionRemoved { number: 1, emoji: thumb.clone() });
    let reaction = |facts: Vec<(UserId, ThreadEvent)>| {
        let mut timeline: Timeline = projected(&in_group(facts));
        let reaction = timeline.reactions.remove(&(GROUP, 1, BEN, thumb.clone())).unwrap();
        (reaction.removed, reaction.added)
    };
    assert_eq!(reaction(vec![added.clone(), added.clone()]), (false, Some(2)));
    assert_eq!(reaction(vec![removed.clone(), added.clone()]), (true, Some(3)));
    assert_eq!(reaction(vec![added, removed]), (true, None));
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
                raise(
                    got,
                    Watermark { number: delivered.min(last), at: Some(unsettled.at), sequence: unsettled.sequence },
                );
                raise(seen, Watermark { number: read.min(last), at: Some(unsettled.at), sequence: unsettled.sequence });
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
    batch.add(
        &[Arc::new(signed_up(1, ANNA, Text::new("anna"))), Arc::new(received(2, ANNA, [ANNA, BEN], 1, 1))],
        &Part::new(&Names::new("", 4), Share::WHOLE),
        &Parked::default(),
    );
    assert!(batch.writes.is_empty());
    let event_id = Some(EventId::from_uuid(Uuid::from_u128(2)));
    let moved: Vec<_> = batch.moved.iter().collect();
    assert_eq!(moved, vec![(Partition(0), Mark { sequence: 2, event_id })]);
}

#[test]
fn a_block_lies_with_who_wants_it_and_a_person_where_they_do_and_nowhere_else() {
    let names = Names::new("", 4);
    let parts: Vec<_> = Share::each_of(3).map(|share| Part::new(&names, share)).collect();
    let direct = Aggregate::Thread(ThreadId::direct(ANNA, BEN));
    let blocked = envelope(1, direct, Some(ANNA), ThreadEvent::PeerBlocked { peer: BEN });
    for fact in [blocked, signed_up(2, ANNA, Text::new("anna"))] {
        for part in &parts {
            assert_eq!(Directory::part_of(part, &fact).is_some(), part.has(ANNA.uuid()), "{fact:?}");
        }
    }
}

#[test]
fn of_those_who_come_and_go_each_database_hears_of_its_own() {
    let names = Names::new("", 4);
    let gateway = GatewayId::from_uuid(Uuid::from_u128(7));
    let people: Vec<_> = (1..40).map(|id| UserId::from_uuid(Uuid::from_u128(id))).collect();
    let (came, went) = people.split_at(20);
    let event = PresenceEvent::PresenceChanged { came: came.to_vec(), went: went.to_vec() };
    let fact = envelope(1, Aggregate::Gateway(gateway), None, event);
    let mut heard = Vec::new();
    for part in Share::each_of(3).map(|share| Part::new(&names, share)) {
        let mut presence = Presence::default();
        presence.project(&Presence::part_of(&part, &fact).unwrap());
        assert!(presence.seen.keys().all(|user_id| part.has(user_id.uuid())));
        heard.extend(presence.seen.into_keys());
    }
    heard.sort_unstable();
    assert_eq!(heard, people);
}
