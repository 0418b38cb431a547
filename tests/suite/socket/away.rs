//! Those who were away: what they missed comes once, from the hub's memory and
//! from the views where that does not reach back; who was removed meanwhile is
//! told up to that, and nothing more.

use super::{
    chat::{delete, group, kinds, put, rename},
    client::Client,
    sync::{cursor, sync},
};
use crate::{
    harness::Deployment,
    people::{Person, key},
};
use events::{
    Aggregate, EventId, Ids, ThreadId, UserId,
    clock::millis,
    envelope::Draft,
    event::{Receipt, ReceiptEvent},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor};
use std::collections::BTreeMap;

/// Has a hub forget everything that happened until now: so much is told in every partition that it holds nothing else.
async fn have_forgotten(deployment: &Deployment) {
    let ids = Ids::random();
    for partition in deployment.log.names().partitions() {
        let thread_id = loop {
            let thread_id = ThreadId::from_uuid(ids.next());
            if deployment.log.names().partition(thread_id.uuid()) == partition {
                break thread_id;
            }
        };
        for _ in 0..34 {
            let stranger = || UserId::from_uuid(ids.next());
            let receipt = |_| Receipt { thread_id, user_id: stranger(), delivered: 1, read: 1 };
            let event = ReceiptEvent::ReceiptsAdvanced { receipts: (0..2_000).map(receipt).collect() }.into();
            let id = EventId::from_uuid(ids.next());
            let aggregate = Aggregate::Receipts(partition);
            deployment.log.append(&Draft { aggregate, id, by: None, at: millis(0), event }, None).await.unwrap();
        }
    }
}

