//! A socket of the contract: opened, heard frame by frame, spoken to.

use super::{frame::Frame, session::Session};
use anyhow::{Context, bail};
use futures_util::{SinkExt, StreamExt};
use reqwest::Url;
use serde_json::Value;
use std::time::Duration;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

/// The server pings more often.
const SILENCE: Duration = Duration::from_mins(1);
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Wire {
    socket: WebSocketStream<TcpStream>,
    heard: Instant,
}

/// What comes next.
pub(super) enum Heard {
    Frame(Frame),
    /// It has ended, with that code if it was closed.
    Ended(Option<u16>, String),
}

impl Wire {
    /// Connects and says hello.
    ///
    /// # Errors
    /// When nobody answers, or nobody who speaks the protocol.
    pub(super) async fn open(url: &Url, session: &mut Session, token: &str) -> anyhow::Result<Self> {
        let mut socket_url = url.join("/v1/socket")?;
        if socket_url.set_scheme("ws").is_err() {
            bail!("{url} has no socket");
        }
        let addresses = url.socket_addrs(|| None)?;
        let stream = timeout(PATIENCE, TcpStream::connect(&*addresses)).await??;
        stream.set_nodelay(true)?;
        let mut request = socket_url.as_str().into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("herald.v1"));
        let (socket, _) = timeout(PATIENCE, client_async(request, stream)).await??;
        let mut wire = Self { socket, heard: Instant::now() };
        wire.say(&session.hello(token)).await?;
        Ok(wire)
    }

    /// # Errors
    /// When the connection is gone.
    pub(super) async fn say(&mut self, frame: &Value) -> anyhow::Result<()> {
        let said = timeout(PATIENCE, self.socket.send(Message::text(frame.to_string()))).await;
        said.context("herald does not listen")?.context("the connection broke")
    }

    /// Waits for the next frame; dropped half-way, it loses nothing.
    pub(super) async fn next(&mut self) -> Heard {
        loop {
            let Ok(message) = timeout_at(self.heard + SILENCE, self.socket.next()).await else {
                return Heard::Ended(None, "herald is silent".to_owned());
            };
            self.heard = Instant::now();
            match message {
                Some(Ok(Message::Text(text))) => {
                    return match serde_json::from_str(&text) {
                        Ok(frame) => Heard::Frame(frame),
                        Err(error) => Heard::Ended(None, format!("a frame that cannot be read: {error}")),
                    };
                }
                Some(Ok(Message::Close(Some(close)))) => {
                    return Heard::Ended(Some(close.code.into()), close.reason.to_string());
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(None)) | Err(_)) | None => {
                    return Heard::Ended(None, "the connection was cut".to_owned());
                }
            }
        }
    }
}
