//! Nodes that race with stale caches, over a slow link: of many commands on one
//! expectation one wins, and what appended nothing was true when it was
//! answered. What ended stays ended though Postgres is lost.

use super::{
    load::answer,
    rig::{Rig, Victim},
    story::Story,
};
use crate::people::{PASSWORD, Person, key};
use futures_util::future::join_all;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

/// Eleven people are fifty-five pairs.
const PEOPLE: usize = 11;
const USERNAMES: usize = 8;
const SLOW: Duration = Duration::from_millis(2);

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_open_the_same_thread_one_does() {
    let story = Story::new("openers");
    let rig = Rig::start(&story, 1, 2).await;
    rig.to_nats.as_ref().unwrap().delay(SLOW);
    let urls = rig.urls();
    let people = join_all((0..PEOPLE).map(|n| Person::sign_up(&urls[n % 2]))).await;
    let pairs = (0..PEOPLE).flat_map(|a| (0..a).map(move |b| (a, b)));
    for (round, (a, b)) in pairs.enumerate() {
        let sides = [(&people[a], &people[b]), (&people[b], &people[a])];
        let nodes = sides.iter().flat_map(|(by, to)| urls.iter().map(move |url| (by.at(url), *to)));
        let nodes: Vec<_> = nodes.collect();
        if round % 2 == 0 {
            let open = |(by, to): &(Person, &Person)| {
                let (by, body) = (by.clone(), json!({ "kind": "direct", "user_id": to.user_id }));
                async move { by.post("/v1/threads", body).await }
            };
            let answers = join_all(nodes.iter().map(open)).await;
            let opened = answers.iter().filter(|answer| answer.status == StatusCode::CREATED).count();
            assert_eq!(opened, 1, "{answers:?}");
            assert!(answers.iter().all(|answer| answer.body["thread_id"] == answers[0].body["thread_id"]));
        } else {
            let answers = join_all(nodes.iter().map(|(by, to)| by.write(to, "the first?"))).await;
            let numbers: BTreeSet<_> = answers.iter().map(|answer| answer.body["number"].as_u64()).collect();
            assert_eq!(numbers, (1..=4).map(Some).collect(), "{answers:?}");
        }
    }
}

