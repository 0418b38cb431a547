//! What a hub knows, pure: the people who are connected here and their threads,
//! the latest events, and how far each partition has been heard. Its order is
//! the log's: what concerns whom changes between the same facts as there.

use super::{
    audience::{self, Room},
    outbox::{Ended, Outbox},
    ring::Ring,
    told::Told,
};
use crate::frame::ServerFrame;
use axum::extract::ws::Utf8Bytes;
use events::{Envelope, Partition, SessionId, ThreadId, UserId, Vector};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

/// Sockets of one person on one node.
const MAX_SEATS: usize = 6;
/// Who has missed more than that reloads instead.
const MAX_MISSED: usize = 10_000;

/// A thread that a person is in, as the view says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Joined {
    pub(super) thread_id: ThreadId,
    pub(super) sequence: u64,
    pub(super) size: u32,
}

/// Whose socket, and which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeatId {
    pub(super) user_id: UserId,
    number: u64,
}

#[derive(Debug, Default)]
pub(super) struct State {
    rings: BTreeMap<Partition, Ring>,
    people: HashMap<UserId, Person>,
    rooms: HashMap<ThreadId, Room>,
    entered: u64,
}

/// Somebody who has a socket here.
#[derive(Debug, Default)]
struct Person {
    /// Oldest first.
    seats: Vec<Place>,
    threads: HashSet<ThreadId>,
}

#[derive(Debug)]
struct Place {
    number: u64,
    session_id: SessionId,
    outbox: Arc<Outbox>,
    live: bool,
}

impl State {
    /// A partition is heard from that sequence on.
    pub(super) fn follow(&mut self, partition: Partition, ring: Ring) {
        self.rings.insert(partition, ring);
    }

    /// Up to where the log has been heard.
    pub(super) fn vector(&self) -> Vector {
        let mut vector = Vector::default();
        self.rings.iter().for_each(|(&partition, ring)| vector.set(partition, ring.last()));
        vector
    }

    /// Takes a partition's next fact: first whom it concerns, then what it tells them; that in so many frames.
    pub(super) fn dispatch(&mut self, envelope: &Arc<Envelope>) -> usize {
        let position = envelope.position;
        if let Some(opening) = audience::opening(envelope) {
            for member in opening.members {
                self.join(member, Joined { thread_id: opening.thread_id, sequence: position.sequence, size: 2 });
            }
        }
        if let Some((user_id, ended)) = audience::ended_sessions(envelope) {
            self.seats(user_id).filter(|place| ended.contains(&place.session_id)).for_each(|place| {
                place.outbox.end(Ended::Revoked);
            });
        }
        let mut pushed = 0;
        let told = Told::of(envelope).map(Arc::new);
        for (listener, frames) in told.iter().flat_map(|told| told.listeners(&self.rooms)) {
            for place in self.seats(listener).filter(|place| place.live) {
                frames.iter().cloned().for_each(|frame| place.outbox.push(frame));
                pushed += frames.len();
            }
        }
        let ring = self.rings.get_mut(&position.partition).expect("what is dispatched is followed");
        ring.advance(position.sequence, told);
        pushed
    }

    /// A socket enters. The one that is too many ends the person's oldest.
    pub(super) fn enter(&mut self, user_id: UserId, session_id: SessionId, outbox: Arc<Outbox>) -> SeatId {
        self.entered += 1;
        let number = self.entered;
        let person = self.people.entry(user_id).or_default();
        person.seats.push(Place { number, session_id, outbox, live: false });
        if person.seats.len() > MAX_SEATS {
            person.seats.remove(0).outbox.end(Ended::Superseded);
        }
        SeatId { user_id, number }
    }

    /// A socket goes live: it is sent what lies after `from`, and from now on what happens.
    ///
    /// The seam: no gap, no duplicate. `W` is what had been heard when it entered, `D` what is heard
    /// now, `V ≥ W` where the view stood that told the threads.
    /// - Its person's threads are all known. One opened up to `W` is in the view, as `V ≥ W`. One
    ///   opened in `(W, D]` was indexed as it passed, as the person was here since `W`; the view may
    ///   tell it once more, with the same sequence. One opened after `D` comes by itself, also where
    ///   the view knows it already: until then nothing of it passes.
    /// - What it is sent is `(from, D]` from the rings, then what follows `D` by dispatch: it becomes
    ///   live under the same lock that read `D`, so each fact is on exactly one side.
    /// - Within a partition that is one ascending run. Who is cut off in its middle has, in each
    ///   partition, all up to the last position received, and resumes from there.
    pub(super) fn attach(&mut self, seat: SeatId, joined: &[Joined], from: &Vector) {
        if self.place(seat).is_none() {
            return;
        }
        for &joined in joined {
            self.join(seat.user_id, joined);
        }
        let vector = self.vector();
        let mut frames =
            self.missed(seat.user_id, from).unwrap_or_else(|| vec![ServerFrame::Reset { vector: &vector }.encode()]);
        frames.push(ServerFrame::Live { vector: &vector }.encode());
        if let Some(place) = self.place(seat) {
            place.live = true;
            place.outbox.load(frames);
        }
    }

    /// Tells a socket up to where it has been sent everything.
    pub(super) fn pong(&mut self, seat: SeatId) {
        let pong = ServerFrame::Pong { vector: &self.vector() }.encode();
        if let Some(place) = self.place(seat) {
            place.outbox.push(pong);
        }
    }

    pub(super) fn leave(&mut self, SeatId { user_id, number }: SeatId) {
        let Some(person) = self.people.get_mut(&user_id) else { return };
        person.seats.retain(|place| place.number != number);
        if !person.seats.is_empty() {
            return;
        }
        let threads = self.people.remove(&user_id).map(|person| person.threads).unwrap_or_default();
        for thread_id in threads {
            if let Some(room) = self.rooms.get_mut(&thread_id) {
                room.joined.remove(&user_id);
                if room.joined.is_empty() {
                    self.rooms.remove(&thread_id);
                }
            }
        }
    }

    /// The node no longer hears the log: it cannot know who was removed or revoked.
    pub(super) fn end_all(&self) {
        self.people.values().flat_map(|person| &person.seats).for_each(|place| place.outbox.end(Ended::Deaf));
    }

    fn seats(&self, user_id: UserId) -> impl Iterator<Item = &Place> {
        self.people.get(&user_id).into_iter().flat_map(|person| &person.seats)
    }

    fn place(&mut self, SeatId { user_id, number }: SeatId) -> Option<&mut Place> {
        self.people.get_mut(&user_id)?.seats.iter_mut().find(|place| place.number == number)
    }

    fn join(&mut self, user_id: UserId, Joined { thread_id, sequence, size }: Joined) {
        let Some(person) = self.people.get_mut(&user_id) else { return };
        person.threads.insert(thread_id);
        let room = self.rooms.entry(thread_id).or_default();
        room.size = size;
        room.joined.insert(user_id, sequence);
    }

    /// The frames after a vector for one person, one ascending run for each partition; `None`
    /// where they are too many, or not all held, or the vector is of another log.
    fn missed(&self, listener: UserId, from: &Vector) -> Option<Vec<Utf8Bytes>> {
        if from.iter().any(|position| !self.rings.contains_key(&position.partition)) {
            return None;
        }
        let mut missed = Vec::new();
        for (&partition, ring) in &self.rings {
            for told in ring.since(from.get(partition))? {
                missed.extend(told.frames_for(listener, &self.rooms));
                if missed.len() > MAX_MISSED {
                    return None;
                }
            }
        }
        Some(missed)
    }
}
