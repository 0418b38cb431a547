//! A conversation: who is in it, what number comes next, which sends it has
//! already seen, and what was lately done to its messages.

mod amending;
#[cfg(test)]
mod amending_tests;
mod amendments;
mod group;
#[cfg(test)]
mod group_tests;
mod sends;
#[cfg(test)]
mod tests;

pub use amending::{Amend, Change, MAX_REACTIONS, Shown, ShownMessage};
pub use group::MAX_MEMBERS;
pub use sends::{Content, Repeated};

use crate::{
    decider::{Aggregate, Decider, Fact},
    picture::{Changed, NoPicture, Picture},
};
use amendments::{Amendments, What};
use events::{
    Attachment, AttachmentId, Event, MessageKey, Text, ThreadEvent, UserId,
    event::{Number, Role},
};
use sends::{Known, Sends};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A thread as its rules see it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Thread {
    /// `None` until it is open.
    kind: Option<Kind>,
    /// Who created the group.
    created_by: Option<UserId>,
    members: BTreeMap<UserId, Member>,
    /// Those of a direct thread who want nothing from the other; also before it is open.
    blocked_by: BTreeSet<UserId>,
    last_number: Number,
    picture: Option<AttachmentId>,
    sends: Sends,
    amendments: Amendments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    Direct,
    Group,
}

/// What a member may, and from where on they see the thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Member {
    role: Role,
    joined_sequence: u64,
    joined_number: Number,
    was_owner: bool,
}

#[derive(Debug, Clone)]
pub enum Command {
    /// Open the direct thread of two people.
    OpenDirect {
        by: UserId,
        peer: UserId,
    },
    /// Want nothing from the other of a direct thread.
    Block {
        by: UserId,
        peer: UserId,
    },
    Unblock {
        by: UserId,
        peer: UserId,
    },
    Send(Send),
    Amend(Amend),
    /// Create a group with those others.
    CreateGroup {
        by: UserId,
        title: Text,
        members: Vec<UserId>,
    },
    Rename {
        by: UserId,
        title: Text,
    },
    /// Have the group look like that, or like nothing.
    SetPicture {
        by: UserId,
        picture: Option<Picture>,
    },
    /// Have somebody be a member; in that role, or as they are.
    PutMember {
        by: UserId,
        user_id: UserId,
        role: Option<Role>,
    },
    /// Have somebody be no member; oneself: leave.
    RemoveMember {
        by: UserId,
        user_id: UserId,
    },
}

/// One message on its way.
#[derive(Debug, Clone)]
pub struct Send {
    pub by: UserId,
    pub key: MessageKey,
    pub body: Text,
    pub content: Content,
    pub reply_to: Option<Number>,
    /// The peer with whom a direct thread is opened where there is none yet.
    pub opens: Option<UserId>,
    /// Whom the text may mention, members or not.
    pub mentions: Vec<UserId>,
    /// `None`: one of those it names is not there, not the sender's, or used for something else.
    pub attachments: Option<Vec<Attachment>>,
    /// The sequence as of which the message log has no message of this sender with this key.
    pub absent_as_of: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("no such thread for this person")]
    NotAMember,
    #[error("there is no message of that number for this person")]
    NoSuchMessage,
    #[error("there is no such upload of this person's")]
    NoSuchUpload,
    #[error(transparent)]
    NoPicture(#[from] NoPicture),
    #[error("the other wants nothing from this person")]
    Blocked,
    #[error("only a group has a title, and members who come and go")]
    NotAGroup,
    #[error("this person's role does not allow it")]
    Forbidden,
    #[error("a group has an owner as long as it has members")]
    LastOwner,
    #[error("the group has as many members as it may")]
    Full,
    #[error("the id is of another thread")]
    IdTaken,
    #[error("the message was deleted")]
    Deleted,
    #[error("nobody reacts in more ways to one message")]
    TooManyReactions,
    /// What the message is, only the message log can tell, once it has come to that sequence.
    #[error("what the message is, is not known here")]
    NotShown { as_of: u64 },
    #[error("the key was used for another message")]
    KeyReused,
    /// Only the message log can tell, once it has come to that sequence.
    #[error("whether the key was used is not known here")]
    KeyUnknown { as_of: u64 },
}

