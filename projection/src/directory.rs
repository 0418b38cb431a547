//! `directory`: who people are, whom they know and from whom they want nothing.

use crate::projection::Projection;
use events::{
    Aggregate, Attachment, Envelope, Event, Text, Timestamp, UserEvent, UserId,
    event::{Adders, ThreadEvent, Viewers},
    shard::Part,
};
use std::{borrow::Cow, collections::BTreeMap};

/// People to add, then what changes of people; of contacts and blocks what each comes to.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Directory {
    pub(crate) users: Vec<Person>,
    pub(crate) changes: BTreeMap<UserId, Change>,
    pub(crate) contacts: BTreeMap<(UserId, UserId), Contact>,
    pub(crate) pictures: BTreeMap<UserId, Option<Attachment>>,
    /// Whether there is a block, by who wants it and of whom.
    pub(crate) blocks: BTreeMap<(UserId, UserId), bool>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Contact {
    Saved { alias: Option<Text> },
    Removed,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Person {
    pub(crate) user_id: UserId,
    pub(crate) username: Text,
    pub(crate) display_name: Text,
    pub(crate) created_at: Timestamp,
}

/// What stays as it is, is `None`.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Change {
    pub(crate) display_name: Option<Text>,
    pub(crate) about: Option<Text>,
    pub(crate) last_seen_visible_to: Option<Viewers>,
    pub(crate) may_add_me: Option<Adders>,
}

impl Projection for Directory {
    fn concerns(event: &Event) -> bool {
        // A thread whose messages cannot be applied has blocks all the same.
        matches!(
            event,
            Event::User(_) | Event::Thread(ThreadEvent::PeerBlocked { .. } | ThreadEvent::PeerUnblocked { .. })
        )
    }

    /// A block lies with who wants it, wherever the thread does.
    fn part_of<'a>(part: &Part, fact: &'a Envelope) -> Option<Cow<'a, Envelope>> {
        let owner = match (fact.aggregate, &fact.event) {
            (Aggregate::User(user_id), Event::User(_)) => Some(user_id),
            (_, Event::Thread(ThreadEvent::PeerBlocked { .. } | ThreadEvent::PeerUnblocked { .. })) => fact.by,
            (_, Event::Thread(_) | Event::Receipts(_) | Event::Presence(_) | Event::Deployment(_) | Event::User(_)) => {
                None
            }
        };
        owner.is_none_or(|owner| part.has(owner.uuid())).then_some(Cow::Borrowed(fact))
    }

    fn project(&mut self, envelope: &Envelope) {
        match (envelope.aggregate, &envelope.event) {
            (Aggregate::User(user_id), Event::User(event)) => self.user(user_id, envelope.at, event),
            (_, Event::Thread(ThreadEvent::PeerBlocked { peer })) => self.block(envelope.by, *peer, true),
            (_, Event::Thread(ThreadEvent::PeerUnblocked { peer })) => self.block(envelope.by, *peer, false),
            (_, Event::Thread(_) | Event::Receipts(_) | Event::Presence(_) | Event::Deployment(_) | Event::User(_)) => {
            }
        }
    }

    fn is_empty(&self) -> bool {
        let Self { users, changes, contacts, pictures, blocks } = self;
        users.is_empty() && changes.is_empty() && contacts.is_empty() && pictures.is_empty() && blocks.is_empty()
    }
}

impl Directory {
    fn user(&mut self, user_id: UserId, at: Timestamp, event: &UserEvent) {
        match event {
            UserEvent::SignedUp { username, display_name } => self.users.push(Person {
                user_id,
                username: username.clone(),
                display_name: display_name.clone(),
                created_at: at,
            }),
            UserEvent::ProfileChanged { display_name, about, last_seen_visible_to, may_add_me } => {
                let change = self.changes.entry(user_id).or_default();
                change.display_name = display_name.clone().or(change.display_name.take());
                change.about = about.clone().or(change.about.take());
                change.last_seen_visible_to = last_seen_visible_to.or(change.last_seen_visible_to);
                change.may_add_me = may_add_me.or(change.may_add_me);
            }
            UserEvent::PictureChanged { picture, replaces: _ } => {
                self.pictures.insert(user_id, picture.clone());
            }
            UserEvent::ContactSaved { user_id: contact, alias } => {
                self.contacts.insert((user_id, *contact), Contact::Saved { alias: alias.clone() });
            }
            UserEvent::ContactRemoved { user_id: contact } => {
                self.contacts.insert((user_id, *contact), Contact::Removed);
            }
            UserEvent::SessionOpened { .. }
            | UserEvent::SessionRevoked { .. }
            | UserEvent::PasswordChanged { .. }
            | UserEvent::ThreadSettingsChanged { .. }
            | UserEvent::DataExported {}
            | UserEvent::MessageReported { .. }
            | UserEvent::ReportResolved { .. }
            | UserEvent::Suspended { .. }
            | UserEvent::Restored { .. } => {}
        }
    }

    fn block(&mut self, by: Option<UserId>, peer: UserId, blocked: bool) {
        let by = by.expect("what happens in a thread is done by somebody");
        self.blocks.insert((by, peer), blocked);
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, Directory};
    use crate::projection::Projection;
    use events::{
        Aggregate, Envelope, EventId, Partition, Position, Text, UserEvent, UserId,
        clock::millis,
        event::{Adders, Viewers},
    };
    use uuid::Uuid;

    #[test]
    fn changes_of_one_person_coalesce_to_the_newest_of_each() {
        let ada = UserId::from_uuid(Uuid::from_u128(10));
        let mut directory = Directory::default();
        assert!(directory.is_empty());
        let text = |text: &str| Some(Text::new(text));
        for (index, (display_name, about, last_seen_visible_to, may_add_me)) in [
            (text("Ada"), text("first"), Some(Viewers::Nobody), None),
            (None, Some(Text::ERASED), None, Some(Adders::Contacts)),
            (text("Ada L."), None, Some(Viewers::Contacts), None),
        ]
        .into_iter()
        .enumerate()
        {
            let sequence = index as u64 + 1;
            directory.project(&Envelope {
                position: Position { partition: Partition(0), sequence },
                aggregate: Aggregate::User(ada),
                id: EventId::from_uuid(Uuid::from_u128(sequence.into())),
                by: Some(ada),
                at: millis(0),
                trace: None,
                event: UserEvent::ProfileChanged { display_name, about, last_seen_visible_to, may_add_me }.into(),
            });
        }
        let change = Change {
            display_name: text("Ada L."),
            about: Some(Text::ERASED),
            last_seen_visible_to: Some(Viewers::Contacts),
            may_add_me: Some(Adders::Contacts),
        };
        assert_eq!(directory.changes.into_iter().collect::<Vec<_>>(), [(ada, change)]);
    }
}
