//! From an entered socket to a live one: waits until the view of its person's
//! threads has come as far as the hub had at the entering, and attaches.

use crate::{app::App, hub::Seat, session::Event};
use events::{UserId, Vector};
use query::View;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long a socket waits for the hub, and for the view.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn attach(app: &App, seat: &Seat, user_id: UserId, resume: Option<Vector>) -> Event {
    if let Some(resume) = &resume {
        catch_up(app, resume).await;
    }
    let (views, deadline) = (&app.views, Instant::now() + PATIENCE);
    match views.at_least(View::Inbox, seat.entered(), deadline, || views.memberships(user_id)).await {
        Ok(memberships) => {
            seat.attach(&memberships.value, resume.as_ref());
            return Event::Attached;
        }
        Err(error) => tracing::warn!(%error, "the threads of a socket's person are not known"),
    }
    Event::Unavailable("the view of threads is behind or away")
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
