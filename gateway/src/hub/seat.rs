//! A place at the hub, of a socket or of a request that polls; given up when it
//! is dropped.

use super::{
    Hub,
    attaching::{Heard, Joined, Missed, Reach, Run},
    outbox::Outbox,
    state::{Guest, SeatId},
};
use command::presence::Connected;
use events::{SessionId, UserId, Vector, subject::Names};
use query::inbox::Membership;
use std::sync::Arc;

pub(crate) struct Seat {
    hub: Hub,
    id: SeatId,
    entered: Vector,
    /// A socket's person is present; who polls now and then is not.
    _connected: Option<Connected>,
}

impl Hub {
    /// Takes in a socket: from now on the hub keeps what it must know of this person.
    pub(crate) fn enter(&self, user_id: UserId, session_id: SessionId, outbox: Arc<Outbox>) -> Seat {
        self.seat(user_id, session_id, Guest::Socket, outbox)
    }

    /// The same for a request that polls: it ends no socket, and its outbox only says that something happened.
    pub(crate) fn visit(&self, user_id: UserId, session_id: SessionId, outbox: Arc<Outbox>) -> Seat {
        self.seat(user_id, session_id, Guest::Poll, outbox)
    }

    fn seat(&self, user_id: UserId, session_id: SessionId, guest: Guest, outbox: Arc<Outbox>) -> Seat {
        let mut state = self.state();
        let id = state.enter(user_id, session_id, guest, outbox);
        let connected = (guest == Guest::Socket).then(|| self.0.presence.connect(user_id));
        Seat { hub: self.clone(), id, entered: state.vector(), _connected: connected }
    }
}

impl Seat {
    /// What the hub had heard when the seat was taken: what a view must have applied before it is asked
    /// for this person's threads, and where a socket that resumes nothing starts.
    pub(crate) fn entered(&self) -> &Vector {
        &self.entered
    }

    /// Takes in the person's threads as a view has them that has come to `as_of`, to [`Seat::entered`] or later.
    pub(crate) fn learn(&self, memberships: &[Membership], as_of: &Vector, names: &Names) {
        let joined: Vec<_> = memberships.iter().map(|membership| joined(membership, names)).collect();
        let mut state = self.hub.state();
        state.learn(self.id.user_id, &joined, as_of);
        if state.rooms.has_unknown_size() {
            self.hub.0.unknown_size.notify_one();
        }
    }

    pub(crate) fn reach(&self, from: &Vector) -> Reach {
        self.hub.state().reach(from)
    }

    /// What the hub holds after a vector; `None` where it does not reach back to it.
    pub(crate) fn run(&self, after: &Vector) -> Option<Run> {
        self.hub.state().run(self.id.user_id, after)
    }

    /// Goes live; `None` where what was gathered is too old by now.
    pub(crate) fn go_live(&self, missed: Missed) -> Option<Heard> {
        self.hub.state().go_live(self.id, missed)
    }

    /// Tells the socket of those people's presence from now on, and of nobody else's.
    pub(crate) fn watch(&self, user_ids: Vec<UserId>, outbox: Arc<Outbox>) {
        let SeatId { number, user_id } = self.id;
        self.hub.0.watching.watch(number, user_id, user_ids, outbox);
    }

    /// Puts a pong into the outbox, with the vector of what was put there before it.
    pub(crate) fn pong(&self) {
        self.hub.state().pong(self.id);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hub.state().leave(self.id);
        self.hub.0.watching.leave(self.id.number);
    }
}

fn joined(membership: &Membership, names: &Names) -> Joined {
    let Membership { thread_id, joined_sequence, joined_number, left_sequence, member_count, set_aside: _ } =
        *membership;
    let partition = names.partition(thread_id.uuid());
    Joined {
        thread_id,
        partition,
        since: joined_sequence,
        number: joined_number,
        until: left_sequence,
        size: member_count,
    }
}
