//! `herald demo` on a herald that runs.

use crate::{
    harness::{self, Herald},
    people::send,
};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::process::Command;

/// Those that the first of the people is in.
const THREADS: usize = 8;

async fn demo(url: &str) -> Value {
    let output = Command::new(harness::program()).args(["demo", "--json", "--url", url]).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demos_people_have_talked_once_however_often_they_are_asked_for() {
    let herald = Herald::start().await;
    let told = demo(&herald.url).await;
    assert_eq!(demo(&herald.url).await, told);
    let client = Client::new();
    let mut tokens = Vec::new();
    for username in told["usernames"].as_array().unwrap() {
        let body = json!({ "username": username, "password": told["password"] });
        let answer = send(client.post(format!("{}/v1/login", herald.url)).json(&body)).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        tokens.push(answer.body["access_token"].as_str().unwrap().to_owned());
    }
    let inbox = async || {
        let threads = client.get(format!("{}/v1/threads", herald.url)).bearer_auth(&tokens[0]);
        send(threads).await.body["threads"].as_array().unwrap().clone()
    };
    while inbox().await.len() < THREADS {}
    let threads = inbox().await;
    assert_eq!(threads.len(), THREADS);
    for is_so in [|thread: &Value| thread["kind"] == "group", |thread: &Value| thread["unread"].as_u64() > Some(0)] {
        assert!(threads.iter().any(is_so), "{threads:?}");
    }
    herald.stop().await;
}
