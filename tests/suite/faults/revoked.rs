//! Sessions that end while much is written: on every node that hears the log
//! their requests are refused and their sockets closed within a second.

use super::story::Story;
use crate::{
    harness::Deployment,
    people::{Person, key},
    socket::client::Client,
};
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};
use tokio::time::Instant;

const IN_TIME: Duration = Duration::from_secs(1);

pub(super) async fn revoked(story: &Story, rounds: usize) {
    let deployment = Deployment::new().await;
    let nodes = [deployment.herald().await, deployment.herald().await];
    let (ada, bob) = tokio::join!(Person::sign_up(&nodes[0].url), Person::sign_up(&nodes[1].url));
    let over = AtomicBool::new(false);
    let writing = async {
        while !over.load(Relaxed) {
            let body = |text: &str| json!({ "to": ada.user_id, "key": key(), "body": text });
            let answers =
                join_all(["one", "two", "three", "four"].map(|text| bob.post("/v1/messages", body(text)))).await;
            assert!(answers.iter().all(|answer| answer.status == StatusCode::CREATED), "{answers:?}");
        }
    };
    let revoking = async {
        let mut slowest = Duration::ZERO;
        for round in 0..rounds {
            let session = ada.log_in(&nodes[round % 2].url).await;
            let at = [&nodes[0].url, &nodes[1].url].map(|url| session.at(url));
            let mut sockets = join_all(at.iter().map(Client::live)).await;
            let began = Instant::now();
            let ended = match story.below(2) {
                0 => at[story.below(2)].post("/v1/logout", Value::Null).await,
                _ => ada.delete(&format!("/v1/sessions/{}", sockets[0].welcome["session_id"].as_str().unwrap())).await,
            };
            assert_eq!(ended.status, StatusCode::NO_CONTENT, "{ended:?}");
            let closed = join_all(sockets.iter_mut().map(Client::closed)).await;
            assert!(closed.iter().all(|closed| closed.code == 4401), "{closed:?}");
            let refused = join_all(at.iter().map(|person| person.get("/v1/me"))).await;
            assert!(refused.iter().all(|answer| answer.status == StatusCode::UNAUTHORIZED), "{refused:?}");
            slowest = slowest.max(began.elapsed());
        }
        over.store(true, Relaxed);
        slowest
    };
    let ((), slowest) = tokio::join!(writing, revoking);
    story.announce(format!("{rounds} sessions ended, everywhere within {slowest:?}"));
    assert!(slowest < IN_TIME, "{slowest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_session_ends_everywhere_within_a_second_also_under_load() {
    revoked(&Story::new("revoked"), 8).await;
}
