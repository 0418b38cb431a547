//! Sockets on real servers: what happens is pushed once, to everybody whom it
//! concerns; whoever was cut off resumes without gap or duplicate.

mod away;
mod chat;
pub mod client;
mod closing;
mod flood;
mod sync;

use crate::{
    device::Device,
    harness::{Deployment, Herald},
    people::{Person, key},
};
use client::Client;
use events::Vector;
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

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
    let no_emoji = json!({ "type": "react", "id": "1", "thread_id": key(), "number": 1, "emoji": "x" });
    for (frame, status) in [(short, 422), (forged, 422), (stranger, 404), (edit, 404), (no_emoji, 422)] {
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

/// Cut off after any number of frames, and then on the other of two nodes.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_cut_off_gets_what_they_missed_once() {
    const MESSAGES: usize = 400;
    let deployment = Deployment::new().await;
    let (one, other) = (deployment.herald().await, deployment.herald().await);
    let (ada, bob) = two(&one.url).await;
    let mut device = Device::of(&bob, &[one.url.clone(), other.url.clone()]);
    while device.next().await["type"] != "live" {}
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
            for _ in 0..=seed >> 60 {
                if numbers(&received).len() < MESSAGES {
                    received.push(device.next().await);
                }
            }
            device.lose_connection();
        }
    };
    tokio::join!(writing, reading);
    assert!(received.iter().all(|frame| !["welcome", "reset"].contains(&frame["type"].as_str().unwrap())));
    assert_eq!(numbers(&received), (1..=MESSAGES as u64).collect::<Vec<_>>(), "seed {first_seed}");
    let last = received.iter().rfind(|frame| frame["type"] == "message").unwrap();
    // The last was handed out and is processed now: it does not come again.
    loop {
        let frame = device.next().await;
        assert_ne!(frame["type"], "message", "{frame}");
        if frame["type"] == "live" {
            break;
        }
    }
    let history = format!("/v1/threads/{}/messages?limit=1", last["thread_id"].as_str().unwrap());
    let history = bob.get_after(last["position"].as_str().unwrap(), &history).await;
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
