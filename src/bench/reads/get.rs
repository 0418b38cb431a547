//! Requests as thin as a load process needs them: written to a connection that
//! is kept, their answers cut off by their length (RFC 9112).

use anyhow::{Context, bail, ensure};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const CHUNK: usize = 32 * 1024;

/// A connection, and the answer that was read from it.
pub(super) struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::with_capacity(CHUNK) })
    }

    /// Asks, and has the body of the answer.
    pub(super) async fn get(&mut self, request: &[u8]) -> anyhow::Result<&[u8]> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        loop {
            if let Some((start, end)) = body(&self.answer)?
                && self.answer.len() >= end
            {
                ensure!(self.answer.len() == end, "more was answered than was asked for");
                return Ok(&self.answer[start..]);
            }
            ensure!(self.stream.read_buf(&mut self.answer).await? > 0, "the connection was cut");
        }
    }
}

/// The bytes of a request for a path.
pub(super) fn request(address: SocketAddr, path: &str, access_token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {access_token}\r\n\r\n").into_bytes()
}

/// Where the body begins and ends; `None` while the head is not whole.
fn body(answer: &[u8]) -> anyhow::Result<Option<(usize, usize)>> {
    let Some(head) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&answer[..head]).context("a head that is no text")?;
    let mut lines = text.lines();
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 200") {
        bail!("herald answered {status}");
    }
    let mut fields = lines.filter_map(|line| line.split_once(':'));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length")).context("no length")?.1;
    let length: usize = length.trim().parse()?;
    Ok(Some((head + 4, head + 4 + length)))
}

#[cfg(test)]
mod tests {
    use super::body;

    #[test]
    fn a_body_is_found_by_its_length() {
        let answer = b"HTTP/1.1 200 OK\r\nX: y\r\ncontent-Length: 3\r\n\r\nabc";
        for whole in 0..answer.len() - 3 {
            assert_eq!(body(&answer[..whole]).unwrap(), None);
        }
        assert_eq!(body(answer).unwrap(), Some((answer.len() - 3, answer.len())));
        assert!(body(b"HTTP/1.1 503 no\r\ncontent-length: 0\r\n\r\n").is_err());
        assert!(body(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
