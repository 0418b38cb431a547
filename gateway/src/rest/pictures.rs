//! What people and groups look like: an upload, taken as their picture.

use crate::{
    app::App,
    auth::Caller,
    json::Json,
    openapi::{BodyProblem, CallerProblem, LimitProblem, NotAllowed, NotThere, Unprocessable},
    params::{self, InPath},
    positions::At,
    problem::Problem,
    shapes,
};
use axum::{extract::State, http::StatusCode, response::IntoResponse};
use events::ThreadId;
use serde::Deserialize;
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Picture {
    /// An upload of the caller's: GIF, JPEG, PNG or WebP, of at most 8 MiB.
    #[schema(value_type = shapes::Id)]
    attachment_id: String,
}

/// Has the caller look like an upload of theirs.
#[utoipa::path(put, path = "/v1/me/picture", tag = "attachments", operation_id = "set_my_picture", security(("bearer" = [])),
    request_body = Picture,
    responses(
        (status = 204, description = "So it is",
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        NotThere, CallerProblem, BodyProblem, LimitProblem,
    ))]
pub(super) async fn set_mine(
    State(app): State<App>,
    caller: Caller,
    Json(Picture { attachment_id }): Json<Picture>,
) -> Result<impl IntoResponse, Problem> {
    let upload = params::id("attachment_id", &attachment_id)?;
    app.limits.send(caller.user_id())?;
    let position = app.accounts.set_picture(&caller.0, Some(upload)).await?;
    Ok((StatusCode::NO_CONTENT, At(position), ()))
}

/// Has the caller look like nothing.
#[utoipa::path(delete, path = "/v1/me/picture", tag = "attachments", operation_id = "remove_my_picture", security(("bearer" = [])),
    responses(
        (status = 204, description = "So it is",
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        CallerProblem, LimitProblem,
    ))]
pub(super) async fn remove_mine(State(app): State<App>, caller: Caller) -> Result<impl IntoResponse, Problem> {
    app.limits.send(caller.user_id())?;
    let position = app.accounts.set_picture(&caller.0, None).await?;
    Ok((StatusCode::NO_CONTENT, At(position), ()))
}

/// Has a group look like an upload of the caller's, who leads it.
#[utoipa::path(put, path = "/v1/threads/{thread_id}/picture", tag = "attachments", operation_id = "set_group_picture", security(("bearer" = [])),
    params(("thread_id" = shapes::Id, Path)),
    request_body = Picture,
    responses(
        (status = 204, description = "So it is",
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        NotAllowed, NotThere, CallerProblem, BodyProblem, LimitProblem,
    ))]
pub(super) async fn set_groups(
    State(app): State<App>,
    caller: Caller,
    InPath(thread_id): InPath<ThreadId>,
    Json(Picture { attachment_id }): Json<Picture>,
) -> Result<impl IntoResponse, Problem> {
    let upload = params::id("attachment_id", &attachment_id)?;
    app.limits.send(caller.user_id())?;
    let position = app.threads.set_picture(caller.user_id(), thread_id, Some(upload)).await?;
    Ok((StatusCode::NO_CONTENT, At(position), ()))
}

/// Has a group look like nothing.
#[utoipa::path(delete, path = "/v1/threads/{thread_id}/picture", tag = "attachments", operation_id = "remove_group_picture", security(("bearer" = [])),
    params(("thread_id" = shapes::Id, Path)),
    responses(
        (status = 204, description = "So it is",
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        NotAllowed, NotThere, CallerProblem, Unprocessable, LimitProblem,
    ))]
pub(super) async fn remove_groups(
    State(app): State<App>,
    caller: Caller,
    InPath(thread_id): InPath<ThreadId>,
) -> Result<impl IntoResponse, Problem> {
    app.limits.send(caller.user_id())?;
    let position = app.threads.set_picture(caller.user_id(), thread_id, None).await?;
    Ok((StatusCode::NO_CONTENT, At(position), ()))
}
