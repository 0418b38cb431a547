//! An event as sockets are told of it: each frame is encoded when somebody first
//! hears it, once, and shared by all. Of the frames that one event has for one
//! listener only the last carries its position: with it, all have been heard.

use super::{
    audience::{Tale, tales},
    stay::{Listener, Rooms},
    telling,
};
use axum::extract::ws::Utf8Bytes;
use events::{
    Aggregate, Envelope, Event, Position, Text, ThreadEvent, ThreadId, UserId,
    event::{Number, Receipt},
};
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

/// An event that somebody may hear of.
#[derive(Debug)]
pub(crate) struct Told {
    envelope: Arc<Envelope>,
    pieces: Vec<Piece>,
}

#[derive(Debug)]
struct Piece {
    tale: Tale,
    last: OnceLock<Utf8Bytes>,
    before_last: OnceLock<Utf8Bytes>,
}

/// A frame, and the position that it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) frame: Utf8Bytes,
    pub(crate) position: Option<Position>,
}

impl Told {
    /// `None` for an event that no socket hears of; of receipts only what is `news`.
    pub(crate) fn of(envelope: &Arc<Envelope>, mut news: impl FnMut(Receipt) -> Option<Receipt>) -> Option<Self> {
        let news = |tale| match tale {
            Tale::Receipt(receipt) => news(receipt).map(Tale::Receipt),
            Tale::Members(_) | Tale::Message(..) | Tale::Person(_) => Some(tale),
        };
        let piece = |tale| Piece { tale, last: OnceLock::new(), before_last: OnceLock::new() };
        let pieces: Vec<_> = tales(envelope).into_iter().filter_map(news).map(piece).collect();
        (!pieces.is_empty()).then(|| Self { envelope: Arc::clone(envelope), pieces })
    }

    pub(super) fn position(&self) -> Position {
        self.envelope.position
    }

    /// The receipts that it tells.
    pub(super) fn receipts(&self) -> impl Iterator<Item = Receipt> {
        self.pieces.iter().filter_map(|piece| match piece.tale {
            Tale::Receipt(receipt) => Some(receipt),
            Tale::Members(_) | Tale::Message(..) | Tale::Person(_) => None,
        })
    }

    /// What it may come to in memory, about.
    pub(super) fn weight(&self) -> usize {
        let text = match &self.envelope.event {
            Event::Thread(event) => text_in(event).and_then(Text::as_str).map_or(0, str::len),
            Event::User(_) | Event::Receipts(_) | Event::Presence(_) | Event::Deployment(_) => 0,
        };
        // The text lies in the event and in its frame.
        2 * text + 512 * self.pieces.len()
    }

    /// The message whose text it tells.
    pub(super) fn text_of(&self) -> Option<(ThreadId, Number)> {
        match &self.envelope.event {
            Event::Thread(ThreadEvent::MessageSent { number, .. } | ThreadEvent::MessageEdited { number, .. }) => {
                self.message(*number)
            }
            Event::Thread(_) | Event::User(_) | Event::Receipts(_) | Event::Presence(_) | Event::Deployment(_) => None,
        }
    }

    /// The message of which no text may be told any more.
    pub(super) fn deletes(&self) -> Option<(ThreadId, Number)> {
        match &self.envelope.event {
            Event::Thread(ThreadEvent::MessageDeleted { number, .. }) => self.message(*number),
            Event::Thread(_) | Event::User(_) | Event::Receipts(_) | Event::Presence(_) | Event::Deployment(_) => None,
        }
    }

    fn message(&self, number: Number) -> Option<(ThreadId, Number)> {
        match self.envelope.aggregate {
            Aggregate::Thread(thread_id) => Some((thread_id, number)),
            Aggregate::User(_) | Aggregate::Receipts(_) | Aggregate::Gateway(_) | Aggregate::Deployment => None,
        }
    }

