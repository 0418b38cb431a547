//! What facts mean as figures.

use crate::{
    figures::{Figures, Group, Kind},
    projection::Projection,
    sketch::{Mark, Sketch},
};
use events::{
    Aggregate, DeploymentEvent, Envelope, Event, EventId, MessageKey, Partition, Position, Share, Text, ThreadEvent,
    ThreadId, UserEvent, UserId,
    clock::millis,
    event::{Receipt, ReceiptEvent, Role},
    shard::Part,
    subject::Names,
};
use uuid::{NoContext, Uuid};

const THREAD: ThreadId = ThreadId::from_uuid(Uuid::from_u128(9));
const DAY: i64 = 86_400_000;
/// A Thursday.
const FIRST: i64 = 20_006 * DAY;

fn somebody(n: u64, signed_up: i64) -> UserId {
    let seconds = u64::try_from(signed_up / 1_000).unwrap() + n % 2;
    UserId::from_uuid(Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, 0)))
}

fn fact(by: Option<UserId>, at: i64, event: impl Into<Event>) -> Envelope {
    let event = event.into();
    let aggregate = match &event {
        Event::User(_) => Aggregate::User(by.unwrap()),
        Event::Receipts(_) => Aggregate::Receipts(Partition(0)),
        Event::Thread(_) | Event::Presence(_) => Aggregate::Thread(THREAD),
        Event::Deployment(_) => Aggregate::Deployment,
    };
    let (position, id) = (Position { partition: Partition(0), sequence: 1 }, EventId::from_uuid(Uuid::nil()));
    Envelope { position, aggregate, id, by, at: millis(at), trace: None, event }
}

fn wrote(by: UserId, at: i64) -> Envelope {
    let event = ThreadEvent::MessageSent {
        number: 1,
        key: MessageKey::from_uuid(Uuid::nil()),
        body: Text::new("hello"),
        reply_to: None,
        opens: None,
        mentions: vec![],
        attachments: vec![],
    };
    fact(Some(by), at, event)
}

fn projected<'a>(facts: impl IntoIterator<Item = &'a Envelope>) -> Figures {
    let mut figures = Figures::default();
    facts.into_iter().for_each(|fact| figures.project(fact));
    figures
}

fn of(people: &[UserId]) -> Sketch {
    let mut sketch = Sketch::default();
    for person in people {
        sketch.add(Mark::of(*person));
    }
    sketch
}

#[test]
fn messages_are_counted_by_day_and_people_once_for_each() {
    let (ada, bob) = (somebody(1, FIRST), somebody(2, FIRST));
    let left = ThreadEvent::PeerUnblocked { peer: ada };
    let facts = [wrote(ada, FIRST), wrote(ada, FIRST + DAY - 1), fact(Some(bob), FIRST, left), wrote(bob, FIRST + DAY)];
    let figures = projected(&facts);
    let (first, next) = (millis(FIRST).date_naive(), millis(FIRST + DAY).date_naive());
    let messages: Vec<_> = figures.days.iter().map(|(day, of)| (*day, of.messages)).collect();
    assert_eq!(messages, [(first, 2), (next, 1)]);
    assert_eq!(figures.people[&(Kind::Active, first)], of(&[ada, bob]));
    assert_eq!(figures.people[&(Kind::Wrote, first)], of(&[ada]));
    assert_eq!(figures.people[&(Kind::Wrote, next)], of(&[bob]));
}

#[test]
fn receipts_are_told_by_gateways_and_nobodys_doing() {
    let receipts = vec![Receipt { thread_id: THREAD, user_id: somebody(1, FIRST), delivered: 1, read: 1 }];
    assert!(projected(&[fact(None, FIRST, ReceiptEvent::ReceiptsAdvanced { receipts })]).is_empty());
}

#[test]
fn what_operators_do_is_no_persons_doing() {
    let (eve, ada) = (somebody(1, FIRST), somebody(2, FIRST));
    let suspended = fact(Some(eve), FIRST, UserEvent::Suspended { reason: Text::new("rude"), ends: vec![] });
    let suspended = Envelope { aggregate: Aggregate::User(ada), ..suspended };
    let audited = fact(Some(eve), FIRST, DeploymentEvent::UserAudited { user_id: ada });
    assert!(projected(&[suspended, audited]).is_empty());
}

#[test]
fn who_stays_is_told_by_weeks_from_monday_on_for_a_quarter() {
    let ada = somebody(1, FIRST);
    // Sunday, Monday, and the Mondays twelve and thirteen weeks later.
    let days = [3, 4, 4 + 11 * 7, 4 + 12 * 7];
    let facts = days.map(|day| wrote(ada, FIRST + day * DAY));
    let stayed: Vec<_> = projected(&facts).people.into_keys().filter(|(kind, _)| kind.name() == "stayed").collect();
    let monday = millis(FIRST - 3 * DAY).date_naive();
    assert_eq!(stayed, [0, 1, 12].map(|weeks| (Kind::Stayed { weeks }, monday)));
}

#[test]
fn a_group_has_those_it_was_made_with_and_who_came_and_not_who_left() {
    let [ada, bob, cara] = [1, 2, 3].map(|n| somebody(n, FIRST));
    let created = ThreadEvent::GroupCreated { title: Text::new("walks"), members: vec![bob] };
    let added = ThreadEvent::MemberAdded { user_id: cara, role: Role::Member, number: 0 };
    let facts = [created, added, ThreadEvent::MemberLeft { number: 0 }].map(|event| fact(Some(ada), FIRST, event));
    assert_eq!(projected(&facts).groups, [(THREAD, Group { created: true, step: 2 })].into());
    assert_eq!(projected(&facts[1..]).groups, [(THREAD, Group { created: false, step: 0 })].into());
}

#[test]
fn all_lie_in_the_first_database() {
    let fact = wrote(somebody(1, FIRST), FIRST);
    let here = Share::each_of(3).map(|share| Figures::part_of(&Part::new(&Names::new("", 4), share), &fact).is_some());
    assert_eq!(here.collect::<Vec<_>>(), [true, false, false]);
}
