//! How a thread stood after some of its facts: who was in it, what each of them
//! saw, and its newest messages as they read then. Pure, and no more in memory
//! than was asked for.

use chrono::SecondsFormat;
use events::{
    Emoji, Envelope, Event, Position, Text, ThreadEvent, Timestamp, UserId,
    event::{Number, Role},
};
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};

/// A thread as it stood.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Standing {
    /// The last of its facts that count.
    pub(super) position: Option<Position>,
    #[serde(serialize_with = "moment")]
    pub(super) at: Option<Timestamp>,
    pub(super) kind: Option<&'static str>,
    #[serde(serialize_with = "said")]
    pub(super) title: Option<Text>,
    pub(super) last_number: Number,
    pub(super) members: BTreeMap<UserId, Member>,
    /// Those of a direct thread who want nothing from the other.
    pub(super) blocked_by: BTreeSet<UserId>,
    /// The newest, or those that were asked for.
    pub(super) messages: BTreeMap<Number, Message>,
    #[serde(skip)]
    keep: Keep,
}

/// Which messages are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Newest(usize),
    One(Number),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Member {
    pub(super) role: Role,
    #[serde(serialize_with = "instant")]
    pub(super) joined_at: Timestamp,
    /// The first message that they see.
    pub(super) sees_from: Number,
}

#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Message {
    #[serde(serialize_with = "instant")]
    pub(super) sent_at: Timestamp,
    pub(super) by: Option<UserId>,
    pub(super) state: State,
    /// `None`: it was deleted, or its author is erased by now.
    #[serde(serialize_with = "said")]
    pub(super) body: Option<Text>,
    #[serde(serialize_with = "moment")]
    pub(super) edited_at: Option<Timestamp>,
    #[serde(serialize_with = "moment")]
    pub(super) deleted_at: Option<Timestamp>,
    pub(super) files: usize,
    pub(super) reactions: BTreeMap<String, BTreeSet<UserId>>,
    /// Those who could read it then.
    pub(super) seen_by: BTreeSet<UserId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Readable,
    Deleted,
    Erased,
}

impl Default for Keep {
    fn default() -> Self {
        Self::Newest(usize::MAX)
    }
}

impl Standing {
    pub(super) fn keeping(keep: Keep) -> Self {
        Self { keep, ..Self::default() }
    }

    /// Takes the thread's next fact in.
    pub(super) fn take(&mut self, envelope: &Envelope) {
        let Event::Thread(event) = &envelope.event else { return };
        let (at, by) = (envelope.at, envelope.by);
        (self.position, self.at) = (Some(envelope.position), Some(at));
        match event {
            ThreadEvent::DirectOpened { peer } => self.open_direct(at, by, *peer),
            ThreadEvent::MessageSent { number, body, opens, attachments, .. } => {
                if let Some(peer) = opens {
                    self.open_direct(at, by, *peer);
                }
                self.last_number = *number;
                self.add(*number, Message::new(at, by, body, attachments.len()));
            }
            ThreadEvent::MessageEdited { number, body, .. } => self.amend(*number, |message| message.edit(at, body)),
            ThreadEvent::MessageDeleted { number, .. } => self.amend(*number, |message| message.delete(at)),
            ThreadEvent::ReactionAdded { number, emoji } => self.react(*number, emoji, by, true),
            ThreadEvent::ReactionRemoved { number, emoji } => self.react(*number, emoji, by, false),
            ThreadEvent::GroupCreated { title, members } => {
                (self.kind, self.title) = (Some("group"), Some(title.clone()));
                for user_id in members {
                    self.enter(at, *user_id, Role::Member);
                }
                if let Some(owner) = by {
                    self.enter(at, owner, Role::Owner);
                }
            }
            ThreadEvent::Renamed { title, .. } => self.title = Some(title.clone()),
            ThreadEvent::PictureChanged { .. } => {}
            ThreadEvent::MemberAdded { user_id, role, .. } => self.enter(at, *user_id, *role),
            ThreadEvent::MemberRemoved { user_id, .. } => _ = self.members.remove(user_id),
            ThreadEvent::MemberLeft { .. } => _ = by.and_then(|user_id| self.members.remove(&user_id)),
            ThreadEvent::RoleChanged { user_id, role, .. } => {
                self.members.entry(*user_id).and_modify(|member| member.role = *role);
            }
            ThreadEvent::PeerBlocked { .. } => self.blocked_by.extend(by),
            ThreadEvent::PeerUnblocked { .. } => self.blocked_by.retain(|blocker| Some(*blocker) != by),
        }
    }

