//! Reports: what members tell the operators of.

use crate::{
    app::App,
    auth::Caller,
    json::Json,
    openapi::{BodyProblem, CallerProblem, LimitProblem, NotThere},
    params,
    positions::{After, At},
    problem::Problem,
    shapes,
};
use axum::{extract::State, http::StatusCode, response::IntoResponse};
use events::text::About;
use query::View;
use serde::Deserialize;
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Report {
    #[schema(value_type = shapes::Id)]
    thread_id: String,
    number: u32,
    /// What is wrong with it: 1 to 256 characters.
    #[schema(example = "it threatens me", min_length = 1, max_length = 1024)]
    reason: String,
}

/// Tells the operators of a message that the caller sees, and why.
///
/// They see that message, and who reported it; its sender is told nothing. The same message again, while nobody has seen
/// to it, is the same report.
#[utoipa::path(post, path = "/v1/reports", tag = "messages", operation_id = "report_message", security(("bearer" = [])),
    request_body = Report,
    params(After),
    responses(
        (status = 204, description = "Reported",
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        NotThere, CallerProblem, BodyProblem, LimitProblem,
    ))]
pub(super) async fn report(
    State(app): State<App>,
    caller: Caller,
    after: After,
    Json(Report { thread_id, number, reason }): Json<Report>,
) -> Result<impl IntoResponse, Problem> {
    let (reader, thread_id) = (caller.user_id(), params::id("thread_id", &thread_id)?);
    let reason = reason_of(&reason)?;
    app.limits.report(reader)?;
    let question = || app.views.message(reader, thread_id, number);
    after.ask(&app, View::Timeline, question).await?.value.ok_or_else(Problem::not_found)?;
    let position = app.people.report(reader, thread_id, number, &reason).await?;
    Ok((StatusCode::NO_CONTENT, At(position), ()))
}

/// A reason, which says something.
pub(crate) fn reason_of(text: &str) -> Result<About, Problem> {
    let reason = About::parse(text).map_err(|error| Problem::invalid("reason", error))?;
    if reason.as_str().is_empty() { Err(Problem::invalid("reason", "is empty")) } else { Ok(reason) }
}
