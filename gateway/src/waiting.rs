//! What a node answers while it waits for the log: it lives, and serves
//! nothing yet. Its address is taken, so that whoever asks is told so.

use crate::{problem::Problem, rest, serve, tls::Tls};
use axum::{
    Router,
    http::header::CONNECTION,
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Answers on the listener until it is dropped.
pub async fn wait(listener: &TcpListener, tls: Option<&Tls>) {
    let router = Router::new().route("/healthz", get(rest::healthz)).fallback(not_yet);
    let stop = CancellationToken::new();
    let _ended_with_this = stop.clone().drop_guard();
    serve::accept(listener, tls, &router, &stop, &TaskTracker::new()).await;
}

/// Asked again, it comes over a new connection, to the node that then serves.
async fn not_yet() -> Response {
    ([(CONNECTION, "close")], Problem::unavailable("this node waits for the log")).into_response()
}
