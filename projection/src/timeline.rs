//! `timeline`: what was written, what became of it, and the membership that
//! governs who sees it. Facts of threads only. A deletion is final, whatever is
//! said of the message later.

use crate::{
    membership::{Happened, Member, move_member},
    projection::Projection,
};
use events::{
    Aggregate, Attachment, Emoji, Envelope, Event, MessageKey, Text, ThreadEvent, ThreadId, Timestamp, UserId,
    event::{Number, Role},
};
use std::collections::BTreeMap;

/// Rows to add and to change: of each row what it comes to.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Timeline {
    pub(crate) messages: Vec<Message>,
    pub(crate) members: BTreeMap<(ThreadId, UserId), Member>,
    pub(crate) amended: BTreeMap<(ThreadId, Number), Amended>,
    pub(crate) reactions: BTreeMap<(ThreadId, Number, UserId, Emoji), Reaction>,
    pub(crate) changes: Vec<Change>,
    pub(crate) attachments: Vec<Attached>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) sequence: u64,
    pub(crate) sent_at: Timestamp,
    pub(crate) number: Number,
    pub(crate) thread_id: ThreadId,
    pub(crate) sender_id: UserId,
    pub(crate) key: MessageKey,
    pub(crate) reply_to: Option<Number>,
    /// As this batch leaves it; `None`: deleted.
    pub(crate) body: Option<Text>,
}

/// The files of a message, each at its place.
#[derive(Debug, PartialEq)]
pub(crate) struct Attached {
    pub(crate) sequence: u64,
    pub(crate) thread_id: ThreadId,
    pub(crate) number: Number,
    pub(crate) place: usize,
    pub(crate) author_id: UserId,
    pub(crate) file: Attachment,
}

/// What a message has that few have.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Amended {
    /// Another text, for a message that lies in the store.
    pub(crate) body: Option<Text>,
    pub(crate) edited_at: Option<Timestamp>,
    pub(crate) deleted_at: Option<Timestamp>,
    pub(crate) mentions: Vec<UserId>,
}

/// What becomes of one person's reaction with one emoji: it goes, it comes, or both in this order.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Reaction {
    pub(crate) removed: bool,
    pub(crate) added: Option<u64>,
}

/// What happened beside messages.
#[derive(Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) sequence: u64,
    pub(crate) at: Timestamp,
    pub(crate) number: Number,
    pub(crate) thread_id: ThreadId,
    pub(crate) by: UserId,
    pub(crate) kind: Kind,
    pub(crate) user_id: Option<UserId>,
    pub(crate) detail: Option<Text>,
}

/// The kinds of changes, as the table spells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Created,
    Renamed,
    MemberAdded,
    MemberRemoved,
    MemberLeft,
    RoleChanged,
    Edited,
    Deleted,
    Reacted,
    Unreacted,
    Opened,
    Blocked,
    Unblocked,
    PictureChanged,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Renamed => "renamed",
            Self::MemberAdded => "member_added",
            Self::MemberRemoved => "member_removed",
            Self::MemberLeft => "member_left",
            Self::RoleChanged => "role_changed",
            Self::Edited => "edited",
            Self::Deleted => "deleted",
            Self::Reacted => "reacted",
            Self::Unreacted => "unreacted",
            Self::Opened => "opened",
            Self::Blocked => "blocked",
            Self::Unblocked => "unblocked",
            Self::PictureChanged => "picture_changed",
        }
    }

    /// Whether history shows it.
    pub(crate) fn is_notice(self) -> bool {
        match self {
            Self::Created
            | Self::Renamed
            | Self::MemberAdded
            | Self::MemberRemoved
            | Self::MemberLeft
            | Self::RoleChanged
            | Self::PictureChanged => true,
            Self::Edited
            | Self::Deleted
            | Self::Reacted
            | Self::Unreacted
            | Self::Opened
            | Self::Blocked
            | Self::Unblocked => false,
        }
    }
}

impl Projection for Timeline {
    fn project(&mut self, envelope: &Envelope) {
        if let (Aggregate::Thread(thread_id), Event::Thread(event)) = (envelope.aggregate, &envelope.event) {
            let happened = Happened::of(envelope, thread_id);
            self.message(happened, event);
            move_member(&mut self.members, happened, event);
            self.changes.extend(change(happened, event));
        }
    }

    fn is_empty(&self) -> bool {
        let Self { messages, members, amended, reactions, changes, attachments: _ } = self;
        // A file comes with its message.
        messages.is_empty() && members.is_empty() && amended.is_empty() && reactions.is_empty() && changes.is_empty()
    }
}

