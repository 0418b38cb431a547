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
        // Operators are none of those who are counted.
        let of_people = match envelope.aggregate {
            Aggregate::User(user_id) => envelope.by == Some(user_id),
            Aggregate::Deployment => false,
            Aggregate::Thread(_) | Aggregate::Receipts(_) | Aggregate::Gateway(_) => true,
        };
        if let Some(by) = envelope.by.filter(|_| of_people) {
            self.person(by, day, matches!(envelope.event, Event::Thread(ThreadEvent::MessageSent { .. })));
        }
        match (envelope.aggregate, &envelope.event) {
            (Aggregate::Thread(thread_id), Event::Thread(event)) => self.thread(thread_id, day, event),
            (_, Event::User(UserEvent::SignedUp { .. })) => self.days.entry(day).or_default().signed_up += 1,
            (_, Event::User(_) | Event::Thread(_) | Event::Receipts(_) | Event::Presence(_) | Event::Deployment(_)) => {
            }
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
