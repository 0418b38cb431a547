//! Heralds redeployed one after the other, under load: what was acknowledged is
//! there, nobody whose request was taken is told that it cannot be, and devices
//! come back after the wait that they were told, without gap or duplicate.

use super::{
    check,
    ledger::{Ledger, Outcome},
    load::{Load, answer, outcome},
    rig::{Rig, Victim},
    story::Story,
    watcher::Watcher,
};
use crate::{
    device::Device,
    people::{Person, key},
};
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Every second of them writes over REST, the others over sockets.
const PAIRS: usize = 4;
/// Acknowledgements between one redeploy and the next.
const BETWEEN: usize = 60;

/// The heralds that a load balancer sends requests to: one that goes stays among them until it is gone, one that
/// comes is among them once it is ready.
#[derive(Clone)]
struct Rotation(Arc<[(String, AtomicBool)]>);

impl Rotation {
    fn of(urls: &[String]) -> Self {
        Self(urls.iter().map(|url| (url.clone(), AtomicBool::new(true))).collect())
    }

    fn set(&self, node: usize, is_in: bool) {
        self.0[node].1.store(is_in, SeqCst);
    }

    fn next(&self, turn: usize) -> &str {
        let nodes = self.0.iter().cycle().skip(turn).take(self.0.len());
        nodes.into_iter().find(|(_, is_in)| is_in.load(SeqCst)).map(|(url, _)| url.as_str()).expect("one always stays")
    }
}

/// Somebody who writes over REST: each request to the next herald of the rotation.
async fn write(
    mut person: Person,
    pair: usize,
    path: String,
    ledger: Ledger,
    rotation: Rotation,
    stop: CancellationToken,
) {
    let mut turn = 0;
    while !stop.is_cancelled() {
        let (key, body) = (key(), format!("{turn} by REST"));
        loop {
            turn += 1;
            let request = person.at(rotation.next(turn)).request(Method::POST, &path);
            let answer = answer(request.json(&json!({ "key": key, "body": body }))).await;
            if answer.as_ref().is_some_and(|answer| answer.status == StatusCode::UNAUTHORIZED) {
                refresh(&mut person, rotation.next(turn)).await;
                continue;
            }
            if let Some(answer) = &answer {
                assert!(!answer.status.is_server_error(), "{} was taken, and: {}", path, answer.body);
            }
            let outcome = outcome(answer.as_ref());
            ledger.note(pair, &key, &body, outcome);
            if matches!(outcome, Outcome::Acknowledged(_)) {
                break;
            }
        }
    }
}

/// An access token lasts five minutes.
async fn refresh(person: &mut Person, url: &str) {
    let body = json!({ "refresh_token": person.refresh_token });
    let tokens = answer(person.at(url).request(Method::POST, "/v1/token").json(&body)).await;
    if let Some(tokens) = tokens.filter(|tokens| tokens.status == StatusCode::OK) {
        *person = person.with_tokens(url, &tokens.body);
    }
}

/// Somebody who writes over a socket, one message after the other; how often they were sent away, by code.
async fn say(
    person: Person,
    pair: usize,
    thread_id: String,
    ledger: Ledger,
    urls: Vec<String>,
    stop: CancellationToken,
) -> BTreeMap<u16, usize> {
    let mut device = Device::of(&person, &urls);
    let mut sent = 0;
    while !stop.is_cancelled() {
        let body = format!("{sent} by socket");
        let key = device.send(&thread_id, &body).await;
        sent += 1;
        ledger.note(pair, &key, &body, Outcome::Unknown);
        loop {
            let frame = device.next().await;
            if frame["id"] == json!(key) {
                assert_eq!(frame["type"], "ack", "{frame}");
                ledger.note(pair, &key, &body, Outcome::Acknowledged(frame["number"].as_u64().unwrap()));
                break;
            }
        }
    }
    device.closed
}

pub(super) async fn redeployed(story: &Story, rounds: usize) {
    let mut rig = Rig::start(story, 1, 2).await;
    let (urls, stop) = (rig.urls(), CancellationToken::new());
    let rotation = Rotation::of(&urls);
    let mut load = Load::of(&urls, PAIRS).await;
    let (mut watchers, mut writers, mut talkers) = (Vec::new(), JoinSet::new(), JoinSet::new());
    for (index, pair) in load.pairs.iter().enumerate() {
        watchers.push(Watcher::of(&pair.people[1], &urls, &pair.thread_id).await);
        let (person, ledger, stop) = (pair.people[0].clone(), load.ledger.clone(), stop.clone());
        if index % 2 == 0 {
            let path = format!("/v1/threads/{}/messages", pair.thread_id);
            writers.spawn(write(person, index, path, ledger, rotation.clone(), stop));
        } else {
            talkers.spawn(say(person, index, pair.thread_id.clone(), ledger, urls.clone(), stop));
        }
    }
    for round in 0..rounds {
        load.ledger.more(BETWEEN).await;
        let node = round % urls.len();
        rig.terminate(Victim::Herald(node)).await;
        rotation.set(node, false);
        rig.revive(Victim::Herald(node)).await;
        rig.ready().await;
        rotation.set(node, true);
    }
    load.ledger.more(BETWEEN).await;
    stop.cancel();
    writers.join_all().await;
    let closed = talkers.join_all().await;
    for person in load.pairs.iter_mut().flat_map(|pair| &mut pair.people) {
        *person = person.log_in(&urls[0]).await;
    }
    let counts = check::threads(&rig, &load, watchers).await;
    story.announce(format!("{rounds} redeploys: {counts:?}, devices were sent away {closed:?} (code: times)"));
    // Nobody who was connected to a herald that went was simply cut off, or had another reason given.
    assert!(closed.iter().all(|codes| codes.keys().all(|code| [1012, 4401].contains(code))), "{closed:?}");
    assert!(closed.iter().any(|codes| codes.contains_key(&1012)), "{closed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redeployed_under_load_nothing_is_lost_doubled_or_refused() {
    redeployed(&Story::new("redeployed"), 10).await;
}