impl Thread {
    pub fn is_open(&self) -> bool {
        self.kind.is_some()
    }

    pub fn has_member(&self, user_id: UserId) -> bool {
        self.members.contains_key(&user_id)
    }

    /// From where on a member sees the thread: the sequence of their joining, and the last number then.
    pub fn joining(&self, user_id: UserId) -> Option<(u64, Number)> {
        self.members.get(&user_id).map(|member| (member.joined_sequence, member.joined_number))
    }

    pub fn last_number(&self) -> Number {
        self.last_number
    }

    /// Whether that one of a direct thread wants nothing from the other.
    pub fn is_blocked_by(&self, user_id: UserId) -> bool {
        self.blocked_by.contains(&user_id)
    }

    /// Whether one of a direct thread wants nothing from the other.
    pub fn is_blocked(&self) -> bool {
        !self.blocked_by.is_empty()
    }

    fn is_blocked_by_another(&self, user_id: UserId) -> bool {
        self.blocked_by.iter().any(|blocker| *blocker != user_id)
    }

    /// What was answered to that send before, if it is among the latest.
    pub fn repeated(&self, by: UserId, key: MessageKey) -> Option<Repeated> {
        self.sends.find(by, key)
    }

    fn decide_open(&self, peer: UserId) -> Result<Option<ThreadEvent>, Rejection> {
        match self.kind {
            Some(_) => Ok(None),
            None if self.is_blocked_by(peer) => Err(Rejection::Blocked),
            None => Ok(Some(ThreadEvent::DirectOpened { peer })),
        }
    }

    fn decide_send(&self, send: &Send) -> Result<Option<ThreadEvent>, Rejection> {
        let opens = send.opens.filter(|_| !self.is_open());
        let joined = self.members.get(&send.by);
        if opens.is_none() && joined.is_none() {
            return Err(Rejection::NotAMember);
        }
        match self.sends.knows(send.by, send.key, send.absent_as_of) {
            Known::Sent(first) if first.content.is_none_or(|first| first == send.content) => return Ok(None),
            Known::Sent(_) => return Err(Rejection::KeyReused),
            Known::Unsure { as_of } => return Err(Rejection::KeyUnknown { as_of }),
            Known::New => {}
        }
        if self.is_blocked_by_another(send.by) {
            return Err(Rejection::Blocked);
        }
        let replies_to_what_is_seen =
            |number: Number| number <= self.last_number && joined.is_some_and(|m| m.sees(number));
        if send.reply_to.is_some_and(|number| !replies_to_what_is_seen(number)) {
            return Err(Rejection::NoSuchMessage);
        }
        let attachments = send.attachments.clone().ok_or(Rejection::NoSuchUpload)?;
        let is_member = |named: UserId| match opens {
            Some(peer) => named == peer || named == send.by,
            None => self.has_member(named),
        };
        let mentions = send.mentions.iter().copied().filter(|named| is_member(*named)).collect();
        Ok(Some(ThreadEvent::MessageSent {
            number: self.last_number + 1,
            key: send.key,
            body: send.body.clone(),
            reply_to: send.reply_to,
            opens,
            mentions,
            attachments,
        }))
    }

    /// Those who are members.
    fn mentioned(&self, mentions: &[UserId]) -> Vec<UserId> {
        mentions.iter().copied().filter(|user_id| self.has_member(*user_id)).collect()
    }

    fn open_direct(&mut self, sequence: u64, people: impl IntoIterator<Item = UserId>) {
        self.kind = Some(Kind::Direct);
        for user_id in people {
            self.enter(sequence, user_id, Role::Member);
        }
    }
}

