//! Receipts: up to what number each has got and read.

use crate::{
    app::App,
    auth::Caller,
    json::Json,
    openapi::{BodyProblem, CallerProblem, LimitProblem, NotThere},
    params::InPath,
    positions::{After, AsOf, At},
    problem::{Kind, Problem},
    shapes,
    time::Time,
};
use axum::{Json as Answer, extract::State, http::StatusCode, response::IntoResponse};
use events::{ThreadId, UserId};
use query::{View, inbox};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Advance {
    /// Everything up to and including that number has arrived.
    #[serde(default)]
    delivered: Option<u32>,
    /// Everything up to and including that number was read, and hence has arrived.
    #[serde(default)]
    read: Option<u32>,
}

/// How far a member has got and read.
#[derive(Serialize, ToSchema)]
pub(super) struct Receipt {
    #[schema(value_type = shapes::Id)]
    user_id: UserId,
    /// Null for nothing.
    #[schema(required = true)]
    delivered: Option<u32>,
    #[schema(required = true)]
    delivered_at: Option<Time>,
    /// Null for nothing.
    #[schema(required = true)]
    read: Option<u32>,
    #[schema(required = true)]
    read_at: Option<Time>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Receipts {
    receipts: Vec<Receipt>,
}

impl From<inbox::Receipt> for Receipt {
    fn from(receipt: inbox::Receipt) -> Self {
        let inbox::Receipt { user_id, delivered, read } = receipt;
        Self {
            user_id,
            delivered: delivered.map(|mark| mark.number),
            delivered_at: delivered.map(|mark| Time(mark.at)),
            read: read.map(|mark| mark.number),
            read_at: read.map(|mark| Time(mark.at)),
        }
    }
}

/// Moves the caller's watermarks; they never move back.
#[utoipa::path(put, path = "/v1/threads/{thread_id}/receipt", tag = "messages", operation_id = "advance_receipt", security(("bearer" = [])),
    params(("thread_id" = shapes::Id, Path)),
    request_body = Advance,
    responses(
        (status = 204, description = "Moved, or further already",
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        NotThere, CallerProblem, BodyProblem, LimitProblem,
    ))]
pub(super) async fn advance(
    State(app): State<App>,
    caller: Caller,
    InPath(thread_id): InPath<ThreadId>,
    Json(Advance { delivered, read }): Json<Advance>,
) -> Result<impl IntoResponse, Problem> {
    if delivered.is_none() && read.is_none() {
        return Err(Problem::new(Kind::Validation, "say what was delivered or read")
            .with_field("delivered", "is missing, and so is read")
            .with_field("read", "is missing, and so is delivered"));
    }
    app.limits.receipt(caller.user_id())?;
    let position = app.threads.advance_receipt(caller.user_id(), thread_id, delivered, read).await?;
    Ok((StatusCode::NO_CONTENT, At(position), ()))
}

/// Who has got and read up to what number, and when.
#[utoipa::path(get, path = "/v1/threads/{thread_id}/receipts", tag = "messages", operation_id = "list_receipts", security(("bearer" = [])),
    params(
        ("thread_id" = shapes::Id, Path),
        After,
    ),
    responses(
        (status = 200, description = "The receipts of all members", body = Receipts,
            headers(("Herald-As-Of" = shapes::Vector, description = "What the answer has seen"))),
        NotThere, CallerProblem,
    ))]
pub(super) async fn all(
    State(app): State<App>,
    caller: Caller,
    after: After,
    InPath(thread_id): InPath<ThreadId>,
) -> Result<impl IntoResponse, Problem> {
    let reader = caller.user_id();
    let question = || app.views.receipts(reader, thread_id);
    let answer = after.ask(&app, View::Inbox, question).await?;
    let receipts = answer.value.ok_or_else(Problem::not_found)?;
    let receipts = Receipts { receipts: receipts.into_iter().map(Receipt::from).collect() };
    Ok((AsOf(answer.as_of), Answer(receipts)))
}
