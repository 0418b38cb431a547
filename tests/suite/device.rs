//! A client of the socket, as short as correct use is: it keeps one vector and
//! resumes from it, says again what nobody has answered, under the same key, and
//! comes back, to whichever node answers, when it was asked to.

use crate::{
    asyncapi,
    harness::lasts,
    people::{Person, key},
};
use events::{Ids, Position, Vector};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

/// The server pings more often.
const SILENCE: Duration = Duration::from_secs(40);

pub struct Device {
    person: Person,
    urls: Vec<String>,
    node: usize,
    socket: Option<WebSocketStream<TcpStream>>,
    /// The log's epoch, and up to where everything has been processed.
    kept: Option<(Value, Vector)>,
    processing: Option<Position>,
    /// What was sent and not answered, by key.
    unanswered: BTreeMap<String, Value>,
    /// How often it was sent away, by code.
    pub closed: BTreeMap<u16, usize>,
}

impl Device {
    pub fn of(person: &Person, urls: &[String]) -> Self {
        let (person, urls, unanswered, closed) = (person.clone(), urls.to_vec(), BTreeMap::new(), BTreeMap::new());
        Self { person, urls, node: 0, socket: None, kept: None, processing: None, unanswered, closed }
    }

    /// The next frame; who asks for it has processed the one before. After `welcome` or `reset` the inbox is loaded.
    pub async fn next(&mut self) -> Value {
        if let (Some(position), Some((_, vector))) = (self.processing.take(), &mut self.kept) {
            vector.raise(position);
        }
        loop {
            let Some(frame) = self.read().await else {
                self.connect().await;
                continue;
            };
            asyncapi::told(&frame);
            let id = frame["id"].as_str().unwrap_or_default();
            match frame["type"].as_str().unwrap() {
                "welcome" if self.resumes(&frame).await => continue,
                "live" | "reset" | "pong" => self.kept.as_mut().unwrap().1 = vector(&frame),
                "error" if frame["problem"]["retry_after"].is_u64() => {
                    lasts(Duration::from_secs(frame["problem"]["retry_after"].as_u64().unwrap())).await;
                    self.say(self.unanswered[id].clone()).await;
                    continue;
                }
                "ack" | "error" => drop(self.unanswered.remove(id)),
                _ => self.processing = frame["position"].as_str().map(|position| position.parse().unwrap()),
            }
            return frame;
        }
    }

    /// Sends a message, once, however often that takes; an `ack` or an `error` answers it, under its key.
    pub async fn send(&mut self, thread_id: &str, body: &str) -> String {
        let key = key();
        let send = json!({ "type": "send", "id": key, "thread_id": thread_id, "key": key, "body": body });
        self.unanswered.insert(key.clone(), send.clone());
        self.say(send).await;
        key
    }

    /// Loses its connection, with all that is on its way; the next one is to another node.
    pub fn lose_connection(&mut self) {
        self.socket = None;
    }

    /// What cannot be said is said again once there is a connection.
    async fn say(&mut self, frame: Value) {
        if let Some(socket) = &mut self.socket {
            socket.send(Message::text(frame.to_string())).await.ok();
        }
    }

    async fn read(&mut self) -> Option<Value> {
        loop {
            let message = timeout(SILENCE, self.socket.as_mut()?.next()).await;
            match message.ok().flatten().and_then(Result::ok) {
                Some(Message::Text(text)) => return serde_json::from_str(&text).ok(),
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                Some(Message::Close(Some(close))) => self.sent_away(close.code.into(), &close.reason).await,
                Some(Message::Close(None) | Message::Binary(_) | Message::Frame(_)) | None => self.socket = None,
            }
        }
    }

    /// All who are sent away at once are told to come back at different times.
    async fn sent_away(&mut self, code: u16, reason: &str) {
        self.socket = None;
        *self.closed.entry(code).or_default() += 1;
        if code == 4401 {
            let (url, body) = (&self.urls[self.node], json!({ "refresh_token": self.person.refresh_token }));
            let tokens = self.person.at(url).post("/v1/token", body).await;
            self.person = self.person.with_tokens(url, &tokens.body);
        }
        let after = reason.split(' ').rev().find_map(|word| word.parse().ok());
        lasts(Duration::from_millis(after.unwrap_or(0))).await;
    }

    async fn connect(&mut self) {
        self.node = (self.node + 1) % self.urls.len();
        while self.greet().await.is_none() {
            self.node = (self.node + 1) % self.urls.len();
            lasts(Duration::from_millis(Ids::random().next().as_u64_pair().1 % 500)).await;
        }
    }

    async fn greet(&mut self) -> Option<()> {
        let authority = self.urls[self.node].strip_prefix("http://")?;
        let stream = TcpStream::connect(authority).await.ok()?;
        let mut request = format!("ws://{authority}/v1/socket").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("herald.v1"));
        self.socket = Some(timeout(SILENCE, client_async(request, stream)).await.ok()?.ok()?.0);
        let resume = self.kept.as_ref().map(|(_, vector)| vector.to_string());
        self.say(json!({ "type": "hello", "token": self.person.access_token, "resume": resume })).await;
        Some(())
    }

    /// Whether it goes on where it was; else it is a new beginning. With what was kept of another log it comes anew.
    async fn resumes(&mut self, welcome: &Value) -> bool {
        let resumes = self.kept.is_some();
        let (epoch, _) = self.kept.get_or_insert_with(|| (welcome["epoch"].clone(), vector(welcome)));
        if *epoch != welcome["epoch"] {
            (self.socket, self.kept) = (None, None);
            return true;
        }
        for send in self.unanswered.clone().into_values() {
            self.say(send).await;
        }
        resumes
    }
}

fn vector(frame: &Value) -> Vector {
    frame["vector"].as_str().unwrap().parse().unwrap()
}
