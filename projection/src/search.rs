//! `search`: what was written, by its words, and the membership that governs
//! who finds it. Facts of threads only. What is erased has no words; a deleted
//! message is gone, whatever is said of it later.

use crate::{
    membership::{Happened, Member, move_member},
    projection::Projection,
};
use events::{
    Aggregate, Envelope, Event, Text, ThreadEvent, ThreadId, Timestamp, UserId,
    event::Number,
    words::{Folded, MOST_TERMS},
};
use std::collections::{BTreeMap, BTreeSet};

/// So many postings are a batch, however few messages they are of.
pub(crate) const MOST_POSTINGS: usize = 20_000;

/// Rows to add, to change and to remove: of each message what it comes to.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Search {
    pub(crate) messages: BTreeMap<(ThreadId, Number), Message>,
    pub(crate) amended: BTreeMap<(ThreadId, Number), Amended>,
    pub(crate) members: BTreeMap<(ThreadId, UserId), Member>,
    postings: usize,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) sent_at: Timestamp,
    pub(crate) sender_id: UserId,
    pub(crate) text: Indexed,
}

/// What becomes of a message that lies in the store.
#[derive(Debug, PartialEq)]
pub(crate) enum Amended {
    Edited(Indexed),
    Deleted,
}

/// A text and what it is found by.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Indexed {
    /// `None`: its author was erased.
    pub(crate) body: Option<Text>,
    pub(crate) folded: Folded,
    pub(crate) terms: BTreeSet<String>,
}

impl Projection for Search {
    const TURN: usize = 20;

    fn project(&mut self, envelope: &Envelope) {
        if let (Aggregate::Thread(thread_id), Event::Thread(event)) = (envelope.aggregate, &envelope.event) {
            let happened = Happened::of(envelope, thread_id);
            move_member(&mut self.members, happened, event);
            self.message(happened, event);
        }
    }

    fn is_empty(&self) -> bool {
        let Self { messages, amended, members, postings: _ } = self;
        messages.is_empty() && amended.is_empty() && members.is_empty()
    }

    fn is_full(&self) -> bool {
        self.postings >= MOST_POSTINGS
    }
}

impl Indexed {
    fn new(body: &Text) -> Self {
        let Some(text) = body.as_str() else { return Self::default() };
        let folded = Folded::of(text);
        let terms = folded.terms();
        Self { body: Some(body.clone()), folded, terms }
    }

    /// The text as the table holds it.
    pub(crate) fn body(&self) -> Option<&str> {
        self.body.as_ref().and_then(Text::as_str)
    }

    /// The folded text as the table holds it.
    pub(crate) fn folded(&self) -> Option<&str> {
        self.body.as_ref().map(|_| self.folded.as_str())
    }
}

impl Search {
    fn message(&mut self, Happened { at, thread_id, by, .. }: Happened, event: &ThreadEvent) {
        match event {
            ThreadEvent::MessageSent { number, body, .. } => {
                let text = self.index(body);
                self.messages.insert((thread_id, *number), Message { sent_at: at, sender_id: by, text });
            }
            ThreadEvent::MessageEdited { number, body, .. } => {
                let message = (thread_id, *number);
                if self.amended.get(&message) == Some(&Amended::Deleted) {
                    return;
                }
                let text = self.index(body);
                if let Some(message) = self.messages.get_mut(&message) {
                    message.text = text;
                } else {
                    // Those that it had before go: how many, only the store knows.
                    self.postings += MOST_TERMS;
                    self.amended.insert(message, Amended::Edited(text));
                }
            }
            ThreadEvent::MessageDeleted { number, .. } => {
                self.postings += MOST_TERMS;
                self.messages.remove(&(thread_id, *number));
                self.amended.insert((thread_id, *number), Amended::Deleted);
            }
            ThreadEvent::ReactionAdded { .. }
            | ThreadEvent::ReactionRemoved { .. }
            | ThreadEvent::DirectOpened { .. }
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

    fn index(&mut self, body: &Text) -> Indexed {
        let text = Indexed::new(body);
        self.postings += text.terms.len();
        text
    }
}
