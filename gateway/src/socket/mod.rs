//! The socket's shell: the handshake, and around the pure session the
//! connection, the clock and the rooms that it acts on. One task a socket.

mod commands;
mod connection;
mod origin;
mod writing;

use crate::{
    app::App,
    problem::{Kind, Problem},
};
use axum::{
    extract::{FromRequestParts, Request, WebSocketUpgrade},
    response::Response,
};
pub(crate) use commands::ChangeAnswer;
use connection::Connection;

pub(crate) const PROTOCOL: &str = "herald.v1";
/// The longest message, and the longest frame, that a client may send.
const MAX_MESSAGE: usize = 256 << 10;
// Each connection keeps what it reads into, and what it once wrote from: axum's own sizes cost 139 KB, and half the speed.
const READ_BUFFER: usize = 2 << 10;
const WRITE_BUFFER: usize = 8 << 10;

/// Turns a request into a socket.
///
/// # Errors
/// 403 for a foreign origin, 503 while the log is not heard, 426 for what is no handshake.
pub(crate) async fn upgrade(app: App, request: Request) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    if !origin::is_welcome(&parts.headers, &app.settings.allowed_origins) {
        return Err(Problem::new(Kind::ForeignOrigin, "pages of that origin may not open a socket here"));
    }
    app.hearing()?;
    let handshake = WebSocketUpgrade::from_request_parts(&mut parts, &()).await;
    let handshake = handshake.map_err(|refused| Problem::new(Kind::UpgradeRequired, refused.body_text()))?;
    // No extension is negotiated: compression together with what others write can reveal secrets.
    let open = app.sockets.token();
    Ok(handshake
        .protocols([PROTOCOL])
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .on_upgrade(async move |socket| {
            Connection::new(app, socket).run().await;
            drop(open);
        }))
}
