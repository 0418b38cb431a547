//! Groups: who comes, goes and leads, and who sees what.

use super::{NOBODY, told};
use crate::{
    harness::{Deployment, Herald},
    people::{Person, key, send},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection, Row};

fn member(thread: &str, person: &Person) -> String {
    format!("/v1/threads/{thread}/members/{}", person.user_id)
}

/// What entries are, in short.
fn shorts(history: &Value) -> Vec<String> {
    let short = |entry: &Value| match entry["kind"].as_str().unwrap() {
        "message" => entry["number"].to_string(),
        _ => format!("{} {}", entry["number"], entry["event"].as_str().unwrap()),
    };
    history["entries"].as_array().unwrap().iter().map(short).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_created_once_under_an_id_of_its_creators() {
    let deployment = Deployment::new().await;
    let (a, b) = (deployment.herald().await, deployment.herald().await);
    let (ada, bob) = (Person::sign_up(&a.url).await, Person::sign_up(&a.url).await);
    let group = json!({ "kind": "group", "thread_id": key(), "title": " Engines ", "member_ids": [bob.user_id] });
    let created = ada.post("/v1/threads", group.clone()).await;
    assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
    assert_eq!(created.body, json!({ "thread_id": group["thread_id"], "kind": "group" }));
    let again = ada.at(&b.url).post("/v1/threads", group.clone()).await;
    assert_eq!((again.status, &again.body), (StatusCode::OK, &created.body));
    assert_eq!(told(&bob.post("/v1/threads", group.clone()).await), (409, "id-taken"));

    let thread = created.body["thread_id"].as_str().unwrap();
    let seen = bob.at(&b.url).get_after(created.position(), &format!("/v1/threads/{thread}")).await;
    assert_eq!((&seen.body["title"], &seen.body["role"]), (&json!("Engines"), &json!("member")));
    assert_eq!((&seen.body["member_count"], &seen.body["unread"]), (&json!(2), &json!(0)));
    assert!(seen.body.get("peer").is_none());
    let history = bob.get_after(created.position(), &format!("/v1/threads/{thread}/messages")).await;
    let notice = &history.body["entries"][0];
    assert_eq!(
        (&notice["kind"], &notice["event"], &notice["title"]),
        (&json!("notice"), &json!("created"), &json!("Engines"))
    );
    assert_eq!((&notice["number"], &notice["by"]), (&json!(0), &json!(ada.user_id)));

    for (field, value, expected) in [
        ("thread_id", json!("x"), (422, "validation")),
        ("thread_id", json!("00000000-0000-4000-8000-000000000000"), (422, "validation")),
        ("title", json!(""), (422, "validation")),
        ("title", json!("x".repeat(65)), (422, "validation")),
        ("title", json!("a\u{0}"), (422, "validation")),
        ("member_ids", json!(["x"]), (400, "malformed")),
        ("member_ids", json!([NOBODY]), (404, "not-found")),
        ("member_ids", json!((0..1_024).map(|_| key()).collect::<Vec<_>>()), (422, "validation")),
        ("owner", json!(ada.user_id), (422, "validation")),
        ("user_id", json!(ada.user_id), (422, "validation")),
        ("kind", json!("channel"), (422, "validation")),
    ] {
        let mut bad = json!({ "kind": "group", "title": "group", "member_ids": [] });
        bad[field] = value;
        assert_eq!(told(&ada.post("/v1/threads", bad.clone()).await), expected, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_come_go_and_lead_as_their_roles_allow() {
    let herald = Herald::start().await;
    let [ada, bob, cyd, eve] = [(); 4].map(|()| Person::sign_up(&herald.url));
    let (ada, bob, cyd, eve) = tokio::join!(ada, bob, cyd, eve);
    let thread = ada.create_group(&[&bob]).await;
    let path = |person: &Person| member(&thread, person);
    let ok = (204, "");
    let forbidden = (403, "forbidden");
    for (by, whom, role, expected) in [
        (&bob, &bob, "admin", forbidden),
        (&bob, &cyd, "member", forbidden),
        (&ada, &bob, "admin", ok),
        (&bob, &bob, "owner", forbidden),
        (&bob, &cyd, "owner", forbidden),
        (&bob, &cyd, "member", ok),
        (&bob, &ada, "member", forbidden),
        (&cyd, &bob, "member", forbidden),
        (&eve, &eve, "member", (404, "not-found")),
        (&ada, &ada, "member", (409, "last-owner")),
        (&ada, &cyd, "admin", ok),
        (&bob, &cyd, "member", forbidden),
        (&ada, &cyd, "nobody", (422, "validation")),
    ] {
        let answer = by.put(&path(whom), json!({ "role": role })).await;
        assert_eq!(told(&answer), expected, "{role} by {}", by.username);
    }
    assert_eq!(told(&send(bob.request(Method::PUT, &path(&cyd))).await), ok);
    assert_eq!(told(&ada.put(&format!("/v1/threads/{thread}/members/{NOBODY}"), json!({})).await), (404, "not-found"));
    assert_eq!(told(&ada.put(&format!("/v1/threads/{thread}/members/x"), json!({})).await), (400, "malformed"));

    assert_eq!(told(&cyd.patch(&format!("/v1/threads/{thread}"), json!({ "title": "By Cyd" })).await).0, 200);
    for (title, expected) in [(json!(""), (422, "validation")), (json!(null), (200, ""))] {
        assert_eq!(told(&ada.patch(&format!("/v1/threads/{thread}"), json!({ "title": title })).await), expected);
    }
    let members = ada.get(&format!("/v1/threads/{thread}/members?limit=2")).await;
    let next = members.body["next"].as_str().unwrap();
    let rest = ada.get(&format!("/v1/threads/{thread}/members?limit=2&cursor={next}")).await;
    assert_eq!(
        (members.body["members"].as_array().unwrap().len(), rest.body["members"].as_array().unwrap().len()),
        (2, 1)
    );

    assert_eq!(told(&ada.delete(&path(&ada)).await), (409, "last-owner"));
    assert_eq!(told(&bob.delete(&path(&ada)).await), forbidden);
    assert_eq!(told(&bob.delete(&path(&cyd)).await), forbidden);
    assert_eq!(told(&ada.put(&path(&bob), json!({ "role": "owner" })).await), ok);
    assert_eq!(told(&ada.delete(&path(&ada)).await), ok);
    assert_eq!(told(&ada.delete(&path(&ada)).await), (404, "not-found"));
    assert_eq!(told(&bob.delete(&path(&cyd)).await), ok);
    let again = bob.delete(&path(&cyd)).await;
    assert_eq!(told(&again), ok);
    let history = bob.get_after(again.position(), &format!("/v1/threads/{thread}/messages?after=0")).await;
    let events = [
        "created",
        "role_changed",
        "member_added",
        "role_changed",
        "renamed",
        "role_changed",
        "member_left",
        "member_removed",
    ];
    assert_eq!(shorts(&history.body), events.map(|event| format!("0 {event}")));
    let left = &history.body["entries"][6];
    assert_eq!((&left["by"], &left["user_id"]), (&json!(ada.user_id), &json!(ada.user_id)));
    let direct = super::thread_of(&ada, &bob).await;
    for answer in [
        ada.put(&member(&direct, &cyd), json!({})).await,
        ada.delete(&member(&direct, &bob)).await,
        ada.patch(&format!("/v1/threads/{direct}"), json!({ "title": "ours" })).await,
    ] {
        assert_eq!(told(&answer), (422, "validation"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_owners_who_depose_each_other_one_is_refused() {
    let deployment = Deployment::new().await;
    let (a, b) = (deployment.herald().await, deployment.herald().await);
    let (ada, bob) = (Person::sign_up(&a.url).await, Person::sign_up(&b.url).await);
    for round in 0..10 {
        let thread = ada.create_group(&[&bob]).await;
        assert_eq!(told(&ada.put(&member(&thread, &bob), json!({ "role": "owner" })).await), (204, ""));
        // Now on two nodes, now on one.
        let bob = if round % 2 == 0 { bob.clone() } else { bob.at(&a.url) };
        let demotion = json!({ "role": "member" });
        let (bobs, adas) = (member(&thread, &bob), member(&thread, &ada));
        let (hers, his) = tokio::join!(ada.put(&bobs, demotion.clone()), bob.put(&adas, demotion.clone()));
        let mut outcomes = [told(&hers), told(&his)];
        outcomes.sort_unstable();
        assert_eq!(outcomes, [(204, ""), (409, "last-owner")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_member_any_more_finds_nothing_and_who_returns_only_what_came_since() {
    let deployment = Deployment::new().await;
    let (a, b) = (deployment.herald().await, deployment.herald().await);
    let (ada, bob) = (Person::sign_up(&a.url).await, Person::sign_up(&a.url).await);
    let stranger = Person::sign_up(&b.url).await;
    let thread = ada.create_group(&[&bob]).await;
    for text in ["one", "two"] {
        assert_eq!(ada.write_in(&thread, text).await.status, StatusCode::CREATED);
    }
    let removed = ada.delete(&member(&thread, &bob)).await;
    assert_eq!(told(&removed), (204, ""));
    let absent = key();
    for who in [bob.at(&b.url), stranger, bob.clone()] {
        for (method, path, body) in [
            (Method::GET, "", None),
            (Method::PATCH, "", Some(json!({ "title": "x" }))),
            (Method::GET, "/messages", None),
            (Method::GET, "/messages/1", None),
            (Method::POST, "/messages", Some(json!({ "key": key(), "body": "x" }))),
            (Method::PATCH, "/messages/1", Some(json!({ "body": "x" }))),
            (Method::DELETE, "/messages/1", None),
            (Method::PUT, "/messages/1/reactions/%F0%9F%91%8D", None),
            (Method::DELETE, "/messages/1/reactions/%F0%9F%91%8D", None),
            (Method::GET, "/members", None),
            (Method::PUT, &format!("/members/{}", ada.user_id), Some(json!({}))),
            (Method::DELETE, &format!("/members/{}", ada.user_id), None),
            (Method::GET, "/receipts", None),
            (Method::PUT, "/receipt", Some(json!({ "read": 1 }))),
            (Method::PUT, "/settings", Some(json!({ "pinned": true }))),
        ] {
            let ask = async |thread: &str| {
                let request = who.request(method.clone(), &format!("/v1/threads/{thread}{path}"));
                let reads = method == Method::GET;
                let request = if reads { request.header("herald-after", removed.position()) } else { request };
                send(match &body {
                    Some(body) => request.json(body),
                    None => request,
                })
                .await
            };
            let (there, nowhere) = (ask(&thread).await, ask(&absent).await);
            assert_eq!(told(&there), (404, "not-found"), "{method} {path}");
            assert_eq!(there.body, nowhere.body, "{method} {path}");
        }
    }
    ada.write_in(&thread, "three").await;
    let returned = ada.put(&member(&thread, &bob), json!({})).await;
    let sent = ada.write_in(&thread, "four").await;
    let history = bob.get_after(sent.position(), &format!("/v1/threads/{thread}/messages")).await;
    assert_eq!(shorts(&history.body), ["4", "3 member_added"]);
    for number in 1..=3 {
        assert_eq!(told(&bob.get(&format!("/v1/threads/{thread}/messages/{number}")).await), (404, "not-found"));
        let react = format!("/v1/threads/{thread}/messages/{number}/reactions/%F0%9F%91%8D");
        assert_eq!(told(&send(bob.request(Method::PUT, &react)).await), (404, "not-found"));
        let reply = json!({ "key": key(), "body": "what?", "reply_to": number });
        assert_eq!(told(&bob.post(&format!("/v1/threads/{thread}/messages"), reply).await), (404, "not-found"));
    }
    let inbox = bob.get_after(returned.position(), "/v1/threads").await;
    assert_eq!(
        (&inbox.body["threads"][0]["unread"], &inbox.body["threads"][0]["last_message"]["body"]),
        (&json!(1), &json!("four"))
    );
}

/// A pair, and a group of a thousand that both are in.
struct Sizes {
    deployment: Deployment,
    _herald: Herald,
    ada: Person,
    bob: Person,
    group: String,
}

impl Sizes {
    async fn new() -> Self {
        let deployment = Deployment::new().await;
        let herald = deployment.herald().await;
        let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
        let crowd = crowd(&deployment, 998).await;
        let member_ids: Vec<_> = crowd.iter().chain([&bob.user_id]).collect();
        let body = json!({ "kind": "group", "title": "crowd", "member_ids": member_ids });
        let created = ada.post("/v1/threads", body).await;
        assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
        let group = created.body["thread_id"].as_str().unwrap().to_owned();
        let seen = bob.get_after(created.position(), &format!("/v1/threads/{group}")).await;
        assert_eq!(seen.body["member_count"], 1_000);
        ada.write(&bob, "to open").await;
        Self { deployment, _herald: herald, ada, bob, group }
    }

    /// Writes so many messages, in views when it returns.
    async fn write(&self, in_group: bool, messages: usize) {
        let mut thread = String::new();
        let mut last = String::new();
        for _ in 0..messages {
            let Self { ada, bob, group, .. } = self;
            let sent = if in_group { ada.write_in(group, "hello").await } else { ada.write(bob, "hello").await };
            assert_eq!(sent.status, StatusCode::CREATED);
            sent.position().clone_into(&mut last);
            sent.body["thread_id"].as_str().unwrap().clone_into(&mut thread);
        }
        for path in [format!("/v1/threads/{thread}"), format!("/v1/threads/{thread}/messages?limit=1")] {
            assert_eq!(self.bob.get_after(&last, &path).await.status, StatusCode::OK);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_writes_as_many_rows_in_a_group_of_a_thousand_as_in_a_pair() {
    let sizes = Sizes::new().await;
    let mut databases = sizes.deployment.connections().await;
    let mut written = Vec::new();
    for in_group in [false, true] {
        let mut since = Vec::new();
        for database in &mut databases {
            let now = sqlx::query("SELECT pg_current_xact_id()::text::bigint").fetch_one(database).await.unwrap();
            since.push(now.get(0));
        }
        sizes.write(in_group, 50).await;
        let mut rows = 0;
        for (database, since) in databases.iter_mut().zip(since) {
            rows += rows_written(database, since).await;
        }
        written.push(rows);
    }
    // 50 messages, the head, and how far the sender has read.
    assert_eq!(written, [52, 52], "in a pair and in a group");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_would_be_one_too_many_is_refused_until_somebody_goes() {
    let deployment = Deployment::new().await;
    let herald = deployment.herald().await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let crowd = crowd(&deployment, 1_023).await;
    let body = json!({ "kind": "group", "title": "full", "member_ids": crowd });
    let created = ada.post("/v1/threads", body).await;
    assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
    let thread = created.body["thread_id"].as_str().unwrap();
    assert_eq!(told(&ada.put(&member(thread, &bob), json!({})).await), (409, "group-full"));
    assert_eq!(told(&ada.delete(&format!("/v1/threads/{thread}/members/{}", crowd[0])).await), (204, ""));
    let added = ada.put(&member(thread, &bob), json!({})).await;
    assert_eq!(told(&added), (204, ""));
    let seen = bob.get_after(added.position(), &format!("/v1/threads/{thread}")).await;
    assert_eq!(seen.body["member_count"], 1_024);
}

/// People who are nothing but there.
async fn crowd(deployment: &Deployment, count: usize) -> Vec<String> {
    use command::{handler::Handler, user};
    use events::{Aggregate, Clock, Ids, Text, UserId};
    let (clock, ids) = (Clock::system(), Ids::random());
    let users = Handler::<user::User>::new(deployment.log.clone(), clock, ids.clone(), 1 << 20);
    let mut crowd = Vec::new();
    for number in 0..count {
        let user_id = UserId::from_uuid(ids.next());
        deployment.log.keyring().make(user_id).await.unwrap();
        let name = Text::new(&format!("crowd{number}"));
        let sign_up = user::Command::SignUp { username: name.clone(), display_name: name };
        users.handle(Aggregate::User(user_id), user_id, &sign_up, |_| ()).await.unwrap();
        crowd.push(user_id.to_string());
    }
    crowd
}

/// Rows of threads that are of that transaction or a later one.
async fn rows_written(connection: &mut PgConnection, since: i64) -> i64 {
    let mut written = 0;
    let tables = "SELECT table_schema || '.' || table_name FROM information_schema.tables \
                  WHERE table_schema IN ('timeline', 'inbox') AND table_name <> 'checkpoint'";
    for table in sqlx::query(tables).fetch_all(&mut *connection).await.unwrap() {
        let count = format!("SELECT count(*) FROM {} WHERE xmin::text::bigint >= {since}", table.get::<String, _>(0));
        written += sqlx::query(AssertSqlSafe(count)).fetch_one(&mut *connection).await.unwrap().get::<i64, _>(0);
    }
    written
}
