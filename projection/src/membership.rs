//! Who is a member of a thread since when, as every view keeps it that shows a
//! thread's content: what a fact does to it.

use events::{Envelope, ThreadEvent, ThreadId, Timestamp, UserId, event::Number};
use std::collections::BTreeMap;

/// What happened to a membership: a joining, a leaving, or both in this order.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Member {
    pub(crate) joined: Option<Joined>,
    pub(crate) left_sequence: Option<u64>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Joined {
    pub(crate) sequence: u64,
    pub(crate) number: Number,
}

/// When, where and by whom.
#[derive(Clone, Copy)]
pub(crate) struct Happened {
    pub(crate) sequence: u64,
    pub(crate) at: Timestamp,
    pub(crate) thread_id: ThreadId,
    pub(crate) by: UserId,
}

impl Happened {
    pub(crate) fn of(envelope: &Envelope, thread_id: ThreadId) -> Self {
        let by = envelope.by.expect("what happens in a thread is done by somebody");
        Self { sequence: envelope.position.sequence, at: envelope.at, thread_id, by }
    }
}

/// Adds what a fact does to who is a member.
pub(crate) fn move_member(
    members: &mut BTreeMap<(ThreadId, UserId), Member>,
    Happened { sequence, thread_id, by, .. }: Happened,
    event: &ThreadEvent,
) {
    let mut join = |user_id: UserId, number: Number| {
        let joined = Some(Joined { sequence, number });
        members.insert((thread_id, user_id), Member { joined, left_sequence: None });
    };
    let left = match event {
        ThreadEvent::DirectOpened { peer } | ThreadEvent::MessageSent { opens: Some(peer), .. } => {
            join(by, 0);
            join(*peer, 0);
            return;
        }
        ThreadEvent::GroupCreated { members, .. } => {
            members.iter().chain([&by]).for_each(|user_id| join(*user_id, 0));
            return;
        }
        ThreadEvent::MemberAdded { user_id, number, .. } => return join(*user_id, *number),
        ThreadEvent::MemberRemoved { user_id, .. } => *user_id,
        ThreadEvent::MemberLeft { .. } => by,
        ThreadEvent::MessageSent { opens: None, .. }
        | ThreadEvent::MessageEdited { .. }
        | ThreadEvent::MessageDeleted { .. }
        | ThreadEvent::ReactionAdded { .. }
        | ThreadEvent::ReactionRemoved { .. }
        | ThreadEvent::Renamed { .. }
        | ThreadEvent::PictureChanged { .. }
        | ThreadEvent::RoleChanged { .. }
        | ThreadEvent::PeerBlocked { .. }
        | ThreadEvent::PeerUnblocked { .. } => return,
    };
    members.entry((thread_id, left)).or_default().left_sequence.get_or_insert(sequence);
}
