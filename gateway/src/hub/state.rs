//! What a hub knows, pure: the people who are connected here and their threads,
//! the latest events, and how far each partition has been heard. Its order is
//! the log's: what concerns whom changes between the same facts as there.

use super::{
    audience::{self, Turn},
    crowd::CROWD,
    outbox::{Ended, Outbox},
    ring::Ring,
    stay::{Listener, Rooms, Size, Stay},
    told::{Said, Told},
};
use crate::frame::ServerFrame;
use events::{Envelope, Partition, SessionId, ThreadId, UserId, Vector, event::Number};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Sockets of one person on one node.
const MAX_SEATS: usize = 6;

/// Whose socket, and which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeatId {
    pub(super) user_id: UserId,
    pub(super) number: u64,
}

/// What takes a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guest {
    Socket,
    /// A request that waits for something to happen, and is answered what has.
    Poll,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) rings: BTreeMap<Partition, Ring>,
    pub(super) people: HashMap<UserId, Person>,
    pub(super) rooms: Rooms,
    /// Those of a crowd that were told something and have to be woken.
    pub(super) held: Vec<Arc<Outbox>>,
    entered: u64,
}

/// Somebody who has a seat here.
#[derive(Debug, Default)]
pub(super) struct Person {
    /// Oldest first.
    seats: Vec<Place>,
    /// Their threads, also those that they left: who left is remembered as long as somebody could still come with a
    /// view that does not know it.
    pub(super) stays: Arc<HashMap<ThreadId, Stay>>,
}

