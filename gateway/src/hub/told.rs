//! An event as sockets are told of it: each frame is encoded when somebody first
//! hears it, once, and shared by all. Of the frames that one event has for one
//! listener only the last carries its position: with it, all have been heard.

use super::audience::{Room, Tale, What, tales};
use crate::{
    frame::{Change, ServerFrame},
    time::Time,
};
use axum::extract::ws::Utf8Bytes;
use events::{Envelope, Event, Position, ThreadEvent, ThreadId, UserId, event::Number};
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

/// An event that somebody may hear of.
#[derive(Debug)]
pub(super) struct Told {
    envelope: Arc<Envelope>,
    pieces: Vec<Piece>,
}

#[derive(Debug)]
struct Piece {
    tale: Tale,
    last: OnceLock<Utf8Bytes>,
    before_last: OnceLock<Utf8Bytes>,
}

impl Told {
    /// `None` for an event that no socket hears of.
    pub(super) fn of(envelope: &Arc<Envelope>) -> Option<Self> {
        let piece = |tale| Piece { tale, last: OnceLock::new(), before_last: OnceLock::new() };
        let pieces: Vec<_> = tales(envelope).into_iter().map(piece).collect();
        (!pieces.is_empty()).then(|| Self { envelope: Arc::clone(envelope), pieces })
    }

    pub(super) fn position(&self) -> Position {
        self.envelope.position
    }

    /// What it may come to in memory, about.
    pub(super) fn weight(&self) -> usize {
        let text = match &self.envelope.event {
            Event::Thread(ThreadEvent::MessageSent { body, .. }) => body.as_str().map_or(0, str::len),
            Event::Thread(ThreadEvent::DirectOpened { .. }) | Event::User(_) | Event::Receipts(_) => 0,
        };
        // The text lies in the event and in its frame.
        2 * text + 512 * self.pieces.len()
    }

    /// The frames for one listener.
    pub(super) fn frames_for(&self, listener: UserId, rooms: &HashMap<ThreadId, Room>) -> Vec<Utf8Bytes> {
        let sequence = self.position().sequence;
        let heard = self.pieces.iter().filter(|piece| {
            rooms.get(&piece.tale.thread_id).is_some_and(|room| piece.tale.reaches(listener, room, sequence))
        });
        self.frames(&heard.collect::<Vec<_>>())
    }

    /// Everybody who is in a room and hears it, with their frames.
    pub(super) fn listeners(&self, rooms: &HashMap<ThreadId, Room>) -> Vec<(UserId, Vec<Utf8Bytes>)> {
        let sequence = self.position().sequence;
        let mut heard: HashMap<UserId, Vec<&Piece>> = HashMap::new();
        for piece in &self.pieces {
            let Some(room) = rooms.get(&piece.tale.thread_id) else { continue };
            for &listener in room.joined.keys().filter(|&&listener| piece.tale.reaches(listener, room, sequence)) {
                heard.entry(listener).or_default().push(piece);
            }
        }
        heard.into_iter().map(|(listener, pieces)| (listener, self.frames(&pieces))).collect()
    }

    fn frames(&self, pieces: &[&Piece]) -> Vec<Utf8Bytes> {
        let Some((last, before)) = pieces.split_last() else { return Vec::new() };
        let before = before.iter().map(|piece| piece.before_last.get_or_init(|| self.encode(piece.tale, None)));
        let last = last.last.get_or_init(|| self.encode(last.tale, Some(self.position())));
        before.chain([last]).cloned().collect()
    }

    fn encode(&self, Tale { thread_id, what }: Tale, position: Option<Position>) -> Utf8Bytes {
        let Envelope { position: whole, by, at, ref event, .. } = *self.envelope;
        let actor = || by.expect("what happens in a thread is done by somebody");
        let frame = match (what, event) {
            (What::Receipt { reader, delivered, read }, _) => {
                // 0 is what the receipt does not speak of: a client must not take it for a step back.
                let said = |number: Number| (number > 0).then_some(number);
                let (delivered, read) = (said(delivered), said(read));
                ServerFrame::Receipt { thread_id, user_id: reader, delivered, read, time: Time(at), position }
            }
            (What::Created { peer }, _) => ServerFrame::Thread {
                thread_id,
                change: Change::Created { user_id: peer },
                by: actor(),
                time: Time(at),
                position: whole,
            },
            (What::Message, Event::Thread(ThreadEvent::MessageSent { number, key, body, reply_to, .. })) => {
                ServerFrame::Message {
                    thread_id,
                    number: *number,
                    key: *key,
                    sender_id: actor(),
                    body: body.as_str(),
                    reply_to: *reply_to,
                    sent_at: Time(at),
                    position: whole,
                }
            }
            (What::Message, Event::Thread(ThreadEvent::DirectOpened { .. }) | Event::User(_) | Event::Receipts(_)) => {
                unreachable!("only a message tells a message")
            }
        };
        frame.encode()
    }
}
