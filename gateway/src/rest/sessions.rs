//! The caller's own sessions: one for each device that is logged in.

use crate::{
    app::App,
    auth::Caller,
    openapi::{CallerProblem, NotThere},
    params::InPath,
    positions::{After, At},
    problem::Problem,
    shapes,
    time::Time,
};
use axum::{Json as Answer, extract::State, http::StatusCode, response::IntoResponse};
use command::accounts::{Device, Identity};
use events::SessionId;
use serde::Serialize;
use utoipa::ToSchema;

/// A device that is logged in.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the contract's names")]
pub(super) struct Session {
    #[schema(value_type = shapes::Id)]
    session_id: SessionId,
    /// What its owner called it.
    #[schema(required = true, example = "Ada's telephone")]
    device: Option<String>,
    created_at: Time,
    /// When its tokens were last renewed.
    last_used_at: Time,
    /// Whether it is the one that asks.
    current: bool,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Sessions {
    /// Oldest first.
    sessions: Vec<Session>,
}

impl Session {
    /// A device, as whoever asks from theirs is told of it.
    pub(super) fn new(device: Device, asking: &Identity) -> Self {
        let Device { session_id, device, created_at, last_used_at } = device;
        let current = session_id == asking.session_id;
        Self { session_id, device, created_at: Time(created_at), last_used_at: Time(last_used_at), current }
    }
}

/// Lists the caller's sessions.
#[utoipa::path(get, path = "/v1/sessions", tag = "accounts", operation_id = "list_sessions", security(("bearer" = [])),
    params(After),
    responses(
        (status = 200, description = "All that are open", body = Sessions,
            headers(("Herald-As-Of" = shapes::Vector, description = "What the answer has seen"))),
        CallerProblem,
    ))]
pub(super) async fn list(State(app): State<App>, caller: Caller, after: After) -> Result<impl IntoResponse, Problem> {
    let heard = app.hub.vector();
    let (position, devices) = app.accounts.sessions(caller.user_id()).await?;
    let sessions = devices.into_iter().map(|device| Session::new(device, &caller.0)).collect();
    Ok((after.seen_in_the_log(heard, position), Answer(Sessions { sessions })))
}

/// Ends one of the caller's sessions.
#[utoipa::path(delete, path = "/v1/sessions/{session_id}", tag = "accounts", operation_id = "end_session",
    security(("bearer" = [])),
    params(("session_id" = shapes::Id, Path)),
    responses(
        (status = 204, description = "Ended, everywhere within 1 s",
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        NotThere, CallerProblem,
    ))]
pub(super) async fn end(
    State(app): State<App>,
    caller: Caller,
    InPath(session_id): InPath<SessionId>,
) -> Result<impl IntoResponse, Problem> {
    Ok((StatusCode::NO_CONTENT, At(app.accounts.end_session(caller.user_id(), session_id).await?), ()))
}
