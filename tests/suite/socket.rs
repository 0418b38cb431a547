//! Sockets on real servers: what happens is pushed once, to everybody whom it
//! concerns; whoever was cut off resumes without gap or duplicate.

mod client;

use crate::{
    harness::{Deployment, Herald},
    people::{Person, key, send},
    proxy::Proxy,
};
use client::Client;
use events::{Vector, log::Options};
use futures_util::future::join_all;
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

async fn two(url: &str) -> (Person, Person) {
    tokio::join!(Person::sign_up(url), Person::sign_up(url))
}

fn message(to: &Person, text: &str) -> Value {
    json!({ "type": "send", "id": "1", "to": to.user_id, "key": key(), "body": text })
}

fn numbers(frames: &[Value]) -> Vec<u64> {
    frames.iter().filter(|frame| frame["type"] == "message").map(|frame| frame["number"].as_u64().unwrap()).collect()
}

/// An `ack` and the push to the sender's own socket, in whatever order.
async fn sent(client: &mut Client) -> (Value, Value) {
    let (one, other) = (client.next().await.unwrap(), client.next().await.unwrap());
    let (ack, push) = if one["type"] == "ack" { (one, other) } else { (other, one) };
    assert_eq!((&ack["type"], &push["type"]), (&json!("ack"), &json!("message")), "{ack} {push}");
    (ack, push)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_reaches_every_socket_of_both_once() {
    let herald = Herald::start().await;
    let (ada, bob) = two(&herald.url).await;
    let second = ada.log_in(&herald.url).await;
    let (mut ada_phone, mut ada_desk, mut bob_phone) =
        (Client::live(&ada).await, Client::live(&second).await, Client::live(&bob).await);
    assert_eq!(ada_phone.welcome["user_id"], json!(ada.user_id));
    assert_eq!(ada_phone.welcome["heartbeat_s"], json!(25));

    ada_phone.say(&message(&bob, "hello")).await;
    let (ack, own) = sent(&mut ada_phone).await;
    assert_eq!((&ack["id"], &ack["number"], &ack["position"]), (&json!("1"), &json!(1), &own["position"]));
    let (there, at_desk) = (bob_phone.expect("message").await, ada_desk.expect("message").await);
    assert_eq!((&there, &at_desk), (&own, &own));
    assert_eq!((&there["sender_id"], &there["body"]), (&json!(ada.user_id), &json!("hello")));

    let thread_id = &there["thread_id"];
    bob_phone
        .say(&json!({ "type": "send", "id": 2, "thread_id": thread_id, "key": key(), "body": "ho", "reply_to": 1 }))
        .await;
    let (ack, _) = sent(&mut bob_phone).await;
    assert_eq!((&ack["id"], &ack["number"]), (&json!(2), &json!(2)));
    assert_eq!(ada_phone.expect("message").await["reply_to"], json!(1));
    ada_desk.expect("message").await;

    ada_phone.say(&json!({ "type": "receipt", "thread_id": thread_id, "read": 2 })).await;
    for client in [&mut ada_phone, &mut ada_desk, &mut bob_phone] {
        let receipt = client.expect("receipt").await;
        assert_eq!((&receipt["user_id"], &receipt["read"]), (&json!(ada.user_id), &json!(2)));
        assert_eq!(client.drain().await, Vec::<Value>::new());
    }
    assert_eq!(ada_phone.vector, bob_phone.vector);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_is_opened_while_both_are_here_is_told() {
    let herald = Herald::start().await;
    let (ada, bob) = two(&herald.url).await;
    let (mut ada_phone, mut bob_phone) = (Client::live(&ada).await, Client::live(&bob).await);
    let opened = ada.post("/v1/threads", json!({ "kind": "direct", "user_id": bob.user_id })).await;
    assert_eq!(opened.status, StatusCode::CREATED);
    for client in [&mut ada_phone, &mut bob_phone] {
        let thread = client.expect("thread").await;
        assert_eq!((&thread["change"], &thread["by"]), (&json!("created"), &json!(ada.user_id)));
        assert_eq!(thread["position"], json!(opened.position()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_fails_is_answered_and_the_socket_lives() {
    let herald = Herald::start().await;
    let (ada, bob) = two(&herald.url).await;
    let mut client = Client::live(&ada).await;
    let mut short = message(&bob, "hello");
    short["key"] = json!("0190b5a0-0000-4000-8000-000000000000");
    let mut forged = message(&bob, "hello");
    forged["sender_id"] = json!(bob.user_id);
    let stranger = json!({ "type": "send", "id": "1", "thread_id": key(), "key": key(), "body": "hi" });
    let edit = json!({ "type": "edit", "id": "1", "thread_id": key(), "number": 1, "body": "hi" });
    for (frame, status) in [(short, 422), (forged, 422), (stranger, 404), (edit, 422)] {
        client.say(&frame).await;
        let error = client.expect("error").await;
        assert_eq!((&error["id"], &error["problem"]["status"]), (&json!("1"), &json!(status)), "{error}");
    }
    let again = message(&bob, "once");
    client.say(&again).await;
    let (first, _) = sent(&mut client).await;
    client.say(&again).await;
    assert_eq!(client.expect("ack").await, first);
    assert_eq!(client.drain().await, Vec::<Value>::new());
}

/// Cut off after any number of frames, on either of two nodes.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_cut_off_gets_what_they_missed_once() {
    const MESSAGES: usize = 400;
    let deployment = Deployment::new().await;
    let (one, other) = (deployment.herald().await, deployment.herald().await);
    let (ada, bob) = two(&one.url).await;
    let mut vector = Client::live(&bob).await.vector;
    let at_other = ada.at(&other.url);
    let writing = async {
        for round in 0..MESSAGES / 4 {
            let node = if round % 2 == 0 { &ada } else { &at_other };
            let texts: Vec<_> = (0..4).map(|index| format!("{round}.{index}")).collect();
            for answer in join_all(texts.iter().map(|text| node.write(&bob, text))).await {
                assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
            }
        }
    };
    let first_seed = u64::from(std::process::id());
    let mut received = Vec::new();
    let reading = async {
        let mut seed = first_seed;
        while numbers(&received).len() < MESSAGES {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (count, node) = (seed >> 60, if seed & (1 << 40) == 0 { &one.url } else { &other.url });
            let mut client = Client::hello(&bob.at(node), Some(&vector)).await;
            for _ in 0..=count {
                if numbers(&received).len() == MESSAGES {
                    break;
                }
                received.push(client.next().await.unwrap());
                vector = client.vector.clone();
            }
        }
    };
    tokio::join!(writing, reading);
    assert!(received.iter().all(|frame| frame["type"] != "reset"), "seed {first_seed}");
    assert_eq!(numbers(&received), (1..=MESSAGES as u64).collect::<Vec<_>>(), "seed {first_seed}");
    let mut client = Client::hello(&bob, Some(&vector)).await;
    assert_eq!(numbers(&client.until("live").await), Vec::<u64>::new());
    let thread_id = received.iter().find_map(|frame| frame["thread_id"].as_str()).unwrap();
    let history = bob.get_after(&vector.to_string(), &format!("/v1/threads/{thread_id}/messages?limit=1")).await;
    assert_eq!(history.body["entries"][0]["number"], json!(MESSAGES), "{history:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_query_has_seen_can_be_resumed_from_and_what_no_log_has_is_reset() {
    let herald = Herald::start().await;
    let (ada, bob) = two(&herald.url).await;
    let written = ada.write(&bob, "one").await;
    let inbox = bob.get_after(written.position(), "/v1/threads").await;
    ada.write(&bob, "two").await;
    let as_of: Vector = inbox.header("herald-as-of").parse().unwrap();
    let mut client = Client::hello(&bob, Some(&as_of)).await;
    assert_eq!(numbers(&client.until("live").await), [2]);
    for beyond in ["0:999999", "77:1"] {
        let mut client = Client::hello(&bob, Some(&beyond.parse().unwrap())).await;
        client.expect("reset").await;
        client.expect("live").await;
        ada.write(&bob, "more").await;
        client.expect("message").await;
    }
}

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
async fn whoever_reads_too_slowly_is_cut_off_and_resumes() {
    const MESSAGES: u64 = 320;
    let herald = Herald::start().await;
    let (ada, bob) = two(&herald.url).await;
    let mut slow = Client::connect(&herald.url, Some(4_096)).await;
    slow.greet(&bob, None).await;
    slow.until("live").await;
    let mut quick = Client::live(&bob).await;
    let text = "x".repeat(32_000);
    let mut received = Vec::new();
    for number in 1..=MESSAGES {
        assert_eq!(ada.write(&bob, &text).await.status, StatusCode::CREATED);
        // One that does not read delays no other.
        assert_eq!(quick.expect("message").await["number"], json!(number));
    }
    let closed = loop {
        match slow.next().await {
            Ok(frame) => received.push(frame),
            Err(closed) => break closed,
        }
    };
    assert_eq!(closed.code, 1013);
    assert!(received.len() < usize::try_from(MESSAGES).unwrap());
    let mut again = Client::hello(&bob, Some(&slow.vector)).await;
    received.extend(again.until("live").await);
    assert_eq!(numbers(&received), (1..=MESSAGES).collect::<Vec<_>>());
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
    let log_options = Options { nats_url: format!("nats://{}", proxy.address), ..deployment.log_options.clone() };
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