    /// The same without the text of its message, whom that names, and its files.
    pub(super) fn without_text(&self) -> Self {
        let mut envelope = Envelope::clone(&self.envelope);
        if let Event::Thread(event) = &mut envelope.event
            && let ThreadEvent::MessageSent { body, mentions, .. } | ThreadEvent::MessageEdited { body, mentions, .. } =
                event
        {
            *body = Text::ERASED;
            mentions.clear();
            if let ThreadEvent::MessageSent { attachments, .. } = event {
                attachments.clear();
            }
        }
        let piece = |piece: &Piece| Piece { tale: piece.tale, last: OnceLock::new(), before_last: OnceLock::new() };
        Self { envelope: Arc::new(envelope), pieces: self.pieces.iter().map(piece).collect() }
    }

    /// The frames for one listener.
    pub(super) fn frames_for(&self, listener: &Listener) -> Vec<Said> {
        let sequence = self.position().sequence;
        self.said(|tale| tale.reaches(listener, sequence))
    }

    /// The frames for whom they are all meant.
    pub(crate) fn frames_for_all(&self) -> Vec<Said> {
        self.said(|_| true)
    }

    fn said(&self, heard: impl Fn(Tale) -> bool) -> Vec<Said> {
        let pieces: Vec<_> = self.pieces.iter().filter(|piece| heard(piece.tale)).collect();
        let frames = self.frames(&pieces);
        let last = frames.len().saturating_sub(1);
        let said = |(index, frame)| Said { frame, position: (index == last).then(|| self.position()) };
        frames.into_iter().enumerate().map(said).collect()
    }

    /// Everybody who hears it as it happens, with their frames: those who are in its rooms then.
    pub(super) fn listeners(&self, rooms: &Rooms) -> Vec<(UserId, Vec<Utf8Bytes>)> {
        let mut heard: HashMap<UserId, Vec<&Piece>> = HashMap::new();
        for piece in &self.pieces {
            match piece.tale {
                Tale::Members(thread_id) => {
                    rooms.present(thread_id).for_each(|member| heard.entry(member).or_default().push(piece));
                }
                Tale::Message(thread_id, number) => {
                    rooms.seeing(thread_id, number).for_each(|member| heard.entry(member).or_default().push(piece));
                }
                Tale::Person(user_id) => heard.entry(user_id).or_default().push(piece),
                Tale::Receipt(Receipt { thread_id, user_id, .. }) => {
                    let of_all = !rooms.is_large(thread_id);
                    let readers = rooms.present(thread_id).filter(|&member| of_all || member == user_id);
                    readers.for_each(|reader| heard.entry(reader).or_default().push(piece));
                }
            }
        }
        heard.into_iter().map(|(listener, pieces)| (listener, self.frames(&pieces))).collect()
    }

    fn frames(&self, pieces: &[&Piece]) -> Vec<Utf8Bytes> {
        let Some((last, before)) = pieces.split_last() else { return Vec::new() };
        let encode = |piece: &Piece, position| telling::frame(&self.envelope, piece.tale, position).encode();
        let before = before.iter().map(|piece| piece.before_last.get_or_init(|| encode(piece, None)));
        let last = last.last.get_or_init(|| encode(last, Some(self.position())));
        before.chain([last]).cloned().collect()
    }
}

fn text_in(event: &ThreadEvent) -> Option<&Text> {
    match event {
        ThreadEvent::MessageSent { body, .. } | ThreadEvent::MessageEdited { body, .. } => Some(body),
        ThreadEvent::GroupCreated { title, .. } | ThreadEvent::Renamed { title, .. } => Some(title),
        ThreadEvent::DirectOpened { .. }
        | ThreadEvent::MessageDeleted { .. }
        | ThreadEvent::ReactionAdded { .. }
        | ThreadEvent::ReactionRemoved { .. }
        | ThreadEvent::MemberAdded { .. }
        | ThreadEvent::MemberRemoved { .. }
        | ThreadEvent::MemberLeft { .. }
        | ThreadEvent::RoleChanged { .. }
        | ThreadEvent::PictureChanged { .. }
        | ThreadEvent::PeerBlocked { .. }
        | ThreadEvent::PeerUnblocked { .. } => None,
    }
}