impl Timeline {
    fn message(&mut self, Happened { sequence, at, thread_id, by }: Happened, event: &ThreadEvent) {
        match event {
            ThreadEvent::MessageSent { number, key, body, reply_to, opens: _, mentions, attachments } => {
                self.messages.push(Message {
                    sequence,
                    sent_at: at,
                    number: *number,
                    thread_id,
                    sender_id: by,
                    key: *key,
                    reply_to: *reply_to,
                    body: Some(body.clone()),
                });
                let number = *number;
                let attached = |(place, file): (usize, &Attachment)| Attached {
                    sequence,
                    thread_id,
                    number,
                    place,
                    author_id: by,
                    file: file.clone(),
                };
                self.attachments.extend(attachments.iter().enumerate().map(attached));
                if !mentions.is_empty() {
                    self.amended.entry((thread_id, number)).or_default().mentions.clone_from(mentions);
                }
            }
            ThreadEvent::MessageEdited { number, body, mentions } => {
                let amended = self.amended.entry((thread_id, *number)).or_default();
                if amended.deleted_at.is_some() {
                    return;
                }
                amended.edited_at = Some(at);
                amended.mentions.clone_from(mentions);
                match added(&mut self.messages, thread_id, *number) {
                    Some(message) => message.body = Some(body.clone()),
                    None => amended.body = Some(body.clone()),
                }
            }
            ThreadEvent::MessageDeleted { number, attachments: _ } => {
                let amended = self.amended.entry((thread_id, *number)).or_default();
                let deleted_at = Some(amended.deleted_at.unwrap_or(at));
                *amended = Amended { deleted_at, mentions: Vec::new(), body: None, ..std::mem::take(amended) };
                if let Some(message) = added(&mut self.messages, thread_id, *number) {
                    message.body = None;
                    self.attachments.retain(|file| (file.thread_id, file.number) != (thread_id, *number));
                }
            }
            ThreadEvent::ReactionAdded { number, emoji } => {
                let reaction = self.reactions.entry((thread_id, *number, by, emoji.clone())).or_default();
                reaction.added.get_or_insert(sequence);
            }
            ThreadEvent::ReactionRemoved { number, emoji } => {
                let reaction = Reaction { removed: true, added: None };
                self.reactions.insert((thread_id, *number, by, emoji.clone()), reaction);
            }
            ThreadEvent::DirectOpened { .. }
            | ThreadEvent::GroupCreated { .. }
            | ThreadEvent::Renamed { .. }
            | ThreadEvent::PictureChanged { .. }
            | ThreadEvent::MemberAdded { .. }
            | ThreadEvent::MemberRemoved { .. }
            | ThreadEvent::MemberLeft { .. }
            | ThreadEvent::RoleChanged { .. }
            | ThreadEvent::PeerBlocked { .. }
            | ThreadEvent::PeerUnblocked { .. } => {}
        }
    }
}

/// A message that this batch adds.
fn added(messages: &mut [Message], thread_id: ThreadId, number: Number) -> Option<&mut Message> {
    messages.iter_mut().rev().find(|message| message.thread_id == thread_id && message.number == number)
}

fn change(Happened { sequence, at, thread_id, by }: Happened, event: &ThreadEvent) -> Option<Change> {
    let (kind, number, user_id, detail) = match event {
        ThreadEvent::MessageSent { .. } => return None,
        ThreadEvent::DirectOpened { peer } => (Kind::Opened, 0, Some(*peer), None),
        ThreadEvent::GroupCreated { title, .. } => (Kind::Created, 0, None, Some(title.clone())),
        ThreadEvent::Renamed { title, number } => (Kind::Renamed, *number, None, Some(title.clone())),
        ThreadEvent::MemberAdded { user_id, role, number } => {
            (Kind::MemberAdded, *number, Some(*user_id), Some(Text::new(role_name(*role))))
        }
        ThreadEvent::MemberRemoved { user_id, number } => (Kind::MemberRemoved, *number, Some(*user_id), None),
        ThreadEvent::MemberLeft { number } => (Kind::MemberLeft, *number, Some(by), None),
        ThreadEvent::RoleChanged { user_id, role, number } => {
            (Kind::RoleChanged, *number, Some(*user_id), Some(Text::new(role_name(*role))))
        }
        ThreadEvent::MessageEdited { number, .. } => (Kind::Edited, *number, None, None),
        ThreadEvent::MessageDeleted { number, .. } => (Kind::Deleted, *number, None, None),
        ThreadEvent::ReactionAdded { number, emoji } => (Kind::Reacted, *number, None, Some(Text::new(emoji.as_str()))),
        ThreadEvent::ReactionRemoved { number, emoji } => {
            (Kind::Unreacted, *number, None, Some(Text::new(emoji.as_str())))
        }
        ThreadEvent::PictureChanged { picture, number, replaces: _ } => {
            let id = picture.as_ref().map(|picture| Text::new(&picture.attachment_id.to_string()));
            (Kind::PictureChanged, *number, None, id)
        }
        ThreadEvent::PeerBlocked { peer } => (Kind::Blocked, 0, Some(*peer), None),
        ThreadEvent::PeerUnblocked { peer } => (Kind::Unblocked, 0, Some(*peer), None),
    };
    Some(Change { sequence, at, number, thread_id, by, kind, user_id, detail })
}

/// A role as the tables spell it.
pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Member => "member",
        Role::Admin => "admin",
        Role::Owner => "owner",
    }
}
