//! The long runs, by hand or by night:
//! `cargo test --test suite faults::long -- --ignored --nocapture --test-threads 1`.
//! The same as the short ones for minutes, and a NATS cluster whose leaders die.

use super::{
    races,
    rebuild::rebuilt_under_load,
    redeploy::redeployed,
    revoked::revoked,
    rig::{Rig, Victim},
    runs::{bad_links, both_away, frozen, killed_at_random, nats_away, postgres_away, settle, watched},
    slow::read_slowly,
    story::Story,
};
use crate::people::{Person, key};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, timeout};

const AWAY: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(14);
/// RELIABILITY, row 18: an election takes 4 to 9 s.
const AFTER_KILL: Duration = Duration::from_secs(12);
const AFTER_HERALD: Duration = Duration::from_secs(3);
const ROUNDS: usize = 4;

/// Somebody who sends until it is acknowledged, over whichever herald answers; how long that took.
async fn resumes(by: &Person, to: &Person, urls: &[String], began: Instant) -> Duration {
    let key = key();
    for url in urls.iter().cycle() {
        let body = json!({ "to": to.user_id, "key": key, "body": "does it go on?" });
        let sent = by.at(url).request(Method::POST, "/v1/messages").json(&body).send();
        if let Ok(Ok(answer)) = timeout(PATIENCE, sent).await
            && matches!(answer.status(), StatusCode::OK | StatusCode::CREATED)
        {
            break;
        }
    }
    began.elapsed()
}

/// The server that leads a partition, by its index, as any of the others tells.
async fn leader(rig: &Rig, partition: &str) -> usize {
    for monitor in rig.monitor_urls().iter().cycle() {
        let Ok(answer) = reqwest::get(format!("{monitor}/jsz?accounts=true&streams=true")).await else { continue };
        let state: Value = answer.json().await.unwrap();
        let streams = state["account_details"][0]["stream_detail"].as_array().cloned().unwrap_or_default();
        let stream = streams.iter().find(|stream| stream["name"] == format!("EVENTS_{partition}"));
        let name = stream.and_then(|stream| stream["cluster"]["leader"].as_str()).unwrap_or_default();
        if let Some(number) = name.strip_prefix("herald-").and_then(|number| number.parse::<usize>().ok()) {
            return number - 1;
        }
    }
    unreachable!("asked for ever")
}

/// Until all servers of the cluster are abreast.
async fn whole(rig: &Rig) {
    for monitor in rig.monitor_urls() {
        loop {
            if let Ok(answer) = reqwest::get(format!("{monitor}/healthz")).await
                && answer.status().is_success()
            {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn rebuilt_and_rolled_back_again_and_again_under_load() {
    rebuilt_under_load(&Story::new("rebuilt, long"), ROUNDS).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn leaders_of_three_nats_servers_killed() {
    let story = Story::new("leaders");
    let mut rig = Rig::start(&story, 3, 2).await;
    let (load, watchers) = watched(&rig).await;
    let urls = rig.urls();
    let (ada, bob) = (Person::sign_up(&urls[0]).await, Person::sign_up(&urls[0]).await);
    let first = ada.write(&bob, "all is well").await;
    let (partition, _) = first.position().split_once(':').unwrap();
    for round in 0..ROUNDS {
        load.ledger.more(100).await;
        let victim = Victim::Nats(leader(&rig, partition).await);
        rig.kill(victim).await;
        let (began, username) = (Instant::now(), format!("elected{round}"));
        let (took, ()) =
            tokio::join!(resumes(&ada, &bob, &urls, began), races::one_gets_the_username(&urls, &username));
        story.announce(format!("first acknowledgement {took:?} after kill -9 of the leader"));
        assert!(took <= AFTER_KILL, "{took:?}");
        rig.revive(victim).await;
        whole(&rig).await;

        load.ledger.more(100).await;
        let victim = Victim::Nats(leader(&rig, partition).await);
        let began = Instant::now();
        rig.terminate(victim).await;
        let took = resumes(&ada, &bob, &urls, began).await;
        story.announce(format!("first acknowledgement {took:?} after SIGTERM of the leader"));
        assert!(took <= AFTER_KILL, "{took:?}");
        rig.revive(victim).await;
        whole(&rig).await;

        load.ledger.more(100).await;
        herald_killed(&mut rig, &story, 1).await;
    }
    settle(&rig, load, watchers).await;
}

/// Each herald in turn, while somebody sends.
pub(super) async fn herald_killed(rig: &mut Rig, story: &Story, rounds: usize) {
    let urls = rig.urls();
    let (ada, bob) = (Person::sign_up(&urls[0]).await, Person::sign_up(&urls[0]).await);
    for round in 0..rounds {
        let victim = Victim::Herald(round % urls.len());
        rig.kill(victim).await;
        let took = resumes(&ada, &bob, &urls, Instant::now()).await;
        story.announce(format!("first acknowledgement {took:?} after kill -9 of a herald"));
        assert!(took <= AFTER_HERALD, "{took:?}");
        rig.revive(victim).await;
        rig.ready().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn everybody_killed_many_times() {
    killed_at_random(&Story::new("long: killed"), 8, 150).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute"]
async fn postgres_away_for_30_s() {
    postgres_away(&Story::new("long: postgres away"), AWAY).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute"]
async fn nats_away_for_30_s() {
    nats_away(&Story::new("long: nats away"), AWAY).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute"]
async fn both_away_for_30_s() {
    both_away(&Story::new("long: both away"), AWAY).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a quarter of an hour"]
async fn redeployed_200_times() {
    redeployed(&Story::new("long: redeployed"), 200).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn a_slow_reader_of_a_quarter_gigabyte() {
    read_slowly(&Story::new("long: slow"), 8_192).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn sessions_revoked_many_times() {
    revoked(&Story::new("long: revoked"), 200).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn bad_links_many_times() {
    bad_links(&Story::new("long: bad links"), 40).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn frozen_many_times() {
    frozen(&Story::new("long: frozen"), 10).await;
}
