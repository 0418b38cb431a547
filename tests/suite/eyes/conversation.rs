//! One conversation with a herald of its own, and all that its operator saw of
//! it: spans, metrics, and the log at its most talkative.

use super::collector::Collector;
use crate::{
    harness::{folder, program},
    people::{PASSWORD, Person, key, send},
    process::signal_child,
};
use futures_util::{SinkExt, StreamExt};
use opentelemetry_proto::tonic::trace::v1::Span;
use reqwest::{Client, Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    sync::OnceCell,
    task::JoinSet,
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

pub const BY_REST: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub const BY_SOCKET: &str = "4bf92f3577b34da6a3ce929d0e0e4737";
pub const UNSAMPLED: &str = "4bf92f3577b34da6a3ce929d0e0e4738";
/// The span that a client of ours sends in.
pub const CLIENT: &str = "00f067aa0ba902b7";

const SAID: [&str; 4] = ["walrus at noon", "lobster quadrille", "jabberwock burbled", "cheshire grin"];
const WRONG_PASSWORD: &str = "a wrong horse battery";
/// Where pushes go, and what they are signed with; both are secrets, but for the host.
const PUSHES: (&str, &str) = ("http://127.0.0.1:9/crawfish", "whsec_YSBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXRlcyAhISE=");
const PATIENCE: Duration = Duration::from_secs(20);

/// What was seen.
pub struct Seen {
    pub spans: Vec<Span>,
    pub metrics: String,
    pub log: Vec<String>,
    /// What the log must not have.
    pub secrets: Vec<String>,
    /// What no label may have.
    pub ids: Vec<String>,
}

/// Who talked, the tokens that were got beside theirs, and where.
pub struct Talk {
    people: [Person; 3],
    refreshed: Vec<String>,
    thread_id: String,
}

/// The conversation is had once, whoever asks first.
pub async fn seen() -> &'static Seen {
    static SEEN: OnceCell<Seen> = OnceCell::const_new();
    SEEN.get_or_init(converse).await
}

async fn converse() -> Seen {
    let mut collector = Collector::start().await;
    let data = folder("eyes");
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("HERALD_LOG", "debug"),
    ];
    let herald = Herald::start(&data, &environment).await;
    let Talk { people, refreshed, thread_id } = talk(&herald).await;

    let metrics = ask_for_metrics(&herald).await;
    collector
        .until(|spans| {
            [BY_REST, BY_SOCKET].iter().all(|trace| {
                let pushed = spans.iter().any(|span| span.name == "gateway.push" && hex(&span.trace_id) == *trace);
                let linked = |view| {
                    let is_link = |span: &Span| span.links.iter().any(|link| hex(&link.trace_id) == *trace);
                    spans.iter().any(|span| is_link(span) && attribute(span, "view").as_deref() == Some(view))
                };
                pushed && ["directory", "timeline", "inbox", "search"].into_iter().all(linked)
            })
        })
        .await;
    let (status, log) = herald.finish().await;
    assert!(status.success(), "{status}");
    let mut secrets: Vec<_> = SAID.iter().map(|text| (*text).to_owned()).collect();
    secrets.extend([PASSWORD, WRONG_PASSWORD, "crawfish", PUSHES.1].map(str::to_owned));
    secrets.extend(people.iter().flat_map(|person| [person.access_token.clone(), person.refresh_token.clone()]));
    secrets.extend(refreshed);
    let ids = people.iter().map(|person| person.user_id.clone()).chain([thread_id]);
    Seen { metrics, log, secrets, ids: ids.collect(), spans: std::mem::take(&mut collector.spans) }
}

/// Something of each kind happens.
pub async fn talk(herald: &Herald) -> Talk {
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let again = ada.log_in(&herald.url).await;
    let refreshed = enter_and_leave(&ada).await;

    let mut socket = Socket::of(&bob).await;
    let sent = say(&ada, &bob, SAID[0], &traceparent(BY_REST, true)).await;
    let heard = socket.until("message").await;
    assert_eq!(heard["body"], SAID[0]);
    say(&ada, &bob, SAID[1], &traceparent(UNSAMPLED, false)).await;
    let send = json!({ "type": "send", "id": 1, "to": ada.user_id, "key": key(), "body": SAID[2],
        "traceparent": traceparent(BY_SOCKET, true) });
    socket.say(&send).await;
    let position = socket.until("ack").await["position"].as_str().unwrap().to_owned();
    socket.say(&json!({ "type": "receipt", "thread_id": sent["thread_id"], "read": 2 })).await;
    socket.until("receipt").await;
    socket.say(&json!({ "type": "nonsense" })).await;
    socket.end().await;
    let thread_id = sent["thread_id"].as_str().unwrap().to_owned();
    read_and_be_refused(&ada, &bob, &thread_id, &position).await;
    Talk { people: [ada, bob, again], refreshed, thread_id }
}

