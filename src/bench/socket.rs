//! A socket that writes nothing of its own: it says hello, is told what it
//! missed, answers pings and keeps a transcript.

use super::{
    scan::{Told, number},
    transcript::Transcript,
    wire::{Frame, Wire, closed, first},
};
use anyhow::{Context, bail};
use std::{net::SocketAddr, time::Duration};
use tokio::time::timeout;

/// As long as it may take that all are answered who come at once.
const PATIENCE: Duration = Duration::from_mins(1);

pub(super) struct Socket {
    wire: Wire,
    pub(super) told: Transcript,
    /// Of the frame with which it went live.
    pub(super) vector: String,
    /// The frame that was waited for has come.
    ended: bool,
}

impl Socket {
    /// Opens a socket, and is live.
    pub(super) async fn hello(address: SocketAddr, token: &str, resume: Option<&str>) -> anyhow::Result<Self> {
        let mut wire = Wire::open(address).await?;
        let resume = resume.map(|vector| format!(r#","resume":"{vector}""#)).unwrap_or_default();
        wire.say(|out| out.extend(format!(r#"{{"type":"hello","token":"{token}"{resume}}}"#).bytes()));
        let mut socket = Self { wire, told: Transcript::default(), vector: String::new(), ended: false };
        socket.until(b"live").await.context("a socket did not go live")?;
        Ok(socket)
    }

    /// Makes sure that all that was sent has been heard: a duplicate would come before the pong.
    pub(super) async fn finish(&mut self) -> anyhow::Result<()> {
        self.wire.say(|out| out.extend_from_slice(br#"{"type":"ping"}"#));
        self.until(b"pong").await.context("no pong")
    }

    /// Waits until something was sent; dropped half-way, it loses nothing.
    pub(super) async fn sent(&mut self) -> anyhow::Result<()> {
        self.wire.flush()?;
        self.wire.fill().await
    }

    /// Hears what was sent.
    pub(super) fn hear(&mut self, message: impl FnMut(&Told<'_>)) -> anyhow::Result<()> {
        self.hear_until(None, message)
    }

    /// Goes on until a frame of that kind.
    async fn until(&mut self, kind: &'static [u8]) -> anyhow::Result<()> {
        let heard = async {
            while !self.ended {
                self.sent().await?;
                self.hear_until(Some(kind), |_| {})?;
            }
            self.ended = false;
            Ok(())
        };
        timeout(PATIENCE, heard).await?
    }

    fn hear_until(&mut self, kind: Option<&[u8]>, mut message: impl FnMut(&Told<'_>)) -> anyhow::Result<()> {
        let input = self.wire.take();
        let mut at = 0;
        while let Some((frame, length)) = first(&input[at..])? {
            at += length;
            match frame {
                Frame::Text(text) => {
                    let told = Told::read(text);
                    if told.kind == b"message" {
                        let number = number(told.number).context("a message without a number")?;
                        self.told.add(number, told.key, told.sender_id, told.body);
                        self.told.at(told.position);
                        message(&told);
                    } else if kind == Some(told.kind) {
                        self.ended = true;
                        self.vector = String::from_utf8_lossy(told.vector).into_owned();
                    } else if told.kind == b"reset" {
                        bail!("herald does not tell one by one what was missed");
                    }
                }
                Frame::Ping(payload) => self.wire.pong(payload),
                Frame::Close(payload) => bail!("herald closed the socket: {}", closed(payload)),
                Frame::Pong => {}
            }
        }
        self.wire.handled(input, at);
        Ok(())
    }
}
