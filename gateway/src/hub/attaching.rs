//! From a seat that was taken to one that is told everything, pure: what a view
//! says of its person is joined with what was heard meanwhile; what was missed
//! is gathered outside the hub's lock, and goes live under it.

use super::{
    state::{Guest, SeatId, State, said},
    stay::{Listener, Size, Stay},
    told::{Said, Told},
};
use crate::frame::ServerFrame;
use events::{Partition, ThreadId, UserId, Vector, event::Number};
use std::sync::Arc;

/// Who has missed more than that reloads instead.
pub(crate) const MAX_MISSED: usize = 10_000;

/// A thread that a person is or was in, as a view says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Joined {
    pub(super) thread_id: ThreadId,
    pub(super) partition: Partition,
    pub(super) since: u64,
    /// The thread's last number then.
    pub(super) number: Number,
    pub(super) until: Option<u64>,
    pub(super) size: u32,
}

/// Whether the latest events reach back to where somebody has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    Whole,
    /// Not in those partitions.
    Short(Vec<Partition>),
    /// That vector is of another log, or of a later moment than this hub has heard of.
    Foreign,
}

/// The latest events after a vector, and for whom.
#[derive(Debug)]
pub(crate) struct Run {
    listener: Listener,
    events: Vec<Arc<Told>>,
    upto: Vector,
}

/// What somebody has missed.
#[derive(Debug)]
pub(crate) enum Missed {
    /// That, up to the vector.
    Said { said: Vec<Said>, upto: Vector },
    /// More than is told one by one, or nobody knows what.
    TooMuch,
}

/// What a poll is answered.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) said: Vec<Said>,
    pub(crate) vector: Vector,
}

impl Run {
    /// Up to where the events go.
    pub(crate) fn upto(&self) -> &Vector {
        &self.upto
    }

    /// The frames: an ascending run for each partition.
    pub(crate) fn said(&self) -> Vec<Said> {
        said(&self.events, &self.listener)
    }
}

/// The seam: no gap, no duplicate, nothing from outside a stay.
///
/// `W` is what had been heard when the seat was taken, `D` what is heard now, `V ≥ W` where the view stood that told
/// the person's threads, `F` what the client has. In each partition:
/// - **Who hears a thread** is decided by two numbers, the latest joining and the latest leaving ([`Stay`]), and the
///   larger of what the view and what the log said of each is what is so as of `D`. One in `(W, D]` was noted as it
///   passed, as the person had a seat here; one up to `W` is in the view, as `V ≥ W`. So a removal in `(V, D]` is not
///   undone by a view that does not know it, nor is what another seat of the person knows. What a view says of facts
///   after `D` is left out: they come by dispatch, and until then the earlier stay holds.
/// - **How large a thread is**: who is in a room that has a size knows it as of `D`, whatever the view says. Else it is
///   the view's, and what came and went in `(V, D]` is added; where `V` is ahead, what it has counted is not counted
///   again. Where neither is known (somebody was added while nobody else was here), it is looked up.
/// - **What is sent** is `(F, D′]` gathered from the ring outside the lock, then `(D′, D]` and what follows by dispatch:
///   the seat goes live under the same lock that reads `D`, so each fact is on exactly one side. What lay in a stay
///   as of `D′` and was left since was theirs to hear.
/// - Within a partition that is one ascending run. Who is cut off in its middle has, in each partition, all up to the
///   last position received, and resumes from there.
impl State {
    /// Joins what a view that has come to `as_of` says of a person's threads with what was heard.
    pub(super) fn learn(&mut self, user_id: UserId, joined: &[Joined], as_of: &Vector) {
        for joined in joined {
            let Some(ring) = self.rings.get(&joined.partition) else { continue };
            let (heard, seen) = (ring.last(), as_of.get(joined.partition));
            if joined.since > heard {
                continue;
            }
            let size = Size { members: joined.size, counted: seen };
            let size = if seen >= heard {
                Some(size)
            } else {
                ring.growth(joined.thread_id, seen).map(|by| size.grown(by, heard))
            };
            let Some(person) = self.people.get_mut(&user_id) else { return };
            let left = joined.until.filter(|&left| left <= heard).unwrap_or(0);
            let stay = person.note(joined.thread_id, Stay { joined: joined.since, number: joined.number, left });
            if stay.is_present() {
                let number = stay.number;
                self.rooms.join(joined.thread_id, user_id, number);
                if let Some(size) = size.filter(|_| self.rooms.size(joined.thread_id).is_none()) {
                    self.rooms.set_size(joined.thread_id, size);
                }
            }
        }
    }

    /// A thread has so many members, as a view says that has come to that sequence of its partition.
    pub(super) fn sized(&mut self, thread_id: ThreadId, partition: Partition, members: u32, seen: u64) {
        let Some(ring) = self.rings.get(&partition) else { return };
        let (heard, size) = (ring.last(), Size { members, counted: seen });
        let size =
            if seen >= heard { Some(size) } else { ring.growth(thread_id, seen).map(|by| size.grown(by, heard)) };
        if let Some(size) = size.filter(|_| self.rooms.size(thread_id).is_none()) {
            self.rooms.set_size(thread_id, size);
        }
    }

    pub(super) fn reach(&self, from: &Vector) -> Reach {
        let is_heard = |position: events::Position| {
            self.rings.get(&position.partition).is_some_and(|ring| ring.last() >= position.sequence)
        };
        if !from.iter().all(is_heard) {
            return Reach::Foreign;
        }
        let short = |(&partition, ring): (&Partition, &super::ring::Ring)| {
            ring.since(from.get(partition)).is_none().then_some(partition)
        };
        let short: Vec<_> = self.rings.iter().filter_map(short).collect();
        if short.is_empty() { Reach::Whole } else { Reach::Short(short) }
    }

    /// What the rings hold after a vector; `None` where they do not reach back to it.
    pub(super) fn run(&self, user_id: UserId, after: &Vector) -> Option<Run> {
        let mut events = Vec::new();
        for (&partition, ring) in &self.rings {
            events.extend(ring.since(after.get(partition))?.cloned());
        }
        Some(Run { listener: self.listener(user_id), events, upto: self.vector() })
    }

    /// A seat is told from now on what happens. A socket gets what it missed into its outbox, a poll as the answer.
    /// `None` where the rings do not reach back to what was gathered any more.
    pub(super) fn go_live(&mut self, seat: SeatId, missed: Missed) -> Option<Heard> {
        let vector = self.vector();
        let all = match missed {
            Missed::TooMuch => None,
            Missed::Said { mut said, upto } => {
                if upto != vector {
                    said.extend(self.run(seat.user_id, &upto)?.said());
                }
                let happened = said.iter().filter(|said| said.position.is_some()).count();
                Some(said).filter(|_| happened <= MAX_MISSED)
            }
        };
        let reset = || vec![Said { frame: ServerFrame::Reset { vector: &vector }.encode(), position: None }];
        let mut said = all.unwrap_or_else(reset);
        if let Some(place) = self.place(seat) {
            place.live = true;
            if place.guest == Guest::Socket {
                let live = ServerFrame::Live { vector: &vector }.encode();
                place.outbox.load(said.drain(..).map(|said| said.frame).chain([live]));
            }
        }
        Some(Heard { said, vector })
    }
}

impl Size {
    fn grown(self, by: i32, counted: u64) -> Self {
        Self { members: self.members.saturating_add_signed(by), counted }
    }
}
