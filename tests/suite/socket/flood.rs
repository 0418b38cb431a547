//! Who says too much: told so first, then cut off; and what an error says.

use super::{client::Client, message, two};
use crate::{
    harness::Deployment,
    people::{Answer, key},
};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// More than a burst, and than what comes back meanwhile.
const FLOOD: usize = 2_000;

/// Says the same until the socket is closed; what came back, and with what code it ended.
async fn flood(client: &mut Client, frame: impl Fn() -> Value) -> (Vec<Value>, u16) {
    for _ in 0..FLOOD {
        if client.try_say(&frame()).await.is_err() {
            break;
        }
    }
    let mut frames = Vec::new();
    loop {
        match client.next().await {
            Ok(frame) => frames.push(frame),
            Err(closed) => return (frames, closed.code),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_too_much_is_told_to_wait_and_who_goes_on_is_cut_off() {
    let herald = Deployment::new().await.limited(&[]).await;
    let (ada, bob) = two(&herald.url).await;
    let mut client = Client::live(&ada).await;
    let (frames, code) = flood(&mut client, || message(&bob, "hello")).await;
    assert_eq!(code, 1008);
    let of = |kind: &str| frames.iter().filter(|frame| frame["type"] == kind).collect::<Vec<_>>();
    let (acks, errors) = (of("ack"), of("error"));
    assert!(acks.len() >= 60 && !errors.is_empty(), "{} acks, {} errors", acks.len(), errors.len());
    for error in errors {
        let problem = &error["problem"];
        assert_eq!((&problem["status"], &problem["type"]), (&json!(429), &json!("urn:herald:too-many-requests")));
        assert!(problem["retry_after"].as_u64().unwrap() >= 1, "{problem}");
    }
    // What was acknowledged is there, and nothing else.
    let mut again = Client::hello(&bob, Some(&"0:0,1:0,2:0,3:0".parse().unwrap())).await;
    let there = again.until("live").await;
    let there = there.iter().filter(|frame| frame["type"] == "message").count();
    assert!((acks.len()..=acks.len() + 32).contains(&there), "{there}, {} of them acknowledged", acks.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_said_too_often_ends_the_socket_unless_limits_are_off() {
    let deployment = Deployment::new().await;
    let (limited, free) = (deployment.limited(&[]).await, deployment.herald().await);
    let (ada, bob) = two(&limited.url).await;
    let sent = ada.write(&bob, "hello").await;
    let said = [
        json!({ "type": "ping" }),
        json!({ "type": "typing", "thread_id": sent.body["thread_id"] }),
        json!({ "type": "watch", "user_ids": [] }),
        json!({ "type": "receipt", "thread_id": sent.body["thread_id"] }),
        json!({ "type": "send", "id": "faulty" }),
    ];
    for frame in said {
        let mut client = Client::live(&ada).await;
        let (_, code) = flood(&mut client, || frame.clone()).await;
        assert_eq!(code, 1008, "{frame}");
    }
    let mut client = Client::live(&ada.at(&free.url)).await;
    for _ in 0..FLOOD {
        client.say(&json!({ "type": "typing", "thread_id": key() })).await;
    }
    assert_eq!(client.drain().await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_have_a_rate_over_rest() {
    let herald = Deployment::new().await.limited(&[]).await;
    let (ada, bob) = two(&herald.url).await;
    let sent = ada.write(&bob, "hello").await;
    let path = format!("/v1/threads/{}/receipt", sent.body["thread_id"].as_str().unwrap());
    // Again, where a busy machine took so long over them that none was too many.
    let limited = loop {
        let answers = futures_util::future::join_all((0..400).map(|_| bob.put(&path, json!({ "read": 1 })))).await;
        let is_limited = |answer: &Answer| answer.status == StatusCode::TOO_MANY_REQUESTS;
        let limited: Vec<_> = answers.into_iter().filter(is_limited).collect();
        assert!(limited.len() < 400, "none has passed");
        if !limited.is_empty() {
            break limited;
        }
    };
    for answer in limited {
        assert_eq!((answer.problem(), answer.header("retry-after")), ("too-many-requests", "1"));
        assert_eq!(answer.body["retry_after"], json!(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_names_the_fields_at_fault_as_rest_does() {
    let herald = Deployment::new().await.herald().await;
    let (ada, bob) = two(&herald.url).await;
    let sent = ada.write(&bob, "hello").await;
    let thread_id = sent.body["thread_id"].as_str().unwrap();
    let mut client = Client::live(&ada).await;
    let path = format!("/v1/threads/{thread_id}/messages");
    for body in [
        json!({ "key": key() }),
        json!({ "key": key(), "body": 7 }),
        json!({ "key": key(), "body": "hi", "sender_id": bob.user_id }),
        json!({ "key": "0190b5a0-0000-4000-8000-000000000000", "body": "hi" }),
        json!({ "key": key(), "body": "" }),
        json!({ "key": key(), "body": "hi", "reply_to": -1 }),
    ] {
        let by_rest = ada.post(&path, body.clone()).await;
        let mut frame = json!({ "type": "send", "id": "1", "thread_id": thread_id });
        frame.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        client.say(&frame).await;
        let problem = client.expect("error").await["problem"].clone();
        assert_eq!(problem["errors"][0]["field"], by_rest.body["errors"][0]["field"], "{problem} {by_rest:?}");
        assert_eq!(problem["status"], by_rest.body["status"], "{problem} {by_rest:?}");
    }
    let nowhere = json!({ "type": "send", "id": "1", "key": key(), "body": "hi" });
    client.say(&nowhere).await;
    let problem = client.expect("error").await["problem"].clone();
    let fields: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
    assert_eq!(fields, ["thread_id", "to"]);
}
