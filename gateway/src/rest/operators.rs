//! How the node is, and the key that its tokens are signed with.

use crate::{
    app::App,
    openapi::AnyProblem,
    problem::{Kind, Problem},
    shapes,
};
use axum::{Json as Answer, extract::State, http::header::CACHE_CONTROL, response::IntoResponse};
use events::{Partition, Position, Share, Vector};
use query::{SetAside, View};
use serde::Serialize;
use std::collections::BTreeSet;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    #[schema(example = "ok")]
    status: &'static str,
}

/// What this node could serve.
#[derive(Serialize, ToSchema)]
pub(super) struct Readiness {
    /// The last position of every partition.
    #[schema(value_type = shapes::Vector)]
    log_end: Vector,
    /// Milliseconds since this node last heard the log.
    silent_ms: u64,
    views: Vec<ViewState>,
    /// The databases, by their place in the map, of which a view cannot be read or is behind for too long: what lies there
    /// is answered 503 until it can be. Never all of them.
    databases_away: BTreeSet<u16>,
    /// The facts that a view could not apply, the first hundred: `herald quarantine` says more.
    quarantine: Vec<Aside>,
}

/// A fact that a view has set aside, with all later ones of its aggregate.
#[derive(Serialize, ToSchema)]
pub(super) struct Aside {
    #[schema(example = "timeline")]
    view: &'static str,
    #[schema(value_type = shapes::Position)]
    position: Position,
}

/// How far a view has come in a database.
#[derive(Serialize, ToSchema)]
pub(super) struct ViewState {
    #[schema(example = "timeline")]
    view: &'static str,
    /// Its place in the map.
    database: u16,
    #[schema(value_type = shapes::Vector)]
    applied: Vector,
    /// Facts still to be applied.
    lag: u64,
}

/// The public keys of access tokens (RFC 7517).
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "operators", operation_id = "get_keys", responses(
    (status = 200, description = "A JSON Web Key Set", body = Value),
))]
pub(super) async fn jwks(State(app): State<App>) -> impl IntoResponse {
    ([(CACHE_CONTROL, "public, max-age=300")], Answer(app.accounts.jwks()))
}

/// Whether the process lives.
#[utoipa::path(get, path = "/healthz", tag = "operators", operation_id = "get_health", responses(
    (status = 200, description = "It does", body = Health),
))]
pub(crate) async fn healthz() -> impl IntoResponse {
    Answer(Health { status: "ok" })
}

/// Whether this node can serve: the log is heard, the views can be read and keep up.
#[utoipa::path(get, path = "/readyz", tag = "operators", operation_id = "get_readiness", responses(
    (status = 200, description = "It can", body = Readiness),
    AnyProblem,
))]
pub(super) async fn readyz(State(app): State<App>) -> Result<impl IntoResponse, Problem> {
    if app.draining.is_cancelled() {
        return Err(Problem::unavailable("this node is stopping"));
    }
    app.hearing()?;
    let log_end = app.log.end().await.map_err(|error| Problem::out_of_reach(&error))?;
    let mut ends = log_end.clone();
    let present = app.log.end_of(Partition::PRESENCE).await.map_err(|error| Problem::out_of_reach(&error))?;
    ends.set(Partition::PRESENCE, present);
    let (mut views, mut databases, mut away, mut why) = (Vec::new(), 0, BTreeSet::new(), None);
    for view in View::ALL {
        for (share, applied) in app.views.refresh_each(view).await {
            databases = share.count();
            match state(&app, view, share, applied, &ends) {
                Ok(state) => views.push(state),
                Err(problem) => {
                    away.insert(share.index());
                    why = Some(problem);
                }
            }
        }
    }
    if let Some(problem) = why.filter(|_| away.len() == usize::from(databases)) {
        return Err(problem);
    }
    let silent_ms = u64::try_from(app.log.silent_for().as_millis()).unwrap_or(u64::MAX);
    let aside = app.views.set_aside().await?.into_iter();
    let quarantine = aside.map(|SetAside { view, position }| Aside { view: view.name(), position }).collect();
    Ok(Answer(Readiness { log_end, silent_ms, views, databases_away: away, quarantine }))
}

fn state(
    app: &App,
    view: View,
    share: Share,
    applied: Result<Vector, query::Error>,
    ends: &Vector,
) -> Result<ViewState, Problem> {
    let applied = applied?;
    let streams = view.streams(app.log.names(), share);
    let end: Vector = ends.iter().filter(|end| streams.contains(&end.partition)).collect();
    let lag = end.iter().map(|end| end.sequence.saturating_sub(applied.get(end.partition))).sum();
    if !view.may_lag() && !app.progress.keeps_up((view, share), &applied, end, app.clock.now()) {
        return Err(Problem::new(Kind::Unavailable, format!("the {view} view is {lag} facts behind for too long")));
    }
    // Presence has a stream of its own, which no vector names.
    let applied = applied.iter().filter(|of| of.partition != Partition::PRESENCE).collect();
    Ok(ViewState { view: view.name(), database: share.index(), applied, lag })
}
