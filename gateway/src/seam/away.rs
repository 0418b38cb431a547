//! What happened while somebody was away for longer than the hub remembers:
//! messages and threads as the views show them now, the person's own facts from
//! the log, as the frames that would have told them.

use super::{PATIENCE, Unavailable, unknown};
use crate::{
    app::App,
    frame::{Attached, Change, ServerFrame},
    hub::{MAX_MISSED, Said, Told},
    time::Time,
};
use events::{Aggregate, Partition, Position, UserId, Vector};
use query::{
    View,
    inbox::Membership,
    missed::{Missed, MovedReceipt, Span, What},
    timeline,
};
use tokio::time::Instant;

/// Facts of a person's own that are read one by one.
const MOST_OWN: usize = 1_024;

/// Who was away, from when to when, and in which partitions.
#[derive(Clone, Copy)]
pub(super) struct Absence<'a> {
    pub(super) user_id: UserId,
    pub(super) from: &'a Vector,
    pub(super) upto: &'a Vector,
    pub(super) partitions: &'a [Partition],
}

/// The frames of an absence, first receipts as they are now, then what happened: an ascending run for each partition.
/// `None` where that is more than is told one by one.
pub(super) async fn missed(
    app: &App,
    absence: &Absence<'_>,
    memberships: &[Membership],
) -> Result<Option<Vec<Said>>, Unavailable> {
    let Absence { user_id, upto, .. } = *absence;
    let partition_of = |missed: &Missed| app.log.names().partition(missed.thread_id.uuid());
    let spans: Vec<_> = memberships
        .iter()
        .filter_map(|membership| absence.span(membership, app.log.names().partition(membership.thread_id.uuid())))
        .collect();
    let (views, deadline) = (&app.views, Instant::now() + PATIENCE);
    let limit = u16::try_from(MAX_MISSED).unwrap_or(u16::MAX);
    let (found, receipts, own) = tokio::join!(
        views.at_least(View::Timeline, upto, deadline, || views.missed(user_id, &spans, limit)),
        views.at_least(View::Inbox, upto, deadline, || views.moved_receipts(user_id, &spans)),
        own(app, absence),
    );
    let found = found.map_err(|error| unknown("the view of messages is behind or away", &error))?;
    let receipts = receipts.map_err(|error| unknown("the view of threads is behind or away", &error))?;
    let (Some(found), Some(receipts), Some(mut run)) = (found.value, receipts.value, own?) else { return Ok(None) };
    for missed in &found {
        let position = Position { partition: partition_of(missed), sequence: missed.sequence };
        if absence.has(position) {
            run.push((position, frame(missed, position)));
        }
    }
    run.sort_by_key(|(position, _)| (position.partition, position.sequence));
    let happened = run.into_iter().map(|(position, said)| Said { frame: said, position: Some(position) });
    Ok(Some(receipts.iter().map(receipt).chain(happened).collect()))
}

impl Absence<'_> {
    fn has(&self, Position { partition, sequence }: Position) -> bool {
        let away = self.from.get(partition) < sequence && sequence <= self.upto.get(partition);
        away && self.partitions.contains(&partition)
    }

    /// The part of the absence that somebody spent in a thread.
    fn span(&self, membership: &Membership, partition: Partition) -> Option<Span> {
        let &Membership { thread_id, joined_sequence, left_sequence, .. } = membership;
        let after = self.from.get(partition).max(joined_sequence.saturating_sub(1));
        let upto = self.upto.get(partition).min(left_sequence.unwrap_or(u64::MAX));
        let is_some = after < upto && self.partitions.contains(&partition);
        is_some.then_some(Span { thread_id, after, upto })
    }
}

type Placed = (Position, axum::extract::ws::Utf8Bytes);

/// What the person did with their own account; `None` where that is too much.
async fn own(app: &App, absence: &Absence<'_>) -> Result<Option<Vec<Placed>>, Unavailable> {
    let aggregate = Aggregate::User(absence.user_id);
    let partition = app.log.names().partition_of(aggregate);
    if !absence.partitions.contains(&partition) {
        return Ok(Some(Vec::new()));
    }
    let facts = app.log.history_above(aggregate, absence.from.get(partition), MOST_OWN).await;
    let Some(facts) = facts.map_err(|error| unknown("the log does not answer", &error))? else { return Ok(None) };
    let told = facts.iter().filter(|fact| absence.has(fact.position)).filter_map(|fact| Told::of(fact, Some));
    let said = told.flat_map(|told| told.frames_for_all());
    Ok(Some(said.filter_map(|said| said.position.map(|position| (position, said.frame))).collect()))
}

fn receipt(moved: &MovedReceipt) -> Said {
    let MovedReceipt { thread_id, user_id, delivered, read, at } = *moved;
    let frame = ServerFrame::Receipt { thread_id, user_id, delivered, read, time: Time(at), position: None };
    Said { frame: frame.encode(), position: None }
}

fn frame(missed: &Missed, position: Position) -> axum::extract::ws::Utf8Bytes {
    let &Missed { thread_id, by, at, ref what, .. } = missed;
    let time = Time(at);
    let thread = |change| ServerFrame::Thread { thread_id, change, by, time, position };
    let frame = match what {
        What::Message { number, key, body, reply_to, mentions, attachments } => ServerFrame::Message {
            thread_id,
            number: *number,
            key: *key,
            sender_id: by,
            body: body.as_deref(),
            reply_to: *reply_to,
            mentions,
            attachments: attachments.iter().map(Attached::from).collect(),
            sent_at: time,
            position,
        },
        What::Edited { number, body, mentions } => ServerFrame::MessageEdited {
            thread_id,
            number: *number,
            body: body.as_deref(),
            mentions,
            edited_at: time,
            position,
        },
        What::Deleted { number } => ServerFrame::MessageDeleted { thread_id, number: *number, position },
        What::Reaction { number, emoji, removed } => {
            ServerFrame::Reaction { thread_id, number: *number, user_id: by, emoji, removed: *removed, position }
        }
        What::DirectOpened { peer } => thread(Change::DirectCreated { user_id: *peer }),
        What::Notice(change) => thread(told(by, change)),
        What::Block { peer, removed } => ServerFrame::Block { user_id: *peer, removed: *removed, time, position },
    };
    frame.encode()
}

fn told(by: UserId, change: &timeline::Change) -> Change<'_> {
    match change {
        timeline::Change::Created { title } => Change::GroupCreated { title: title.as_deref() },
        timeline::Change::Renamed { title } => Change::Renamed { title: title.as_deref() },
        timeline::Change::MemberAdded { user_id, role } => Change::MemberAdded { user_id: *user_id, role: *role },
        timeline::Change::MemberRemoved { user_id } => Change::MemberRemoved { user_id: *user_id },
        timeline::Change::MemberLeft => Change::MemberLeft { user_id: by },
        timeline::Change::RoleChanged { user_id, role } => Change::RoleChanged { user_id: *user_id, role: *role },
        timeline::Change::PictureChanged { picture } => Change::PictureChanged { picture: *picture },
    }
}
