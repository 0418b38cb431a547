//! Changing what was written: who may edit, delete and react, and what has been
//! done already. What a message is comes from the `timeline` view, as the caller
//! sees it there; what the view may not have seen yet is remembered here.

use super::{
    Rejection, Thread,
    amendments::{Amendment, What},
};
use events::{AttachmentId, Emoji, Text, ThreadEvent, UserId, event::Number};
use std::collections::BTreeSet;

/// Different reactions of one person to one message.
pub const MAX_REACTIONS: usize = 16;

/// A change of one message.
#[derive(Debug, Clone)]
pub struct Amend {
    pub by: UserId,
    pub number: Number,
    pub change: Change,
    pub shown: Option<Shown>,
}

#[derive(Debug, Clone)]
pub enum Change {
    /// `mentions` are those whom the new text may mention, members or not.
    Edit {
        body: Text,
        mentions: Vec<UserId>,
    },
    Delete,
    React(Emoji),
    Unreact(Emoji),
}

/// A message as the `timeline` view shows it to the caller.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The sequence up to which the view has seen the thread's partition.
    pub as_of: u64,
    /// `None` where there is nothing for the caller.
    pub message: Option<ShownMessage>,
}

#[derive(Debug, Clone)]
pub struct ShownMessage {
    pub author: UserId,
    /// `None` once it was deleted, or its author erased.
    pub body: Option<String>,
    pub deleted: bool,
    /// With what the caller has reacted.
    pub reacted: Vec<Emoji>,
    pub attachments: Vec<AttachmentId>,
}

impl Thread {
    pub(super) fn decide_amend(&self, amend: &Amend) -> Result<Option<ThreadEvent>, Rejection> {
        let Amend { by, number, change, shown } = amend;
        let (by, number) = (*by, *number);
        let member = self.members.get(&by).ok_or(Rejection::NotAMember)?;
        if !member.sees(number) || number > self.last_number {
            return Err(Rejection::NoSuchMessage);
        }
        let speaks = matches!(change, Change::Edit { .. } | Change::React(_));
        if speaks && self.is_blocked_by_another(by) {
            return Err(Rejection::Blocked);
        }
        let known_since = self.sends.sequence_of(number).max(self.amendments.forgotten()).max(member.joined_sequence);
        let as_of = match change {
            Change::Edit { .. } => self.amendments.edited(number).unwrap_or(0).max(known_since),
            Change::Delete | Change::React(_) | Change::Unreact(_) => known_since,
        };
        let Some(shown) = shown.as_ref().filter(|shown| shown.as_of >= as_of) else {
            return Err(Rejection::NotShown { as_of });
        };
        let message = shown.message.as_ref().ok_or(Rejection::NoSuchMessage)?;
        let since = || self.amendments.since(number, shown.as_of);
        let deleted = message.deleted || since().any(|what| *what == What::Deleted);
        let may = match change {
            Change::Edit { .. } => message.author == by,
            Change::Delete => message.author == by || self.is_led_by(by),
            Change::React(_) | Change::Unreact(_) => true,
        };
        if !may {
            return Err(Rejection::Forbidden);
        }
        let reacted = || reactions(message, by, since());
        match change {
            Change::Edit { .. } | Change::React(_) if deleted => Err(Rejection::Deleted),
            Change::Delete | Change::Unreact(_) if deleted => Ok(None),
            Change::Edit { body, .. } if body.as_str() == message.body.as_deref() => Ok(None),
            Change::Edit { body, mentions } => {
                let mentions = self.mentioned(mentions);
                Ok(Some(ThreadEvent::MessageEdited { number, body: body.clone(), mentions }))
            }
            Change::Delete => {
                Ok(Some(ThreadEvent::MessageDeleted { number, attachments: message.attachments.clone() }))
            }
            Change::React(emoji) if reacted().contains(emoji) => Ok(None),
            Change::React(_) if reacted().len() >= MAX_REACTIONS => Err(Rejection::TooManyReactions),
            Change::React(emoji) => Ok(Some(ThreadEvent::ReactionAdded { number, emoji: emoji.clone() })),
            Change::Unreact(emoji) => {
                let emoji = emoji.clone();
                Ok(reacted().contains(&emoji).then_some(ThreadEvent::ReactionRemoved { number, emoji }))
            }
        }
    }

    pub(super) fn amended(&mut self, sequence: u64, number: Number, what: What) {
        self.amendments.push(Amendment { sequence, number, what });
    }

    pub(super) fn reacted(
        &mut self,
        (sequence, by): (u64, Option<UserId>),
        number: Number,
        emoji: &Emoji,
        removed: bool,
    ) {
        if let Some(by) = by {
            self.amended(sequence, number, What::Reacted { by, emoji: emoji.clone(), removed });
        }
    }
}

/// One person's reactions: those that the view shows, and what they did since.
fn reactions<'a>(shown: &'a ShownMessage, by: UserId, since: impl Iterator<Item = &'a What>) -> BTreeSet<&'a Emoji> {
    let mut reactions: BTreeSet<_> = shown.reacted.iter().collect();
    for what in since {
        match what {
            What::Reacted { by: other, emoji, removed: false } if *other == by => reactions.insert(emoji),
            What::Reacted { by: other, emoji, removed: true } if *other == by => reactions.remove(emoji),
            What::Edited | What::Deleted | What::Reacted { .. } => continue,
        };
    }
    reactions
}
