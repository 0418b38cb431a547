//! Edits, deletions, reactions and mentions.

use super::{fields, told};
use crate::{
    harness::{Deployment, Herald},
    people::{Person, key, send},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const THUMB: &str = "%F0%9F%91%8D";

#[tokio::test(flavor = "multi_thread")]
async fn an_author_edits_and_nobody_else() {
    let deployment = Deployment::new().await;
    let (a, b) = (deployment.herald().await, deployment.herald().await);
    let (ada, bob) = (Person::sign_up(&a.url).await, Person::sign_up(&b.url).await);
    let thread = ada.create_group(&[&bob]).await;
    let sent_key = key();
    let send_body = json!({ "key": sent_key, "body": "first" });
    let sent = bob.post(&format!("/v1/threads/{thread}/messages"), send_body.clone()).await;
    let path = format!("/v1/threads/{thread}/messages/1");
    let edited = bob.at(&a.url).patch(&path, json!({ "body": "second" })).await;
    assert_eq!(edited.status, StatusCode::OK, "{edited:?}");
    assert_eq!(fields(&edited.body), BTreeSet::from(["thread_id", "number", "body", "edited_at", "position"]));
    assert_eq!(edited.body["position"].as_str().unwrap(), edited.position());
    let again = bob.patch(&path, json!({ "body": "second" })).await;
    assert_eq!((again.position(), &again.body), (edited.position(), &edited.body));
    let seen = ada.get_after(edited.position(), &path).await;
    assert_eq!((&seen.body["body"], &seen.body["edited_at"]), (&json!("second"), &edited.body["edited_at"]));
    assert_eq!(seen.body["sent_at"], sent.body["sent_at"]);
    // Asked again, the first answer.
    let repeated = bob.post(&format!("/v1/threads/{thread}/messages"), send_body).await;
    assert_eq!((repeated.status, &repeated.body), (StatusCode::OK, &sent.body));
    // Not even who owns the group.
    assert_eq!(told(&ada.patch(&path, json!({ "body": "third" })).await), (403, "forbidden"));
    for (path, body, expected) in [
        (&path, json!({ "body": "" }), (422, "validation")),
        (&path, json!({ "body": "a\u{7}" }), (422, "validation")),
        (&path, json!({ "body": "x".repeat(32_769) }), (422, "validation")),
        (&path, json!({ "body": "x", "sender_id": ada.user_id }), (422, "validation")),
        (&path, json!({}), (422, "validation")),
        (&format!("/v1/threads/{thread}/messages/2"), json!({ "body": "x" }), (404, "not-found")),
        (&format!("/v1/threads/{thread}/messages/0"), json!({ "body": "x" }), (404, "not-found")),
        (&format!("/v1/threads/{thread}/messages/one"), json!({ "body": "x" }), (400, "malformed")),
    ] {
        assert_eq!(told(&bob.patch(path, body.clone()).await), expected, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_leaves_a_tombstone_for_good() {
    let deployment = Deployment::new().await;
    let (a, b) = (deployment.herald().await, deployment.herald().await);
    let (ada, bob) = (Person::sign_up(&a.url).await, Person::sign_up(&b.url).await);
    let thread = ada.create_group(&[&bob]).await;
    for (by, text) in [(&ada, "secret of ada"), (&bob, "secret of bob"), (&bob, "another of bob")] {
        assert_eq!(by.write_in(&thread, text).await.status, StatusCode::CREATED);
    }
    let path = |number: u32| format!("/v1/threads/{thread}/messages/{number}");
    send(bob.request(Method::PUT, &format!("{}/reactions/{THUMB}", path(1)))).await;
    assert_eq!(told(&bob.delete(&path(1)).await), (403, "forbidden"));
    let own = ada.delete(&path(1)).await;
    assert_eq!(told(&own), (204, ""));
    assert_eq!(ada.at(&b.url).delete(&path(1)).await.position(), own.position());
    let by_owner = ada.at(&b.url).delete(&path(3)).await;
    assert_eq!(told(&by_owner), (204, ""));
    let history = bob.get_after(by_owner.position(), &format!("/v1/threads/{thread}/messages")).await;
    let tombstone = &history.body["entries"][2];
    assert_eq!((&tombstone["number"], &tombstone["body"]), (&json!(1), &Value::Null));
    assert!(tombstone["deleted_at"].is_string());
    assert_eq!((&tombstone["reactions"], &tombstone["mentions"]), (&json!({}), &json!([])));
    let inbox = bob.get_after(by_owner.position(), "/v1/threads").await;
    let last = &inbox.body["threads"][0]["last_message"];
    assert_eq!((&last["number"], &last["body"], last["deleted_at"].is_string()), (&json!(3), &Value::Null, true));
    assert_eq!(told(&ada.patch(&path(1), json!({ "body": "again" })).await), (409, "message-deleted"));
    let react = format!("{}/reactions/{THUMB}", path(1));
    assert_eq!(told(&send(bob.request(Method::PUT, &react)).await), (409, "message-deleted"));
    assert_eq!(told(&bob.delete(&react).await), (204, ""));
    let text = format!("{}{}{}", history.body, inbox.body, bob.get(&path(1)).await.body);
    assert!(!text.contains("secret of ada") && !text.contains("another of bob") && text.contains("secret of bob"));
    let direct = super::thread_of(&ada, &bob).await;
    ada.write_in(&direct, "mine").await;
    let theirs = format!("/v1/threads/{direct}/messages/1");
    assert_eq!(told(&bob.delete(&theirs).await), (403, "forbidden"));
}

#[tokio::test(flavor = "multi_thread")]
async fn reactions_are_ones_own_and_one_for_each_emoji() {
    let deployment = Deployment::new().await;
    let (a, b) = (deployment.herald().await, deployment.herald().await);
    let (ada, bob) = (Person::sign_up(&a.url).await, Person::sign_up(&b.url).await);
    ada.write(&bob, "hi").await;
    let thread = super::thread_of(&ada, &bob).await;
    let message = format!("/v1/threads/{thread}/messages/1");
    let reaction = |emoji: &str| format!("{message}/reactions/{emoji}");
    let put = async |who: &Person, emoji: &str| send(who.request(Method::PUT, &reaction(emoji))).await;
    let first = put(&bob, THUMB).await;
    assert_eq!(told(&first), (204, ""));
    assert_eq!(put(&bob.at(&a.url), THUMB).await.position(), first.position());
    put(&ada, THUMB).await;
    // Without its variation selector it is the same heart.
    let heart = put(&ada, "%E2%9D%A4").await;
    assert_eq!(put(&ada, "%E2%9D%A4%EF%B8%8F").await.position(), heart.position());
    let seen = bob.get_after(heart.position(), &message).await;
    let reactions = json!({ "👍": [bob.user_id, ada.user_id], "❤️": [ada.user_id] });
    assert_eq!(seen.body["reactions"], reactions);
    let removed = bob.delete(&reaction(THUMB)).await;
    assert_eq!(bob.at(&a.url).delete(&reaction(THUMB)).await.position(), removed.position());
    let seen = ada.get_after(removed.position(), &message).await;
    assert_eq!(seen.body["reactions"], json!({ "👍": [ada.user_id], "❤️": [ada.user_id] }));
    for (emoji, expected) in [
        ("x", (422, "validation")),
        ("%3A%2B1%3A", (422, "validation")),
        ("%F0%9F%91%8D%F0%9F%91%8D", (422, "validation")),
        ("%FF", (400, "malformed")),
    ] {
        assert_eq!(told(&put(&bob, emoji).await), expected, "{emoji}");
    }
    let absent = format!("/v1/threads/{thread}/messages/2/reactions/{THUMB}");
    assert_eq!(told(&send(bob.request(Method::PUT, &absent)).await), (404, "not-found"));
    let faces = (0x1f600..0x1f610).map(|face| char::from_u32(face).unwrap().to_string());
    let mut outcomes = Vec::new();
    for face in faces {
        outcomes.push(told(&put(&ada, &face).await).0);
    }
    // Two were there: sixteen are the most.
    assert_eq!(outcomes, [vec![204; 14], vec![422; 2]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_mentioned_by_their_names_and_counted_apart() {
    let herald = Herald::start().await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let (cyd, eve) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let thread = ada.create_group(&[&bob, &cyd]).await;
    let text = format!(
        "@{}, and @{}? mail@{} (@{}) @nobody-at-all",
        bob.username.to_uppercase(),
        eve.username,
        cyd.username,
        bob.username
    );
    ada.write_in(&thread, "nobody").await;
    let sent = ada.write_in(&thread, &text).await;
    let entry = bob.get_after(sent.position(), &format!("/v1/threads/{thread}/messages/2")).await;
    assert_eq!(entry.body["mentions"], json!([bob.user_id]));
    let counts = async |who: &Person, position: &str| {
        let thread = who.get_after(position, &format!("/v1/threads/{thread}")).await;
        (thread.body["unread"].as_u64().unwrap(), thread.body["mentions_unread"].as_u64().unwrap())
    };
    assert_eq!(counts(&bob, sent.position()).await, (2, 1));
    assert_eq!(counts(&cyd, sent.position()).await, (2, 0));
    let message = format!("/v1/threads/{thread}/messages/2");
    let edited = ada.patch(&message, json!({ "body": format!("@{}", cyd.username) })).await;
    assert_eq!(counts(&bob, edited.position()).await, (2, 0));
    assert_eq!(counts(&cyd, edited.position()).await, (2, 1));
    let read = cyd.put(&format!("/v1/threads/{thread}/receipt"), json!({ "read": 2 })).await;
    assert_eq!(counts(&cyd, read.position()).await, (0, 0));
    let back = ada.patch(&message, json!({ "body": format!("@{}", bob.username) })).await;
    assert_eq!(counts(&bob, back.position()).await, (2, 1));
    let deleted = ada.delete(&message).await;
    assert_eq!(counts(&bob, deleted.position()).await, (2, 0));
}