/// Frames by the place that they have in the log, without what an edit or a deletion makes of an older text.
fn placed(frames: &[Value]) -> BTreeMap<String, Value> {
    let mut placed = BTreeMap::new();
    for frame in frames.iter().filter(|frame| frame["position"].is_string()) {
        let mut frame = frame.clone();
        if frame["type"] == "message" {
            frame.as_object_mut().unwrap().retain(|field, _| !["body", "mentions"].contains(&field.as_str()));
        }
        let before = placed.insert(frame["position"].as_str().unwrap().to_owned(), frame);
        assert_eq!(before, None, "came twice");
    }
    placed
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_to_a_thread_that_a_view_has_set_aside_hears_it_and_reloads_what_no_view_tells() {
    for (view, poison) in [
        ("inbox", "inbox.heads ADD CONSTRAINT poison CHECK (last_body <> 'poison')"),
        ("timeline", "timeline.messages ADD CONSTRAINT poison CHECK (body <> 'poison')"),
    ] {
        let deployment = Deployment::new().await;
        let herald = deployment.herald().await;
        let url = &herald.url;
        let (ada, bob, cyd) = tokio::join!(Person::sign_up(url), Person::sign_up(url), Person::sign_up(url));
        let thread_id = group(&ada, &[&bob, &cyd]).await;
        let left_with = Client::live(&bob).await.vector;
        for mut database in deployment.connections().await {
            database.execute(AssertSqlSafe(format!("ALTER TABLE {poison}"))).await.unwrap();
        }

        let messages = format!("/v1/threads/{thread_id}/messages");
        let say = async |text: &str| ada.post(&messages, json!({ "key": key(), "body": text })).await;
        let last = say("poison").await;
        delete(&ada, &format!("/v1/threads/{thread_id}/members/{}", cyd.user_id)).await;
        ada.get_after(last.position(), "/v1/threads").await;
        let shown = bob.get_after(last.position(), &messages).await;
        assert_eq!(shown.status == StatusCode::SERVICE_UNAVAILABLE, view == "timeline", "{shown:?}");

        let mut back = Client::hello(&bob, Some(&left_with)).await;
        let missed = back.until("live").await;
        assert_eq!(kinds(&missed), ["message", "member_removed"], "{view}: the hub has it all");
        have_forgotten(&deployment).await;
        say("heard").await;
        assert_eq!(back.expect("message").await["number"], json!(2), "{view}");

        let mut later = Client::hello(&bob, Some(&left_with)).await;
        assert_eq!(later.next().await.unwrap()["type"], "reset", "{view}");
        later.until("live").await;
        let mut removed = Client::hello(&cyd, None).await;
        removed.until("live").await;
        say("live").await;
        for client in [&mut back, &mut later] {
            assert_eq!(client.expect("message").await["number"], json!(3), "{view}");
        }
        assert_eq!(removed.drain().await, Vec::<Value>::new(), "{view}");
        herald.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_hub_has_forgotten_the_views_tell() {
    let deployment = Deployment::new().await;
    let herald = deployment.herald().await;
    let url = &herald.url;
    let (ada, bob, cyd) = tokio::join!(Person::sign_up(url), Person::sign_up(url), Person::sign_up(url));
    let thread_id = group(&ada, &[&bob]).await;
    let mut there = Client::live(&bob).await;
    let left_with = there.vector.clone();
    let (_, polls_from) = cursor(&bob).await;
    ada.write(&bob, "before").await;

    let messages = format!("/v1/threads/{thread_id}/messages");
    for text in ["one", "two", "three"] {
        ada.post(&messages, json!({ "key": key(), "body": text })).await;
    }
    let edit = ada.request(Method::PATCH, &format!("{messages}/1")).json(&json!({ "body": "uno" }));
    edit.send().await.unwrap().error_for_status().unwrap();
    delete(&ada, &format!("{messages}/2")).await;
    put(&cyd, &format!("/v1/contacts/{}", bob.user_id), json!({})).await;
    put(&ada, &format!("/v1/threads/{thread_id}/members/{}", cyd.user_id), json!({})).await;
    put(&ada, &format!("{messages}/3/reactions/%F0%9F%91%8D"), json!({})).await;
    rename(&ada, &thread_id, "Three").await;
    put(&cyd, &format!("/v1/threads/{thread_id}/receipt"), json!({ "read": 3 })).await;
    put(&bob, &format!("/v1/threads/{thread_id}/settings"), json!({ "archived": true })).await;
    put(&bob, &format!("/v1/contacts/{}", cyd.user_id), json!({ "alias": "C" })).await;
    put(&bob, &format!("/v1/blocks/{}", cyd.user_id), json!({})).await;
    delete(&bob, &format!("/v1/blocks/{}", cyd.user_id)).await;
    let last = ada.write(&bob, "after").await;
    let mut live = Vec::new();
    while live.last().is_none_or(|frame: &Value| frame["position"] != last.position()) {
        live.push(there.next().await.unwrap());
    }
    live.extend(there.drain().await);
    have_forgotten(&deployment).await;
    // The hub has heard all that once it tells what was written after it.
    ada.write(&bob, "at last").await;
    live.push(there.expect("message").await);

    let mut back = Client::hello(&bob, Some(&left_with)).await;
    let missed = back.until("live").await;
    assert!(missed.iter().all(|frame| frame["type"] != "reset"), "{:?}", kinds(&missed));
    let in_the_log = |frames: &[Value]| {
        let mut placed = placed(frames);
        // Receipts come as they are now, without a place in the log.
        placed.retain(|_, frame| frame["type"] != "receipt");
        placed
    };
    assert_eq!(in_the_log(&missed), in_the_log(&live));
    let first_positioned = missed.iter().position(|frame| frame["position"].is_string()).unwrap();
    let receipts: Vec<_> = missed[..first_positioned].iter().map(|frame| &frame["user_id"]).collect();
    assert!(receipts.contains(&&json!(cyd.user_id)), "{receipts:?}");
    let text = |number: u32| {
        let told = missed.iter().find(|frame| frame["thread_id"] == thread_id && frame["number"] == number);
        told.unwrap()["body"].clone()
    };
    assert_eq!([text(1), text(2), text(3)], [json!("uno"), Value::Null, json!("three")]);
    assert_eq!(back.drain().await, Vec::<Value>::new());

    let polled = sync(&bob, Some(&polls_from), 0).await;
    assert_eq!(in_the_log(&polled.frames), in_the_log(&live));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_removed_hears_that_last_live_on_coming_back_and_by_polling() {
    let deployment = Deployment::new().await;
    let (one, other) = (deployment.herald().await, deployment.herald().await);
    let (ada, bob) = super::two(&one.url).await;
    let thread_id = group(&ada, &[&bob]).await;
    let messages = format!("/v1/threads/{thread_id}/messages");
    let membership = format!("/v1/threads/{thread_id}/members/{}", bob.user_id);
    let mut live = Client::live(&bob).await;
    let away_since = live.vector.clone();
    let (_, polls_from) = cursor(&bob).await;
    ada.post(&messages, json!({ "key": key(), "body": "with bob" })).await;
    let removed = delete(&ada, &membership).await;
    ada.post(&messages, json!({ "key": key(), "body": "without bob" })).await;
    rename(&ada, &thread_id, "Without").await;
    let control = ada.write(&bob, "between us").await;

    let expected = ["message", "member_removed"];
    let of_group = |frames: &[Value]| -> Vec<String> {
        let of_group = |frame: &&Value| frame["thread_id"] == thread_id && frame["type"] != "receipt";
        kinds(&frames.iter().filter(of_group).cloned().collect::<Vec<_>>())
    };
    let mut heard = Vec::new();
    while heard.last().is_none_or(|frame: &Value| frame["position"] != control.position()) {
        heard.push(live.next().await.unwrap());
    }
    heard.extend(live.drain().await);
    assert_eq!(of_group(&heard), expected);
    assert_eq!(heard.iter().rfind(|frame| frame["thread_id"] == thread_id).unwrap()["position"], removed.position());
    for url in [&one.url, &other.url] {
        let mut back = Client::hello(&bob.at(url), Some(&away_since)).await;
        assert_eq!(of_group(&back.until("live").await), expected);
        assert_eq!(of_group(&sync(&bob.at(url), Some(&polls_from), 0).await.frames), expected);
    }
    have_forgotten(&deployment).await;
    ada.write(&bob, "at last").await;
    live.expect("message").await;
    let mut back = Client::hello(&bob, Some(&away_since)).await;
    assert_eq!(of_group(&back.until("live").await), expected);
    assert_eq!(of_group(&sync(&bob, Some(&polls_from), 0).await.frames), expected);

    // Who comes back sees what was written since, nothing from between, and nothing of what becomes of that.
    put(&ada, &membership, json!({})).await;
    ada.post(&messages, json!({ "key": key(), "body": "with bob again" })).await;
    let edit = ada.request(Method::PATCH, &format!("{messages}/2")).json(&json!({ "body": "still without bob" }));
    edit.send().await.unwrap().error_for_status().unwrap();
    put(&ada, &format!("{messages}/1/reactions/%F0%9F%91%8D"), json!({})).await;
    delete(&ada, &format!("{messages}/1")).await;
    put(&ada, &format!("{messages}/3/reactions/%F0%9F%91%8D"), json!({})).await;
    let again = live.expect("thread").await;
    assert_eq!((&again["change"], &again["user_id"]), (&json!("member_added"), &json!(bob.user_id)));
    assert_eq!(live.expect("message").await["body"], json!("with bob again"));
    assert_eq!(live.expect("reaction").await["number"], json!(3));
    let expected = ["member_added", "message", "reaction"];
    for forgotten in [false, true] {
        if forgotten {
            have_forgotten(&deployment).await;
            ada.write(&bob, "at the very last").await;
            live.expect("message").await;
        }
        let mut back = Client::hello(&bob, Some(&away_since)).await;
        assert_eq!(of_group(&back.until("live").await), expected);
        assert_eq!(of_group(&sync(&bob, Some(&polls_from), 0).await.frames), expected);
    }
}