/// Four people want one username at once, over all nodes, and ask until they are told: one gets it. Who is not
/// told at once may have got it by then, and hears that it is taken.
pub(super) async fn one_gets_the_username(urls: &[String], username: &str) {
    let http = Client::new();
    let body = json!({ "username": username, "password": PASSWORD, "display_name": "Me" });
    let sign_up = async |url: &String| {
        for attempt in 0.. {
            let answer = answer(http.post(format!("{url}/v1/signup")).json(&body)).await;
            match answer.map(|answer| answer.status) {
                None | Some(StatusCode::SERVICE_UNAVAILABLE) => {}
                Some(status) => return (status, attempt == 0),
            }
        }
        unreachable!("asked for ever")
    };
    let told = join_all(urls.iter().cycle().take(4).map(sign_up)).await;
    let count = |wanted| told.iter().filter(|(status, _)| *status == wanted).count();
    let (got, taken) = (count(StatusCode::CREATED), count(StatusCode::CONFLICT));
    assert_eq!(got + taken, 4, "{told:?}");
    assert!(got == 1 || got == 0 && told.iter().any(|(_, at_once)| !at_once), "{told:?}");
    let credentials = json!({ "username": username, "password": PASSWORD });
    let log_in = || answer(http.post(format!("{}/v1/login", urls[0])).json(&credentials));
    while log_in().await.map(|answer| answer.status) != Some(StatusCode::OK) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_want_a_username_one_gets_it() {
    let story = Story::new("usernames");
    let rig = Rig::start(&story, 1, 2).await;
    rig.to_nats.as_ref().unwrap().delay(SLOW);
    for round in 0..USERNAMES {
        one_gets_the_username(&rig.urls(), &format!("wanted{round}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_refuses_or_calls_done_is_so_however_stale_its_cache() {
    let story = Story::new("stale");
    let rig = Rig::start(&story, 1, 2).await;
    rig.to_nats.as_ref().unwrap().delay(SLOW);
    let [a, b] = [rig.urls()[0].clone(), rig.urls()[1].clone()];
    for _ in 0..5 {
        let (ada, bob) = (Person::sign_up(&a).await, Person::sign_up(&a).await);
        let (ada_at_b, bob_at_b) = (ada.at(&b), bob.at(&b));
        // A opens and writes; B refuses what is not there, and nothing that is.
        let opened = ada.post("/v1/threads", json!({ "kind": "direct", "user_id": bob.user_id })).await;
        let path = format!("/v1/threads/{}", opened.body["thread_id"].as_str().unwrap());
        let (messages, receipt) = (format!("{path}/messages"), format!("{path}/receipt"));
        for number in 1..=4_u64 {
            let early = bob_at_b.put(&receipt, json!({ "read": number })).await;
            assert_eq!(early.status, StatusCode::UNPROCESSABLE_ENTITY, "{early:?}");
            let sent = ada.post(&messages, json!({ "key": key(), "body": "from a" })).await;
            assert_eq!(sent.body["number"], number, "{sent:?}");
            let read = bob_at_b.put(&receipt, json!({ "read": number })).await;
            assert_eq!(read.status, StatusCode::NO_CONTENT, "{read:?}");
        }
        let again = bob_at_b.post("/v1/threads", json!({ "kind": "direct", "user_id": ada.user_id })).await;
        assert_eq!((again.status, &again.body["thread_id"]), (StatusCode::OK, &opened.body["thread_id"]));
        // B knows the session as open; A ends it, and B must not refresh it.
        let refreshed = ada_at_b.post("/v1/token", json!({ "refresh_token": ada.refresh_token })).await;
        assert_eq!(refreshed.status, StatusCode::OK, "{refreshed:?}");
        assert_eq!(ada.post("/v1/logout", Value::Null).await.status, StatusCode::NO_CONTENT);
        let refused = ada_at_b.post("/v1/token", json!({ "refresh_token": refreshed.body["refresh_token"] })).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ended_stays_so_though_postgres_is_lost_and_all_restart() {
    let story = Story::new("revocation");
    let mut rig = Rig::start(&story, 1, 2).await;
    let urls = rig.urls();
    let (ada, bob) = (Person::sign_up(&urls[0]).await, Person::sign_up(&urls[0]).await);
    ada.write(&bob, "still here?").await;
    assert_eq!(ada.post("/v1/logout", Value::Null).await.status, StatusCode::NO_CONTENT);
    rig.kill(Victim::Herald(0)).await;
    rig.kill(Victim::Herald(1)).await;
    rig.drop_databases().await;
    rig.kill(Victim::Nats(0)).await;
    rig.revive(Victim::Nats(0)).await;
    rig.revive(Victim::Herald(0)).await;
    rig.revive(Victim::Herald(1)).await;
    for url in &urls {
        // From its first answer on, whatever the views have come back to.
        let refused = loop {
            let asked = ada.at(url).request(Method::GET, "/v1/threads").send().await;
            match asked.map(|answer| answer.status()) {
                Err(_) | Ok(StatusCode::SERVICE_UNAVAILABLE) => {}
                Ok(status) => break status,
            }
        };
        assert_eq!(refused, StatusCode::UNAUTHORIZED);
        let again = ada.at(url).post("/v1/token", json!({ "refresh_token": ada.refresh_token })).await;
        assert_eq!(again.status, StatusCode::UNAUTHORIZED, "{again:?}");
    }
    rig.ready().await;
    let inbox = bob.log_in(&urls[1]).await.get("/v1/threads").await;
    assert_eq!(inbox.body["threads"][0]["last_message"]["body"], "still here?");
}
