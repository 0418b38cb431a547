//! Who hears what: pure, and the only place that knows. What happens in a
//! thread reaches its members, a removal also whom it removes, what becomes of a
//! message those who see it; a receipt the members of a small thread, and the
//! reader's own devices; what somebody keeps for themselves, only them.

use super::stay::Listener;
use events::{
    Aggregate, Envelope, Event, SessionId, ThreadEvent, ThreadId, UserEvent, UserId,
    event::{Number, Receipt, ReceiptEvent},
};

/// Receipts are told to others in threads of at most that many members.
pub(super) const SMALL: u32 = 32;

/// One thing that an event tells, and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tale {
    /// The event itself, to the members of its thread.
    Members(ThreadId),
    /// What becomes of a message, to those members who see that.
    Message(ThreadId, Number),
    /// The event itself, to all devices of one person.
    Person(UserId),
    /// One of the receipts of the event, to the members of its thread.
    Receipt(Receipt),
}

/// What an event changes about who is in its thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    /// The thread is there, with those members and no others.
    Opens(Vec<UserId>),
    /// From after that number on.
    Enters(UserId, Number),
    /// Who hears of it, and then of nothing more.
    Leaves(UserId),
}

impl Tale {
    /// Whether somebody hears it, as it lies at that sequence.
    pub(super) fn reaches(self, listener: &Listener, sequence: u64) -> bool {
        match self {
            Self::Members(thread_id) => listener.hears(thread_id, sequence),
            Self::Message(thread_id, number) => listener.hears_of(thread_id, number, sequence),
            Self::Person(user_id) => user_id == listener.user_id,
            Self::Receipt(Receipt { thread_id, user_id, .. }) => {
                listener.hears(thread_id, sequence)
                    && (user_id == listener.user_id || listener.hears_receipts_of_others(thread_id))
            }
        }
    }
}

/// What an event tells, in order.
pub(super) fn tales(envelope: &Envelope) -> Vec<Tale> {
    match (envelope.aggregate, &envelope.event) {
        (Aggregate::Thread(thread_id), Event::Thread(event)) => in_thread(thread_id, envelope.by, event),
        (Aggregate::User(user_id), Event::User(event)) => of_person(user_id, event),
        (_, Event::Receipts(ReceiptEvent::ReceiptsAdvanced { receipts })) => {
            receipts.iter().copied().map(Tale::Receipt).collect()
        }
        (_, Event::Thread(_) | Event::User(_) | Event::Presence(_) | Event::Deployment(_)) => Vec::new(),
    }
}

fn in_thread(thread_id: ThreadId, by: Option<UserId>, event: &ThreadEvent) -> Vec<Tale> {
    match event {
        ThreadEvent::DirectOpened { .. }
        | ThreadEvent::MessageSent { .. }
        | ThreadEvent::GroupCreated { .. }
        | ThreadEvent::Renamed { .. }
        | ThreadEvent::MemberAdded { .. }
        | ThreadEvent::MemberRemoved { .. }
        | ThreadEvent::MemberLeft { .. }
        | ThreadEvent::RoleChanged { .. }
        | ThreadEvent::PictureChanged { .. } => vec![Tale::Members(thread_id)],
        ThreadEvent::MessageEdited { number, .. }
        | ThreadEvent::MessageDeleted { number, .. }
        | ThreadEvent::ReactionAdded { number, .. }
        | ThreadEvent::ReactionRemoved { number, .. } => vec![Tale::Message(thread_id, *number)],
        // Who is blocked is not told.
        ThreadEvent::PeerBlocked { .. } | ThreadEvent::PeerUnblocked { .. } => {
            by.map(Tale::Person).into_iter().collect()
        }
    }
}

fn of_person(user_id: UserId, event: &UserEvent) -> Vec<Tale> {
    match event {
        UserEvent::ContactSaved { .. } | UserEvent::ContactRemoved { .. } | UserEvent::ThreadSettingsChanged { .. } => {
            vec![Tale::Person(user_id)]
        }
        UserEvent::SignedUp { .. }
        | UserEvent::SessionOpened { .. }
        | UserEvent::SessionRevoked { .. }
        | UserEvent::PasswordChanged { .. }
        | UserEvent::ProfileChanged { .. }
        | UserEvent::PictureChanged { .. }
        | UserEvent::DataExported {}
        | UserEvent::MessageReported { .. }
        | UserEvent::ReportResolved { .. }
        | UserEvent::Suspended { .. }
        | UserEvent::Restored { .. } => Vec::new(),
    }
}

/// By an event others may or may not see any more whether that person is connected.
pub(super) fn shows_otherwise(envelope: &Envelope) -> Option<UserId> {
    let changes = match &envelope.event {
        Event::User(event) => match event {
            UserEvent::ProfileChanged { last_seen_visible_to, .. } => last_seen_visible_to.is_some(),
            UserEvent::ContactSaved { .. } | UserEvent::ContactRemoved { .. } => true,
            UserEvent::SignedUp { .. }
            | UserEvent::SessionOpened { .. }
            | UserEvent::SessionRevoked { .. }
            | UserEvent::PasswordChanged { .. }
            | UserEvent::PictureChanged { .. }
            | UserEvent::ThreadSettingsChanged { .. }
            | UserEvent::DataExported {}
            | UserEvent::MessageReported { .. }
            | UserEvent::ReportResolved { .. }
            | UserEvent::Suspended { .. }
            | UserEvent::Restored { .. } => false,
        },
        Event::Thread(event) => {
            matches!(event, ThreadEvent::PeerBlocked { .. } | ThreadEvent::PeerUnblocked { .. })
        }
        Event::Receipts(_) | Event::Presence(_) | Event::Deployment(_) => false,
    };
    envelope.by.filter(|_| changes)
}

/// Who comes and goes by an event, and in what thread.
pub(super) fn turn(envelope: &Envelope) -> Option<(ThreadId, Turn)> {
    let (Aggregate::Thread(thread_id), Event::Thread(event), Some(by)) =
        (envelope.aggregate, &envelope.event, envelope.by)
    else {
        return None;
    };
    let turn = match event {
        ThreadEvent::DirectOpened { peer } | ThreadEvent::MessageSent { opens: Some(peer), .. } => {
            Turn::Opens(vec![by, *peer])
        }
        ThreadEvent::GroupCreated { members, .. } => {
            let others = members.iter().copied().filter(|&member| member != by);
            Turn::Opens([by].into_iter().chain(others).collect())
        }
        ThreadEvent::MemberAdded { user_id, number, .. } => Turn::Enters(*user_id, *number),
        ThreadEvent::MemberRemoved { user_id, .. } => Turn::Leaves(*user_id),
        ThreadEvent::MemberLeft { .. } => Turn::Leaves(by),
        ThreadEvent::MessageSent { opens: None, .. }
        | ThreadEvent::MessageEdited { .. }
        | ThreadEvent::MessageDeleted { .. }
        | ThreadEvent::ReactionAdded { .. }
        | ThreadEvent::ReactionRemoved { .. }
        | ThreadEvent::Renamed { .. }
        | ThreadEvent::RoleChanged { .. }
        | ThreadEvent::PictureChanged { .. }
        | ThreadEvent::PeerBlocked { .. }
        | ThreadEvent::PeerUnblocked { .. } => return None,
    };
    Some((thread_id, turn))
}

/// The sessions that an event ends, and whose.
pub(super) fn ended_sessions(envelope: &Envelope) -> Option<(UserId, &[SessionId])> {
    let (Aggregate::User(user_id), Event::User(event)) = (envelope.aggregate, &envelope.event) else { return None };
    Some((user_id, command::user::ended(event)))
}