impl Decider for Thread {
    type Command = Command;
    type Event = ThreadEvent;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Option<ThreadEvent>, Rejection> {
        match command {
            Command::OpenDirect { peer, .. } => self.decide_open(*peer),
            Command::Block { by, peer } => {
                Ok((!self.is_blocked_by(*by)).then_some(ThreadEvent::PeerBlocked { peer: *peer }))
            }
            Command::Unblock { by, peer } => {
                Ok(self.is_blocked_by(*by).then_some(ThreadEvent::PeerUnblocked { peer: *peer }))
            }
            Command::Send(send) => self.decide_send(send),
            Command::Amend(amend) => self.decide_amend(amend),
            Command::CreateGroup { by, title, members } => self.decide_create(*by, title, members),
            Command::Rename { by, title } => self.decide_rename(*by, title),
            Command::SetPicture { by, picture } => self.decide_picture(*by, picture.as_ref()),
            Command::PutMember { by, user_id, role } => self.decide_put(*by, *user_id, *role),
            Command::RemoveMember { by, user_id } => self.decide_remove(*by, *user_id),
        }
    }

    fn evolve(&mut self, fact: Fact<'_, ThreadEvent>) {
        let Fact { sequence, by, at, event } = fact;
        match event {
            ThreadEvent::DirectOpened { peer } => self.open_direct(sequence, by.into_iter().chain([*peer])),
            ThreadEvent::MessageSent { number, key, body, reply_to, opens, mentions: _, attachments } => {
                if let Some(peer) = opens {
                    self.open_direct(sequence, by.into_iter().chain([*peer]));
                }
                self.last_number = *number;
                if let Some(by) = by {
                    let files = || attachments.iter().map(|attachment| attachment.attachment_id);
                    let content = body.as_str().map(|body| Content::of(*key, body, *reply_to, files()));
                    self.sends.push(by, *key, Repeated { number: *number, sequence, sent_at: at, content });
                }
            }
            ThreadEvent::MessageEdited { number, .. } => self.amended(sequence, *number, What::Edited),
            ThreadEvent::MessageDeleted { number, .. } => self.amended(sequence, *number, What::Deleted),
            ThreadEvent::ReactionAdded { number, emoji } => self.reacted((sequence, by), *number, emoji, false),
            ThreadEvent::ReactionRemoved { number, emoji } => self.reacted((sequence, by), *number, emoji, true),
            ThreadEvent::GroupCreated { members, .. } => {
                self.kind = Some(Kind::Group);
                self.created_by = by;
                for user_id in members {
                    self.enter(sequence, *user_id, Role::Member);
                }
                if let Some(owner) = by {
                    self.enter(sequence, owner, Role::Owner);
                }
            }
            ThreadEvent::Renamed { .. } => {}
            ThreadEvent::PictureChanged { picture, .. } => {
                self.picture = picture.as_ref().map(|picture| picture.attachment_id);
            }
            ThreadEvent::MemberAdded { user_id, role, .. } => self.enter(sequence, *user_id, *role),
            ThreadEvent::MemberRemoved { user_id, .. } => _ = self.members.remove(user_id),
            ThreadEvent::MemberLeft { .. } => _ = by.and_then(|user_id| self.members.remove(&user_id)),
            ThreadEvent::RoleChanged { user_id, role, .. } => self.change_role(*user_id, *role),
            ThreadEvent::PeerBlocked { .. } => self.blocked_by.extend(by),
            ThreadEvent::PeerUnblocked { .. } => self.blocked_by.retain(|blocker| Some(*blocker) != by),
        }
    }
}

impl Aggregate for Thread {
    const SHAPE: &'static str = "thread.3";

    fn own(event: &Event) -> Option<&ThreadEvent> {
        match event {
            Event::Thread(event) => Some(event),
            Event::User(_) | Event::Receipts(_) | Event::Presence(_) | Event::Deployment(_) => None,
        }
    }

    fn weight(&self) -> usize {
        192 + self.members.len() * 64 + self.sends.weight() + self.amendments.weight()
    }
}
