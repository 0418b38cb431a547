//! The address of the socket; what goes over it is `crate::socket`'s.

use crate::{app::App, openapi::AnyProblem, problem::Problem, socket};
use axum::{
    extract::{Request, State},
    response::Response,
};

/// Opens the socket: pushes as they happen, and the same commands.
///
/// A WebSocket with the subprotocol `herald.v1` and JSON text frames; the first is `hello` with an access token.
#[utoipa::path(get, path = "/v1/socket", tag = "socket", operation_id = "open_socket", responses(
    (status = 101, description = "Go on as a WebSocket"),
    (status = 403, description = "`foreign-origin`: a page of another origin may not open it", body = Problem,
        content_type = "application/problem+json"),
    (status = 426, description = "Not a WebSocket handshake", body = Problem,
        content_type = "application/problem+json"),
    AnyProblem,
))]
pub(super) async fn open(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    socket::upgrade(app, request).await
}
