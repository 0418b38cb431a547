//! Everything that people do in a chat, as their sockets are told of it: each
//! once, and only to those whom it concerns.

use super::client::Client;
use crate::{
    harness::{Deployment, Herald},
    people::{Answer, Person, key, send},
};
use events::{Aggregate, EventId, Ids, Position, Text, ThreadEvent, ThreadId, UserId, clock::millis, envelope::Draft};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// Ada's new group with some others.
pub async fn group(ada: &Person, others: &[&Person]) -> String {
    let member_ids: Vec<_> = others.iter().map(|person| &person.user_id).collect();
    let created = ada.post("/v1/threads", json!({ "kind": "group", "title": "Team", "member_ids": member_ids })).await;
    assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
    created.body["thread_id"].as_str().unwrap().to_owned()
}

/// A command without a body that succeeds.
pub async fn delete(person: &Person, path: &str) -> Answer {
    let answer = send(person.request(Method::DELETE, path)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{path}: {answer:?}");
    answer
}

pub async fn put(person: &Person, path: &str, body: Value) -> Answer {
    let answer = person.put(path, body).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{path}: {answer:?}");
    answer
}

pub async fn rename(person: &Person, thread_id: &str, title: &str) {
    let path = format!("/v1/threads/{thread_id}");
    let renamed = send(person.request(Method::PATCH, &path).json(&json!({ "title": title }))).await;
    assert_eq!(renamed.status, StatusCode::OK, "{renamed:?}");
}

/// What frames are, each in a word.
pub fn kinds(frames: &[Value]) -> Vec<String> {
    let kind = |frame: &Value| frame["change"].as_str().or(frame["type"].as_str()).unwrap().to_owned();
    frames.iter().map(kind).collect()
}

/// Asks for something by a socket: the frame that tells it, once it was answered. What is pushed is kept.
async fn asks(client: &mut Client, request: Value, pushed: &mut Vec<Value>) -> Value {
    client.say(&request).await;
    let mut ack = None;
    loop {
        let frame = client.next().await.unwrap();
        if frame["type"] == "ack" {
            ack = Some(frame["position"].clone());
        } else {
            pushed.push(frame);
        }
        let told = pushed.iter().find(|frame| Some(&frame["position"]) == ack.as_ref());
        if let Some(told) = told {
            return told.clone();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_frame_reaches_those_whom_it_concerns_once() {
    let herald = Herald::start().await;
    let url = &herald.url;
    let (ada, bob, cyd) = tokio::join!(Person::sign_up(url), Person::sign_up(url), Person::sign_up(url));
    let desk = ada.log_in(url).await;
    let mut phone = Client::live(&ada).await;
    let mut others = [Client::live(&desk).await, Client::live(&bob).await, Client::live(&cyd).await];
    let mut seen = Vec::new();

    let thread_id = group(&ada, &[&bob]).await;
    let members = format!("/v1/threads/{thread_id}/members");
    put(&ada, &format!("{members}/{}", cyd.user_id), json!({})).await;
    put(&ada, &format!("{members}/{}", bob.user_id), json!({ "role": "admin" })).await;
    rename(&ada, &thread_id, "Team of three").await;
    let body = format!("hello @{}", bob.username);
    let on = |kind: &str, rest: Value| {
        let mut request = json!({ "type": kind, "id": "1", "thread_id": thread_id });
        request.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        request
    };
    let message = asks(&mut phone, on("send", json!({ "key": key(), "body": body })), &mut seen).await;
    assert_eq!((&message["number"], &message["mentions"]), (&json!(1), &json!([bob.user_id])));
    let edited = asks(&mut phone, on("edit", json!({ "number": 1, "body": "hullo" })), &mut seen).await;
    assert_eq!((&edited["type"], &edited["body"]), (&json!("message_edited"), &json!("hullo")));
    assert_eq!(edited["mentions"], json!([]));
    let reacted = asks(&mut phone, on("react", json!({ "number": 1, "emoji": "👍" })), &mut seen).await;
    assert_eq!((&reacted["emoji"], &reacted["removed"]), (&json!("👍"), &json!(false)));
    let unreacted = asks(&mut phone, on("unreact", json!({ "number": 1, "emoji": "👍" })), &mut seen).await;
    assert_eq!((&unreacted["user_id"], &unreacted["removed"]), (&json!(ada.user_id), &json!(true)));
    let deleted = asks(&mut phone, on("delete", json!({ "number": 1 })), &mut seen).await;
    assert_eq!((&deleted["type"], &deleted["number"]), (&json!("message_deleted"), &json!(1)));

    // Only her own devices hear how Ada keeps things.
    let settings = put(&ada, &format!("/v1/threads/{thread_id}/settings"), json!({ "pinned": true })).await;
    put(&ada, &format!("/v1/contacts/{}", bob.user_id), json!({ "alias": "Bobby" })).await;
    delete(&ada, &format!("/v1/contacts/{}", bob.user_id)).await;
    put(&ada, &format!("/v1/blocks/{}", cyd.user_id), json!({})).await;
    delete(&ada, &format!("/v1/blocks/{}", cyd.user_id)).await;
    delete(&bob, &format!("{members}/{}", bob.user_id)).await;
    let last = delete(&ada, &format!("{members}/{}", cyd.user_id)).await;

    let of_all = [
        "member_added",
        "role_changed",
        "renamed",
        "message",
        "message_edited",
        "reaction",
        "reaction",
        "message_deleted",
    ];
    let own = ["settings", "contact", "contact", "block", "block"];
    seen.extend(reads_up_to(&mut phone, last.position()).await);
    let [desk, bobs, cyds] = &mut others;
    let at_desk = reads_up_to(desk, last.position()).await;
    assert_eq!(by_thread(&at_desk), by_thread(&seen));
    assert_eq!(
        sorted(&at_desk),
        sorted_words(&[&["created"][..], &of_all, &own, &["member_left", "member_removed"]].concat())
    );
    let pinned = at_desk.iter().find(|frame| frame["type"] == "settings").unwrap();
    assert_eq!((&pinned["position"], &pinned["pinned"]), (&json!(settings.position()), &json!(true)));
    let (of_bob, of_cyd) = (bobs.drain().await, reads_up_to(cyds, last.position()).await);
    assert_eq!(kinds(&of_bob), [&["created"][..], &of_all, &["member_left"]].concat());
    assert_eq!(kinds(&of_cyd), [&of_all[..], &["member_left", "member_removed"]].concat());
    let left = of_bob.last().unwrap();
    assert_eq!((&left["user_id"], &left["by"]), (&json!(bob.user_id), &json!(bob.user_id)));
    for client in [&mut phone, desk, bobs, cyds] {
        assert_eq!(client.drain().await, Vec::<Value>::new());
    }
}

/// Nobody else of it was here when Bob was added: how many are in it, the hub has to ask.
#[tokio::test(flavor = "multi_thread")]
async fn receipts_of_others_are_not_told_in_a_thread_that_is_larger_than_32() {
    for (others, large) in [(30, false), (31, true)] {
        let deployment = Deployment::new().await;
        let herald = deployment.herald().await;
        let (ada, bob) = super::two(&herald.url).await;
        let (ids, ada_id) = (Ids::random(), ada.user_id.parse().unwrap());
        let thread_id = ThreadId::from_uuid(ids.next());
        let members = (0..others).map(|_| UserId::from_uuid(ids.next())).collect();
        let created = Draft {
            aggregate: Aggregate::Thread(thread_id),
            id: EventId::from_uuid(ids.next()),
            by: Some(ada_id),
            at: millis(1_790_000_000_000),
            event: ThreadEvent::GroupCreated { title: Text::new("Many"), members }.into(),
        };
        deployment.log.append(&created, Some(0)).await.unwrap();
        let mut client = Client::live(&bob).await;
        put(&ada, &format!("/v1/threads/{thread_id}/members/{}", bob.user_id), json!({})).await;
        let is_told = async |client: &mut Client, number: u32| {
            let messages = format!("/v1/threads/{thread_id}/messages");
            ada.post(&messages, json!({ "key": key(), "body": "hello" })).await;
            let read = put(&ada, &format!("/v1/threads/{thread_id}/receipt"), json!({ "read": number })).await;
            let read: Position = read.position().parse().unwrap();
            let mut receipts = 0;
            while client.vector.get(read.partition) < read.sequence {
                let frames = client.drain().await;
                receipts += frames.iter().filter(|frame| frame["type"] == "receipt").count();
            }
            receipts > 0
        };
        // Until the hub knows how many they are, all are told.
        let mut silent = false;
        for number in 1..=if large { 40 } else { 4 } {
            silent = silent || !is_told(&mut client, number).await;
            if silent {
                break;
            }
        }
        assert_eq!(silent, large, "of {} members", others + 2);
    }
}

/// All frames up to the one of that position, and that.
async fn reads_up_to(client: &mut Client, position: &str) -> Vec<Value> {
    let mut frames = Vec::new();
    while frames.last().is_none_or(|frame: &Value| frame["position"] != position) {
        frames.push(client.next().await.unwrap());
    }
    // What lies in other partitions may come later.
    frames.extend(client.drain().await);
    frames
}

/// Partitions are told side by side: in order is what is of one thread.
fn by_thread(frames: &[Value]) -> Vec<&Value> {
    let mut frames: Vec<_> = frames.iter().collect();
    frames.sort_by_key(|frame| (frame["thread_id"].to_string(), frame["type"] == "contact", frame["type"] == "block"));
    frames
}

fn sorted(frames: &[Value]) -> Vec<String> {
    let mut kinds = kinds(frames);
    kinds.sort();
    kinds
}

fn sorted_words(words: &[&str]) -> Vec<String> {
    let mut words: Vec<_> = words.iter().map(ToString::to_string).collect();
    words.sort();
    words
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_change_a_message_is_told_so_and_nobody_hears_of_it() {
    let herald = Herald::start().await;
    let (ada, bob) = super::two(&herald.url).await;
    let sent = ada.write(&bob, "mine").await;
    let thread_id = sent.body["thread_id"].clone();
    bob.get_after(sent.position(), "/v1/threads").await;
    let mut client = Client::live(&bob).await;
    let on = |kind: &str, number: u32, field: &str, value: &str| json!({ "type": kind, "id": "1", "thread_id": thread_id, "number": number, field: value });
    let mut delete = on("delete", 1, "x", "");
    delete.as_object_mut().unwrap().remove("x");
    for (request, status) in [
        (on("edit", 1, "body", "yours"), 403),
        (on("edit", 1, "body", ""), 422),
        (on("edit", 7, "body", "yours"), 404),
        (delete, 403),
        (on("react", 1, "emoji", "thumb"), 422),
        (on("react", 7, "emoji", "👍"), 404),
    ] {
        client.say(&request).await;
        let error = client.expect("error").await;
        assert_eq!(error["problem"]["status"], json!(status), "{request}: {error}");
    }
    assert_eq!(client.drain().await, Vec::<Value>::new());
}
