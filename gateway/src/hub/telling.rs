//! The words for what the log says: an event, or one of its receipts, as the
//! frame that tells it. Pure, and spelled once: whom it reaches was decided
//! before.

use super::audience::Tale;
use crate::{
    frame::{Attached, Change, ServerFrame},
    time::Time,
};
use events::{
    Aggregate, Envelope, Event, Position, Text, ThreadEvent, ThreadId, UserEvent, UserId,
    event::{Number, Receipt},
};

/// The frame that tells that much of an event. Without a position it is one of several, and not the last.
pub(super) fn frame(envelope: &Envelope, tale: Tale, position: Option<Position>) -> ServerFrame<'_> {
    match (tale, envelope.aggregate, &envelope.event) {
        (Tale::Receipt(receipt), _, _) => told_receipt(receipt, envelope, position),
        (_, Aggregate::Thread(thread_id), Event::Thread(event)) => {
            let by = envelope.by.expect("what happens in a thread is done by somebody");
            in_thread(thread_id, by, envelope, event)
        }
        (_, Aggregate::User(_), Event::User(event)) => of_person(envelope, event),
        (_, _, Event::Thread(_) | Event::User(_) | Event::Receipts(_) | Event::Presence(_) | Event::Deployment(_)) => {
            unreachable!("an event is of the kind that its aggregate has")
        }
    }
}

fn told_receipt(receipt: Receipt, envelope: &Envelope, position: Option<Position>) -> ServerFrame<'static> {
    let Receipt { thread_id, user_id, delivered, read } = receipt;
    // 0 is what the receipt does not speak of: a client must not take it for a step back.
    let said = |number: Number| (number > 0).then_some(number);
    let (delivered, read) = (said(delivered), said(read));
    ServerFrame::Receipt { thread_id, user_id, delivered, read, time: Time(envelope.at), position }
}

fn in_thread<'a>(thread_id: ThreadId, by: UserId, envelope: &Envelope, event: &'a ThreadEvent) -> ServerFrame<'a> {
    let (position, time) = (envelope.position, Time(envelope.at));
    let thread = |change| ServerFrame::Thread { thread_id, change, by, time, position };
    let reaction =
        |number, emoji, removed| ServerFrame::Reaction { thread_id, number, user_id: by, emoji, removed, position };
    match event {
        ThreadEvent::MessageSent { number, key, body, reply_to, mentions, attachments, .. } => ServerFrame::Message {
            thread_id,
            number: *number,
            key: *key,
            sender_id: by,
            body: body.as_str(),
            reply_to: *reply_to,
            mentions,
            attachments: attachments.iter().map(Attached::from).collect(),
            sent_at: time,
            position,
        },
        ThreadEvent::MessageEdited { number, body, mentions } => ServerFrame::MessageEdited {
            thread_id,
            number: *number,
            body: body.as_str(),
            mentions,
            edited_at: time,
            position,
        },
        ThreadEvent::MessageDeleted { number, .. } => {
            ServerFrame::MessageDeleted { thread_id, number: *number, position }
        }
        ThreadEvent::ReactionAdded { number, emoji } => reaction(*number, emoji.as_str(), false),
        ThreadEvent::ReactionRemoved { number, emoji } => reaction(*number, emoji.as_str(), true),
        ThreadEvent::DirectOpened { peer } => thread(Change::DirectCreated { user_id: *peer }),
        ThreadEvent::GroupCreated { title, .. } => thread(Change::GroupCreated { title: title.as_str() }),
        ThreadEvent::Renamed { title, .. } => thread(Change::Renamed { title: title.as_str() }),
        ThreadEvent::MemberAdded { user_id, role, .. } => {
            thread(Change::MemberAdded { user_id: *user_id, role: *role })
        }
        ThreadEvent::MemberRemoved { user_id, .. } => thread(Change::MemberRemoved { user_id: *user_id }),
        ThreadEvent::MemberLeft { .. } => thread(Change::MemberLeft { user_id: by }),
        ThreadEvent::RoleChanged { user_id, role, .. } => {
            thread(Change::RoleChanged { user_id: *user_id, role: *role })
        }
        ThreadEvent::PictureChanged { picture, .. } => {
            let picture = picture.as_ref().map(|picture| picture.attachment_id);
            thread(Change::PictureChanged { picture })
        }
        ThreadEvent::PeerBlocked { peer } => ServerFrame::Block { user_id: *peer, removed: false, time, position },
        ThreadEvent::PeerUnblocked { peer } => ServerFrame::Block { user_id: *peer, removed: true, time, position },
    }
}

fn of_person<'a>(envelope: &Envelope, event: &'a UserEvent) -> ServerFrame<'a> {
    let (position, time) = (envelope.position, Time(envelope.at));
    match event {
        UserEvent::ContactSaved { user_id, alias } => {
            let alias = alias.as_ref().and_then(Text::as_str);
            ServerFrame::Contact { user_id: *user_id, alias, removed: false, time, position }
        }
        UserEvent::ContactRemoved { user_id } => {
            ServerFrame::Contact { user_id: *user_id, alias: None, removed: true, time, position }
        }
        UserEvent::ThreadSettingsChanged { thread_id, muted_until, archived, pinned } => ServerFrame::Settings {
            thread_id: *thread_id,
            muted_until: muted_until.map(Time),
            archived: *archived,
            pinned: *pinned,
            time,
            position,
        },
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
        | UserEvent::Restored { .. } => unreachable!("no socket hears of it"),
    }
}
