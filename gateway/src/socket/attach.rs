//! From an entered socket to a live one: waits until the view of its person's
//! threads has come as far as the hub had at the entering, and attaches.

use crate::{app::App, hub::Seat, session::Event};
use events::{UserId, Vector};
use query::{Error, View, Views, inbox::Membership};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long a socket waits for the hub, and for the view.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn attach(app: &App, seat: &Seat, user_id: UserId, resume: Option<Vector>) -> Event {
    if let Some(resume) = &resume {
        catch_up(app, resume).await;
    }
    match threads(&app.views, user_id, seat.entered()).await {
        Ok(Some(memberships)) => {
            seat.attach(&memberships, resume.as_ref());
            return Event::Attached;
        }
        Ok(None) => tracing::warn!("the view of threads was built anew and is behind"),
        Err(error) => tracing::warn!(%error, "the threads of a socket's person are not known"),
    }
    Event::Unavailable("the view of threads is behind or away")
}

/// A person's threads as of at least that vector; `None` where the view has fallen back behind what it was known
/// to have applied.
async fn threads(views: &Views, user_id: UserId, wanted: &Vector) -> Result<Option<Vec<Membership>>, Error> {
    views.reached(View::Inbox, wanted, Instant::now() + PATIENCE).await?;
    let answer = views.memberships(user_id).await?;
    Ok(answer.as_of.covers(wanted).then_some(answer.value))
}

/// The client may come from a node that was ahead of this one, or bring what a view has seen. What lies
/// beyond the log's end is of another log and not waited for.
async fn catch_up(app: &App, resume: &Vector) {
    if app.hub.vector().covers(resume) {
        return;
    }
    match app.log.end().await {
        Ok(end) if end.covers(resume) => {
            if timeout(PATIENCE, app.hub.reached(resume)).await.is_err() {
                tracing::warn!("the hub is behind what a client has seen");
            }
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the end of the log is not known"),
    }
}
