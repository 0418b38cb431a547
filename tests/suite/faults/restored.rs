//! A log that was cut short beneath a running herald: that herald ends, and
//! starts anew with what is true; whoever remembers the rest is told.

use super::{
    rig::{Rig, Victim},
    story::Story,
};
use crate::{people::Person, socket::client::Client, truth, whole::history};
use serde_json::json;

const LOST: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_herald_whose_log_was_cut_short_ends_and_starts_anew_with_what_is_true() {
    let story = Story::new("a log that was cut short");
    let mut rig = Rig::start(&story, 1, 1).await;
    let url = rig.urls().remove(0);
    let (ada, bob) = (Person::sign_up(&url).await, Person::sign_up(&url).await);
    ada.write(&bob, "kept").await;
    rig.settled().await;
    rig.while_nats_is_stopped(truth::keep).await;
    rig.ready().await;
    let mut socket = Client::live(&bob).await;
    for _ in 0..LOST {
        ada.write(&bob, "lost").await;
    }
    while socket.expect("message").await["number"] != 1 + LOST {}
    let (former, epoch) = (socket.vector.clone(), socket.welcome["epoch"].clone());
    rig.settled().await;

    rig.while_nats_is_stopped(truth::go_back).await;
    let (status, said) = rig.ended(0).await;
    assert!(!status.success() && said.contains("cut short beneath this node"), "{status}: {said}");
    rig.revive(Victim::Herald(0)).await;
    rig.ready().await;
    // It grows beyond what it was.
    let mut last = ada.write(&bob, "new").await;
    for _ in 0..2 * LOST {
        last = ada.write(&bob, "new").await;
    }
    let seen = history(&bob, last.body["thread_id"].as_str().unwrap(), last.position()).await;
    assert!(seen.keys().copied().eq(1..=2 + 2 * LOST as u64), "{seen:?}");
    rig.settled().await;

    let mut client = Client::connect(&url, None).await;
    let hello = json!({
        "type": "hello", "token": bob.access_token, "resume": former.to_string(), "epoch": epoch
    });
    client.say(&hello).await;
    assert_ne!(client.expect("welcome").await["epoch"], epoch);
    client.expect("reset").await;
    client.expect("live").await;
    // Of the same log nothing is lost.
    let (epoch, vector) = (client_epoch(&bob).await, client.vector.clone());
    ada.write(&bob, "after").await;
    let mut client = Client::connect(&url, None).await;
    let hello = json!({
        "type": "hello", "token": bob.access_token, "resume": vector.to_string(), "epoch": epoch
    });
    client.say(&hello).await;
    client.expect("welcome").await;
    client.vector = vector;
    assert_eq!(client.expect("message").await["body"], "after");
}

async fn client_epoch(person: &Person) -> serde_json::Value {
    Client::live(person).await.welcome["epoch"].clone()
}
