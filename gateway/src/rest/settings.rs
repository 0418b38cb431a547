//! How a thread is shown to the caller, on all of their devices.

use crate::{
    app::App,
    auth::Caller,
    json::{Json, given},
    openapi::{BodyProblem, CallerProblem, LimitProblem, NotThere},
    params::InPath,
    positions::At,
    problem::Problem,
    shapes,
    time::Time,
};
use axum::{extract::State, http::StatusCode, response::IntoResponse};
use command::people::Keep;
use events::ThreadId;
use serde::Deserialize;
use utoipa::ToSchema;

/// What is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "null is not absent")]
pub(super) struct Settings {
    /// Until when nothing of it rings; null: it rings.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<shapes::Moment>)]
    muted_until: Option<Option<Time>>,
    #[serde(default)]
    archived: Option<bool>,
    #[serde(default)]
    pinned: Option<bool>,
}

/// Changes how a thread is shown to the caller.
#[utoipa::path(put, path = "/v1/threads/{thread_id}/settings", tag = "threads", operation_id = "change_settings",
    security(("bearer" = [])),
    params(("thread_id" = shapes::Id, Path)),
    request_body = Settings,
    responses(
        (status = 204, description = "So it is",
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        NotThere, CallerProblem, BodyProblem, LimitProblem,
    ))]
pub(super) async fn change(
    State(app): State<App>,
    caller: Caller,
    InPath(thread_id): InPath<ThreadId>,
    Json(Settings { muted_until, archived, pinned }): Json<Settings>,
) -> Result<impl IntoResponse, Problem> {
    let muted_until = muted_until.map(|until| until.map(|Time(until)| until));
    app.limits.send(caller.user_id())?;
    let keep = Keep { muted_until, archived, pinned };
    let position = app.people.keep_thread(caller.user_id(), thread_id, keep).await?;
    Ok((StatusCode::NO_CONTENT, At(position), ()))
}
