//! Clients that poll: the same frames as a socket's, by cursor, from whatever
//! node, with and without waiting.

use super::client::Client;
use crate::{
    asyncapi,
    harness::{Deployment, Herald},
    people::{Answer, Person},
};
use futures_util::{StreamExt, stream};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

/// An answer of sync.
pub struct Synced {
    pub frames: Vec<Value>,
    pub cursor: String,
    pub more: bool,
}

async fn ask(person: &Person, since: Option<&str>, wait: u32) -> Answer {
    let since = since.map_or_else(String::new, |since| format!("&since={since}"));
    person.get(&format!("/v1/sync?wait={wait}{since}")).await
}

pub async fn sync(person: &Person, since: Option<&str>, wait: u32) -> Synced {
    let answer = ask(person, since, wait).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.body["frames"].as_array().unwrap().iter().for_each(asyncapi::told);
    Synced {
        frames: answer.body["frames"].as_array().unwrap().clone(),
        cursor: answer.body["cursor"].as_str().unwrap().to_owned(),
        more: answer.body["more"].as_bool().unwrap(),
    }
}

/// The cursor of now, with all that this person did before: what an answer has seen, and the cursor.
pub async fn cursor(person: &Person) -> (String, String) {
    let answer = ask(person, None, 0).await;
    assert_eq!(answer.body["frames"], json!([]));
    (answer.header("herald-as-of").to_owned(), answer.body["cursor"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_polls_is_told_what_a_socket_is_told() {
    let herald = Herald::start().await;
    let (ada, bob) = super::two(&herald.url).await;
    let (_, start) = cursor(&bob).await;
    let mut socket = Client::live(&bob).await;
    assert!(sync(&bob, Some(&start), 0).await.frames.is_empty());
    ada.write(&bob, "one").await;
    ada.write(&bob, "two").await;
    let heard = [socket.expect("message").await, socket.expect("message").await];
    let first = sync(&bob, Some(&start), 0).await;
    assert_eq!((&first.frames[..], first.more), (&heard[..], false));
    assert!(sync(&bob, Some(&first.cursor), 0).await.frames.is_empty());
    // An older cursor stays good.
    assert_eq!(sync(&bob, Some(&start), 0).await.frames, heard);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_answered_when_something_happens_or_the_time_is_over() {
    let herald = Herald::start().await;
    let (ada, bob) = super::two(&herald.url).await;
    let began = Instant::now();
    let (_, start) = cursor(&bob).await;
    let mut since = start.clone();
    for number in 1..=3 {
        let (told, written) = tokio::join!(sync(&bob, Some(&since), 30), ada.write(&bob, "hello"));
        assert_eq!(written.status, StatusCode::CREATED);
        assert_eq!((told.frames.len(), &told.frames[0]["number"]), (1, &json!(number)));
        since = told.cursor;
    }
    assert!(began.elapsed() < Duration::from_secs(20), "waited although something had happened");
    let before = Instant::now();
    let nothing = sync(&bob, Some(&since), 1).await;
    assert!(nothing.frames.is_empty() && !nothing.more);
    assert!((1..10).contains(&before.elapsed().as_secs()), "{:?}", before.elapsed());
    // What concerns others wakes nobody up for long.
    let (nothing, _) = tokio::join!(sync(&bob, Some(&nothing.cursor), 1), Person::sign_up(&herald.url));
    assert!(nothing.frames.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_for_one_answer_comes_in_several_from_whatever_node() {
    const MESSAGES: u64 = 2_100;
    let deployment = Deployment::new().await;
    let (one, other) = (deployment.herald().await, deployment.herald().await);
    let (ada, bob) = super::two(&one.url).await;
    let (_, mut since) = cursor(&bob).await;
    let mut writing = stream::iter(0..MESSAGES).map(|_| ada.write(&bob, "hello")).buffer_unordered(32);
    while let Some(written) = writing.next().await {
        assert_eq!(written.status, StatusCode::CREATED, "{written:?}");
    }
    let (mut numbers, mut lengths) = (Vec::new(), Vec::new());
    loop {
        let node = if lengths.len() % 2 == 0 { &one.url } else { &other.url };
        let told = sync(&bob.at(node), Some(&since), 0).await;
        numbers.extend(told.frames.iter().map(|frame| frame["number"].as_u64().unwrap()));
        lengths.push(told.frames.len());
        since = told.cursor;
        if !told.more {
            break;
        }
    }
    assert_eq!(numbers, (1..=MESSAGES).collect::<Vec<_>>());
    assert_eq!(lengths, [1_000, 1_000, 100]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_was_not_given_out_is_refused_and_one_of_another_log_resets() {
    let (herald, elsewhere) = (Herald::start().await, Herald::start().await);
    let (ada, bob) = super::two(&herald.url).await;
    let (_, own) = cursor(&bob).await;
    let forged = format!("{}{}", &own[..own.len() - 1], if own.ends_with('A') { 'B' } else { 'A' });
    for since in [forged.as_str(), "", "7", "e30"] {
        let answer = ask(&bob, Some(since), 0).await;
        assert_eq!((answer.status, answer.problem()), (StatusCode::BAD_REQUEST, "invalid-cursor"), "{since}");
    }
    for query in ["wait=31", "wait=-1", "wait=x", "wait=", "limit=3", "wait=1&wait=1"] {
        let answer = bob.get(&format!("/v1/sync?{query}")).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
    }
    assert_eq!(reqwest::get(format!("{}/v1/sync", herald.url)).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let (_, foreign) = cursor(&Person::sign_up(&elsewhere.url).await).await;
    let reset = sync(&bob, Some(&foreign), 30).await;
    assert_eq!((reset.frames.len(), &reset.frames[0]["type"]), (1, &json!("reset")));
    ada.write(&bob, "after it").await;
    assert_eq!(sync(&bob, Some(&reset.cursor), 30).await.frames[0]["body"], json!("after it"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_answered_at_once_when_their_session_ends_or_the_node_goes() {
    let herald = Herald::start().await;
    let (ada, bob) = super::two(&herald.url).await;
    let (_, of_ada) = cursor(&ada).await;
    let (_, of_bob) = cursor(&bob).await;
    let began = Instant::now();
    let (waiting, out) = tokio::join!(ask(&ada, Some(&of_ada), 30), ada.post("/v1/logout", json!({})));
    assert_eq!((waiting.status, out.status), (StatusCode::UNAUTHORIZED, StatusCode::NO_CONTENT));
    let (waiting, ()) = tokio::join!(ask(&bob, Some(&of_bob), 30), async {
        // Another answer of that node: the request that waits has been taken in before it.
        assert_eq!(bob.get("/v1/me").await.status, StatusCode::OK);
        herald.stop().await;
    });
    assert_eq!((waiting.status, &waiting.body["frames"]), (StatusCode::OK, &json!([])));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_polls_too_often_waits() {
    let deployment = Deployment::new().await;
    let herald = deployment.limited(&[]).await;
    let bob = Person::sign_up(&herald.url).await;
    let answers = stream::iter(0..80).map(|_| ask(&bob, None, 0)).buffered(8).collect::<Vec<_>>().await;
    let refused = answers.iter().find(|answer| answer.status != StatusCode::OK).expect("80 are too many");
    assert_eq!((refused.status, refused.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "1"));
}
