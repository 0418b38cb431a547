//! The seam between what happened and what happens: everything that somebody
//! missed, once, and then live. One way for sockets and for requests that poll;
//! what the hub does not hold any more comes from the views (`away`).

mod away;

use crate::{
    app::App,
    frame::Resume,
    hub::{Heard, Missed, Reach, Seat},
};
use events::{Partition, UserId, Vector};
use query::{View, inbox::Membership};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::{Instant, timeout};

/// How long is waited for the hub, and for a view.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often is begun anew where the hub forgets faster than what was missed is gathered.
const ATTEMPTS: u32 = 3;

/// Why somebody cannot be told what they missed: they come back, and lose nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unavailable(pub(crate) &'static str);

/// Takes a seat live: what lies after `resume`, or after the moment when it was taken, and from then on what happens.
/// A socket gets it into its outbox; a poll gets it as the answer.
///
/// The hub is asked for it wherever its latest events reach back; where not, the views tell what lies up to the moment
/// when the seat was taken, and the hub what came since. All that takes long is done without the hub's lock: under it
/// lie only a copy of references to the latest events, and what came while those were turned into frames.
///
/// # Errors
/// When a view or the log does not answer in time.
pub(crate) async fn attach(
    app: &App,
    seat: &Seat,
    user_id: UserId,
    resume: Option<&Resume>,
) -> Result<Heard, Unavailable> {
    let from = match resume {
        Some(Resume { epoch: Some(epoch), .. }) if *epoch != app.log.epoch() => {
            return seat.go_live(Missed::TooMuch).ok_or(Unavailable("this node is behind"));
        }
        Some(Resume { vector, .. }) => {
            catch_up(app, vector).await?;
            vector
        }
        None => seat.entered(),
    };
    let mut entered = seat.entered().clone();
    for _ in 0..ATTEMPTS {
        if let Some(missed) = gather(app, seat, user_id, from, &entered).await?
            && let Some(heard) = seat.go_live(missed)
        {
            return Ok(heard);
        }
        entered = app.hub.vector();
    }
    Err(Unavailable("the log is faster than this node"))
}

/// What lies after a vector, up to about now; `None` where the hub has forgotten meanwhile what was to come from it.
async fn gather(
    app: &App,
    seat: &Seat,
    user_id: UserId,
    from: &Vector,
    entered: &Vector,
) -> Result<Option<Missed>, Unavailable> {
    let (views, behind) = (&app.views, "the view of threads is behind or away");
    let reached = views.reached(View::Inbox, entered, Instant::now() + PATIENCE).await;
    reached.map_err(|error| unknown(behind, &error))?;
    // When thousands come at once, each waits for its turn, and those who write find Postgres and the processor free.
    let _turn = app.arrivals.acquire().await.map_err(|_| Unavailable("this node is stopping"))?;
    let deadline = Instant::now() + PATIENCE;
    let memberships = views.at_least(View::Inbox, entered, deadline, || views.memberships(user_id)).await;
    let mut memberships = memberships.map_err(|error| unknown(behind, &error))?;
    let aside = set_aside(app, user_id, &mut memberships.value).await?;
    // What a view says of facts that the hub has not heard, the hub cannot use.
    if timeout(PATIENCE, app.hub.reached(&memberships.as_of)).await.is_err() {
        return Err(Unavailable("this node is behind the log"));
    }
    let names = app.log.names();
    seat.learn(&memberships.value, &memberships.as_of, names);
    let (mut said, mut after) = (Vec::new(), from.clone());
    match seat.reach(from) {
        Reach::Foreign => return Ok(Some(Missed::TooMuch)),
        Reach::Whole => {}
        // What it missed of those no view tells.
        Reach::Short(partitions) if partitions.iter().any(|partition| aside.contains(partition)) => {
            return Ok(Some(Missed::TooMuch));
        }
        Reach::Short(partitions) => {
            let absence = away::Absence { user_id, from, upto: entered, partitions: &partitions };
            let Some(found) = away::missed(app, &absence, &memberships.value).await? else {
                return Ok(Some(Missed::TooMuch));
            };
            said = found;
            for partition in partitions {
                after.set(partition, entered.get(partition));
            }
        }
    }
    let Some(run) = seat.run(&after) else { return Ok(None) };
    said.extend(run.said());
    Ok(Some(Missed::Said { said, upto: run.upto().clone() }))
}

/// The partitions of those threads that the view has set aside and this person is in all the same, as the log says: a
/// socket hears them as everybody's who was there before.
async fn set_aside(
    app: &App,
    user_id: UserId,
    memberships: &mut [Membership],
) -> Result<BTreeSet<Partition>, Unavailable> {
    let mut partitions = BTreeSet::new();
    for membership in memberships.iter_mut().filter(|membership| membership.set_aside) {
        let joining = app.threads.joining(user_id, membership.thread_id).await;
        let joining = joining.map_err(|error| unknown("the log does not answer", &error))?;
        if let Some((sequence, number)) = joining {
            (membership.joined_sequence, membership.joined_number) = (sequence, number);
            membership.left_sequence = None;
            partitions.insert(app.log.names().partition(membership.thread_id.uuid()));
        }
    }
    Ok(partitions)
}

/// The client may come from a node that was ahead of this one, or bring what a view has seen. What lies beyond the
/// log's end is of another log and not waited for.
async fn catch_up(app: &App, resume: &Vector) -> Result<(), Unavailable> {
    if app.hub.vector().covers(resume) {
        return Ok(());
    }
    let end = app.log.end().await.map_err(|error| unknown("the log does not answer", &error))?;
    if end.covers(resume) && timeout(PATIENCE, app.hub.reached(resume)).await.is_err() {
        return Err(Unavailable("this node is behind what the client has seen"));
    }
    Ok(())
}

fn unknown(why: &'static str, error: &dyn std::error::Error) -> Unavailable {
    tracing::warn!(%error, why, "what somebody missed is not known");
    Unavailable(why)
}
