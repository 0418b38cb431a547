//! Search: what is found is what the caller may see, as it is now, and no more.

use super::{NOBODY, thread_of, told};
use crate::{
    harness::{Deployment, Herald},
    people::{Answer, Person, send},
};
use events::Vector;
use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::{Connection, Executor};
use std::fmt::Write;
use tokio::task::JoinSet;

/// A herald, two people, and all that they did.
struct Scene {
    herald: Herald,
    ada: Person,
    bob: Person,
    done: Vector,
}

impl Scene {
    async fn open() -> Self {
        let herald = Herald::start().await;
        let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
        Self { herald, ada, bob, done: Vector::default() }
    }

    /// Remembers what was done; its body's number, where it has one.
    fn did(&mut self, answer: &Answer) -> u64 {
        assert!(answer.status.is_success(), "{answer:?}");
        self.done.raise(answer.position().parse().unwrap());
        answer.body["number"].as_u64().unwrap_or_default()
    }

    async fn ask(&self, who: &Person, q: &str, more: &str) -> Answer {
        who.get_after(&self.done.to_string(), &format!("/v1/search?q={}{more}", encoded(q))).await
    }

    /// The numbers of what somebody finds.
    async fn numbers(&self, who: &Person, q: &str, more: &str) -> Vec<u64> {
        let answer = self.ask(who, q, more).await;
        assert_eq!(answer.status, StatusCode::OK, "{q}: {answer:?}");
        answer.body["hits"].as_array().unwrap().iter().map(|hit| hit["number"].as_u64().unwrap()).collect()
    }
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        write!(encoded, "%{byte:02X}").unwrap();
        encoded
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_found_by_its_words_in_any_script() {
    let mut scene = Scene::open().await;
    let (ada, bob) = (scene.ada.clone(), scene.bob.clone());
    let texts = [
        "Lunch at the Café in Łódź, ten o'clock?",
        "买iPhone手机，我喜欢北京",
        "สวัสดีครับ",
        "Привет, ёлка! नमस्ते दुनिया",
        "مَرْحَبًا שָׁלוֹם 서울에서 ＨＥＲＡＬＤ コーヒー",
        "👍 … !",
    ];
    for text in texts {
        let sent = ada.write(&bob, text).await;
        scene.did(&sent);
    }
    for (number, queries) in [
        (1, &["lunch", "CAFE lodz", "lun", "\"the cafe\"", "o'clock", "ten o'cl", "cafe\u{301} ten"][..]),
        (2, &["北京", "我喜", "京", "iphone", "iPh", "iPhone手机", "喜欢北京 iphone"]),
        (3, &["สวัสดี", "ครับ", "วัสด"]),
        (4, &["привет", "ЕЛКА", "ёл", "नमस्ते", "दुनि"]),
        (5, &["مرحبا", "שלום", "서울", "herald", "コーヒ", "ｺｰﾋｰ"]),
    ] {
        for q in queries {
            assert_eq!(scene.numbers(&bob, q, "").await, [number], "{q}");
        }
    }
    for q in ["caf lodz", "unch", "\"cafe the\"", "京北", "lunch привет", "iphone\u{a0}喜北"] {
        assert_eq!(scene.numbers(&bob, q, "").await, [0; 0], "{q}");
    }
    let found = scene.ask(&bob, "cafe", "").await;
    let history = bob.get(&format!("/v1/threads/{}/messages/1", thread_of(&ada, &bob).await)).await;
    let hit = &found.body["hits"][0];
    assert_eq!(
        *hit,
        json!({
            "thread_id": thread_of(&ada, &bob).await, "number": 1, "sender_id": ada.user_id,
            "sent_at": history.body["sent_at"], "snippet": texts[0],
        })
    );
    assert!(found.header("herald-as-of").parse::<Vector>().unwrap().covers(&scene.done));
    scene.herald.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_edit_the_new_text_is_found_and_after_a_deletion_nothing() {
    let mut scene = Scene::open().await;
    let (ada, bob) = (scene.ada.clone(), scene.bob.clone());
    scene.did(&ada.write(&bob, "the old secret plan").await);
    scene.did(&ada.write(&bob, "another plan").await);
    let thread = thread_of(&ada, &bob).await;
    assert_eq!(scene.numbers(&bob, "plan", "").await, [2, 1]);
    let message = format!("/v1/threads/{thread}/messages/1");
    scene.did(&ada.patch(&message, json!({ "body": "the new plan 北京" })).await);
    for (q, expected) in [("old", &[][..]), ("secret", &[]), ("\"old secret\"", &[]), ("new", &[1]), ("北京", &[1])] {
        assert_eq!(scene.numbers(&bob, q, "").await, expected, "{q}");
    }
    assert_eq!(scene.ask(&bob, "new", "").await.body["hits"][0]["snippet"], "the new plan 北京");
    scene.did(&ada.delete(&message).await);
    for q in ["old", "secret", "new", "北京", "the"] {
        assert_eq!(scene.numbers(&bob, q, "").await, [0; 0], "{q}");
    }
    assert_eq!(scene.numbers(&ada, "plan", "").await, [2]);
    scene.herald.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_left_finds_nothing_and_who_returns_nothing_from_before() {
    let mut scene = Scene::open().await;
    let (ada, bob) = (scene.ada.clone(), scene.bob.clone());
    let cyd = Person::sign_up(&scene.herald.url).await;
    let thread = ada.create_group(&[&bob]).await;
    let member = format!("/v1/threads/{thread}/members/{}", bob.user_id);
    let within = format!("&thread_id={thread}");
    scene.did(&ada.write_in(&thread, "word one").await);
    assert_eq!(scene.numbers(&bob, "word", "").await, [1]);
    for removal in [&ada, &bob] {
        let left = removal.delete(&member).await;
        scene.did(&left);
        scene.did(&ada.write_in(&thread, "word between").await);
        for q in ["word", "wo", "\"word one\"", &format!("word from:{}", ada.username)] {
            assert_eq!(scene.numbers(&bob, q, "").await, [0; 0], "{q}");
            assert_eq!(told(&scene.ask(&bob, q, &within).await), (404, "not-found"), "{q}");
        }
        scene.did(&ada.put(&member, json!({})).await);
        assert_eq!(scene.numbers(&bob, "word", &within).await, [0; 0]);
    }
    let last = ada.write_in(&thread, "word again").await;
    let last = scene.did(&last);
    assert_eq!(last, 4);
    assert_eq!(scene.numbers(&bob, "word", "").await, [4]);
    assert_eq!(scene.numbers(&bob, "wor", &format!("{within}&limit=1")).await, [4]);
    assert_eq!(scene.numbers(&ada, "word", "").await, [4, 3, 2, 1]);
    // An edit of what was written before somebody's joining is not theirs either.
    scene.did(&ada.patch(&format!("/v1/threads/{thread}/messages/2"), json!({ "body": "word edited" })).await);
    assert_eq!(scene.numbers(&bob, "edited", "").await, [0; 0]);
    assert_eq!(scene.numbers(&cyd, "word", "").await, [0; 0]);
    let absent = scene.ask(&cyd, "word", &format!("&thread_id={NOBODY}")).await;
    let strange = scene.ask(&cyd, "word", &within).await;
    assert_eq!(told(&strange), (404, "not-found"));
    assert_eq!(strange.body, absent.body);
    scene.herald.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_hides_nothing_that_was_written() {
    let mut scene = Scene::open().await;
    let (ada, bob) = (scene.ada.clone(), scene.bob.clone());
    scene.did(&ada.write(&bob, "before the quarrel").await);
    scene.did(&bob.put(&format!("/v1/blocks/{}", ada.user_id), json!({})).await);
    scene.did(&ada.put(&format!("/v1/blocks/{}", bob.user_id), json!({})).await);
    for person in [&ada, &bob] {
        for q in ["quarrel", &format!("quarrel from:{}", ada.username)] {
            assert_eq!(scene.numbers(person, q, "").await, [1], "{q}");
        }
    }
    scene.herald.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_each_hit_once_newest_first_over_all_threads() {
    let mut scene = Scene::open().await;
    let (ada, bob) = (scene.ada.clone(), scene.bob.clone());
    let mut threads = vec![thread_of(&ada, &bob).await];
    for _ in 0..3 {
        threads.push(ada.create_group(&[&bob]).await);
    }
    let mut written = Vec::new();
    for round in 0..12 {
        for (index, thread) in threads.iter().enumerate() {
            // One message has many words that begin alike, some have one, some none.
            let text = if round == 5 && index == 1 {
                (0..90).fold("needle ".to_owned(), |text, word| format!("{text}needle{word} "))
            } else if (round + index) % 3 == 0 {
                "a haystack".to_owned()
            } else {
                format!("needle{round} in a needle case")
            };
            let sent = ada.write_in(thread, &text).await;
            let number = scene.did(&sent);
            if text.contains("needle") {
                written.push((sent.body["sent_at"].as_str().unwrap().to_owned(), thread.clone(), number));
            }
        }
    }
    written.sort();
    written.reverse();
    for (q, limit) in
        [("needle", 1), ("needl", 3), ("n", 7), ("\"needle\" a", 100), ("needle", 40), ("needle from:me", 5)]
    {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = scene.ask(&ada, q, &format!("&limit={limit}{cursor}")).await;
            let hits = page.body["hits"].as_array().unwrap();
            assert!(hits.len() <= limit && !hits.is_empty(), "{page:?}");
            let text = |hit: &serde_json::Value, field: &str| hit[field].as_str().unwrap().to_owned();
            let hit = |hit| (text(hit, "sent_at"), text(hit, "thread_id"), hit["number"].as_u64().unwrap());
            found.extend(hits.iter().map(hit));
            let Some(next) = page.body["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let wanted: Vec<_> = if q.contains("\" a") {
            // The message of many words has no other beginning with a.
            written.iter().filter(|(_, thread, number)| !(*thread == threads[1] && *number == 6)).cloned().collect()
        } else {
            written.clone()
        };
        assert_eq!(found, wanted, "{q} by {limit}");
    }
    scene.herald.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_and_days_narrow_it_down() {
    let mut scene = Scene::open().await;
    let (ada, bob) = (scene.ada.clone(), scene.bob.clone());
    let thread = ada.create_group(&[&bob]).await;
    let sent = ada.write_in(&thread, "hello from ada").await;
    scene.did(&sent);
    scene.did(&bob.write_in(&thread, "hello from bob").await);
    let today = &sent.body["sent_at"].as_str().unwrap()[..10];
    let (adas, bobs) = (ada.username.as_str(), bob.username.as_str());
    for (q, expected) in [
        (format!("hello from:{adas}"), &[1][..]),
        (format!("hel FROM:@{}", adas.to_uppercase()), &[1]),
        (format!("from:{bobs} hello"), &[2]),
        ("hello from:me".to_owned(), &[2]),
        ("hello from:nobody-at-all".to_owned(), &[]),
        ("hello from:!".to_owned(), &[]),
        (format!("ada from:{bobs}"), &[]),
        ("\"from ada\"".to_owned(), &[1]),
        ("hello after:2000-01-01".to_owned(), &[2, 1]),
        ("hello before:2000-01-01".to_owned(), &[]),
        ("hello before:9999-12-31 after:0001-01-01".to_owned(), &[2, 1]),
        (format!("hello before:{today}"), &[]),
        (format!("hello after:{today}"), &[]),
        ("hello after:9999-12-31".to_owned(), &[]),
    ] {
        assert_eq!(scene.numbers(&bob, &q, "").await, expected, "{q}");
    }
    scene.did(&ada.write(&bob, "goodbye").await);
    let other = thread_of(&ada, &bob).await;
    assert_eq!(scene.numbers(&bob, "hello", &format!("&thread_id={other}")).await, [0; 0]);
    assert_eq!(scene.numbers(&bob, "hello", &format!("&thread_id={thread}")).await, [2, 1]);
    scene.herald.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_and_what_is_much_is_answered() {
    let mut scene = Scene::open().await;
    let (ada, bob) = (scene.ada.clone(), scene.bob.clone());
    let long = "tal ".repeat(6_000) + "end";
    scene.did(&ada.write(&bob, &long).await);
    for q in [
        "",
        " ",
        "!?",
        "👍",
        "\"",
        "from:ada",
        "before:2026-01-31",
        "a before:never",
        "a after:2026-13-01",
        "a from:",
        "a from:b from:c",
        &"a ".repeat(17),
        &"a".repeat(1_025),
        "a\0b",
    ] {
        let refused = scene.ask(&ada, q, "").await;
        assert_eq!(told(&refused), (422, "validation"), "{q}");
        assert_eq!(refused.body["errors"][0]["field"], "q", "{q}");
    }
    for more in ["&limit=0", "&limit=101", "&limit=1e9", "&limit=-1", "&x=1", "&q=b"] {
        assert_eq!(told(&scene.ask(&ada, "a", more).await), (422, "validation"), "{more}");
    }
    assert_eq!(told(&ada.get("/v1/search").await), (422, "validation"));
    assert_eq!(told(&scene.ask(&ada, "a", "&thread_id=7").await), (400, "malformed"));
    let group = ada.create_group(&[&bob]).await;
    scene.did(&ada.write_in(&group, "tal").await);
    let inbox = ada.get_after(&scene.done.to_string(), "/v1/threads?limit=1").await;
    let of_the_inbox = inbox.body["next"].as_str().unwrap();
    let page = scene.ask(&ada, "tal", "&limit=1").await;
    let forged = page.body["next"].as_str().unwrap().replacen('B', "C", 1);
    for cursor in ["", "AAAA", of_the_inbox, &forged] {
        assert_eq!(
            told(&scene.ask(&ada, "tal", &format!("&cursor={cursor}")).await),
            (400, "invalid-cursor"),
            "{cursor}"
        );
    }
    for q in ["' OR 1=1 --", "100% t_l", "\\ tal", "tal:*", "tal & end | !x", "NULL", "$1 tal", &"t".repeat(1_024)] {
        assert_eq!(scene.ask(&ada, q, "").await.status, StatusCode::OK, "{q}");
    }
    let hit = scene.ask(&ada, "tal end", "").await;
    let snippet = hit.body["hits"][0]["snippet"].as_str().unwrap();
    assert!(
        snippet.chars().count() < 170
            && snippet.starts_with("tal tal")
            && long.starts_with(snippet.trim_end_matches('…'))
    );
    scene.herald.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_takes_too_long_is_given_up_and_nothing_else_waits_for_it() {
    let deployment = Deployment::new().await;
    let herald = deployment.herald().await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let first = ada.write(&bob, "hello").await;
    let thread = thread_of(&ada, &bob).await;
    assert_eq!(ada.get_after(first.position(), "/v1/search?q=hello").await.body["hits"].as_array().unwrap().len(), 1);
    let mut holder = None;
    for mut database in deployment.connections().await {
        let postings = sqlx::query_scalar("SELECT EXISTS (SELECT FROM search.postings)");
        if postings.fetch_one(&mut database).await.unwrap() {
            holder = Some(database);
        }
    }
    let mut holder = holder.expect("what was found lies somewhere");
    let mut held = holder.begin().await.unwrap();
    held.execute("LOCK TABLE search.postings IN ACCESS EXCLUSIVE MODE").await.unwrap();
    // More than there are connections for searches.
    let mut searches = JoinSet::new();
    for _ in 0..12 {
        searches.spawn(send(ada.request(Method::GET, "/v1/search?q=hello")));
    }
    let second = ada.write(&bob, "hello again").await;
    let history = bob.get_after(second.position(), &format!("/v1/threads/{thread}/messages")).await;
    assert_eq!(history.body["entries"].as_array().unwrap().len(), 2);
    for answer in searches.join_all().await {
        assert_eq!(told(&answer), (503, "unavailable"));
        assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1);
    }
    // Of one database it is waited for before it is asked.
    let late = ada.get_after(second.position(), "/v1/search?q=hello").await;
    assert!(matches!(told(&late), (503, "view-behind" | "unavailable")), "{late:?}");
    assert_eq!(ada.get("/readyz").await.status, StatusCode::OK);
    held.rollback().await.unwrap();
    let found = ada.get_after(second.position(), "/v1/search?q=hello").await;
    assert_eq!(found.body["hits"].as_array().unwrap().len(), 2);
    herald.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_searches_too_often_waits() {
    let herald = Deployment::new().await.limited(&[]).await;
    let ada = Person::sign_up(&herald.url).await;
    let mut flood = JoinSet::new();
    for _ in 0..90 {
        flood.spawn(send(ada.request(Method::GET, "/v1/search?q=a")));
    }
    let answers = flood.join_all().await;
    let limited: Vec<_> = answers.iter().filter(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS).collect();
    assert!(!limited.is_empty() && limited.len() <= 60, "{}", limited.len());
    assert!(limited.iter().all(|answer| answer.header("retry-after").parse::<u32>().unwrap() >= 1));
    herald.stop().await;
}
