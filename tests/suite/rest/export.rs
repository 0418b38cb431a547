//! All that is held about somebody: complete, theirs alone, and one at a time.

use super::told;
use crate::{
    harness::{self, Deployment},
    people::{Person, key},
    push,
};
use futures_util::StreamExt;
use gateway::held::{Held, PLACES};
use reqwest::{Method, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};
use sqlx::Row;
use std::collections::BTreeSet;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
};

/// Enough that no buffer between herald and a reader holds it.
const LARGE: usize = 400;

async fn export(by: &Person, after: &str) -> Vec<Value> {
    let request = by.request(Method::GET, "/v1/me/export").header("herald-after", after).send().await.unwrap();
    assert_eq!(request.status(), StatusCode::OK);
    assert_eq!(request.headers()[CONTENT_TYPE], "application/x-ndjson");
    let text = request.text().await.unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_kind<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["line"] == kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_tells_all_that_is_held_of_somebody_and_says_what_it_is() {
    let deployment = Deployment::new().await;
    let herald = deployment.herald().await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let group = ada.create_group(&[&bob]).await;
    let left = bob.create_group(&[&ada]).await;
    let direct = ada.write(&bob, "hello bob").await.body["thread_id"].as_str().unwrap().to_owned();
    bob.write(&ada, "hello ada").await;
    bob.write_in(&left, "of bob, before").await;
    ada.write_in(&left, "of ada").await;
    ada.put(&format!("/v1/threads/{left}/messages/1/reactions/%F0%9F%91%8D"), json!({})).await;
    let gone = ada.delete(&format!("/v1/threads/{left}/members/{}", ada.user_id)).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    bob.write_in(&left, "of bob, after").await;
    ada.patch("/v1/me", json!({ "about": "enchantress" })).await;
    ada.put(&format!("/v1/contacts/{}", bob.user_id), json!({ "alias": "Bobby" })).await;
    let upload = ada.request(Method::POST, "/v1/attachments").body("notes").header(CONTENT_TYPE, "text/plain");
    let upload = crate::people::send(upload).await.body["attachment_id"].as_str().unwrap().to_owned();
    ada.put(&format!("/v1/threads/{group}/settings"), json!({ "pinned": true })).await;
    for number in 0..230 {
        ada.write_in(&group, &format!("{number}")).await;
    }
    ada.put(&format!("/v1/threads/{direct}/receipt"), json!({ "read": 2 })).await;
    let last = ada.put(&format!("/v1/blocks/{}", bob.user_id), json!({})).await;
    let end = deployment.log.end().await.unwrap().to_string();
    assert!(!last.position().is_empty());

    let lines = export(&ada, &end).await;
    let kinds = lines[0]["lines"].as_object().unwrap();
    for line in &lines {
        assert!(kinds.contains_key(line["line"].as_str().unwrap()), "{line}");
    }
    let has = |kind: &str, fields: Value| {
        let fits = |line: &&&Value| fields.as_object().unwrap().iter().all(|(name, value)| line[name] == *value);
        let found = of_kind(&lines, kind).iter().filter(fits).count();
        assert_eq!(found, 1, "{kind} {fields}");
    };
    has("export", json!({ "user_id": ada.user_id }));
    has("user", json!({ "username": ada.username, "about": "enchantress" }));
    has("session", json!({ "current": true }));
    has("upload", json!({ "attachment_id": upload, "media_type": "text/plain", "size": 5 }));
    has("contact", json!({ "user_id": bob.user_id, "alias": "Bobby" }));
    has("block", json!({ "user_id": bob.user_id }));
    has("thread", json!({ "thread_id": group, "pinned": true }));
    has("thread", json!({ "thread_id": direct }));
    has("membership", json!({ "thread_id": direct, "member": true, "read": 2 }));
    has("membership", json!({ "thread_id": left, "member": false }));
    has("message", json!({ "thread_id": direct, "body": "hello bob" }));
    has("message", json!({ "thread_id": direct, "body": "hello ada" }));
    has("message", json!({ "thread_id": left, "body": "of ada", "reactions": {} }));
    has("notice", json!({ "thread_id": group, "event": "created" }));
    has("deed", json!({ "thread_id": left, "what": "reacted", "detail": "👍" }));
    has("deed", json!({ "thread_id": left, "what": "member_left" }));
    has("deed", json!({ "thread_id": direct, "what": "blocked" }));
    let written = of_kind(&lines, "message");
    assert_eq!(written.iter().filter(|line| line["thread_id"] == group).count(), 230);
    assert!(!written.iter().any(|line| line["body"].as_str().unwrap().starts_with("of bob")), "not hers to see");
    let end = lines.last().unwrap();
    assert_eq!((&end["line"], &end["lines"]), (&json!("end"), &json!(lines.len() - 1)));
}

/// Whoever adds a table, a bucket or a stream says what an export tells of it.
#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_places_where_data_lies_is_complete() {
    let deployment = Deployment::new().await;
    let herald = deployment.pushing(push::settings(&push::Receiver::start().await.url)).await;
    let ada = Person::sign_up(&herald.url).await;
    let end = deployment.log.end().await.unwrap().to_string();
    let lines = export(&ada, &end).await;
    let kinds: BTreeSet<&str> = lines[0]["lines"].as_object().unwrap().keys().map(String::as_str).collect();
    for (place, held) in PLACES {
        assert!(!matches!(held, Held::Told(kind) if !kinds.contains(kind)), "{place} is told in no kind of line");
    }
    let listed: BTreeSet<&str> = PLACES.iter().map(|(place, _)| *place).collect();

    // Each has all tables.
    let mut database = deployment.connections().await.remove(0);
    let tables = "SELECT DISTINCT CASE WHEN count(*) OVER (PARTITION BY table_name) = $1 THEN table_name \
                                       ELSE table_schema || '.' || table_name END AS place \
                  FROM information_schema.tables WHERE table_schema NOT IN ('pg_catalog', 'information_schema')";
    let views = i64::try_from(projection::View::ALL.len()).unwrap();
    let rows = sqlx::query(tables).bind(views).fetch_all(&mut database).await.unwrap();
    let mut there: BTreeSet<String> = rows.iter().map(|row| row.get("place")).collect();
    assert!(there.len() > 15, "{there:?}");

    let monitor = format!("{}/jsz?accounts=true&streams=true", harness::monitor_url().await);
    let state: Value = reqwest::get(monitor).await.unwrap().json().await.unwrap();
    let streams = state["account_details"][0]["stream_detail"].as_array().unwrap();
    let prefix = format!("{}_", deployment.log_options.prefix);
    for stream in streams {
        let name = stream["name"].as_str().unwrap();
        let Some(name) = name.trim_start_matches("KV_").strip_prefix(&prefix) else { continue };
        there.insert(name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_').to_owned());
    }
    assert!(there.contains("EVENTS") && there.contains("KEYS"), "{there:?}");
    let unlisted: Vec<_> = there.iter().filter(|place| !listed.contains(place.as_str())).collect();
    assert!(unlisted.is_empty(), "data lies where no export looks: {unlisted:?}");
    let of_every_view = ["_sqlx_migrations", "checkpoint", "generation", "quarantine"];
    let servers = PLACES.iter().filter(|(place, _)| {
        place.contains('.') || place.chars().all(|c| c.is_ascii_uppercase()) || of_every_view.contains(place)
    });
    let absent: Vec<_> = servers.filter(|(place, _)| !there.contains(*place)).collect();
    assert!(absent.is_empty(), "no data lies there any more: {absent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_export_at_a_time_for_each_and_none_without_a_token() {
    let deployment = Deployment::new().await;
    let herald = deployment.herald().await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let body = "x".repeat(32_000);
    let writes = (0..LARGE).map(|_| ada.post("/v1/messages", json!({ "to": bob.user_id, "key": key(), "body": body })));
    let mut written = futures_util::stream::iter(writes).buffer_unordered(8);
    while let Some(written) = written.next().await {
        assert_eq!(written.status, StatusCode::CREATED, "{written:?}");
    }
    let end = deployment.log.end().await.unwrap().to_string();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut slow = socket.connect(herald.url.strip_prefix("http://").unwrap().parse().unwrap()).await.unwrap();
    let head = format!(
        "GET /v1/me/export HTTP/1.1\r\nHost: x\r\nConnection: close\r\nHerald-After: {end}\r\nAuthorization: Bearer {}\r\n\r\n",
        ada.access_token
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 15];
    slow.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    let second = ada.get("/v1/me/export").await;
    assert_eq!(told(&second), (429, "too-many-requests"));
    assert_eq!(of_kind(&export(&bob, &end).await, "message").len(), LARGE, "nobody else waits");
    let mut rest = String::new();
    slow.read_to_string(&mut rest).await.unwrap();
    assert!(rest.contains("\"line\":\"end\""), "who reads slowly gets all");
    let stranger = crate::people::send(reqwest::Client::new().get(format!("{}/v1/me/export", herald.url))).await;
    assert_eq!(told(&stranger), (401, "unauthorized"));
}