#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    session_id: SessionId,
    pub(super) guest: Guest,
    pub(super) outbox: Arc<Outbox>,
    pub(super) live: bool,
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

    /// Takes a partition's next fact: who comes by it, what it tells, who goes by it. It tells that in so many frames.
    pub(super) fn dispatch(&mut self, envelope: &Arc<Envelope>) -> usize {
        let sequence = envelope.position.sequence;
        let turn = audience::turn(envelope);
        match &turn {
            Some((thread_id, Turn::Opens(members))) => {
                for &member in members {
                    self.joins(*thread_id, member, (sequence, 0));
                }
                let members = u32::try_from(members.len()).unwrap_or(u32::MAX);
                self.rooms.set_size(*thread_id, Size { members, counted: sequence });
            }
            Some((thread_id, Turn::Enters(member, number))) => {
                self.joins(*thread_id, *member, (sequence, *number));
                self.rooms.count(*thread_id, sequence, 1);
            }
            Some((_, Turn::Leaves(_))) | None => {}
        }
        if let Some((user_id, ended)) = audience::ended_sessions(envelope) {
            self.seats(user_id).filter(|place| ended.contains(&place.session_id)).for_each(|place| {
                place.outbox.end(Ended::Revoked);
            });
        }
        let partition = envelope.position.partition;
        let ring = self.rings.get_mut(&partition).expect("what is dispatched is followed");
        let told = Told::of(envelope, |receipt| ring.receipts.news(receipt, sequence));
        let pushed = told.as_ref().map_or(0, |told| self.push(told));
        let ring = self.rings.get_mut(&partition).expect("it was there before");
        ring.advance(sequence, told);
        match turn {
            Some((thread_id, Turn::Leaves(member))) => {
                ring.step(thread_id, -1, member);
                self.rooms.count(thread_id, sequence, -1);
                self.leaves(thread_id, member, sequence);
            }
            Some((thread_id, Turn::Enters(member, _))) => ring.step(thread_id, 1, member),
            Some((_, Turn::Opens(_))) | None => {}
        }
        pushed
    }

    /// A seat is taken. The socket that is too many ends the person's oldest.
    pub(super) fn enter(
        &mut self,
        user_id: UserId,
        session_id: SessionId,
        guest: Guest,
        outbox: Arc<Outbox>,
    ) -> SeatId {
        self.entered += 1;
        let number = self.entered;
        let person = self.people.entry(user_id).or_default();
        person.seats.push(Place { number, session_id, guest, outbox, live: false });
        let is_socket = |place: &Place| place.guest == Guest::Socket;
        if person.seats.iter().filter(|place| is_socket(place)).count() > MAX_SEATS
            && let Some(oldest) = person.seats.iter().position(is_socket)
        {
            person.seats.remove(oldest).outbox.end(Ended::Superseded);
        }
        SeatId { user_id, number }
    }

    /// Tells a socket up to where it has been sent everything.
    pub(super) fn pong(&mut self, seat: SeatId) {
        let frame = ServerFrame::Pong { vector: &self.vector() }.encode();
        if let Some(place) = self.place(seat) {
            place.outbox.push(frame);
        }
    }

    pub(super) fn leave(&mut self, SeatId { user_id, number }: SeatId) {
        let Some(person) = self.people.get_mut(&user_id) else { return };
        person.seats.retain(|place| place.number != number);
        if !person.seats.is_empty() {
            return;
        }
        let stays = self.people.remove(&user_id).map(|person| person.stays).unwrap_or_default();
        let present = stays.iter().filter(|(_, stay)| stay.is_present());
        present.for_each(|(&thread_id, _)| self.rooms.leave(thread_id, user_id));
    }

    /// Ends everybody's: of a node that no longer hears the log, which cannot know who was removed or revoked, or that
    /// is not itself any more.
    pub(super) fn end_all(&self, why: Ended) {
        self.people.values().flat_map(|person| &person.seats).for_each(|place| place.outbox.end(why));
    }

    /// Somebody is writing in a thread: its other members who are here are told.
    pub(super) fn tell_typing(&self, thread_id: ThreadId, user_id: UserId) {
        let mut others = self.rooms.present(thread_id).filter(|member| *member != user_id).peekable();
        if others.peek().is_none() {
            return;
        }
        let frame = ServerFrame::Typing { thread_id, user_id }.encode();
        for place in others.flat_map(|member| self.seats(member)) {
            if place.live && place.guest == Guest::Socket {
                place.outbox.push(frame.clone());
            }
        }
    }

    /// What somebody hears, as of now.
    pub(super) fn listener(&self, user_id: UserId) -> Listener {
        let stays = self.people.get(&user_id).map(|person| Arc::clone(&person.stays)).unwrap_or_default();
        Listener { user_id, stays, large: self.rooms.large() }
    }

    pub(super) fn place(&mut self, SeatId { user_id, number }: SeatId) -> Option<&mut Place> {
        self.people.get_mut(&user_id)?.seats.iter_mut().find(|place| place.number == number)
    }

    fn seats(&self, user_id: UserId) -> impl Iterator<Item = &Place> {
        self.people.get(&user_id).into_iter().flat_map(|person| &person.seats)
    }

    fn push(&mut self, told: &Told) -> usize {
        let (mut pushed, mut held) = (0, Vec::new());
        let listeners = told.listeners(&self.rooms);
        let is_crowd = listeners.len() > CROWD;
        for (listener, frames) in listeners {
            for place in self.seats(listener).filter(|place| place.live) {
                pushed += frames.len();
                for frame in frames.iter().cloned() {
                    if !is_crowd {
                        place.outbox.push(frame);
                    } else if place.outbox.hold(frame) {
                        held.push(Arc::clone(&place.outbox));
                    }
                }
            }
        }
        self.held.append(&mut held);
        pushed
    }

    fn joins(&mut self, thread_id: ThreadId, member: UserId, (joined, number): (u64, Number)) {
        if let Some(person) = self.people.get_mut(&member) {
            person.note(thread_id, Stay { joined, number, left: 0 });
            self.rooms.join(thread_id, member, number);
        }
    }

    fn leaves(&mut self, thread_id: ThreadId, member: UserId, sequence: u64) {
        if let Some(person) = self.people.get_mut(&member) {
            person.note(thread_id, Stay { left: sequence, ..Stay::default() });
            self.rooms.leave(thread_id, member);
        }
    }
}

impl Person {
    /// Takes in what was heard of a stay; what it comes to.
    pub(super) fn note(&mut self, thread_id: ThreadId, heard: Stay) -> Stay {
        // Whoever listens keeps what was so when they asked.
        let stay = Arc::make_mut(&mut self.stays).entry(thread_id).or_default();
        *stay = stay.with(heard);
        *stay
    }
}

/// The frames of events, in their order, for one listener.
pub(super) fn said<'a>(events: impl IntoIterator<Item = &'a Arc<Told>>, listener: &Listener) -> Vec<Said> {
    events.into_iter().flat_map(|told| told.frames_for(listener)).collect()
}
