//! People who write to each other while things fail: each pair in its own
//! thread, over whichever herald answers, with every outcome noted; and who
//! read what they wrote, from views that must have it.

use super::{
    ledger::{Ledger, Outcome},
    story::Story,
};
use crate::people::{Person, key};
use events::Vector;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

/// Longer than any answer takes that herald gives.
const PATIENCE: Duration = Duration::from_secs(14);
const ATTEMPTS: usize = 4;
/// One send of so many is read back.
const READ_EVERY: usize = 6;

/// Two people and what they send.
pub(super) struct Pair {
    pub(super) people: [Person; 2],
    pub(super) thread_id: String,
}

/// Pairs of people at work, until stopped.
pub(super) struct Load {
    pub(super) ledger: Ledger,
    pub(super) pairs: Vec<Pair>,
    urls: Vec<String>,
    stop: CancellationToken,
    talkers: JoinSet<usize>,
}

impl Load {
    /// Signs people up and opens their threads, while all is well.
    pub(super) async fn of(urls: &[String], pairs: usize) -> Self {
        let mut load = Self {
            ledger: Ledger::new(),
            pairs: Vec::new(),
            urls: urls.to_vec(),
            stop: CancellationToken::new(),
            talkers: JoinSet::new(),
        };
        for _ in 0..pairs {
            let people = [Person::sign_up(&urls[0]).await, Person::sign_up(&urls[0]).await];
            let opened = people[0].post("/v1/threads", json!({ "kind": "direct", "user_id": people[1].user_id })).await;
            assert_eq!(opened.status, StatusCode::CREATED, "{opened:?}");
            let thread_id = opened.body["thread_id"].as_str().unwrap().to_owned();
            load.pairs.push(Pair { people, thread_id });
        }
        load
    }

    /// Everybody begins to write, and nobody waits for anybody.
    pub(super) fn begin(&mut self, story: &Story) {
        for (index, pair) in self.pairs.iter().enumerate() {
            for person in &pair.people {
                let talker = Talker {
                    pair: index,
                    nodes: self.urls.iter().map(|url| person.at(url)).collect(),
                    path: format!("/v1/threads/{}/messages", pair.thread_id),
                    ledger: self.ledger.clone(),
                    story: story.clone(),
                    node: story.below(self.urls.len()),
                    as_of: Vector::default(),
                };
                self.talkers.spawn(talker.run(self.stop.clone()));
            }
        }
    }

    /// Everybody finishes what they are at; how often somebody read what they wrote.
    pub(super) async fn end(&mut self) -> usize {
        self.stop.cancel();
        let mut reads = 0;
        while let Some(ended) = self.talkers.join_next().await {
            reads += ended.unwrap();
        }
        self.stop = CancellationToken::new();
        reads
    }
}

struct Talker {
    pair: usize,
    /// The same person at every herald.
    nodes: Vec<Person>,
    path: String,
    ledger: Ledger,
    story: Story,
    node: usize,
    /// What the last read was as of, for monotonic reads.
    as_of: Vector,
}

impl Talker {
    async fn run(mut self, stop: CancellationToken) -> usize {
        let (mut sent, mut reads) = (0, 0);
        while !stop.is_cancelled() {
            let (key, body) = (key(), format!("{} of {}", sent, self.nodes[0].username));
            sent += 1;
            let Some((number, position)) = self.send(&key, &body).await else { continue };
            if sent % READ_EVERY == 0 && self.read(number, &position, &key).await {
                reads += 1;
            }
        }
        reads
    }

    /// Sends until it is acknowledged or given up, by chance with what is unknown left unknown.
    async fn send(&mut self, key: &str, body: &str) -> Option<(u64, String)> {
        for _ in 0..ATTEMPTS {
            let message = json!({ "key": key, "body": body });
            let request = self.nodes[self.node].request(Method::POST, &self.path).json(&message);
            let answer = timeout(PATIENCE, answer(request)).await.ok().flatten();
            let outcome = outcome(answer.as_ref());
            self.ledger.note(self.pair, key, body, outcome);
            if let (Outcome::Acknowledged(number), Some(answer)) = (outcome, answer) {
                return Some((number, answer.body["position"].as_str().unwrap().to_owned()));
            }
            self.node = (self.node + 1) % self.nodes.len();
            if self.story.below(3) == 0 {
                return None;
            }
        }
        None
    }

    /// Reads what was just written; nothing is said against an answer that it cannot be had now.
    async fn read(&mut self, number: u64, position: &str, key: &str) -> bool {
        let mut after = self.as_of.clone();
        after.raise(position.parse().unwrap());
        let path = format!("{}?after={}&limit=1", self.path, number - 1);
        let node = &self.nodes[self.story.below(self.nodes.len())];
        let request = node.request(Method::GET, &path).header("herald-after", after.to_string());
        let Ok(Some(answer)) = timeout(PATIENCE, answer(request)).await else { return false };
        if answer.status.is_server_error() {
            return false;
        }
        assert_eq!(answer.status, StatusCode::OK, "{} of {after}", answer.body);
        let entry = &answer.body["entries"][0];
        assert_eq!((&entry["number"], &entry["key"]), (&json!(number), &json!(key)), "after {after}");
        let as_of = answer.as_of.expect("every query says what it is as of");
        assert!(as_of.covers(&after), "as of {as_of}, after {after}");
        self.as_of = as_of;
        true
    }
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Value,
    as_of: Option<Vector>,
}

/// What came back, if it came whole.
pub(super) async fn answer(request: reqwest::RequestBuilder) -> Option<Answer> {
    let response = request.send().await.ok()?;
    let status = response.status();
    let as_of = response.headers().get("herald-as-of").map(|value| value.to_str().unwrap().parse().unwrap());
    let body = response.bytes().await.ok()?;
    Some(Answer { status, body: serde_json::from_slice(&body).unwrap_or(Value::Null), as_of })
}

pub(super) fn outcome(answer: Option<&Answer>) -> Outcome {
    let Some(Answer { status, body, .. }) = answer else { return Outcome::Unknown };
    match *status {
        StatusCode::OK | StatusCode::CREATED => Outcome::Acknowledged(body["number"].as_u64().unwrap()),
        StatusCode::SERVICE_UNAVAILABLE if body["type"] != "urn:herald:outcome-unknown" => Outcome::Refused,
        StatusCode::SERVICE_UNAVAILABLE => Outcome::Unknown,
        other => panic!("nobody here sends what is answered {other}: {body}"),
    }
}
