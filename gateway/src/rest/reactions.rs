//! Reactions: the caller's own, one for each emoji.

use crate::{
    amending::amend,
    app::App,
    auth::Caller,
    openapi::{CallerProblem, LimitProblem, NotAllowed, NotThere, Unprocessable},
    params::InPath,
    positions::At,
    problem::Problem,
    shapes,
};
use axum::{extract::State, http::StatusCode, response::IntoResponse};
use command::threads::Amendment;
use events::{Emoji, ThreadId, event::Number};

/// Reacts to a message.
#[utoipa::path(put, path = "/v1/threads/{thread_id}/messages/{number}/reactions/{emoji}", tag = "messages",
    operation_id = "react", security(("bearer" = [])),
    params(
        ("thread_id" = shapes::Id, Path),
        ("number" = u32, Path),
        ("emoji" = String, Path, min_length = 1, description = "One emoji sequence", example = "👍"),
    ),
    responses(
        (status = 204, description = "So it is",
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        (status = 409, description = "`message-deleted`", body = Problem, content_type = "application/problem+json"),
        NotAllowed, NotThere, Unprocessable, CallerProblem, LimitProblem,
    ))]
pub(super) async fn put(
    State(app): State<App>,
    caller: Caller,
    InPath((thread_id, number, emoji)): InPath<(ThreadId, Number, Emoji)>,
) -> Result<impl IntoResponse, Problem> {
    let amended = amend(&app, caller.user_id(), thread_id, number, Amendment::React(emoji)).await?;
    Ok((StatusCode::NO_CONTENT, At(amended.position), ()))
}

/// Takes a reaction back.
#[utoipa::path(delete, path = "/v1/threads/{thread_id}/messages/{number}/reactions/{emoji}", tag = "messages",
    operation_id = "unreact", security(("bearer" = [])),
    params(
        ("thread_id" = shapes::Id, Path),
        ("number" = u32, Path),
        ("emoji" = String, Path, min_length = 1, description = "One emoji sequence", example = "👍"),
    ),
    responses(
        (status = 204, description = "It is not there, or never was",
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        NotThere, Unprocessable, CallerProblem, LimitProblem,
    ))]
pub(super) async fn remove(
    State(app): State<App>,
    caller: Caller,
    InPath((thread_id, number, emoji)): InPath<(ThreadId, Number, Emoji)>,
) -> Result<impl IntoResponse, Problem> {
    let amended = amend(&app, caller.user_id(), thread_id, number, Amendment::Unreact(emoji)).await?;
    Ok((StatusCode::NO_CONTENT, At(amended.position), ()))
}