    /// Says of each message that is kept who could read it, once all facts are taken in.
    pub(super) fn told(mut self) -> Self {
        for (number, message) in &mut self.messages {
            let sees = |(user_id, member): (&UserId, &Member)| (member.sees_from <= *number).then_some(*user_id);
            message.seen_by = self.members.iter().filter_map(sees).collect();
        }
        self
    }

    fn open_direct(&mut self, at: Timestamp, by: Option<UserId>, peer: UserId) {
        self.kind = Some("direct");
        by.into_iter().chain([peer]).for_each(|user_id| self.enter(at, user_id, Role::Member));
    }

    fn enter(&mut self, at: Timestamp, user_id: UserId, role: Role) {
        self.members.insert(user_id, Member { role, joined_at: at, sees_from: self.last_number + 1 });
    }

    fn add(&mut self, number: Number, message: Message) {
        match self.keep {
            Keep::One(wanted) if wanted != number => {}
            Keep::One(_) => _ = self.messages.insert(number, message),
            Keep::Newest(most) => {
                self.messages.insert(number, message);
                while self.messages.len() > most {
                    self.messages.pop_first();
                }
            }
        }
    }

    fn amend(&mut self, number: Number, change: impl FnOnce(&mut Message)) {
        if let Some(message) = self.messages.get_mut(&number).filter(|message| message.state != State::Deleted) {
            change(message);
        }
    }

    fn react(&mut self, number: Number, emoji: &Emoji, by: Option<UserId>, added: bool) {
        self.amend(number, |message| {
            let who = message.reactions.entry(emoji.as_str().to_owned()).or_default();
            match (by, added) {
                (Some(by), true) => _ = who.insert(by),
                (Some(by), false) => _ = who.remove(&by),
                (None, _) => {}
            }
            message.reactions.retain(|_, who| !who.is_empty());
        });
    }
}

impl Message {
    fn new(sent_at: Timestamp, by: Option<UserId>, body: &Text, files: usize) -> Self {
        let (edited_at, deleted_at) = (None, None);
        let (reactions, seen_by) = (BTreeMap::new(), BTreeSet::new());
        let (state, body) = read(body);
        Self { sent_at, by, state, body, edited_at, deleted_at, files, reactions, seen_by }
    }

    fn edit(&mut self, at: Timestamp, body: &Text) {
        (self.state, self.body) = read(body);
        self.edited_at = Some(at);
    }

    fn delete(&mut self, at: Timestamp) {
        (self.state, self.body, self.deleted_at, self.files) = (State::Deleted, None, Some(at), 0);
        self.reactions.clear();
    }
}

fn read(body: &Text) -> (State, Option<Text>) {
    if body.as_str().is_some() { (State::Readable, Some(body.clone())) } else { (State::Erased, None) }
}

/// A moment as it is told.
pub(super) fn rfc3339(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn instant<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*at))
}

#[expect(clippy::ref_option, reason = "serde gives a field as it is")]
fn moment<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(rfc3339).serialize(serializer)
}

/// A text in the clear, for who may read it: it does not serialize by itself.
#[expect(clippy::ref_option, reason = "serde gives a field as it is")]
fn said<S: Serializer>(text: &Option<Text>, serializer: S) -> Result<S::Ok, S::Error> {
    text.as_ref().and_then(Text::as_str).serialize(serializer)
}
