//! The web client in a real Chromium. What its people do stands in
//! `tests/web/stories.py`; here they get servers, and servers that go away.

use crate::{
    harness::{self, Deployment, Herald},
    packages,
    people::{PASSWORD, Person},
    process::{Process, free_address},
    raw::Raw,
};
use events::{
    Aggregate, Clock, EventId, Ids, MessageKey, Position, Text, ThreadEvent, ThreadId, UserId, envelope::Draft,
};
use reqwest::StatusCode;
use std::{
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
};

/// Messages of the long thread.
const MANY: u32 = 10_000;

/// A story that is being told in a browser.
struct Story {
    name: String,
    child: Child,
}

impl Story {
    async fn begin(name: &str, url: &str, username: &str) -> Self {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web");
        let child = Command::new("python3")
            .arg(own.join("stories.py"))
            .args(name.split_whitespace())
            .env("PYTHONPATH", packages::python("web").await)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("HERALD_URL", url)
            .env("HERALD_USERNAME", username)
            .env("HERALD_PASSWORD", PASSWORD)
            .env("HERALD_PICTURES", Path::new(env!("CARGO_TARGET_TMPDIR")).join("web-pictures"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { name: name.to_owned(), child }
    }

    /// Tells it to its end; what it asks for meanwhile is done by `server`.
    async fn told(mut self, mut server: Option<Server>) {
        let mut lines = BufReader::new(self.child.stdout.take().unwrap()).lines();
        let mut answers = self.child.stdin.take().unwrap();
        let mut errors = self.child.stderr.take().unwrap();
        let said = async {
            let mut said = String::new();
            errors.read_to_string(&mut said).await.unwrap();
            said
        };
        let asked = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                match (line.as_str(), &mut server) {
                    ("kill", Some(server)) => server.kill().await,
                    ("start", Some(server)) => server.start(),
                    _ => continue,
                }
                answers.write_all(b"done\n").await.unwrap();
            }
        };
        let (said, ()) = tokio::join!(said, asked);
        assert!(self.child.wait().await.unwrap().success(), "{}: {said}", self.name);
    }
}

/// Tells a story on a herald that runs, from its beginning to its end.
pub async fn tell(name: &str, url: &str) {
    Story::begin(name, url, "").await.told(None).await;
}

/// A server of its own process, at one address for all of its lives.
struct Server {
    address: std::net::SocketAddr,
    data: PathBuf,
    process: Option<Process>,
}

impl Server {
    fn new() -> Self {
        let mut server = Self { address: free_address(), data: harness::folder("web"), process: None };
        server.start();
        server
    }

    fn start(&mut self) {
        let arguments = ["--data", self.data.to_str().unwrap(), "--durability", "unsynced"];
        self.process = Some(Process::launch(&harness::program(), &arguments, self.address));
    }

    async fn kill(&mut self) {
        self.process.take().unwrap().kill().await;
    }

    async fn ready(&self) -> String {
        let url = format!("http://{}", self.address);
        while !reqwest::get(format!("{url}/readyz")).await.is_ok_and(|answer| answer.status() == StatusCode::OK) {}
        url
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_chat_on_several_devices_and_no_markup_of_theirs_comes_to_life() {
    let herald = Herald::start().await;
    tell("protocol chat", &herald.url).await;
    herald.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_while_away_is_sent_once_after_a_reload_and_after_a_kill_of_the_server() {
    let server = Server::new();
    let url = server.ready().await;
    Story::begin("away", &url, "").await.told(Some(server)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_messages_scroll_without_a_long_task() {
    let deployment = Deployment::new().await;
    let herald = deployment.herald().await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let words = |number: u32| format!("message {number} {}", "and so on ".repeat((number % 17).try_into().unwrap()));
    let first = ada.write(&bob, &words(1)).await;
    write_many(&deployment, [&ada, &bob], first.body["position"].as_str().unwrap().parse().unwrap(), words).await;
    let last = ada.write(&bob, &words(MANY)).await;
    assert_eq!(last.body["number"], MANY, "{last:?}");
    Story::begin("scroll", &herald.url, &ada.username).await.told(None).await;
    herald.stop().await;
}

/// All messages of two people between the first, which lies there, and the last: as facts, which takes seconds.
async fn write_many(deployment: &Deployment, people: [&Person; 2], first: Position, words: impl Fn(u32) -> String) {
    let log = &deployment.log;
    let by = people.map(|person| person.user_id.parse::<UserId>().unwrap());
    let aggregate = Aggregate::Thread(ThreadId::direct(by[0], by[1]));
    let mut raw = Raw::connect(&deployment.log_options.nats_url).await;
    let (mut before, end) = (first.sequence, log.end().await.unwrap().get(first.partition));
    for number in 2..MANY {
        let (by, sequence) = (by[usize::from(number % 3 == 0)], end + u64::from(number) - 1);
        let event = ThreadEvent::MessageSent {
            number,
            key: MessageKey::from_uuid(Ids::random().next()),
            body: Text::new(&words(number)),
            reply_to: None,
            opens: None,
            mentions: Vec::new(),
            attachments: Vec::new(),
        };
        let id = EventId::from_uuid(Ids::random().next());
        let draft = Draft { aggregate, id, by: Some(by), at: Clock::system().now(), event: event.into() };
        let payload = draft.encode(log.keyring().get(by).await.unwrap().as_ref(), None).unwrap();
        raw.publish(&log.names().subject(aggregate), before, &payload, sequence).await;
        before = sequence;
    }
    raw.settle(0).await;
}
