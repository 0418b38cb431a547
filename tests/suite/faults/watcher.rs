//! Somebody's device while things fail: it keeps one vector, comes back to
//! whichever herald answers, and resumes. What it saw of a thread is held
//! against the thread's history.

use super::rig::PATIENCE;
use crate::people::Person;
use events::Vector;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};
use tokio::{net::TcpStream, sync::watch, task::JoinSet, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

/// The server pings more often.
const SILENCE: Duration = Duration::from_secs(40);

pub(super) struct Watcher {
    /// The thread's last number, once it is known.
    last: watch::Sender<Option<u64>>,
    at_work: JoinSet<Seen>,
}

/// What a device saw: between two resets without a gap.
#[derive(Debug, Default)]
struct Seen {
    runs: Vec<Vec<(u64, String)>>,
    connections: usize,
}

impl Watcher {
    /// Watches from now on; returns once the device is live.
    pub(super) async fn of(person: &Person, urls: &[String], thread_id: &str) -> Self {
        let (last, (live, is_live)) = (watch::Sender::new(None), tokio::sync::oneshot::channel());
        let device = Device {
            token: person.access_token.clone(),
            urls: urls.to_vec(),
            thread_id: thread_id.to_owned(),
            vector: None,
            seen: Seen { runs: vec![Vec::new()], connections: 0 },
            last: last.subscribe(),
        };
        let mut at_work = JoinSet::new();
        at_work.spawn(device.run(live));
        is_live.await.unwrap();
        Self { last, at_work }
    }

    /// Waits until all up to the last has been seen, and compares; how often the device had to connect.
    pub(super) async fn check(mut self, history: &BTreeMap<u64, (String, String)>) -> usize {
        self.last.send_replace(history.keys().next_back().copied());
        let seen = timeout(PATIENCE, self.at_work.join_next()).await.expect("a device sees the last message in time");
        let seen = seen.unwrap().unwrap();
        for (index, run) in seen.runs.iter().enumerate() {
            if let (0, Some((first, _))) = (index, run.first()) {
                assert_eq!(*first, 1, "it was live before the first message");
            }
            for pair in run.windows(2) {
                assert_eq!(pair[0].0 + 1, pair[1].0, "a gap, a duplicate or another order: {run:?}");
            }
            for (number, key) in run {
                assert_eq!(history.get(number).map(|(key, _)| key), Some(key), "{number} is another in history");
            }
        }
        seen.connections
    }
}

struct Device {
    token: String,
    urls: Vec<String>,
    thread_id: String,
    vector: Option<Vector>,
    seen: Seen,
    last: watch::Receiver<Option<u64>>,
}

impl Device {
    async fn run(mut self, live: tokio::sync::oneshot::Sender<()>) -> Seen {
        let mut live = Some(live);
        for node in (0..self.urls.len()).cycle() {
            if let Some(stream) = self.connect(node).await {
                self.seen.connections += 1;
                if self.listen(stream, &mut live).await.is_some() {
                    break;
                }
            }
        }
        self.seen
    }

    async fn connect(&self, node: usize) -> Option<WebSocketStream<TcpStream>> {
        let authority = self.urls[node].strip_prefix("http://")?;
        let stream = TcpStream::connect(authority).await.ok()?;
        let mut request = format!("ws://{authority}/v1/socket").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("herald.v1"));
        let (mut stream, _) = timeout(SILENCE, client_async(request, stream)).await.ok()?.ok()?;
        let mut hello = json!({ "type": "hello", "token": self.token });
        if let Some(resume) = &self.vector {
            hello["resume"] = json!(resume.to_string());
        }
        stream.send(Message::text(hello.to_string())).await.ok()?;
        Some(stream)
    }

    /// Listens until the connection ends (`None`) or there is no more to come.
    async fn listen(
        &mut self,
        mut stream: WebSocketStream<TcpStream>,
        live: &mut Option<tokio::sync::oneshot::Sender<()>>,
    ) -> Option<()> {
        let mut last = self.last.clone();
        loop {
            if self.is_complete() {
                return Some(());
            }
            let message = tokio::select! {
                message = timeout(SILENCE, stream.next()) => message.ok()??.ok()?,
                Ok(()) = last.changed() => continue,
            };
            let Message::Text(text) = message else { continue };
            let frame: Value = serde_json::from_str(&text).unwrap();
            let vector = || frame["vector"].as_str().map(|vector| vector.parse::<Vector>().unwrap());
            match frame["type"].as_str().unwrap() {
                "welcome" if self.vector.is_none() => self.vector = vector(),
                "live" => {
                    self.vector = vector();
                    live.take().map(|live| live.send(()));
                }
                "reset" => {
                    self.vector = vector();
                    self.seen.runs.push(Vec::new());
                }
                _ => self.take(&frame),
            }
        }
    }

    fn take(&mut self, frame: &Value) {
        let Some(position) = frame["position"].as_str() else { return };
        if let Some(vector) = &mut self.vector {
            vector.raise(position.parse().unwrap());
        }
        if frame["type"] == "message" && frame["thread_id"] == json!(self.thread_id) {
            let number = frame["number"].as_u64().unwrap();
            self.seen.runs.last_mut().unwrap().push((number, frame["key"].as_str().unwrap().to_owned()));
        }
    }

    /// After a reset the last may have been reloaded rather than seen.
    fn is_complete(&self) -> bool {
        let Some(last) = *self.last.borrow() else { return false };
        match self.seen.runs.last().and_then(|run| run.last()) {
            Some((number, _)) => *number >= last,
            None => self.seen.runs.len() > 1,
        }
    }
}
