//! Who is online.

use crate::{
    app::App,
    auth::Caller,
    openapi::{CallerProblem, QueryProblem},
    params::UserIds,
    positions::{After, AsOf},
    problem::Problem,
    shapes,
    time::Time,
};
use axum::{Json as Answer, extract::State, response::IntoResponse};
use events::UserId;
use query::View;
use serde::Serialize;
use utoipa::ToSchema;

/// Whether somebody is connected, as far as they let the caller see it.
#[derive(Serialize, ToSchema)]
pub(super) struct Presence {
    #[schema(value_type = shapes::Id)]
    user_id: UserId,
    /// Some device of theirs has a socket open, or had a few seconds ago.
    online: bool,
    /// When they last came or went; null where nobody knows, or it is not for the caller.
    #[schema(required = true)]
    last_seen: Option<Time>,
}

/// Tells who of some people is online. Who does not let the caller see it, has blocked them or is not there, is shown
/// as somebody who never was online.
#[utoipa::path(get, path = "/v1/presence", tag = "people", operation_id = "get_presence", security(("bearer" = [])),
    params(
        ("user_id" = Vec<shapes::Id>, Query, description = "Whom; given once for each, up to 100 times",
            min_items = 1, max_items = 100),
        After,
    ),
    responses(
        (status = 200, description = "Each of them once, in the order of the question", body = Vec<Presence>,
            headers(("Herald-As-Of" = shapes::Vector, description = "What the answer has seen"))),
        QueryProblem, CallerProblem,
    ))]
pub(super) async fn find(
    State(app): State<App>,
    caller: Caller,
    after: After,
    UserIds(user_ids): UserIds,
) -> Result<impl IntoResponse, Problem> {
    let reader = caller.user_id();
    let pairs: Vec<_> = user_ids.iter().map(|user_id| (reader, *user_id)).collect();
    let answer = after.ask(&app, View::Directory, || app.views.presence(&pairs)).await?;
    let present = |user_id: UserId| {
        let shown = answer.value.shown(reader, user_id);
        Presence { user_id, online: shown.online, last_seen: shown.last_seen.map(Time) }
    };
    let found: Vec<_> = user_ids.into_iter().map(present).collect();
    Ok((AsOf(answer.as_of), Answer(found)))
}
