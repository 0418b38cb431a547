//! One message for each sender and key, for ever: asked again after many
//! others, on another node, after a restart, from devices whose clocks differ,
//! fifty at once.

use super::{
    rig::{Rig, Victim},
    story::Story,
};
use crate::{
    people::{Person, key},
    whole::history,
};
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::{NoContext, Timestamp, Uuid};

/// More than a thread remembers itself.
const LATER: usize = 300;
const AT_ONCE: usize = 50;
const HOUR: i64 = 3_600;

/// A key of a device whose clock is that many seconds off.
fn skewed(seconds: i64) -> String {
    let (now, nanos) = Uuid::parse_str(&key()).unwrap().get_timestamp().unwrap().to_unix();
    let there = now.checked_add_signed(seconds).unwrap();
    Uuid::new_v7(Timestamp::from_unix(NoContext, there, nanos)).to_string()
}

async fn send(by: &Person, to: &Person, key: &str, body: &str) -> (StatusCode, Value) {
    let answer = by.post("/v1/messages", json!({ "to": to.user_id, "key": key, "body": body })).await;
    (answer.status, answer.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_one_message_however_late_and_wherever_it_is_asked_again() {
    let story = Story::new("keys");
    let mut rig = Rig::start(&story, 1, 2).await;
    let urls = rig.urls();
    let (ada, bob) = (Person::sign_up(&urls[0]).await, Person::sign_up(&urls[1]).await);
    let ada_at = [ada.clone(), ada.at(&urls[1])];

    let first = key();
    let (status, answer) = send(&ada, &bob, &first, "the first").await;
    assert_eq!((status, &answer["number"]), (StatusCode::CREATED, &json!(1)), "{answer}");
    for later in 0..LATER {
        let (status, answer) = send(&ada_at[later % 2], &bob, &key(), "later").await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
    }
    let again = async |when: &str| {
        for node in &ada_at {
            let (status, answer) = send(node, &bob, &first, "the first").await;
            assert_eq!((status, &answer["number"]), (StatusCode::OK, &json!(1)), "{when}: {answer}");
        }
    };
    again("after many others").await;
    rig.kill(Victim::Nats(0)).await;
    rig.revive(Victim::Nats(0)).await;
    rig.ready().await;
    again("after NATS was killed").await;
    rig.terminate(Victim::Herald(1)).await;
    rig.revive(Victim::Herald(1)).await;
    rig.ready().await;
    again("after a herald was restarted").await;

    // Two devices: one clock is an hour ahead, the other behind; each asks again in the other's order.
    let keys = [skewed(HOUR), skewed(-HOUR), skewed(HOUR), skewed(-HOUR)];
    let mut numbers = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        let (status, answer) = send(&ada_at[index % 2], &bob, key, "skewed").await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        numbers.push(answer["number"].clone());
    }
    for (index, key) in keys.iter().enumerate().rev() {
        let (status, answer) = send(&ada_at[(index + 1) % 2], &bob, key, "skewed").await;
        assert_eq!((status, &answer["number"]), (StatusCode::OK, &numbers[index]), "{answer}");
    }

    let at_once = key();
    let answers = join_all((0..AT_ONCE).map(|n| send(&ada_at[n % 2], &bob, &at_once, "at once"))).await;
    let created = answers.iter().filter(|(status, _)| *status == StatusCode::CREATED).count();
    assert_eq!(created, 1, "{answers:?}");
    let number = &answers[0].1["number"];
    assert!(answers.iter().all(|(_, answer)| &answer["number"] == number), "{answers:?}");

    let last = bob.write(&ada, "enough").await;
    let seen = history(&bob, last.body["thread_id"].as_str().unwrap(), last.position()).await;
    let expected = 1 + LATER + keys.len() + 1 + 1;
    assert_eq!(seen.len(), expected, "each key is there once");
    assert!(seen.keys().copied().eq(1..=expected as u64));
}
