//! A WebSocket as thin as a load process needs it (RFC 6455): its frames are cut
//! out of what was read and joined to what is written, without a copy between.

use anyhow::{Context, bail, ensure};
use std::{io::ErrorKind, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest, Ready},
    net::TcpStream,
    time::timeout,
};

const CHUNK: usize = 16 * 1024;
const PATIENCE: Duration = Duration::from_secs(20);
const TEXT: u8 = 0x81;
const PONG: u8 = 0x8a;
const MASKED: u8 = 0x80;
/// Instead of a length: it follows in two bytes.
const LONG: u8 = 0x7e;
/// Masking with zeros changes nothing: the bench's own bytes need no protection from proxies.
const MASK: [u8; 4] = [0; 4];

/// A connection, and what of it is read and not handled, or said and not written.
pub(super) struct Wire {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    written: usize,
}

/// What the server sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    Text(&'a [u8]),
    Ping(&'a [u8]),
    Close(&'a [u8]),
    Pong,
}

impl Wire {
    /// Connects and changes to the protocol of sockets.
    pub(super) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let mut stream = timeout(PATIENCE, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET /v1/socket HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: aGVyYWxkIGlzIGJlbmNoZWQ=\r\n\
             Sec-WebSocket-Protocol: herald.v1\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        let end = loop {
            ensure!(timeout(PATIENCE, stream.read_buf(&mut answer)).await?? > 0, "the socket was closed at once");
            if let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let input = answer.split_off(end);
        let status = String::from_utf8_lossy(&answer);
        ensure!(status.starts_with("HTTP/1.1 101 "), "the socket was refused: {}", status.lines().next().unwrap_or(""));
        Ok(Self { stream, input, output: Vec::new(), written: 0 })
    }

    /// Waits until something can be read, or what is left can be written.
    pub(super) async fn ready(&self) -> std::io::Result<Ready> {
        let interest =
            if self.output.is_empty() { Interest::READABLE } else { Interest::READABLE | Interest::WRITABLE };
        self.stream.ready(interest).await
    }

    /// Reads what is there.
    pub(super) fn read(&mut self) -> anyhow::Result<()> {
        self.reserve();
        match self.stream.try_read_buf(&mut self.input) {
            Ok(0) => bail!("the connection was cut"),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error).context("the connection broke"),
        }
    }

    /// Waits until something is there, and reads it; what is left goes on being written. Dropped half-way, it loses nothing.
    pub(super) async fn fill(&mut self) -> anyhow::Result<()> {
        while !self.output.is_empty() {
            if self.ready().await?.is_readable() {
                return self.read();
            }
            self.flush()?;
        }
        self.reserve();
        ensure!(self.stream.read_buf(&mut self.input).await? > 0, "the connection was cut");
        Ok(())
    }

    /// What was read, to be handled and [given back](Wire::handled).
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.input)
    }

    pub(super) fn handled(&mut self, mut input: Vec<u8>, bytes: usize) {
        input.drain(..bytes);
        self.input = input;
    }

    /// Says a text that is written into the buffer; it goes with the next [`Wire::flush`].
    pub(super) fn say(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.output.len();
        self.output.extend_from_slice(&[TEXT, MASKED | LONG, 0, 0]);
        self.output.extend_from_slice(&MASK);
        let body = self.output.len();
        write(&mut self.output);
        let length = u16::try_from(self.output.len() - body).expect("the bench says nothing long");
        // A length is told in as few bytes as hold it.
        if length < LONG.into() {
            self.output[start + 1] = MASKED | length.to_be_bytes()[1];
            self.output.drain(start + 2..start + 4);
        } else {
            self.output[start + 2..start + 4].copy_from_slice(&length.to_be_bytes());
        }
    }

    pub(super) fn pong(&mut self, payload: &[u8]) {
        let length = u8::try_from(payload.len()).expect("a control frame has at most 125 bytes");
        self.output.extend_from_slice(&[PONG, MASKED | length]);
        self.output.extend_from_slice(&MASK);
        self.output.extend_from_slice(payload);
    }

    fn reserve(&mut self) {
        if self.input.capacity() - self.input.len() < CHUNK / 4 {
            self.input.reserve(CHUNK);
        }
    }

    /// Writes as much as goes.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        while self.written < self.output.len() {
            match self.stream.try_write(&self.output[self.written..]) {
                Ok(bytes) => self.written += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("the connection broke"),
            }
        }
        if self.written == self.output.len() || self.written > CHUNK {
            self.output.drain(..self.written);
            self.written = 0;
        }
        Ok(())
    }
}

/// The first frame and its length; `None` while it is not whole.
pub(super) fn first(input: &[u8]) -> anyhow::Result<Option<(Frame<'_>, usize)>> {
    let &[kind, length, ..] = input else { return Ok(None) };
    let (length, start) = match (length, input) {
        (LONG, &[_, _, high, low, ..]) => (u16::from_be_bytes([high, low]), 4),
        (LONG, _) => return Ok(None),
        (127, _) => bail!("a frame of more than 64 KiB"),
        (short, _) => (u16::from(short), 2),
    };
    let end = start + usize::from(length);
    let Some(payload) = input.get(start..end) else { return Ok(None) };
    let frame = match kind {
        TEXT => Frame::Text(payload),
        0x88 => Frame::Close(payload),
        0x89 => Frame::Ping(payload),
        PONG => Frame::Pong,
        other => bail!("a frame of kind {other:#x}"),
    };
    Ok(Some((frame, end)))
}

/// What a close says.
pub(super) fn closed(payload: &[u8]) -> String {
    let (code, reason) = payload.split_at(payload.len().min(2));
    let code = <[u8; 2]>::try_from(code).map_or(0, u16::from_be_bytes);
    format!("{code} {}", String::from_utf8_lossy(reason))
}

#[cfg(test)]
mod tests {
    use super::{Frame, first};

    #[test]
    fn frames_are_cut_out_once_they_are_whole() {
        let long = "x".repeat(300);
        let mut input = vec![0x81, 2, b'h', b'i', 0x89, 1, b'?', 0x81, 126, 1, 44];
        input.extend_from_slice(long.as_bytes());
        let mut at = 0;
        let mut texts = Vec::new();
        while let Some((frame, length)) = first(&input[at..]).unwrap() {
            texts.push(format!("{frame:?}"));
            at += length;
        }
        let expected = [Frame::Text(b"hi"), Frame::Ping(b"?"), Frame::Text(long.as_bytes())];
        assert_eq!(texts, expected.map(|frame| format!("{frame:?}")));
        assert_eq!(at, input.len());
        for length in 0..4 {
            assert_eq!(first(&[0x81, 126, 1, 44][..length]).unwrap(), None);
        }
        assert!(first(&[0x02, 0]).is_err(), "binary");
    }
}