/// Whatever has to do with passwords and tokens; tells the tokens that were got.
async fn enter_and_leave(ada: &Person) -> Vec<String> {
    let http = Client::new();
    let log_in = json!({ "username": ada.username, "password": WRONG_PASSWORD });
    let refused = send(http.post(format!("{}/v1/login", ada.url)).json(&log_in)).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    let device = ada.log_in(&ada.url).await;
    let refresh = json!({ "refresh_token": device.refresh_token });
    let refreshed = send(http.post(format!("{}/v1/token", ada.url)).json(&refresh)).await;
    assert_eq!(refreshed.status, StatusCode::OK, "{refreshed:?}");
    let text = |name: &str| refreshed.body[name].as_str().unwrap().to_owned();
    assert!(device.post("/v1/logout", Value::Null).await.status.is_success());
    vec![device.access_token, device.refresh_token, text("access_token"), text("refresh_token")]
}

async fn say(from: &Person, to: &Person, text: &str, traceparent: &str) -> Value {
    let body = json!({ "to": to.user_id, "key": key(), "body": text });
    let request = from.request(Method::POST, "/v1/messages").header("traceparent", traceparent).json(&body);
    let answer = send(request).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    answer.body
}

async fn read_and_be_refused(ada: &Person, bob: &Person, thread_id: &str, position: &str) {
    for path in ["/v1/me", "/v1/threads", "/readyz", "/healthz"] {
        assert_eq!(ada.get_after(position, path).await.status, StatusCode::OK, "{path}");
    }
    for below in ["", "/messages", "/messages/1", "/members", "/receipts"] {
        let answer = ada.get_after(position, &format!("/v1/threads/{thread_id}{below}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
    assert_eq!(ada.get(&format!("/v1/users/{}", bob.user_id)).await.status, StatusCode::OK);
    assert_eq!(ada.get("/no/such/address").await.status, StatusCode::NOT_FOUND);
    let reused = key();
    let write = |text: &str| json!({ "to": bob.user_id, "key": reused, "body": text });
    assert_eq!(ada.post("/v1/messages", write(SAID[3])).await.status, StatusCode::CREATED);
    assert_eq!(ada.post("/v1/messages", write(SAID[3])).await.status, StatusCode::OK);
    assert_eq!(ada.post("/v1/messages", write(SAID[0])).await.status, StatusCode::CONFLICT);
}

async fn ask_for_metrics(herald: &Herald) -> String {
    let answer = reqwest::get(herald.metrics_url()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    answer.text().await.unwrap()
}

fn traceparent(trace_id: &str, sampled: bool) -> String {
    format!("00-{trace_id}-{CLIENT}-0{}", u8::from(sampled))
}

pub fn hex(id: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap();
    id.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// A span's attribute that is a text.
pub fn attribute(span: &Span, name: &str) -> Option<String> {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let attribute = span.attributes.iter().find(|attribute| attribute.key == name)?;
    let Value::StringValue(text) = attribute.value.as_ref()?.value.as_ref()? else { return None };
    Some(text.clone())
}

/// A process of which every line is kept.
pub struct Herald {
    url: String,
    child: Child,
    said: Vec<String>,
    says: JoinSet<Vec<String>>,
}

impl Herald {
    pub async fn start(data: &Path, environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program());
        command.args(["--durability", "unsynced", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]);
        command.arg("--data").arg(data).env("HERALD_RATE_LIMITS", "off");
        // Nobody takes pushes there.
        command.env("HERALD_PUSH_URL", PUSHES.0).env("HERALD_PUSH_SECRET", PUSHES.1);
        command.envs(environment.iter().copied()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        let url = loop {
            let Some(line) = lines.next_line().await.unwrap() else { panic!("herald ended: {said:#?}") };
            if let Some(url) = line.strip_prefix("herald serves on ") {
                break url.to_owned();
            }
            said.push(line);
        };
        let mut says = JoinSet::new();
        says.spawn(async move {
            let mut said = Vec::new();
            while let Ok(Some(line)) = lines.next_line().await {
                said.push(line);
            }
            said
        });
        Self { url, child, said, says }
    }

    pub fn metrics_url(&self) -> &str {
        self.said.iter().find_map(|line| line.strip_prefix("herald's metrics are at ")).unwrap()
    }

    /// SIGTERM, how it ended, and all that it said.
    pub async fn finish(mut self) -> (ExitStatus, Vec<String>) {
        signal_child(&self.child, Signal::TERM);
        let status = self.child.wait().await.unwrap();
        self.said.extend(self.says.join_all().await.into_iter().flatten());
        (status, self.said)
    }
}

/// A live socket, whatever is said over it.
struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    async fn of(person: &Person) -> Self {
        let authority = person.url.strip_prefix("http://").unwrap();
        let stream = TcpStream::connect(authority).await.unwrap();
        let (stream, _) = client_async(format!("ws://{authority}/v1/socket"), stream).await.unwrap();
        let mut socket = Self(stream);
        socket.say(&json!({ "type": "hello", "token": person.access_token })).await;
        socket.until("live").await;
        socket
    }

    async fn say(&mut self, frame: &Value) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// The next frame of a type.
    async fn until(&mut self, kind: &str) -> Value {
        loop {
            let message = timeout(PATIENCE, self.0.next()).await.unwrap().unwrap().unwrap();
            let Message::Text(text) = message else { continue };
            let frame: Value = serde_json::from_str(&text).unwrap();
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// Waits until the server has closed it.
    async fn end(mut self) {
        let closed = async { while let Some(Ok(_)) = self.0.next().await {} };
        timeout(PATIENCE, closed).await.unwrap();
    }
}
