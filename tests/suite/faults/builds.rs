//! Two builds side by side, of which the older does not know an event that the
//! newer writes: it waits, and skips nothing; replaced by the newer it goes on.

use super::{
    rig::{PATIENCE, Rig, Victim, readiness},
    story::Story,
};
use crate::{
    harness::{folder, program},
    people::{Person, key},
    whole::history,
};
use events::{Partition, ThreadId, UserId};
use reqwest::StatusCode;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use std::path::PathBuf;
use tokio::time::timeout;

/// This build, but for one event that it does not know.
fn older() -> PathBuf {
    let (known, unknown) = (b"peer_blocked.1", b"peer_blocked.0");
    let mut bytes = std::fs::read(program()).unwrap();
    let found: Vec<_> =
        bytes.windows(known.len()).enumerate().filter(|(_, window)| window == known).map(|(at, _)| at).collect();
    assert!(!found.is_empty());
    for at in found {
        bytes[at..at + unknown.len()].copy_from_slice(unknown);
    }
    let path = folder("older-herald");
    std::fs::copy(program(), &path).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

fn thread(one: &Person, other: &Person) -> ThreadId {
    let id = |person: &Person| -> UserId { person.user_id.parse().unwrap() };
    ThreadId::direct(id(one), id(other))
}

/// How far the timeline has come in a partition.
async fn applied(rig: &Rig, partition: Partition) -> u64 {
    let mut database = PgConnection::connect(&rig.database_url()).await.unwrap();
    let ask = sqlx::query_scalar::<_, i64>("SELECT sequence FROM timeline.checkpoint WHERE partition = $1");
    let sequence = ask.bind(i32::from(partition.0)).fetch_one(&mut database).await.unwrap();
    sequence.try_into().unwrap()
}

async fn refuses(url: &str) {
    let refuses = async { while readiness(url).await.is_some() {} };
    timeout(PATIENCE, refuses).await.expect("a node that cannot read the log is not ready");
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(debug_assertions), ignore = "an optimised build has the names of events nowhere as text")]
async fn an_older_build_waits_at_an_event_of_a_newer_one_and_skips_nothing() {
    let story = Story::new("an older build");
    let mut rig = Rig::start(&story, 1, 2).await;
    let urls = rig.urls();
    rig.kill(Victim::Herald(1)).await;
    rig.build(1, older());
    rig.revive(Victim::Herald(1)).await;
    rig.ready().await;
    let log = rig.log().await;
    let at = |one: &Person, other: &Person| log.names().partition(thread(one, other).uuid());
    let (ada, bob) = (Person::sign_up(&urls[0]).await, Person::sign_up(&urls[0]).await);
    // Threads of other partitions, for what goes on there.
    let cyd = loop {
        let cyd = Person::sign_up(&urls[0]).await;
        if at(&ada, &cyd) != at(&ada, &bob) {
            break cyd;
        }
    };
    assert_eq!(ada.at(&urls[1]).write(&bob, "the older build writes").await.status, StatusCode::CREATED);
    rig.settled().await;
    let blocked = ada.put(&format!("/v1/blocks/{}", bob.user_id), json!({})).await;
    assert_eq!(blocked.status, StatusCode::NO_CONTENT, "{blocked:?}");
    let (newest, _) = log.newest(events::Aggregate::Thread(thread(&ada, &bob))).await.unwrap().unwrap();

    refuses(&urls[1]).await;
    let body = json!({ "to": ada.user_id, "key": key(), "body": "not through the older one" });
    assert_eq!(bob.at(&urls[1]).post("/v1/messages", body).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(bob.write(&ada, "nor through the newer one").await.problem(), "blocked");
    assert!(readiness(&urls[0]).await.is_some(), "the newer one serves");
    let last = ada.write(&cyd, "elsewhere").await;
    history(&ada, last.body["thread_id"].as_str().unwrap(), last.position()).await;

    // Alone, the older one applies what it can, and nothing behind what it cannot.
    let mut database = PgConnection::connect(&rig.database_url()).await.unwrap();
    rig.kill(Victim::Herald(0)).await;
    rig.kill(Victim::Herald(1)).await;
    sqlx::query("DROP SCHEMA timeline CASCADE").execute(&mut database).await.unwrap();
    rig.revive(Victim::Herald(1)).await;
    let end = log.end().await.unwrap();
    let built = async {
        let exists = "SELECT to_regclass('timeline.checkpoint') IS NOT NULL";
        while !sqlx::query_scalar::<_, bool>(exists).fetch_one(&mut database).await.unwrap() {}
        for partition in log.names().partitions() {
            let most = if partition == at(&ada, &bob) { newest - 1 } else { end.get(partition) };
            while applied(&rig, partition).await < most {}
        }
    };
    timeout(PATIENCE, built).await.expect("other partitions go on");
    assert_eq!(applied(&rig, at(&ada, &bob)).await, newest - 1, "it waits before what it does not know");
    assert!(readiness(&urls[1]).await.is_none());

    // Forward again: nothing was skipped.
    rig.kill(Victim::Herald(1)).await;
    rig.build(1, program());
    for node in [0, 1] {
        rig.revive(Victim::Herald(node)).await;
    }
    rig.ready().await;
    rig.settled().await;
    assert_eq!(applied(&rig, at(&ada, &bob)).await, log.end().await.unwrap().get(at(&ada, &bob)));
    assert_eq!(bob.at(&urls[1]).write(&ada, "still blocked").await.problem(), "blocked");
    let unblocked = ada.at(&urls[1]).delete(&format!("/v1/blocks/{}", bob.user_id)).await;
    assert_eq!(unblocked.status, StatusCode::NO_CONTENT, "{unblocked:?}");
    let sent = bob.at(&urls[1]).write(&ada, "again").await;
    let seen = history(&ada, sent.body["thread_id"].as_str().unwrap(), sent.position()).await;
    assert_eq!(seen.len(), 2, "{seen:?}");
}
