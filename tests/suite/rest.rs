//! The REST edge as its clients and its attackers meet it.

mod amendments;
mod attachments;
mod contacts;
mod export;
mod groups;
mod kept;
mod limits;
mod search;
mod written;

use crate::{
    harness::{Deployment, Herald},
    people::{Answer, PASSWORD, Person, key, send},
};
use reqwest::{Client, Method, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

const NOBODY: &str = "00000000-0000-7000-8000-000000000000";

/// Posts bytes as JSON, without anybody's token.
async fn post(url: &str, path: &str, body: impl Into<reqwest::Body>) -> Answer {
    send(Client::new().post(format!("{url}{path}")).header(CONTENT_TYPE, "application/json").body(body)).await
}

/// Writes bytes to a connection of its own; what comes back until it is closed.
async fn raw(url: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.unwrap().ok();
    String::from_utf8(answer).unwrap()
}

/// The status and the problem's slug; `""` where it is no problem.
fn told(answer: &Answer) -> (u16, &str) {
    let is_error = answer.status.is_client_error() || answer.status.is_server_error();
    (answer.status.as_u16(), if is_error { answer.problem() } else { "" })
}

fn fields(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

async fn thread_of(one: &Person, other: &Person) -> String {
    let opened = one.post("/v1/threads", json!({ "kind": "direct", "user_id": other.user_id })).await;
    opened.body["thread_id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_up_is_found_and_logs_out() {
    let herald = Herald::start().await;
    let sign_up = json!({ "username": "Ada_Lovelace", "password": PASSWORD, "display_name": "Ada", "device": "" });
    let signed_up = post(&herald.url, "/v1/signup", sign_up.to_string()).await;
    assert_eq!(signed_up.status, StatusCode::CREATED, "{signed_up:?}");
    assert_eq!(signed_up.header("cache-control"), "no-store");
    assert_eq!(
        fields(&signed_up.body["user"]),
        BTreeSet::from(["user_id", "username", "display_name", "about", "picture"])
    );
    let tokens = ["user_id", "session_id", "access_token", "token_type", "expires_in", "refresh_token"];
    assert_eq!(fields(&signed_up.body["tokens"]), BTreeSet::from(tokens));
    assert_eq!(signed_up.body["user"]["username"], "ada_lovelace");

    let taken = post(&herald.url, "/v1/signup", sign_up.to_string().replace("Ada_", "ADA_")).await;
    assert_eq!(told(&taken), (409, "username-taken"));

    let bob = Person::sign_up(&herald.url).await;
    let found = bob.get_after(signed_up.position(), "/v1/users?username=ADA_Lovelace").await;
    assert_eq!(found.body, signed_up.body["user"]);
    let by_id = bob.get(&format!("/v1/users/{}", found.body["user_id"].as_str().unwrap())).await;
    assert_eq!(by_id.body, found.body);
    for absent in ["nobody-at-all", "a", "%E2%80%AEada", "admin"] {
        let answer = bob.get(&format!("/v1/users?username={absent}")).await;
        assert_eq!(told(&answer), (404, "not-found"), "{absent}");
    }
    assert_eq!(told(&bob.get(&format!("/v1/users/{NOBODY}")).await), (404, "not-found"));

    let me = bob.get("/v1/me").await;
    assert_eq!((me.status, &me.body["user_id"]), (StatusCode::OK, &json!(bob.user_id)));
    let refreshed = post(&herald.url, "/v1/token", json!({ "refresh_token": bob.refresh_token }).to_string()).await;
    assert_eq!(refreshed.status, StatusCode::OK, "{refreshed:?}");
    let out = send(bob.request(Method::POST, "/v1/logout")).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    let until = Instant::now() + Duration::from_secs(1);
    while bob.get("/v1/me").await.status != StatusCode::UNAUTHORIZED {
        assert!(Instant::now() < until, "the session outlives its log-out");
    }
    let refused = bob.get("/v1/me").await;
    assert_eq!((told(&refused), refused.header("www-authenticate")), ((401, "unauthorized"), "Bearer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_sign_ups_and_log_ins_are_refused() {
    let herald = Herald::start().await;
    let ada = Person::sign_up(&herald.url).await;
    let sign_up = |field: &str, value: Value| {
        let mut body = json!({ "username": "grace", "password": PASSWORD, "display_name": "Grace" });
        body[field] = value;
        body.to_string()
    };
    let invalid = (422, "validation");
    for (field, value) in [
        ("username", json!("ab")),
        ("username", json!("a".repeat(33))),
        ("username", json!("admin")),
        ("username", json!("ＡＤＭＩＮ")),
        ("username", json!("аdmin")),
        ("username", json!("gra\u{202e}ce")),
        ("username", json!("gra\u{200b}ce")),
        ("username", json!("gra\u{0}ce")),
        ("username", json!(7)),
        ("username", json!(null)),
        ("password", json!("1234567")),
        ("password", json!("x".repeat(1_025))),
        ("display_name", json!(" ")),
        ("display_name", json!("x".repeat(65))),
        ("display_name", json!("a\nb")),
        ("device", json!("x".repeat(65))),
        ("user_id", json!(NOBODY)),
    ] {
        let answer = post(&herald.url, "/v1/signup", sign_up(field, value.clone())).await;
        assert_eq!(told(&answer), invalid, "{field} {value}");
        let nul = value == json!("gra\u{0}ce");
        assert_eq!(answer.body["errors"][0]["field"], if nul { "body" } else { field }, "{value}");
    }
    let large = post(&herald.url, "/v1/signup", sign_up("password", json!("x".repeat(1 << 20)))).await;
    assert_eq!(told(&large), (413, "too-large"));

    let log_in = |username: &str, password: &str| json!({ "username": username, "password": password }).to_string();
    let unknown = post(&herald.url, "/v1/login", log_in("nobody-at-all", PASSWORD)).await;
    let wrong = post(&herald.url, "/v1/login", log_in(&ada.username, "wrong password")).await;
    assert_eq!(told(&unknown), (401, "bad-credentials"));
    assert_eq!((unknown.status, &unknown.body), (wrong.status, &wrong.body));
    for username in ["", "a", "ad\u{202e}a"] {
        assert_eq!(told(&post(&herald.url, "/v1/login", log_in(username, PASSWORD)).await), (401, "bad-credentials"));
    }
    for token in ["", "x", &ada.access_token] {
        let answer = post(&herald.url, "/v1/token", json!({ "refresh_token": token }).to_string()).await;
        assert_eq!(told(&answer), (401, "unauthorized"), "{token}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_access_token_of_ours_opens() {
    let herald = Herald::start().await;
    let ada = Person::sign_up(&herald.url).await;
    let parts: Vec<&str> = ada.access_token.split('.').collect();
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{}.", parts[1]);
    let changed = format!("{}.{}.{}", parts[0], parts[1], "A".repeat(parts[2].len()));
    for token in ["", "x", "..", &ada.refresh_token, &unsigned, &changed] {
        let mut forger = ada.clone();
        token.clone_into(&mut forger.access_token);
        let refused = forger.get("/v1/me").await;
        assert_eq!(told(&refused), (401, "unauthorized"), "{token}");
        assert_eq!(refused.header("cache-control"), "no-store");
    }
    let none = send(Client::new().get(format!("{}/v1/me", herald.url))).await;
    assert_eq!((told(&none), none.header("www-authenticate")), ((401, "unauthorized"), "Bearer"));
    let keys = send(Client::new().get(format!("{}/.well-known/jwks.json", herald.url))).await;
    assert_eq!(keys.body["keys"][0]["crv"], "Ed25519");
    assert!(keys.body["keys"][0]["d"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_of_the_edge_is_a_problem() {
    let herald = Herald::start().await;
    let ada = Person::sign_up(&herald.url).await;
    let nested = format!("{}{}", "[".repeat(40), "]".repeat(40));
    for (body, expected) in [
        ("{".to_owned(), (400, "malformed")),
        (String::new(), (400, "malformed")),
        (nested, (400, "malformed")),
        (r#"{"username":"a","username":"b","password":"c"}"#.to_owned(), (400, "malformed")),
        (r#"{"username":"\ud800","password":"c"}"#.to_owned(), (400, "malformed")),
        (r#"["a","b",null]"#.to_owned(), (422, "validation")),
        (r#"{"username":"a"}"#.to_owned(), (422, "validation")),
        (r#"{"username":"a","password":"b","admin":true}"#.to_owned(), (422, "validation")),
        (r#"{"username":"a","password":"b\u0000"}"#.to_owned(), (422, "validation")),
    ] {
        assert_eq!(told(&post(&herald.url, "/v1/login", body.clone()).await), expected, "{body}");
    }
    assert_eq!(told(&post(&herald.url, "/v1/login", &b"{\"username\":\"\xff\"}"[..]).await), (400, "malformed"));

    let bare = |method, path: &str| ada.request(method, path);
    let absent = send(bare(Method::GET, "/v1/nothing")).await;
    assert_eq!(told(&absent), (404, "not-found"));
    let method = send(bare(Method::DELETE, "/v1/login")).await;
    assert_eq!((told(&method), method.header("allow")), ((405, "method-not-allowed"), "POST"));
    let form = send(bare(Method::POST, "/v1/login").header(CONTENT_TYPE, "text/plain").body("{}")).await;
    assert_eq!(told(&form), (415, "unsupported-media-type"));
    let packed = send(bare(Method::POST, "/v1/login").header("content-encoding", "gzip").json(&json!({}))).await;
    assert_eq!(told(&packed), (415, "unsupported-media-type"));
    let plain = send(bare(Method::GET, "/v1/socket")).await;
    assert_eq!(told(&plain), (426, "upgrade-required"));
    for path in ["/v1/users/7", "/v1/threads/x", "/v1/threads/x/messages", "/v1/users/%FF"] {
        assert_eq!(told(&ada.get(path).await), (400, "malformed"), "{path}");
    }
    for path in [
        "/v1/users",
        "/v1/users?username=a&x=1",
        "/v1/threads?limit=1e9",
        "/v1/threads?limit=0",
        "/v1/threads?archived=2",
        "/v1/threads?limit=5&limit=5",
        "/v1/users?username=%00ada",
    ] {
        assert_eq!(told(&ada.get(path).await), (422, "validation"), "{path}");
    }
    for path in ["/v1/threads?cursor=x", "/v1/threads?cursor=AAAA"] {
        assert_eq!(told(&ada.get(path).await), (400, "invalid-cursor"), "{path}");
    }
    assert_eq!(absent.header("x-content-type-options"), "nosniff");
    assert_eq!(absent.header("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_bounded() {
    let herald = Herald::start().await;
    let large = format!("GET /healthz HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "x".repeat(17 << 10));
    assert!(raw(&herald.url, &large).await.starts_with("HTTP/1.1 431"));
    for head in ["GET /healthz HTTP/1.1\r\n\r\n", "GET /healthz HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n"] {
        assert!(raw(&herald.url, head).await.starts_with("HTTP/1.1 400"), "{head}");
    }
    let body = "2\r\n{}\r\n0\r\n\r\n";
    let both = format!(
        "POST /v1/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 5\r\n\
         transfer-encoding: chunked\r\n\r\n{body}GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n"
    );
    // Framed by its chunks alone, answered, and closed before what may be a smuggled request.
    let answered = raw(&herald.url, &both).await;
    assert!(answered.starts_with("HTTP/1.1 422"), "{answered}");
    assert_eq!(answered.matches("HTTP/1.1").count(), 1, "{answered}");

    let slow = |sent: &'static str| {
        let url = herald.url.clone();
        async move {
            let began = Instant::now();
            (raw(&url, sent).await, began.elapsed())
        }
    };
    let started = "POST /v1/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 5\r\n\r\n{";
    let (silent, half, bodiless) = tokio::join!(slow(""), slow("GET /healthz HT"), slow(started));
    for (_, took) in [&silent, &half] {
        assert!((9..13).contains(&took.as_secs()), "{took:?}");
    }
    assert!((14..18).contains(&bodiless.1.as_secs()), "{:?}", bodiless.1);
    assert!(bodiless.0.starts_with("HTTP/1.1 408"), "{}", bodiless.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_sends_are_refused() {
    let herald = Herald::start().await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let thread = thread_of(&ada, &bob).await;
    let path = format!("/v1/threads/{thread}/messages");
    let invalid = (422, "validation");
    for (field, value, expected) in [
        ("key", json!("abc"), invalid),
        ("key", json!("6fa459ea-ee8a-4ca4-894e-db77e160355e"), invalid),
        ("key", json!(key().to_uppercase()), invalid),
        ("body", json!(""), invalid),
        ("body", json!("x".repeat(32_769)), invalid),
        ("body", json!("a\u{0}b"), invalid),
        ("body", json!("a\u{1b}[2Jb"), invalid),
        ("body", json!(null), invalid),
        ("sender_id", json!(bob.user_id), invalid),
        ("number", json!(7), invalid),
        ("sent_at", json!("2020-01-01T00:00:00.000Z"), invalid),
        ("reply_to", json!(-1), invalid),
        ("reply_to", json!("1"), invalid),
        ("reply_to", json!(1), (404, "not-found")),
        ("reply_to", json!(4_000_000_000_u32), (404, "not-found")),
    ] {
        let mut body = json!({ "key": key(), "body": "hello" });
        body[field] = value.clone();
        assert_eq!(told(&ada.post(&path, body).await), expected, "{field} {value}");
    }
    let to = |to: &str| json!({ "to": to, "key": key(), "body": "hello" });
    assert_eq!(told(&ada.post("/v1/messages", to("bob")).await), (400, "malformed"));
    assert_eq!(told(&ada.post("/v1/messages", to(NOBODY)).await), (404, "not-found"));
    assert_eq!(told(&ada.post("/v1/messages", to(&ada.user_id)).await), invalid);
    let oneself = json!({ "kind": "direct", "user_id": ada.user_id });
    assert_eq!(told(&ada.post("/v1/threads", oneself).await), invalid);
    let sent = ada.post(&path, json!({ "key": key(), "body": "x".repeat(32_768) })).await;
    assert_eq!((sent.status, &sent.body["number"]), (StatusCode::CREATED, &json!(1)), "nothing refused was numbered");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_is_one_message_however_often_wherever_and_however_late() {
    let deployment = Deployment::new().await;
    let (one, other) = (deployment.herald().await, deployment.herald().await);
    let (ada, bob) = (Person::sign_up(&one.url).await, Person::sign_up(&one.url).await);
    let first_key = key();
    let body = json!({ "to": bob.user_id, "key": first_key, "body": "once" });
    let mut sends = tokio::task::JoinSet::new();
    for copy in 0..50 {
        let (sender, body) = (if copy % 2 == 0 { ada.clone() } else { ada.at(&other.url) }, body.clone());
        sends.spawn(async move { sender.post("/v1/messages", body).await });
    }
    let answers = sends.join_all().await;
    let created = answers.iter().filter(|answer| answer.status == StatusCode::CREATED).count();
    assert_eq!((created, answers.iter().filter(|answer| answer.status == StatusCode::OK).count()), (1, 49));
    let shape = BTreeSet::from(["thread_id", "number", "key", "position", "sent_at"]);
    for answer in &answers {
        assert_eq!((&answer.body, fields(&answer.body)), (&answers[0].body, shape.clone()));
        assert_eq!(answer.position(), answer.body["position"].as_str().unwrap());
    }

    let thread = answers[0].body["thread_id"].as_str().unwrap();
    let path = format!("/v1/threads/{thread}/messages");
    for round in 0..300 {
        let sent = ada.post(&path, json!({ "key": key(), "body": format!("later {round}") })).await;
        assert_eq!(sent.body["number"], round + 2);
    }
    // The thread's own memory holds 256: the rest is known by the view.
    for sender in [ada.clone(), ada.at(&other.url)] {
        let late = sender.post("/v1/messages", body.clone()).await;
        assert_eq!((late.status, &late.body), (StatusCode::OK, &answers[0].body));
        let reused = sender.post(&path, json!({ "key": first_key, "body": "twice" })).await;
        assert_eq!(told(&reused), (409, "key-reused"));
    }
    // A key older than all, as of a device with a slow clock, and never used.
    let old = "01800000-0000-7000-8000-000000000001";
    let sent = ada.post(&path, json!({ "key": old, "body": "from a slow clock" })).await;
    assert_eq!((sent.status, &sent.body["number"]), (StatusCode::CREATED, &json!(302)));
    // The same key from another person is another message.
    let same = bob.post(&path, json!({ "key": first_key, "body": "mine" })).await;
    assert_eq!((same.status, &same.body["number"]), (StatusCode::CREATED, &json!(303)));
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_paged_both_ways() {
    let herald = Herald::start().await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let mut last = None;
    for number in 1..=7 {
        last = Some(ada.write(&bob, &format!("message {number}")).await);
    }
    let last = last.unwrap();
    let path = format!("/v1/threads/{}/messages", last.body["thread_id"].as_str().unwrap());
    for (query, pages) in [
        ("limit=3", vec![vec![7, 6, 5], vec![4, 3, 2], vec![1]]),
        ("limit=7", vec![vec![7, 6, 5, 4, 3, 2, 1]]),
        ("before=4&limit=2", vec![vec![3, 2], vec![1]]),
        ("before=1", vec![vec![]]),
        ("after=0&limit=4", vec![vec![1, 2, 3, 4], vec![5, 6, 7]]),
        ("after=4294967295", vec![vec![]]),
        ("before=4294967295", vec![vec![7, 6, 5, 4, 3, 2, 1]]),
    ] {
        let limit = query.split('&').find(|part| part.starts_with("limit")).unwrap_or("limit=50");
        let mut next = Some(query.to_owned());
        for page in pages {
            let query = next.take().unwrap();
            let answer = bob.get_after(last.position(), &format!("{path}?{query}")).await;
            let numbers: Vec<_> = answer.body["entries"].as_array().unwrap().iter().map(|e| &e["number"]).collect();
            assert_eq!(numbers, page.iter().map(|number| json!(number)).collect::<Vec<_>>().iter().collect::<Vec<_>>());
            next = answer.body["next"].as_str().map(|next| format!("cursor={next}&{limit}"));
        }
        assert_eq!(next, None, "{query}");
    }
    for (query, expected) in [
        ("limit=101", (422, "validation")),
        ("limit=-1", (422, "validation")),
        ("before=x", (422, "validation")),
        ("before=1&after=1", (422, "validation")),
        ("page=2", (422, "validation")),
        ("cursor=AQAAAAc", (400, "invalid-cursor")),
    ] {
        assert_eq!(told(&bob.get(&format!("{path}?{query}")).await), expected, "{query}");
    }
    let one = bob.get(&format!("{path}/3")).await;
    assert_eq!(one.body["body"], "message 3");
    let entry = [
        "kind",
        "number",
        "key",
        "sender_id",
        "body",
        "reply_to",
        "sent_at",
        "edited_at",
        "deleted_at",
        "reactions",
        "mentions",
        "attachments",
    ];
    assert_eq!(fields(&one.body), BTreeSet::from(entry));
    for number in ["0", "8", "99999999999"] {
        assert_eq!(told(&bob.get(&format!("{path}/{number}")).await), (404, "not-found"), "{number}");
    }
    assert_eq!(told(&bob.get(&format!("{path}/x")).await), (400, "malformed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_is_read_on_any_node() {
    let deployment = Deployment::new().await;
    let (one, other) = (deployment.herald().await, deployment.herald().await);
    let (ada, bob) = (Person::sign_up(&one.url).await, Person::sign_up(&one.url).await);
    let elsewhere = bob.at(&other.url);
    for round in 1..=20 {
        let sent = ada.write(&bob, &format!("round {round}")).await;
        let path = format!("/v1/threads/{}/messages?limit=1", sent.body["thread_id"].as_str().unwrap());
        let read = elsewhere.get_after(sent.position(), &path).await;
        assert_eq!(read.body["entries"][0]["number"], sent.body["number"]);
        let inbox = elsewhere.get_after(read.header("herald-as-of"), "/v1/threads").await;
        assert_eq!(inbox.body["threads"][0]["last_number"], sent.body["number"]);
    }
    for after in ["0:999999", "9:1", "x", "0:1,0:2", "-1:1"] {
        let refused = bob.get_after(after, "/v1/threads").await;
        assert_eq!(told(&refused), (400, "invalid-position"), "{after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_of_others_is_as_absent_as_one_that_never_was() {
    let herald = Herald::start().await;
    let (ada, bob, eve) =
        (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let sent = ada.write(&bob, "between us").await;
    let theirs = sent.body["thread_id"].as_str().unwrap();
    let own = bob.get_after(sent.position(), &format!("/v1/threads/{theirs}")).await;
    assert_eq!(own.status, StatusCode::OK);
    for path in ["", "/members", "/messages", "/messages?after=0", "/messages/1", "/receipts"] {
        let real = eve.get_after(sent.position(), &format!("/v1/threads/{theirs}{path}")).await;
        let none = eve.get_after(sent.position(), &format!("/v1/threads/{NOBODY}{path}")).await;
        assert_eq!(told(&real), (404, "not-found"), "{path}");
        assert_eq!(real.body, none.body, "{path}");
        let names = |answer: &Answer| answer.headers.keys().map(ToString::to_string).collect::<BTreeSet<_>>();
        assert_eq!(names(&real), names(&none), "{path}");
    }
    let message = || json!({ "key": key(), "body": "let me in" });
    let real = eve.post(&format!("/v1/threads/{theirs}/messages"), message()).await;
    let none = eve.post(&format!("/v1/threads/{NOBODY}/messages"), message()).await;
    assert_eq!((told(&real), &real.body), ((404, "not-found"), &none.body));
    let real = eve.put(&format!("/v1/threads/{theirs}/receipt"), json!({ "read": 1 })).await;
    let none = eve.put(&format!("/v1/threads/{NOBODY}/receipt"), json!({ "read": 1 })).await;
    assert_eq!((told(&real), &real.body), ((404, "not-found"), &none.body));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inbox_counts_what_is_unread_and_receipts_tell_who_read() {
    let herald = Herald::start().await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let opened = ada.post("/v1/threads", json!({ "kind": "direct", "user_id": bob.user_id })).await;
    let again = bob.post("/v1/threads", json!({ "kind": "direct", "user_id": ada.user_id })).await;
    assert_eq!((opened.status, again.status), (StatusCode::CREATED, StatusCode::OK));
    assert_eq!((&opened.body, opened.position()), (&again.body, again.position()));
    ada.write(&bob, "one").await;
    let sent = ada.write(&bob, "two").await;
    let thread = sent.body["thread_id"].as_str().unwrap();

    let inbox = bob.get_after(sent.position(), "/v1/threads?limit=1&archived=false").await;
    let listed = &inbox.body["threads"][0];
    let shape = [
        "thread_id",
        "kind",
        "title",
        "peer",
        "last_number",
        "last_message",
        "updated_at",
        "unread",
        "mentions_unread",
        "read_number",
        "muted_until",
        "archived",
        "pinned",
        "picture",
        "role",
        "member_count",
    ];
    assert_eq!(fields(listed), BTreeSet::from(shape));
    let last = ["number", "sender_id", "body", "sent_at", "deleted_at"];
    assert_eq!(fields(&listed["last_message"]), BTreeSet::from(last));
    assert_eq!((&listed["unread"], &listed["peer"]["user_id"]), (&json!(2), &json!(ada.user_id)));
    assert_eq!(inbox.body["next"], Value::Null);
    assert_eq!(&bob.get(&format!("/v1/threads/{thread}")).await.body, listed);
    assert_eq!(bob.get("/v1/threads?archived=true").await.body, json!({ "threads": [], "next": null }));
    let members = bob.get(&format!("/v1/threads/{thread}/members?limit=1")).await;
    let next = members.body["next"].as_str().unwrap();
    let rest = bob.get(&format!("/v1/threads/{thread}/members?cursor={next}")).await;
    assert_eq!((rest.body["members"].as_array().unwrap().len(), &rest.body["next"]), (1, &Value::Null));
    assert_eq!(told(&bob.get(&format!("/v1/threads?cursor={next}")).await), (400, "invalid-cursor"));

    let receipt = format!("/v1/threads/{thread}/receipt");
    for (body, expected) in [(json!({}), 422), (json!({ "read": 3 }), 422), (json!({ "read": -1 }), 422)] {
        assert_eq!(told(&bob.put(&receipt, body.clone()).await), (expected, "validation"), "{body}");
    }
    let read = bob.put(&receipt, json!({ "delivered": 1, "read": 2 })).await;
    assert_eq!(read.status, StatusCode::NO_CONTENT);
    let back = bob.put(&receipt, json!({ "read": 1 })).await;
    let inbox = bob.get_after(back.position(), "/v1/threads").await;
    assert_eq!((&inbox.body["threads"][0]["unread"], &inbox.body["threads"][0]["read_number"]), (&json!(0), &json!(2)));
    let receipts = ada.get_after(back.position(), &format!("/v1/threads/{thread}/receipts")).await;
    let bobs = receipts.body["receipts"].as_array().unwrap().iter().find(|of| of["user_id"] == bob.user_id.as_str());
    let bobs = bobs.unwrap();
    assert_eq!(fields(bobs), BTreeSet::from(["user_id", "delivered", "delivered_at", "read", "read_at"]));
    assert_eq!((&bobs["delivered"], &bobs["read"]), (&json!(2), &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_need_nothing_from_elsewhere() {
    let herald = Herald::start().await;
    for path in ["/", "/chat.css", "/chat/app.js", "/sw.js", "/docs", "/docs.js", "/docs.css"] {
        let page = Client::new().get(format!("{}{path}", herald.url)).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::OK, "{path}");
        let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"), "{policy}");
        let text = page.text().await.unwrap();
        assert!(!text.contains("http://") && !text.contains("https://"), "{path}");
    }
    let document = send(Client::new().get(format!("{}/openapi.json", herald.url))).await;
    assert!(document.body["paths"]["/v1/threads/{thread_id}/messages"]["post"].is_object());
    assert_eq!(send(Client::new().get(format!("{}/healthz", herald.url))).await.body, json!({ "status": "ok" }));
    let ready = send(Client::new().get(format!("{}/readyz", herald.url))).await;
    assert_eq!((ready.status, &ready.body["databases_away"]), (StatusCode::OK, &json!([])), "{ready:?}");
    let mut views: Vec<_> = ready.body["views"].as_array().unwrap().iter().map(|view| &view["view"]).collect();
    // One after the other in each of its databases.
    views.dedup();
    assert_eq!(views, ["directory", "timeline", "inbox", "search", "presence", "audit"]);
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "the test owns the stop that it waits for")]
async fn a_stopping_node_finishes_what_is_under_way_and_keeps_no_idle_connection() {
    let herald = Herald::start().await;
    let ada = Person::sign_up(&herald.url).await;
    assert_eq!(ada.get("/v1/me").await.status, StatusCode::OK);
    let mut under_way = TcpStream::connect(herald.url.strip_prefix("http://").unwrap()).await.unwrap();
    let head = "POST /v1/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{";
    under_way.write_all(head.as_bytes()).await.unwrap();
    // An answer on a later connection: the server has taken in the earlier one.
    assert_eq!(ada.get("/v1/me").await.status, StatusCode::OK);
    let stopping = tokio::spawn(herald.stop());
    while TcpStream::connect(ada.url.strip_prefix("http://").unwrap()).await.is_ok() {}
    under_way.write_all(b"}").await.unwrap();
    let mut answer = String::new();
    timeout(Duration::from_secs(5), under_way.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 422"), "{answer}");
    timeout(Duration::from_secs(5), stopping).await.unwrap().unwrap();
    ada.request(Method::GET, "/v1/me").send().await.unwrap_err();
}
