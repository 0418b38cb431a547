//! How sockets end: for what clients do, for what happens to their sessions, and
//! for what happens to the node.

use super::{client::Client, message, numbers, two};
use crate::{
    harness::{Deployment, Herald},
    people::{Person, send},
    proxy::Proxy,
};
use events::log::Options;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{
    Bytes, Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_ends_the_socket_with_its_code() {
    let herald = Herald::start().await;
    let ada = Person::sign_up(&herald.url).await;
    let ended = async |message: Message| {
        let mut client = Client::live(&ada).await;
        client.send(message).await;
        client.closed().await.code
    };
    let not_utf8 = Frame::message(&b"\xc3\x28"[..], OpCode::Data(Data::Text), true);
    assert_eq!(ended(Message::text("{")).await, 4400);
    assert_eq!(ended(Message::text(r#"{"type":"nonsense"}"#)).await, 4400);
    assert_eq!(ended(Message::text(r#"{"type":"hello","token":"again"}"#)).await, 4400);
    assert_eq!(ended(Message::binary(Bytes::from_static(b"{}"))).await, 1003);
    assert_eq!(ended(Message::Frame(not_utf8)).await, 1007);
    assert_eq!(ended(Message::text("x".repeat((256 << 10) + 1))).await, 1009);
    assert_eq!(ended(Message::text("x".repeat(1 << 20))).await, 1009);
    for (first, code) in [
        (r#"{"type":"ping"}"#.to_owned(), 4400),
        (r#"{"type":"hello","token":"not.a.token"}"#.to_owned(), 4401),
        (json!({ "type": "hello", "token": ada.refresh_token }).to_string(), 4401),
    ] {
        let mut client = Client::connect(&herald.url, None).await;
        client.send(Message::text(first)).await;
        assert_eq!(client.closed().await.code, code);
    }
    let begun = Instant::now();
    assert_eq!(Client::connect(&herald.url, None).await.closed().await.code, 4408);
    assert!((4..7).contains(&begun.elapsed().as_secs()));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_nothing_for_long_is_sent_away_where_the_operator_says_so() {
    let herald = Deployment::new().await.impatient(Duration::from_secs(2)).await;
    let (ada, bob) = two(&herald.url).await;
    let begun = Instant::now();
    let (mut idle, mut busy) = (Client::live(&ada).await, Client::live(&bob).await);
    let thread = ada.write(&bob, "hi").await.body["thread_id"].clone();
    idle.say(&json!({ "type": "ping" })).await;
    let read = async |of: &mut Client| {
        of.say(&json!({ "type": "receipt", "thread_id": thread, "read": 1 })).await;
    };
    read(&mut busy).await;
    let closed = idle.closed().await;
    assert_eq!((closed.code, closed.reason.as_str()), (1000, "nothing was done for long"));
    assert!((2..4).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    read(&mut busy).await;
    busy.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_are_refused_before_the_upgrade() {
    let herald = Herald::start().await;
    let handshake = |origin: Option<&str>| {
        let request = reqwest::Client::new().get(format!("{}/v1/socket", herald.url)).headers(
            [
                ("connection", "upgrade"),
                ("upgrade", "websocket"),
                ("sec-websocket-version", "13"),
                ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
                ("sec-websocket-extensions", "permessage-deflate"),
            ]
            .into_iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect(),
        );
        origin.map_or(request.try_clone().unwrap(), |origin| request.header("origin", origin))
    };
    for origin in ["null", "https://evil.example", "http://127.0.0.1:1"] {
        let refused = send(handshake(Some(origin))).await;
        assert_eq!((refused.status, refused.problem()), (StatusCode::FORBIDDEN, "foreign-origin"));
    }
    for origin in [None, Some(herald.url.as_str())] {
        let response = handshake(origin).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert!(!response.headers().contains_key("sec-websocket-extensions"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_out_ends_the_sessions_sockets_on_every_node_within_a_second() {
    let deployment = Deployment::new().await;
    let (one, other) = (deployment.herald().await, deployment.herald().await);
    let ada = Person::sign_up(&one.url).await;
    let second = ada.log_in(&other.url).await;
    let mut here = Client::live(&ada).await;
    let mut there = Client::live(&ada.at(&other.url)).await;
    let mut stays = Client::live(&second).await;
    let begun = Instant::now();
    assert_eq!(ada.post("/v1/logout", Value::Null).await.status, StatusCode::NO_CONTENT);
    assert_eq!((here.closed().await.code, there.closed().await.code), (4401, 4401));
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(stays.drain().await, Vec::<Value>::new());
    let mut again = Client::connect(&other.url, None).await;
    again.say(&json!({ "type": "hello", "token": ada.access_token })).await;
    assert_eq!(again.closed().await.code, 4401);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_token_of_the_same_session_refreshes() {
    let herald = Herald::start().await;
    let ada = Person::sign_up(&herald.url).await;
    let second = ada.log_in(&herald.url).await;
    let mut client = Client::live(&ada).await;
    let tokens = ada.post("/v1/token", json!({ "refresh_token": ada.refresh_token })).await;
    client.say(&json!({ "type": "refresh", "token": tokens.body["access_token"] })).await;
    assert_eq!(client.drain().await, Vec::<Value>::new());
    client.say(&json!({ "type": "refresh", "token": second.access_token })).await;
    assert_eq!(client.closed().await.code, 4401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seventh_socket_of_a_person_ends_the_oldest() {
    let herald = Herald::start().await;
    let ada = Person::sign_up(&herald.url).await;
    let mut clients = Vec::new();
    for _ in 0..7 {
        clients.push(Client::live(&ada).await);
    }
    assert_eq!(clients[0].closed().await.code, 4409);
    for client in &mut clients[1..] {
        assert_eq!(client.drain().await, Vec::<Value>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_goes_answers_what_is_under_way_and_sends_its_sockets_away() {
    let deployment = Deployment::new().await;
    let (going, staying) = (deployment.herald().await, deployment.herald().await);
    let (ada, bob) = two(&going.url).await;
    let mut client = Client::live(&ada).await;
    for _ in 0..20 {
        client.say(&message(&bob, "hello")).await;
    }
    client.until("ack").await;
    let ((closed, acknowledged), ()) = tokio::join!(
        async {
            let mut acknowledged = 1;
            loop {
                match client.next().await {
                    Ok(frame) => acknowledged += usize::from(frame["type"] == "ack"),
                    Err(closed) => break (closed, acknowledged),
                }
            }
        },
        going.stop()
    );
    assert_eq!(closed.code, 1012);
    assert!(closed.reason.contains("reconnect after"), "{closed:?}");
    let mut again = Client::hello(&ada.at(&staying.url), Some(&client.vector)).await;
    let missed = again.until("live").await;
    assert!(missed.iter().all(|frame| frame["type"] == "message"), "{missed:?}");
    // Whatever was read was done and answered: there is no message that nobody vouched for.
    let mut everything = Client::hello(&bob.at(&staying.url), Some(&"0:0,1:0,2:0,3:0".parse().unwrap())).await;
    assert_eq!(numbers(&everything.until("live").await).len(), acknowledged);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_hear_the_log_vouches_for_nobody() {
    let deployment = Deployment::new().await;
    let proxy = Proxy::before(&deployment.log_options.nats_url).await;
    let log_options =
        Options { nats_url: proxy.url(&deployment.log_options.nats_url), ..deployment.log_options.clone() };
    let (hearing, deaf) = (deployment.herald().await, Deployment { log_options, ..deployment }.herald().await);
    let ada = Person::sign_up(&hearing.url).await;
    let mut client = Client::live(&ada.at(&deaf.url)).await;
    proxy.swallow_answers();
    let begun = Instant::now();
    let closed = client.closed().await;
    assert_eq!(closed.code, 1012);
    assert!((4..10).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    let refused = ada.at(&deaf.url).get("/v1/me").await;
    assert_eq!((refused.status, refused.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    // The other node has all that this one may have missed.
    let mut again = Client::hello(&ada, Some(&client.vector)).await;
    again.until("live").await;
    proxy.cut();
    let mut patience = tokio::time::interval(Duration::from_millis(100));
    while ada.at(&deaf.url).get("/v1/me").await.status != StatusCode::OK {
        patience.tick().await;
        assert!(begun.elapsed() < Duration::from_secs(40), "it does not hear the log again");
    }
    Client::live(&ada.at(&deaf.url)).await;
}
