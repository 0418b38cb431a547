//! A NATS client that asks whatever it likes, for wherever an answer may go.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

pub struct Client {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    user: String,
    asked: u32,
}

/// What came of a request.
#[derive(Debug, PartialEq)]
pub enum Answer {
    /// JSON, or `Null` where it was none.
    Said(Value),
    /// Nobody is there to be asked.
    Nobody,
    /// NATS did not let it pass.
    Denied,
}

impl Client {
    pub async fn connect(url: &str) -> Self {
        let connected = Self::try_connect(url).await;
        connected.unwrap_or_else(|error| panic!("who logs in hears an inbox of their own: {error}"))
    }

    /// Connects, unless NATS will not have it.
    pub async fn try_connect(url: &str) -> Result<Self, String> {
        let (login, address) = url.strip_prefix("nats://").unwrap().split_once('@').unwrap();
        let (user, password) = login.split_once(':').unwrap();
        let (reader, writer) = TcpStream::connect(address).await.unwrap().into_split();
        let mut client = Self { reader: BufReader::new(reader), writer, user: user.to_owned(), asked: 0 };
        let connect = json!({
            "verbose": false, "pedantic": false, "headers": true, "no_responders": true, "user": user, "pass": password,
        });
        client.say(format!("CONNECT {connect}\r\nSUB {}.* 1\r\nPING\r\n", client.inbox()).as_bytes()).await;
        loop {
            let line = client.line().await;
            if line.starts_with("PONG") {
                return Ok(client);
            }
            if line.starts_with("-ERR") {
                return Err(line);
            }
        }
    }

    /// Asks, and waits for the answer.
    pub async fn ask(&mut self, subject: &str, request: &Value) -> Answer {
        self.asked += 1;
        let reply = format!("{}.{}", self.inbox(), self.asked);
        self.publish(subject, &reply, request).await;
        loop {
            let line = self.line().await;
            if line.starts_with("-ERR") {
                assert!(line.contains("Permissions Violation"), "{line}");
                return Answer::Denied;
            }
            let Some((has_header, length, header_length)) = message(&line) else { continue };
            let mut bytes = vec![0; length + 2];
            self.reader.read_exact(&mut bytes).await.unwrap();
            let header = String::from_utf8_lossy(&bytes[..header_length]).into_owned();
            if has_header && header.starts_with("NATS/1.0 503") {
                return Answer::Nobody;
            }
            if line.split(' ').nth(1) == Some(&reply) || !has_header {
                return Answer::Said(serde_json::from_slice(&bytes[header_length..length]).unwrap_or_default());
            }
        }
    }

    /// Asks in such a way that the answer would go to that subject.
    pub async fn ask_for(&mut self, subject: &str, request: &Value, reply: &str) -> Result<(), String> {
        self.publish(subject, reply, request).await;
        self.settle().await
    }

    pub async fn subscribe(&mut self, subject: &str) -> Result<(), String> {
        self.say(format!("SUB {subject} 9\r\n").as_bytes()).await;
        self.settle().await
    }

    async fn publish(&mut self, subject: &str, reply: &str, payload: &Value) {
        let payload = if payload.is_null() { String::new() } else { payload.to_string() };
        self.say(format!("PUB {subject} {reply} {}\r\n{payload}\r\n", payload.len()).as_bytes()).await;
    }

    /// Waits until all that was said has been heard; the first complaint.
    async fn settle(&mut self) -> Result<(), String> {
        self.say(b"PING\r\n").await;
        let mut complaint = Ok(());
        loop {
            let line = self.line().await;
            if line.starts_with("PONG") {
                return complaint;
            }
            if line.starts_with("-ERR") && complaint.is_ok() {
                complaint = Err(line);
            } else if let Some((_, length, _)) = message(&line) {
                let mut skipped = vec![0; length + 2];
                self.reader.read_exact(&mut skipped).await.unwrap();
            }
        }
    }

    fn inbox(&self) -> String {
        format!("_INBOX.{}", self.user)
    }

    async fn say(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).await.unwrap();
    }

    async fn line(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.reader.read_line(&mut line).await.unwrap() > 0, "NATS has gone");
            if line.starts_with("PING") {
                self.say(b"PONG\r\n").await;
            } else {
                return line.trim_end().to_owned();
            }
        }
    }
}

/// Whether a line begins a message: has it headers, how long is it, and how long are they?
fn message(line: &str) -> Option<(bool, usize, usize)> {
    let mut from_the_end = line.rsplit(' ');
    let length = from_the_end.next()?.parse().ok()?;
    match line.split(' ').next()? {
        "MSG" => Some((false, length, 0)),
        "HMSG" => Some((true, length, from_the_end.next()?.parse().ok()?)),
        _ => None,
    }
}
