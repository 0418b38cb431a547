//! Pushes, to a receiver on loopback: first those who must be told nothing, then
//! what the others are told; receivers that fail, refuse, hang or are away, and
//! nodes that stop while they push.

mod receiver;

use crate::{
    harness::{Deployment, Herald},
    people::{Answer, Person},
    socket::client::Client,
};
use events::Clock;
use futures_util::future::join_all;
use gateway::push::{Outbox, Settings};
use receiver::Posted;
pub use receiver::{Receiver, settings};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::{
    collections::{HashMap, HashSet},
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

fn succeeds(answer: &Answer) -> String {
    assert!(answer.status.is_success(), "{answer:?}");
    answer.position().to_owned()
}

async fn several<const N: usize>(url: &str) -> [Person; N] {
    let people = join_all((0..N).map(|_| Person::sign_up(url))).await;
    people.try_into().unwrap_or_else(|_| panic!("so many were asked for"))
}

/// Asks until somebody is seen to be online, or not.
async fn until_online(by: &Person, whom: &Person, online: bool) {
    let path = format!("/v1/presence?user_id={}", whom.user_id);
    while by.get(&path).await.body[0]["online"] != online {}
}

/// Who is told what comes after all else that was to come: somebody who is told of two messages, one after the other.
async fn all_so_far(receiver: &mut Receiver, by: &Person) -> Vec<Posted> {
    let last = Person::sign_up(&by.url).await;
    let mut posts = Vec::new();
    for number in 1..=2 {
        succeeds(&by.write(&last, "the last").await);
        posts.extend(receiver.until(&last.user_id, number).await);
    }
    for posted in &mut posts {
        posted.pushes.retain(|push| push["user_id"] != last.user_id.as_str());
    }
    posts
}

fn told(posts: &[Posted]) -> HashSet<&str> {
    posts.iter().flat_map(|posted| &posted.pushes).map(|push| push["user_id"].as_str().unwrap()).collect()
}

async fn set(person: &Person, thread: &str, settings: Value) {
    succeeds(&person.put(&format!("/v1/threads/{thread}/settings"), settings).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_to_be_told_is_told_nothing() {
    let deployment = Deployment::new().await;
    let mut receiver = Receiver::start().await;
    let mut settings = settings(&receiver.url);
    // Long enough for all that is done below to be known when it is looked at.
    settings.window = Duration::from_secs(3);
    let (herald, other) = (deployment.pushing(settings).await, deployment.herald().await);
    let [ada, waits, muted, removed, online, read, got, blocker, stranger] = several(&herald.url).await;
    let members = [&waits, &muted, &removed, &online, &read, &got];
    let thread = ada.create_group(&members).await;
    let _socket = Client::live(&online.at(&other.url)).await;
    until_online(&ada, &online, true).await;
    set(&muted, &thread, json!({ "muted_until": "2100-01-01T00:00:00.000Z" })).await;
    // Whose mute is over is told.
    set(&waits, &thread, json!({ "muted_until": "2001-01-01T00:00:00.000Z" })).await;

    succeeds(&ada.write_in(&thread, "one").await);
    let at = succeeds(&ada.write_in(&thread, "two").await);
    succeeds(&ada.delete(&format!("/v1/threads/{thread}/members/{}", removed.user_id)).await);
    let receipt = format!("/v1/threads/{thread}/receipt");
    succeeds(&read.put(&receipt, json!({ "read": 2 })).await);
    succeeds(&got.put(&receipt, json!({ "delivered": 2 })).await);
    // Written, and blocked before it was looked at.
    succeeds(&ada.write(&blocker, "hello?").await);
    succeeds(&blocker.put(&format!("/v1/blocks/{}", ada.user_id), json!({})).await);
    let inbox = stranger.get_after(&at, "/v1/threads").await;
    assert_eq!(inbox.body["threads"], json!([]));

    let posts = all_so_far(&mut receiver, &ada).await;
    assert_eq!(told(&posts), HashSet::from([waits.user_id.as_str()]), "{posts:?}");

    // Who comes later is not told of what was before.
    succeeds(&ada.put(&format!("/v1/threads/{thread}/members/{}", stranger.user_id), json!({})).await);
    let posts = all_so_far(&mut receiver, &ada).await;
    assert_eq!(told(&posts), HashSet::new(), "{posts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_says_where_and_how_much_and_no_word_of_it() {
    let deployment = Deployment::new().await;
    let mut receiver = Receiver::start().await;
    let herald = deployment.pushing(Settings { window: Duration::from_secs(2), ..settings(&receiver.url) }).await;
    let [ada, bob] = several(&herald.url).await;
    let thread = ada.create_group(&[&bob]).await;
    for text in ["purple", "elephants", &format!("@{} look", bob.username)] {
        succeeds(&ada.write_in(&thread, text).await);
    }
    succeeds(&ada.write(&bob, "between us").await);
    let posted = receiver.next().await;
    assert_eq!(posted.pushes.len(), 1);
    let push = &posted.pushes[0];
    assert_eq!((&push["user_id"], &push["unread"]), (&json!(bob.user_id), &json!(4)));
    let mut threads = push["threads"].as_array().unwrap().clone();
    threads.sort_by_key(|thread| thread["count"].as_u64());
    assert_eq!(threads.len(), 2, "{push}");
    let expected = json!({
        "thread_id": thread, "kind": "group", "last_number": 3, "count": 3, "unread": 3, "mentioned": true,
    });
    assert_eq!(threads[1], expected);
    assert_eq!((&threads[0]["kind"], &threads[0]["mentioned"]), (&json!("direct"), &json!(false)));
    for word in ["purple", "elephants", "look", "between", "Some Body", "title", "last_message"] {
        assert!(!posted.text.contains(word), "{word} in {}", posted.text);
    }
    // What was told once is not told again, and the next message is.
    succeeds(&ada.write_in(&thread, "more").await);
    let posts = receiver.until(&bob.user_id, 4).await;
    assert_eq!(posts[0].of(&bob.user_id).unwrap()["count"], 4);
    assert_eq!(posts.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_tells_the_last_text_where_its_operator_wants_that() {
    let deployment = Deployment::new().await;
    let mut receiver = Receiver::start().await;
    let text = Settings { text: true, window: Duration::from_secs(2), ..settings(&receiver.url) };
    let herald = deployment.pushing(text).await;
    let [ada, bob, cyd] = several(&herald.url).await;
    let thread = ada.create_group(&[&bob, &cyd]).await;
    succeeds(&ada.write_in(&thread, "gone").await);
    succeeds(&ada.write_in(&thread, &"é".repeat(300)).await);
    let posted = receiver.next().await;
    let told = posted.of(&bob.user_id).unwrap();
    assert_eq!(told["title"], "group");
    let last = &told["last_message"];
    assert_eq!((&last["sender_id"], &last["sender_name"]), (&json!(ada.user_id), &json!("Some Body")));
    assert_eq!(last["text"], format!("{}…", "é".repeat(240)));
    assert!(!posted.text.contains("gone"));

    succeeds(&ada.write_in(&thread, "regretted").await);
    succeeds(&ada.delete(&format!("/v1/threads/{thread}/messages/3")).await);
    let posts = receiver.until(&bob.user_id, 3).await;
    assert_eq!(posts[0].of(&bob.user_id).unwrap()["last_message"]["text"], Value::Null);
    assert!(!posts[0].text.contains("regretted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_fell_asleep_with_its_socket_open_is_told_once_that_is_known() {
    let deployment = Deployment::new().await;
    let mut receiver = Receiver::start().await;
    let herald = deployment.pushing(settings(&receiver.url)).await;
    let [ada, bob] = several(&herald.url).await;
    let mut phone = Client::live(&bob).await;
    until_online(&ada, &bob, true).await;
    succeeds(&ada.write(&bob, "are you there?").await);
    phone.expect("message").await;
    let outbox = Outbox::open(&deployment.log).await.unwrap();
    while outbox.waiting().await.unwrap() == 0 {}
    assert!(told(&receiver.drain()).is_empty());
    drop(phone);
    let posts = receiver.until(&bob.user_id, 1).await;
    assert_eq!(told(&posts), HashSet::from([bob.user_id.as_str()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_tried_again_under_the_same_id_by_the_next_node_too() {
    let deployment = Deployment::new().await;
    let mut receiver = Receiver::start().await;
    receiver.answers(&["500 Oops\r\n", "503 Away\r\nretry-after: 1\r\n", "302 Found\r\nlocation: /elsewhere\r\n"]);
    let herald = deployment.pushing(settings(&receiver.url)).await;
    let [ada, bob] = several(&herald.url).await;
    succeeds(&ada.write(&bob, "hi").await);
    let first = receiver.next().await;
    assert_eq!(receiver.next().await.id, first.id);
    receiver.hang(true);
    herald.stop().await;
    // Whatever was on its way when it stopped.
    receiver.drain();
    receiver.hang(false);
    let herald = deployment.pushing(settings(&receiver.url)).await;
    let again = receiver.next().await;
    assert_eq!((&again.id, &again.pushes), (&first.id, &first.pushes));
    let ada = ada.at(&herald.url);
    let posts = all_so_far(&mut receiver, &ada).await;
    assert!(posts.iter().all(|posted| posted.id == first.id || posted.pushes.is_empty()), "{posts:?}");
    // That it was taken is noted once it is answered.
    let outbox = Outbox::open(&deployment.log).await.unwrap();
    let none = async { while outbox.waiting().await.unwrap() != 0 {} };
    timeout(Duration::from_secs(30), none).await.expect("nothing waits any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_dead_until_an_operator_sends_it_again() {
    let deployment = Deployment::new().await;
    let mut receiver = Receiver::start().await;
    receiver.answers(&["410 Gone\r\n"]);
    let herald = deployment.pushing(settings(&receiver.url)).await;
    let [ada, bob] = several(&herald.url).await;
    succeeds(&ada.write(&bob, "hi").await);
    let refused = receiver.next().await;
    let outbox = Outbox::open(&deployment.log).await.unwrap();
    let dead = loop {
        if let Some(dead) = outbox.dead().await.unwrap().pop() {
            break dead;
        }
    };
    assert_eq!((dead.letter.id.to_string(), dead.reason.as_str()), (refused.id.clone(), "answered 410 Gone"));
    assert_eq!(dead.letter.pairs[0].0.to_string(), bob.user_id);
    assert!(told(&all_so_far(&mut receiver, &ada).await).is_empty(), "nobody tries it again");

    outbox.revive(&dead, Clock::system().now()).await.unwrap();
    let again = receiver.until(&bob.user_id, 1).await;
    assert_eq!(again[0].id, refused.id);
    assert!(outbox.dead().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_keeps_nobody_else_waiting_and_then_gets_one_push_for_all() {
    let deployment = Deployment::new().await;
    let mut receiver = Receiver::start().await;
    receiver.hang(true);
    let herald = deployment.pushing(settings(&receiver.url)).await;
    let [ada, bob] = several(&herald.url).await;
    let mut socket = Client::live(&ada).await;
    succeeds(&ada.write(&bob, "0").await);
    receiver.next().await;
    let sends = async {
        for number in 1..=60 {
            let at = succeeds(&ada.write(&bob, "and again").await);
            socket.expect("message").await;
            if number % 20 == 0 {
                let inbox = bob.get_after(&at, "/v1/threads").await;
                assert_eq!(inbox.body["threads"][0]["last_number"], number + 1);
            }
        }
    };
    timeout(Duration::from_secs(30), sends).await.expect("nobody waits for the receiver");
    receiver.hang(false);
    let mut posts = receiver.until(&bob.user_id, 61).await;
    // While it hung, what was on its way at once may have come, in any order, and after it was given up; not one for each
    // message.
    posts.extend(all_so_far(&mut receiver, &ada).await.into_iter().filter(|posted| !posted.pushes.is_empty()));
    assert!(posts.len() <= 16, "{}", posts.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_nodes_one_pushes_and_another_goes_on_where_it_stopped() {
    let deployment = Deployment::new().await;
    let mut receiver = Receiver::start().await;
    let one = deployment.pushing(settings(&receiver.url)).await;
    let other = deployment.pushing(settings(&receiver.url)).await;
    let people: [Person; 5] = several(&other.url).await;
    let ada = Person::sign_up(&other.url).await;
    let mut ids: HashMap<(String, u64), HashSet<String>> = HashMap::new();
    let third = deployment.pushing(settings(&receiver.url)).await;
    let ada = ada.at(&third.url);
    let (mut one, mut other): (Option<Herald>, _) = (Some(one), Some(other));
    for number in 1..=6 {
        for person in &people {
            succeeds(&ada.write(person, "hi").await);
        }
        if number == 3 {
            one.take().unwrap().stop().await;
        }
        if number == 5 {
            // As if it was killed: it gives nothing up. Which of the two it is that pushes is anybody's guess.
            drop(other.take());
        }
        let mut open: HashSet<&str> = people.iter().map(|person| person.user_id.as_str()).collect();
        while !open.is_empty() {
            let posted = receiver.next().await;
            for push in &posted.pushes {
                let user_id = push["user_id"].as_str().unwrap();
                let last = push["threads"][0]["last_number"].as_u64().unwrap();
                ids.entry((user_id.to_owned(), last)).or_default().insert(posted.id.clone());
                if last == number {
                    open.remove(user_id);
                }
            }
        }
    }
    for posted in receiver.drain() {
        for push in &posted.pushes {
            let last = push["threads"][0]["last_number"].as_u64().unwrap();
            ids.entry((push["user_id"].as_str().unwrap().to_owned(), last)).or_default().insert(posted.id.clone());
        }
    }
    assert!(ids.values().all(|ids| ids.len() == 1), "{ids:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_left_or_read_while_a_push_was_tried_again_is_in_it_no_more() {
    let deployment = Deployment::new().await;
    let mut receiver = Receiver::start().await;
    // Long enough for what is done meanwhile.
    receiver.answers(&["429 Slow\r\nretry-after: 4\r\n"]);
    let text = Settings { text: true, ..settings(&receiver.url) };
    let herald = deployment.pushing(text).await;
    let [ada, bob, cyd, dee, eve] = several(&herald.url).await;
    let thread = ada.create_group(&[&bob, &cyd, &dee, &eve]).await;
    succeeds(&ada.write_in(&thread, "for all").await);
    let all = [&bob, &cyd, &dee, &eve].map(|person| person.user_id.as_str());
    assert_eq!(told(&[receiver.next().await]), HashSet::from(all));
    succeeds(&cyd.put(&format!("/v1/threads/{thread}/receipt"), json!({ "read": 1 })).await);
    set(&dee, &thread, json!({ "muted_until": "2100-01-01T00:00:00.000Z" })).await;
    succeeds(&ada.delete(&format!("/v1/threads/{thread}/members/{}", bob.user_id)).await);
    succeeds(&ada.write_in(&thread, "now that Bob is gone").await);
    let posts = receiver.until(&eve.user_id, 2).await;
    assert!(!told(&posts).contains(bob.user_id.as_str()), "{posts:?}");
    assert!(!told(&posts).contains(dee.user_id.as_str()), "{posts:?}");
    assert!(posts.iter().filter_map(|posted| posted.of(&cyd.user_id)).all(|told| told["count"] == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_receiver_takes_each_push_once_and_nobody_elses() {
    let mut example = Command::new("python3")
        .args([concat!(env!("CARGO_MANIFEST_DIR"), "/docs/push_receiver.py"), "--port", "0"])
        .env("HERALD_PUSH_SECRET", receiver::secret())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(example.stdout.take().unwrap()).lines();
    let url = BufReader::new(example.stderr.take().unwrap()).lines().next_line().await.unwrap().unwrap();
    let second = Clock::system().now().timestamp();
    let body = json!({ "data": { "pushes": ["forged"] } }).to_string();
    let post = async |id: &str, second: i64, body: &str, signature: String| {
        let request = reqwest::Client::new().post(&url).body(body.to_owned());
        let request = request.header("webhook-id", id).header("webhook-timestamp", second);
        request.header("webhook-signature", signature).send().await.unwrap().status()
    };
    let old = second - 600;
    for (id, second, body, signature) in [
        ("1", second, body.as_str(), "v1,AAAA".to_owned()),
        ("1", second, &body, String::new()),
        ("1", old, &body, receiver::signature("1", &old.to_string(), body.as_bytes())),
        ("2", second, &body, receiver::signature("1", &second.to_string(), body.as_bytes())),
        ("1", second, "{}", receiver::signature("1", &second.to_string(), body.as_bytes())),
    ] {
        assert_eq!(post(id, second, body, signature).await, StatusCode::UNAUTHORIZED);
    }

    let deployment = Deployment::new().await;
    let herald = deployment.pushing(settings(&url)).await;
    let [ada, bob] = several(&herald.url).await;
    succeeds(&ada.write(&bob, "hi").await);
    let line = lines.next_line().await.unwrap().unwrap();
    let push: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&push["user_id"], &push["unread"]), (&json!(bob.user_id), &json!(1)));
    // The same twice is taken twice, and printed once.
    let body = json!({ "data": { "pushes": ["twice"] } }).to_string();
    let last = json!({ "data": { "pushes": ["last"] } }).to_string();
    for (id, body) in [("twice", &body), ("twice", &body), ("last", &last)] {
        let signature = receiver::signature(id, &second.to_string(), body.as_bytes());
        assert_eq!(post(id, second, body, signature).await, StatusCode::NO_CONTENT);
    }
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "\"twice\"");
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "\"last\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pushed_is_not_pushed_again_by_the_next_node() {
    let deployment = Deployment::new().await;
    let mut receiver = Receiver::start().await;
    let herald = deployment.pushing(settings(&receiver.url)).await;
    let ada = Person::sign_up(&herald.url).await;
    let people: [Person; 6] = several(&herald.url).await;
    // Each in a window of its own, in whatever partition it lies.
    for person in &people {
        succeeds(&ada.write(person, "hi").await);
        receiver.until(&person.user_id, 1).await;
    }
    herald.stop().await;
    receiver.drain();
    let herald = deployment.pushing(settings(&receiver.url)).await;
    let posts = all_so_far(&mut receiver, &ada.at(&herald.url)).await;
    assert!(told(&posts).is_empty(), "{posts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_a_look_that_was_not_brought_to_its_end_are_forgotten() {
    let deployment = Deployment::new().await;
    let mut receiver = Receiver::start().await;
    let herald = deployment.herald().await;
    let [ada, bob, cyd] = several(&herald.url).await;
    let bucket = deployment.log.bucket("PUSHES").await.unwrap();
    for (person, window) in [(&bob, 7), (&cyd, 0)] {
        let sent = ada.write(person, "before anybody pushed").await;
        let (id, lead) = (uuid::Uuid::from_u128(window), uuid::Uuid::nil());
        let pairs = json!([[person.user_id, sent.body["thread_id"]]]);
        let now = Clock::system().now().timestamp_millis();
        let letter = json!({
            "id": id, "lead": lead, "window": window, "made_at": now, "due_at": now, "pairs": pairs,
        });
        bucket.put(&format!("letter.{id}"), letter.to_string().into()).await.unwrap();
    }
    let herald = deployment.pushing(settings(&receiver.url)).await;
    let posts = all_so_far(&mut receiver, &ada.at(&herald.url)).await;
    assert_eq!(told(&posts), HashSet::from([cyd.user_id.as_str()]));
    let outbox = Outbox::open(&deployment.log).await.unwrap();
    while outbox.waiting().await.unwrap() > 0 {}
}
