//! `figures`: how many people do how much, by day, for dashboards. All of a
//! deployment's lie in its first database: they are few, and who writes in
//! threads of several partitions is one person. Says of nobody who they are.

use crate::{
    projection::Projection,
    sketch::{Mark, Sketch},
};
use chrono::{DateTime, NaiveDate, Weekday};
use events::{Aggregate, Envelope, Event, ThreadEvent, ThreadId, Timestamp, UserEvent, UserId, shard::Part};
use std::{borrow::Cow, collections::BTreeMap};

/// How many weeks after the one of their signing up people are looked for.
const MOST_WEEKS: i64 = 12;

/// What a batch adds.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Figures {
    pub(crate) days: BTreeMap<NaiveDate, Day>,
    pub(crate) people: BTreeMap<(Kind, NaiveDate), Sketch>,
    pub(crate) groups: BTreeMap<ThreadId, Group>,
}

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Day {
    pub(crate) messages: i64,
    pub(crate) signed_up: i64,
}

/// Of which people a sketch is, with its day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// They did something on it.
    Active,
    /// They wrote on it.
    Wrote,
    /// They signed up in the week that begins with it, and did something so many weeks later.
    Stayed { weeks: i16 },
}

/// How a group's members become more or fewer.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Group {
    /// There was none before.
    pub(crate) created: bool,
    pub(crate) step: i32,
}

impl Kind {
    /// As the table calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Wrote => "wrote",
            Self::Stayed { .. } => "stayed",
        }
    }

    pub(crate) const fn weeks(self) -> i16 {
        match self {
            Self::Active | Self::Wrote => 0,
            Self::Stayed { weeks } => weeks,
        }
    }
}

impl Projection for Figures {
    const HURRIED: bool = false;

    /// No number and no text is held here, so none is beyond what a table takes.
    fn concerns(_: &Event) -> bool {
        false
    }

    fn part_of<'a>(part: &Part, fact: &'a Envelope) -> Option<Cow<'a, Envelope>> {
        (part.share().index() == 0).then_some(Cow::Borrowed(fact))
    }

    fn project(&mut self, envelope: &Envelope) {
        let day = envelope.at.date_naive();
        if let Some(by) = envelope.by {
            self.person(by, day, matches!(envelope.event, Event::Thread(ThreadEvent::MessageSent { .. })));
        }
        match (envelope.aggregate, &envelope.event) {
            (Aggregate::Thread(thread_id), Event::Thread(event)) => self.thread(thread_id, day, event),
            (_, Event::User(UserEvent::SignedUp { .. })) => self.days.entry(day).or_default().signed_up += 1,
            (_, Event::User(_) | Event::Thread(_) | Event::Receipts(_) | Event::Presence(_)) => {}
        }
    }

    fn is_empty(&self) -> bool {
        let Self { days, people, groups } = self;
        days.is_empty() && people.is_empty() && groups.is_empty()
    }
}

impl Figures {
    /// Somebody did something. An id is as old as the account.
    fn person(&mut self, by: UserId, day: NaiveDate, wrote: bool) {
        self.days.entry(day).or_default();
        let mark = Mark::of(by);
        let mut count = |kind, day| self.people.entry((kind, day)).or_default().add(mark);
        count(Kind::Active, day);
        if wrote {
            count(Kind::Wrote, day);
        }
        let Some(signed_up) = minted_at(by) else { return };
        let week = monday(signed_up.date_naive());
        let weeks = (monday(day) - week).num_weeks();
        if (0..=MOST_WEEKS).contains(&weeks) {
            let weeks = i16::try_from(weeks).expect("it is at most twelve");
            count(Kind::Stayed { weeks }, week);
        }
    }

    fn thread(&mut self, thread_id: ThreadId, day: NaiveDate, event: &ThreadEvent) {
        match event {
            ThreadEvent::MessageSent { .. } => self.days.entry(day).or_default().messages += 1,
            ThreadEvent::GroupCreated { members, .. } => {
                let members = i32::try_from(members.len()).expect("a group is no larger than its fact");
                // Its creator is one of them.
                self.groups.insert(thread_id, Group { created: true, step: members + 1 });
            }
            ThreadEvent::MemberAdded { .. } => self.groups.entry(thread_id).or_default().step += 1,
            ThreadEvent::MemberRemoved { .. } | ThreadEvent::MemberLeft { .. } => {
                self.groups.entry(thread_id).or_default().step -= 1;
            }
            ThreadEvent::DirectOpened { .. }
            | ThreadEvent::MessageEdited { .. }
            | ThreadEvent::MessageDeleted { .. }
            | ThreadEvent::ReactionAdded { .. }
            | ThreadEvent::ReactionRemoved { .. }
            | ThreadEvent::Renamed { .. }
            | ThreadEvent::PictureChanged { .. }
            | ThreadEvent::RoleChanged { .. }
            | ThreadEvent::PeerBlocked { .. }
            | ThreadEvent::PeerUnblocked { .. } => {}
        }
    }
}

/// When a UUIDv7 was made.
fn minted_at(id: UserId) -> Option<Timestamp> {
    let (seconds, nanoseconds) = id.uuid().get_timestamp()?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanoseconds)
}

fn monday(day: NaiveDate) -> NaiveDate {
    day.week(Weekday::Mon).first_day()
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::{
        EventId, MessageKey, Partition, Position, Share, Text,
        clock::millis,
        event::{Receipt, ReceiptEvent, Role},
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
        let facts =
            [wrote(ada, FIRST), wrote(ada, FIRST + DAY - 1), fact(Some(bob), FIRST, left), wrote(bob, FIRST + DAY)];
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
        let here =
            Share::each_of(3).map(|share| Figures::part_of(&Part::new(&Names::new("", 4), share), &fact).is_some());
        assert_eq!(here.collect::<Vec<_>>(), [true, false, false]);
    }
}
