//! What people told the operators of, and what came of it. A report lets operators
//! see its message as the reporter sees it, and nothing else of the thread.

use super::{Acting, Because, Desk};
use crate::{
    json::Json,
    openapi::{BodyProblem, CallerProblem, NotThere, QueryProblem},
    params::{self, InPath, InQuery},
    positions::{After, AsOf, At},
    problem::Problem,
    rest::reason_of,
    shapes,
    time::Time,
};
use axum::{Json as Answer, extract::State, http::StatusCode, response::IntoResponse};
use events::{Position, ThreadId, UserId};
use query::{View, audit};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What somebody told of.
#[derive(Serialize, ToSchema)]
pub(super) struct Report {
    /// Its name.
    #[schema(value_type = shapes::Position)]
    position: Position,
    time: Time,
    #[schema(value_type = shapes::Id)]
    reporter_id: UserId,
    #[schema(value_type = shapes::Id)]
    thread_id: ThreadId,
    number: u32,
    /// Null once the reporter was erased.
    #[schema(required = true)]
    reason: Option<String>,
    /// Null while nobody has seen to it.
    #[schema(required = true)]
    resolved_at: Option<Time>,
}

/// A report, and its message as the reporter sees it.
#[derive(Serialize, ToSchema)]
pub(super) struct WholeReport {
    #[serde(flatten)]
    report: Report,
    /// Null where the reporter does not see it any more.
    #[schema(required = true)]
    message: Option<Reported>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Reported {
    #[schema(value_type = shapes::Id)]
    sender_id: UserId,
    /// Null once it was deleted.
    #[schema(required = true)]
    body: Option<String>,
    sent_at: Time,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Reports {
    reports: Vec<Report>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Limit {
    /// 1 to 100, 50 unless told otherwise.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 50)]
    limit: Option<String>,
}

impl From<audit::Report> for Report {
    fn from(report: audit::Report) -> Self {
        let audit::Report { position, at, reporter, thread_id, number, reason, resolved_at } = report;
        let (time, resolved_at) = (Time(at), resolved_at.map(Time));
        Self { position, time, reporter_id: reporter, thread_id, number, reason, resolved_at }
    }
}

/// The reports that nobody has seen to, the oldest first.
#[utoipa::path(get, path = "/operator/v1/reports", tag = "reports", operation_id = "list_reports",
    security(("operator" = [])), params(Limit, After),
    responses(
        (status = 200, description = "The oldest of them", body = Reports,
            headers(("Herald-As-Of" = shapes::Vector, description = "What the answer has seen"))),
        QueryProblem, CallerProblem,
    ))]
pub(super) async fn list(
    State(desk): State<Desk>,
    _: Acting,
    after: After,
    InQuery(Limit { limit }): InQuery<Limit>,
) -> Result<impl IntoResponse, Problem> {
    let limit = params::limit(limit.as_deref())?;
    let found = after.ask(&desk.app, View::Audit, || desk.app.views.open_reports(limit)).await?;
    let reports = found.value.into_iter().map(Report::from).collect();
    Ok((AsOf(found.as_of), Answer(Reports { reports })))
}

/// A report with its message. That it was looked at is a fact.
#[utoipa::path(get, path = "/operator/v1/reports/{report}", tag = "reports", operation_id = "get_report",
    security(("operator" = [])), params(("report" = shapes::Position, Path), After),
    responses(
        (status = 200, description = "The report", body = WholeReport,
            headers(("Herald-As-Of" = shapes::Vector, description = "What the answer has seen"))),
        NotThere, CallerProblem,
    ))]
pub(super) async fn one(
    State(desk): State<Desk>,
    acting: Acting,
    after: After,
    InPath(position): InPath<Position>,
) -> Result<impl IntoResponse, Problem> {
    let found = find(&desk, &after, position).await?;
    let report = found.value;
    desk.operators.audit_thread(acting.id(), report.thread_id).await?;
    let question = || desk.app.views.message(report.reporter, report.thread_id, report.number);
    let message = After::nothing().ask(&desk.app, View::Timeline, question).await?.value;
    let message = message.map(|message| Reported {
        sender_id: message.sender_id,
        body: message.body,
        sent_at: Time(message.sent_at),
    });
    Ok((AsOf(found.as_of), Answer(WholeReport { report: report.into(), message })))
}

/// Says that a report was seen to. Seen to already is as good.
#[utoipa::path(post, path = "/operator/v1/reports/{report}/resolve", tag = "reports", operation_id = "resolve_report",
    security(("operator" = [])), request_body = Because, params(("report" = shapes::Position, Path), After),
    responses(
        (status = 204, description = "Seen to",
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        NotThere, CallerProblem, BodyProblem,
    ))]
pub(super) async fn resolve(
    State(desk): State<Desk>,
    acting: Acting,
    after: After,
    InPath(position): InPath<Position>,
    Json(Because { reason }): Json<Because>,
) -> Result<impl IntoResponse, Problem> {
    let report = find(&desk, &after, position).await?.value;
    let matter = (report.thread_id, report.number);
    let position = desk.operators.resolve(acting.id(), report.reporter, matter, &reason_of(&reason)?).await?;
    Ok((StatusCode::NO_CONTENT, At(position), ()))
}

async fn find(desk: &Desk, after: &After, position: Position) -> Result<query::Answer<audit::Report>, Problem> {
    let found = after.ask(&desk.app, View::Audit, || desk.app.views.report(position)).await?;
    found.found().ok_or_else(Problem::not_found)
}
