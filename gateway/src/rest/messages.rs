//! Messages: sending, editing and deleting them.

use crate::{
    amending,
    app::App,
    auth::Caller,
    json::Json,
    openapi::{BodyProblem, CallerProblem, LimitProblem, NotAllowed, NotThere},
    params::InPath,
    positions::At,
    problem::Problem,
    sending::{self, SendAnswer, SendRequest, Written},
    shapes,
    time::Time,
};
use axum::{
    Json as Answer,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use command::threads::{Amendment, To};
use events::{Position, ThreadId, event::Number};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenTo {
    /// The person to write to.
    #[schema(value_type = shapes::Id)]
    to: String,
    /// Minted by the sender, a UUIDv7: the same key again answers what it answered first.
    #[schema(value_type = shapes::MintedId)]
    key: String,
    /// 1 to 32,768 bytes after NFC, whatever the characters it was composed of; may be empty beside attachments.
    #[schema(example = "Hello", max_length = 49152)]
    body: String,
    /// The number of a message in the same thread.
    #[serde(default)]
    reply_to: Option<u32>,
    /// Uploads of the sender's that nothing has used yet, at most 10.
    #[serde(default)]
    #[schema(value_type = Vec<shapes::Id>, max_items = 10)]
    attachments: Vec<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewText {
    /// 1 to 32,768 bytes after NFC, whatever the characters it was composed of.
    #[schema(example = "Hello again", min_length = 1, max_length = 49152)]
    body: String,
}

/// A message with another text.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the contract's names")]
pub(super) struct Edited {
    #[schema(value_type = shapes::Id)]
    thread_id: ThreadId,
    number: u32,
    body: String,
    /// Null where it said so from the first on.
    #[schema(required = true)]
    edited_at: Option<Time>,
    #[schema(value_type = shapes::Position)]
    position: Position,
}

/// Sends a message into a thread: once per key, for ever.
#[utoipa::path(post, path = "/v1/threads/{thread_id}/messages", tag = "messages", operation_id = "send_message", security(("bearer" = [])),
    params(("thread_id" = shapes::Id, Path)),
    request_body = Written,
    responses(
        (status = 201, description = "Sent: it is durable in the log", body = SendAnswer,
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        (status = 200, description = "It was sent before: the first answer", body = SendAnswer,
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        (status = 404, description = "The thread, or the message replied to, is not there or not for the caller",
            body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`key-reused`: the key was used for another message", body = Problem,
            content_type = "application/problem+json"),
        NotAllowed, CallerProblem, BodyProblem, LimitProblem,
    ))]
pub(super) async fn send_to_thread(
    State(app): State<App>,
    caller: Caller,
    InPath(thread_id): InPath<ThreadId>,
    Json(written): Json<Written>,
) -> Result<Response, Problem> {
    let request = SendRequest::parse(To::Thread(thread_id), &written)?;
    Ok(sent(sending::send(&app, caller.user_id(), request).await?))
}

/// Sends a message to a person, into the direct thread, which is opened if need be.
#[utoipa::path(post, path = "/v1/messages", tag = "messages", operation_id = "send_message_to_person", security(("bearer" = [])), request_body = WrittenTo,
    responses(
        (status = 201, description = "Sent: it is durable in the log", body = SendAnswer,
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        (status = 200, description = "It was sent before: the first answer", body = SendAnswer,
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        (status = 404, description = "The person, or the message replied to, is not there", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "`key-reused`: the key was used for another message", body = Problem,
            content_type = "application/problem+json"),
        NotAllowed, CallerProblem, BodyProblem, LimitProblem,
    ))]
pub(super) async fn send_to_person(
    State(app): State<App>,
    caller: Caller,
    Json(WrittenTo { to, key, body, reply_to, attachments }): Json<WrittenTo>,
) -> Result<Response, Problem> {
    let request = SendRequest::parse(sending::peer("to", &to)?, &Written { key, body, reply_to, attachments })?;
    Ok(sent(sending::send(&app, caller.user_id(), request).await?))
}

/// Replaces the text of a message of the caller's.
#[utoipa::path(patch, path = "/v1/threads/{thread_id}/messages/{number}", tag = "messages",
    operation_id = "edit_message", security(("bearer" = [])),
    params(("thread_id" = shapes::Id, Path), ("number" = u32, Path)),
    request_body = NewText,
    responses(
        (status = 200, description = "As it is now", body = Edited,
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        (status = 409, description = "`message-deleted`", body = Problem, content_type = "application/problem+json"),
        NotAllowed, NotThere, CallerProblem, BodyProblem, LimitProblem,
    ))]
pub(super) async fn edit(
    State(app): State<App>,
    caller: Caller,
    InPath((thread_id, number)): InPath<(ThreadId, Number)>,
    Json(NewText { body }): Json<NewText>,
) -> Result<impl IntoResponse, Problem> {
    let edited = amending::edit(&app, caller.user_id(), thread_id, number, &body).await?;
    let amending::Edited { body, position, edited_at } = edited;
    let (body, edited_at) = (body.as_str().to_owned(), edited_at.map(Time));
    Ok((At(position), Answer(Edited { thread_id, number, body, edited_at, position })))
}

/// Deletes a message for everybody and for good; a tombstone stays.
#[utoipa::path(delete, path = "/v1/threads/{thread_id}/messages/{number}", tag = "messages",
    operation_id = "delete_message", security(("bearer" = [])),
    params(("thread_id" = shapes::Id, Path), ("number" = u32, Path)),
    responses(
        (status = 204, description = "Its text is gone",
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        NotAllowed, NotThere, CallerProblem, LimitProblem,
    ))]
pub(super) async fn delete(
    State(app): State<App>,
    caller: Caller,
    InPath((thread_id, number)): InPath<(ThreadId, Number)>,
) -> Result<impl IntoResponse, Problem> {
    let amended = amending::amend(&app, caller.user_id(), thread_id, number, Amendment::Delete).await?;
    Ok((StatusCode::NO_CONTENT, At(amended.position), ()))
}

fn sent(answer: SendAnswer) -> Response {
    let status = if answer.repeated { StatusCode::OK } else { StatusCode::CREATED };
    (status, At(answer.position), Answer(answer)).into_response()
}
