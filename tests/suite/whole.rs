//! Herald as its users have it: processes that are killed, nodes beside each
//! other, a database that is gone. What was acknowledged stays, once.

use crate::{
    harness::{Deployment, folder, program},
    people::{Person, key},
    process::Process,
};
use events::{
    Aggregate, Event, EventLog, Ids, ThreadEvent,
    log::{Durability, History, Options},
};
use herald::embedded::{self, Servers};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// All messages of a thread as a member reads them, oldest first: number → (key, text).
pub(super) async fn history(reader: &Person, thread_id: &str, after: &str) -> BTreeMap<u64, (String, String)> {
    let mut messages = BTreeMap::new();
    let mut path = format!("/v1/threads/{thread_id}/messages?after=0&limit=100");
    loop {
        let page = reader.get_after(after, &path).await;
        assert_eq!(page.status, StatusCode::OK, "{page:?}");
        let entries = page.body["entries"].as_array().unwrap();
        for entry in entries.iter().filter(|entry| entry["kind"] == "message") {
            let text = |name: &str| entry[name].as_str().unwrap().to_owned();
            let number = entry["number"].as_u64().unwrap();
            assert!(messages.insert(number, (text("key"), text("body"))).is_none(), "{number} twice");
        }
        let Some(next) = page.body["next"].as_str() else { return messages };
        path = format!("/v1/threads/{thread_id}/messages?cursor={next}&limit=100");
    }
}

/// All messages of a thread as the log has them: number → (key, text).
pub(super) async fn logged(log: &EventLog, thread_id: &str) -> BTreeMap<u64, (String, String)> {
    let thread = Aggregate::Thread(thread_id.parse().unwrap());
    let History::Since(facts) = log.history(thread, None).await.unwrap() else { panic!("nothing was known") };
    let message = |event: &Event| {
        let Event::Thread(ThreadEvent::MessageSent { number, key, body, .. }) = event else { return None };
        Some((u64::from(*number), (key.to_string(), body.as_str().unwrap().to_owned())))
    };
    facts.iter().filter_map(|envelope| message(&envelope.event)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_before_a_kill_is_there_after_it_once() {
    let data = folder("killed");
    let arguments = ["--data", data.to_str().unwrap()];
    let mut herald = Process::start(&arguments).await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let mut acknowledged = BTreeMap::new();
    let mut unknown = Vec::new();
    for round in 0..3 {
        let (ada, bob) = (ada.at(&herald.url), bob.at(&herald.url));
        // What nobody answered is asked again: it may be there, and must not be there twice.
        for body in std::mem::take(&mut unknown) {
            let answer = ada.post("/v1/messages", body).await;
            assert!(answer.status.is_success(), "{answer:?}");
            note(&answer.body, &mut acknowledged);
        }
        let mut under_way = tokio::task::JoinSet::new();
        for sender in 0..4 {
            let (from, to) = if sender % 2 == 0 { (ada.clone(), bob.clone()) } else { (bob.clone(), ada.clone()) };
            under_way.spawn(async move {
                let (mut answered, mut unanswered) = (Vec::new(), None);
                loop {
                    let body = json!({ "to": to.user_id, "key": key(), "body": format!("round {round}") });
                    let sent = from.request(Method::POST, "/v1/messages").json(&body).send().await;
                    match sent {
                        Ok(response) if response.status() == StatusCode::CREATED => match response.json().await {
                            Ok(answer) => answered.push(answer),
                            Err(_) => unanswered = Some(body),
                        },
                        Ok(response) => panic!("{response:?}"),
                        Err(_) => unanswered = Some(body),
                    }
                    if unanswered.is_some() {
                        break;
                    }
                }
                (answered, unanswered.filter(|_| sender % 2 == 0))
            });
        }
        // Killed once a good number was acknowledged, in the middle of what follows.
        let enough = 60 * (round + 1);
        let watcher = ada.clone();
        loop {
            let inbox = watcher.get("/v1/threads").await;
            if inbox.body["threads"][0]["last_number"].as_u64().unwrap_or(0) >= enough {
                break;
            }
        }
        herald.kill().await;
        while let Some(ended) = under_way.join_next().await {
            let (answered, unanswered): (Vec<Value>, _) = ended.unwrap();
            for answer in &answered {
                note(answer, &mut acknowledged);
            }
            unknown.extend(unanswered);
        }
        herald = Process::start(&arguments).await;
    }
    let (ada, bob) = (ada.at(&herald.url), bob.at(&herald.url));
    for body in unknown {
        let answer = ada.post("/v1/messages", body).await;
        assert!(answer.status.is_success(), "{answer:?}");
        note(&answer.body, &mut acknowledged);
    }
    let last = ada.write(&bob, "the last").await;
    note(&last.body, &mut acknowledged);
    let thread_id = last.body["thread_id"].as_str().unwrap().to_owned();
    let (hers, his) =
        (history(&ada, &thread_id, last.position()).await, history(&bob, &thread_id, last.position()).await);
    assert_eq!(hers, his);
    assert!(herald.terminate().await.success());

    // The same log, without herald.
    let servers = servers(&data).await;
    let log = open(&servers).await;
    assert_eq!(logged(&log, &thread_id).await, hers);
    let keys: BTreeMap<_, _> = hers.iter().map(|(number, (key, _))| (key.clone(), *number)).collect();
    assert_eq!(keys.len(), hers.len(), "no key is there twice");
    assert!(hers.keys().copied().eq(1..=hers.len() as u64), "numbers have no gaps");
    for (key, number) in &acknowledged {
        assert_eq!(keys.get(key), Some(number), "an acknowledged message is not where it was acknowledged");
    }
    assert!(acknowledged.len() > 180);
    servers.stop().await.unwrap();
}

fn note(answer: &Value, acknowledged: &mut BTreeMap<String, u64>) {
    acknowledged.insert(answer["key"].as_str().unwrap().to_owned(), answer["number"].as_u64().unwrap());
}

async fn servers(data: &std::path::Path) -> Servers {
    let options = embedded::Options {
        data: data.to_owned(),
        durability: embedded::Durability::Fsync,
        nats_server: None,
        postgres: None,
        nats_nodes: 1,
        databases: 1,
        postgres_fsync: true,
        program: program(),
        progress: false,
    };
    Servers::start(options).await.unwrap()
}

async fn open(servers: &Servers) -> EventLog {
    let options = Options {
        nats_url: servers.nats_url.clone(),
        monitor_url: Some(servers.nats_monitor_url.clone()),
        prefix: String::new(),
        partitions: None,
        durability: Durability::Fsync,
        max_bytes: 1 << 40,
    };
    EventLog::open(&options, &Ids::random()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_heralds_on_one_log_and_one_database_are_one_deployment() {
    let deployment = Deployment::new().await;
    let (a, b) = (deployment.herald().await, deployment.herald().await);
    let (ada, bob) = (Person::sign_up(&a.url).await, Person::sign_up(&b.url).await);
    let (ada_at_b, bob_at_a) = (ada.at(&b.url), bob.at(&a.url));
    for round in 0..10_u64 {
        let first = ada.write(&bob, "from a").await;
        let second = bob.write(&ada, "from b").await;
        assert_eq!(first.body["number"], 2 * round + 1);
        assert_eq!(second.body["number"], 2 * round + 2);
        let thread_id = first.body["thread_id"].as_str().unwrap();
        // Read on the other node what was written on this one.
        let seen = history(&ada_at_b, thread_id, second.position()).await;
        assert_eq!(seen, history(&bob_at_a, thread_id, second.position()).await);
        assert_eq!(seen.len() as u64, 2 * round + 2);
    }
    // A session that ends on one node is over on the other.
    assert_eq!(ada_at_b.get("/v1/me").await.status, StatusCode::OK);
    assert_eq!(ada.post("/v1/logout", Value::Null).await.status, StatusCode::NO_CONTENT);
    assert_eq!(ada.get("/v1/me").await.status, StatusCode::UNAUTHORIZED);
    while ada_at_b.get("/v1/me").await.status != StatusCode::UNAUTHORIZED {}
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_postgres_is_wiped_log_in_works_and_the_views_come_back_from_the_log() {
    let deployment = Deployment::new().await;
    let herald = deployment.herald().await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let mut last = ada.write(&bob, "1").await;
    for number in 2..=30 {
        last = bob.write(&ada, &number.to_string()).await;
    }
    let thread_id = last.body["thread_id"].as_str().unwrap().to_owned();
    let before = history(&ada, &thread_id, last.position()).await;
    let profile = ada.get(&format!("/v1/users/{}", bob.user_id)).await.body;

    deployment.wipe_postgres().await;
    let again = ada.log_in(&herald.url).await;
    let sent = again.write(&bob, "31").await;
    assert_eq!((sent.status, &sent.body["number"]), (StatusCode::CREATED, &json!(31)));

    let path = format!("/v1/threads/{thread_id}/messages?after=0&limit=100");
    while again.get_after(sent.position(), &path).await.status != StatusCode::OK {}
    let mut after = history(&again, &thread_id, sent.position()).await;
    assert_eq!(after.remove(&31).map(|(_, text)| text).as_deref(), Some("31"));
    assert_eq!(after, before);
    // Another view, which comes back by itself.
    let path = format!("/v1/users/{}", bob.user_id);
    while again.get(&path).await.status != StatusCode::OK {}
    assert_eq!(again.get(&path).await.body, profile);
    herald.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_everything_and_sigterm_ends_well() {
    let data = folder("restarted");
    let arguments = ["--data", data.to_str().unwrap(), "--durability", "unsynced"];
    let herald = Process::start(&arguments).await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let sent = ada.write(&bob, "still here?").await;
    assert!(herald.terminate().await.success());

    let herald = Process::start(&arguments).await;
    let (ada, bob) = (ada.at(&herald.url), bob.log_in(&herald.url).await);
    let thread_id = sent.body["thread_id"].as_str().unwrap();
    for reader in [&ada, &bob] {
        let messages = history(reader, thread_id, sent.position()).await;
        assert_eq!(messages[&1].1, "still here?");
    }
    assert!(herald.terminate().await.success());
}
