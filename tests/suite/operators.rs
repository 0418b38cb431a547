//! What operators do, on a listener and with credentials of their own; and that
//! all of it, and that it was read, stands in the audit.

use crate::{
    harness::{Deployment, Herald},
    people::{Answer, PASSWORD, Person, key, send},
    socket::client::Client as Socket,
    views::rebuild::rebuild,
};
use command::{Operators, handler::Handler, operators::Operator};
use events::{Clock, Ids, ThreadId, UserId, text::Line};
use projection::Goal;
use query::{
    View, Views,
    audit::{Deed, Trail},
};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};
use tokio::{task::JoinSet, time::Instant};

/// An operator with a REST client.
struct Desk {
    url: String,
    operator: Operator,
    token: String,
    operators: Operators,
}

impl Desk {
    async fn of(deployment: &Deployment, herald: &Herald, name: &str) -> Self {
        let (log, clock, ids) = (deployment.log.clone(), Clock::system(), Ids::random());
        let users = Handler::new(log.clone(), clock.clone(), ids.clone(), 1 << 20);
        let operators = Operators::open(log, clock, ids, users).await.unwrap();
        let (operator, token) = operators.add(&Line::parse(name).unwrap()).await.unwrap();
        Self { url: herald.operators_url(), operator, token, operators }
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = Client::new().request(method, format!("{}/operator/v1{path}", self.url)).bearer_auth(&self.token);
        send(if body.is_null() { request } else { request.json(&body) }).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, Value::Null).await
    }

    async fn get_after(&self, position: &str, path: &str) -> Answer {
        let request = Client::new().get(format!("{}/operator/v1{path}", self.url)).bearer_auth(&self.token);
        send(request.header("herald-after", position)).await
    }
}

fn told(answer: &Answer) -> (u16, &str) {
    (answer.status.as_u16(), answer.problem())
}

async fn log_in(url: &str, username: &str, password: &str) -> Answer {
    let body = json!({ "username": username, "password": password });
    send(Client::new().post(format!("{url}/v1/login")).json(&body)).await
}

async fn sign_up(url: &str, username: &str) -> Answer {
    let body = json!({ "username": username, "password": PASSWORD, "display_name": "Some Body" });
    send(Client::new().post(format!("{url}/v1/signup")).json(&body)).await
}

/// A trail with all that has been done by now.
async fn deeds(deployment: &Deployment, trail: Trail) -> Vec<Deed> {
    let views = Views::new(deployment.log.names(), &deployment.map(), 2).unwrap();
    let end = deployment.log.end().await.unwrap();
    while !views.refresh(View::Audit).await.unwrap().covers(&end) {}
    views.deeds_of(trail, None, 500).await.unwrap().value
}

async fn kinds(deployment: &Deployment, trail: Trail) -> BTreeSet<String> {
    deeds(deployment, trail).await.into_iter().map(|deed| deed.kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_is_good_on_the_other_listener_and_no_route_is_there() {
    let deployment = Deployment::new().await;
    let herald = deployment.operated().await;
    let desk = Desk::of(&deployment, &herald, "Eve").await;
    let ada = Person::sign_up(&herald.url).await;
    let paths = ["/users?username=ada", "/sign-up", "/reports", "/reports/0:1"];
    for path in paths {
        let theirs = format!("{}/operator/v1{path}", desk.url);
        let client = Client::new();
        let nobodys = client.get(&theirs).bearer_auth("herald_operator_0000");
        for request in [client.get(&theirs), client.get(&theirs).bearer_auth(&ada.access_token), nobodys] {
            assert_eq!(told(&send(request).await), (401, "unauthorized"), "{path}");
        }
        let here = send(client.get(format!("{}/operator/v1{path}", herald.url)).bearer_auth(&desk.token)).await;
        assert_eq!(told(&here), (404, "not-found"), "{path}");
        assert_ne!(desk.get(path).await.status, 401, "{path}");
    }
    let because = json!({ "reason": "because" });
    let suspend = format!("/operator/v1/users/{}/suspend", ada.user_id);
    for (method, path) in [
        (Method::POST, &*suspend),
        (Method::PUT, "/operator/v1/sign-up"),
        (Method::POST, "/operator/v1/reports/0:1/resolve"),
    ] {
        let request =
            Client::new().request(method.clone(), format!("{}{path}", desk.url)).bearer_auth(&ada.access_token);
        assert_eq!(told(&send(request.json(&because)).await), (401, "unauthorized"), "{path}");
        let here = Client::new().request(method, format!("{}{path}", herald.url)).bearer_auth(&desk.token);
        assert_eq!(told(&send(here.json(&because)).await), (404, "not-found"), "{path}");
    }
    for path in ["/v1/me", "/v1/threads", "/v1/me/export"] {
        let with_theirs = Client::new().get(format!("{}{path}", herald.url)).bearer_auth(&desk.token);
        assert_eq!(told(&send(with_theirs).await), (401, "unauthorized"));
    }
    let mut socket = Socket::connect(&herald.url, None).await;
    socket.say(&json!({ "type": "hello", "token": desk.token })).await;
    assert_eq!(socket.closed().await.code, 4401);
    let everybodys = send(Client::new().get(format!("{}/openapi.json", herald.url))).await;
    assert!(!everybodys.body.to_string().contains("/operator/"), "nothing tells the public of it");
    assert_eq!(told(&ada.at(&desk.url).get("/v1/me").await), (404, "not-found"));
    let document = send(Client::new().get(format!("{}/openapi.json", desk.url))).await;
    assert!(document.body["paths"]["/operator/v1/reports"].is_object());

    assert!(desk.operators.add(&Line::parse("Eve").unwrap()).await.is_err(), "one of that name is enough");
    desk.operators.remove("Eve").await.unwrap();
    assert_eq!(told(&desk.get("/sign-up").await), (401, "unauthorized"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_suspended_is_out_everywhere_until_restored() {
    let deployment = Deployment::new().await;
    let (herald, other) = (deployment.operated().await, deployment.herald().await);
    let desk = Desk::of(&deployment, &herald, "Eve").await;
    let ada = Person::sign_up(&herald.url).await;
    let elsewhere = ada.log_in(&other.url).await;
    // Views are being made when a deployment begins; a socket waits for them no longer than a request does.
    for person in [&ada, &elsewhere] {
        while person.get("/v1/threads").await.status != 200 {}
    }
    let mut sockets = [Socket::live(&ada).await, Socket::live(&elsewhere).await];
    let path = format!("/users/{}", ada.user_id);
    let because = json!({ "reason": "threatens others" });
    let unknown = format!("/users/{}/suspend", key());
    assert_eq!(told(&desk.ask(Method::POST, &unknown, because.clone()).await), (404, "not-found"));
    let blank = desk.ask(Method::POST, &format!("{path}/suspend"), json!({ "reason": " " })).await;
    assert_eq!(told(&blank), (422, "validation"));

    let suspended = desk.ask(Method::POST, &format!("{path}/suspend"), because.clone()).await;
    assert_eq!(suspended.status, 204, "{suspended:?}");
    let gone = Instant::now();
    for person in [&ada, &elsewhere] {
        while person.get("/v1/me").await.status != 401 {}
    }
    for socket in &mut sockets {
        assert_eq!(socket.closed().await.code, 4401);
    }
    assert!(gone.elapsed() < Duration::from_secs(1), "{:?}", gone.elapsed());
    let mut again = Socket::connect(&ada.url, None).await;
    again.say(&json!({ "type": "hello", "token": ada.access_token })).await;
    assert_eq!(again.closed().await.code, 4401);
    assert_eq!(told(&log_in(&other.url, &ada.username, PASSWORD).await), (403, "suspended"));
    assert_eq!(told(&log_in(&other.url, &ada.username, "a wrong password").await), (401, "bad-credentials"));
    let refreshed = json!({ "refresh_token": ada.refresh_token });
    let refreshed = send(Client::new().post(format!("{}/v1/token", herald.url)).json(&refreshed)).await;
    assert_eq!(told(&refreshed), (401, "unauthorized"));
    let found = desk.get_after(suspended.position(), &format!("/users?username={}", ada.username)).await;
    let (of, is, open) = (&found.body["user_id"], &found.body["suspended"], &found.body["sessions"]);
    assert_eq!((of, is, open), (&json!(ada.user_id), &json!(true), &json!(0)), "{found:?}");
    let again = desk.ask(Method::POST, &format!("{path}/suspend"), because.clone()).await;
    assert_eq!((again.status.as_u16(), again.position()), (204, suspended.position()));

    assert_eq!(desk.ask(Method::POST, &format!("{path}/restore"), because).await.status, 204);
    assert_eq!(log_in(&other.url, &ada.username, PASSWORD).await.status, 200);
    let user_id: UserId = ada.user_id.parse().unwrap();
    let deeds = kinds(&deployment, Trail::User(user_id)).await;
    assert_eq!(deeds, ["restored", "session_opened", "signed_up", "suspended"].map(str::to_owned).into());
    let deeds = kinds(&deployment, Trail::User(desk.operator.operator_id)).await;
    assert_eq!(deeds, ["operator_added", "restored", "suspended"].map(str::to_owned).into());
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_sign_up_is_closed_on_every_node_at_once_and_after_a_restart() {
    let deployment = Deployment::new().await;
    let (herald, other) = (deployment.operated().await, deployment.herald().await);
    let desk = Desk::of(&deployment, &herald, "Eve").await;
    let set = async |open: bool| {
        let set = desk.ask(Method::PUT, "/sign-up", json!({ "open": open, "reason": "a flood" })).await;
        assert_eq!(set.status, 204, "{set:?}");
        assert_eq!(desk.get("/sign-up").await.body, json!({ "open": open }));
    };
    assert_eq!(sign_up(&other.url, "early").await.status, 201);
    set(false).await;
    for url in [&herald.url, &other.url] {
        assert_eq!(told(&sign_up(url, "late").await), (403, "sign-up-closed"));
    }
    other.stop().await;
    let new = deployment.herald().await;
    assert_eq!(told(&sign_up(&new.url, "late").await), (403, "sign-up-closed"));
    assert_eq!(log_in(&new.url, "early", PASSWORD).await.status, 200, "who is in stays in");
    set(true).await;
    assert_eq!(sign_up(&new.url, "late").await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_of_what_one_sees_and_is_seen_to_by_an_operator() {
    let deployment = Deployment::new().await;
    let herald = deployment.operated().await;
    let desk = Desk::of(&deployment, &herald, "Eve").await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let stranger = Person::sign_up(&herald.url).await;
    let sent = bob.write(&ada, "I know where you live").await;
    let thread_id = sent.body["thread_id"].as_str().unwrap().to_owned();
    let of = |number: u32, reason: &str| json!({ "thread_id": thread_id, "number": number, "reason": reason });
    let report = async |by: &Person, body: Value| {
        let request = by.request(Method::POST, "/v1/reports").header("herald-after", sent.position());
        send(request.json(&body)).await
    };
    assert_eq!(told(&report(&stranger, of(1, "rude")).await), (404, "not-found"));
    for number in [0, 2, u32::MAX] {
        assert_eq!(told(&report(&ada, of(number, "rude")).await), (404, "not-found"), "{number}");
    }
    let elsewhere = json!({ "thread_id": key(), "number": 1, "reason": "rude" });
    assert_eq!(told(&report(&ada, elsewhere).await), (404, "not-found"));
    assert_eq!(told(&report(&ada, of(1, "")).await), (422, "validation"));
    let first = report(&ada, of(1, "\u{1b}[31mhe threatens me")).await;
    assert_eq!(told(&first), (422, "validation"), "no terminal is painted");
    let first = report(&ada, of(1, "he threatens me")).await;
    assert_eq!(first.status, 204, "{first:?}");
    let again = report(&ada, of(1, "he still does")).await;
    assert_eq!((again.status.as_u16(), again.position()), (204, first.position()));

    let open = desk.get_after(first.position(), "/reports").await;
    let listed = &open.body["reports"][0];
    assert_eq!(
        (&listed["position"], &listed["reporter_id"]),
        (&json!(first.position()), &json!(ada.user_id)),
        "{open:?}"
    );
    let path = format!("/reports/{}", first.position());
    let whole = desk.get(&path).await.body;
    let message = (&whole["message"]["sender_id"], &whole["message"]["body"], &whole["reason"]);
    let expected = (&json!(bob.user_id), &json!("I know where you live"), &json!("he threatens me"));
    assert_eq!(message, expected, "{whole}");
    assert_eq!(told(&desk.get("/reports/0:99999").await), (404, "not-found"));
    let because = json!({ "reason": "bob was suspended" });
    let resolved = desk.ask(Method::POST, &format!("{path}/resolve"), because.clone()).await;
    assert_eq!(resolved.status, 204, "{resolved:?}");
    let open = desk.get_after(resolved.position(), "/reports").await;
    assert_eq!(open.body, json!({ "reports": [] }));
    assert!(desk.get_after(resolved.position(), &path).await.body["resolved_at"].is_string());
    assert_eq!(report(&ada, of(1, "again")).await.status, 204);

    let thread: ThreadId = thread_id.parse().unwrap();
    let deeds = kinds(&deployment, Trail::Thread(thread)).await;
    assert_eq!(deeds, ["direct_opened", "thread_audited"].map(str::to_owned).into(), "that it was read is told");
    assert_eq!(ada.get("/v1/me/export").await.status, 200);
    let deeds = kinds(&deployment, Trail::User(ada.user_id.parse().unwrap())).await;
    for kind in ["data_exported", "direct_opened", "message_reported", "report_resolved", "signed_up"] {
        assert!(deeds.contains(kind), "{kind}: {deeds:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_left_reports_nothing_of_what_is_written_there_and_too_many_reports_are_refused() {
    let deployment = Deployment::new().await;
    let herald = deployment.limited(&[]).await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let thread = ada.create_group(&[&bob]).await;
    let sent = ada.write_in(&thread, "for members").await;
    assert_eq!(sent.status, 201, "{sent:?}");
    let body = json!({ "thread_id": thread, "number": 1, "reason": "rude" });
    let report = |by: &Person, after: &str| {
        let request = by.request(Method::POST, "/v1/reports").header("herald-after", after);
        send(request.json(&body))
    };
    assert_eq!(report(&bob, sent.position()).await.status, 204);
    let left = bob.delete(&format!("/v1/threads/{thread}/members/{}", bob.user_id)).await;
    assert_eq!(left.status, 204, "{left:?}");
    assert_eq!(told(&report(&bob, left.position()).await), (404, "not-found"));

    let mut flood = JoinSet::new();
    for _ in 0..40 {
        flood.spawn(report(&ada, sent.position()));
    }
    let answers = flood.join_all().await;
    let (limited, reported): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 429);
    assert!(!limited.is_empty() && limited.iter().all(|answer| told(answer) == (429, "too-many-requests")));
    let facts: BTreeSet<_> = reported.iter().map(|answer| answer.position()).collect();
    assert_eq!(facts.len(), 1, "however often, it is one report: {reported:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_is_the_same_after_its_view_was_made_anew() {
    let deployment = Deployment::new().await;
    let herald = deployment.operated().await;
    let desk = Desk::of(&deployment, &herald, "Eve").await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let thread = ada.create_group(&[&bob]).await;
    ada.write_in(&thread, "no deed").await;
    ada.put(&format!("/v1/threads/{thread}/members/{}", bob.user_id), json!({ "role": "admin" })).await;
    ada.delete(&format!("/v1/threads/{thread}/members/{}", bob.user_id)).await;
    let because = json!({ "reason": "threatens others" });
    assert_eq!(desk.ask(Method::POST, &format!("/users/{}/suspend", bob.user_id), because).await.status, 204);
    let thread: ThreadId = thread.parse().unwrap();
    desk.operators.audit_thread(desk.operator.operator_id, thread).await.unwrap();
    let people = [&ada.user_id, &bob.user_id].map(|id| id.parse::<UserId>().unwrap());
    let trails = [Trail::Thread(thread), Trail::User(people[0]), Trail::User(people[1])];
    let mut before = Vec::new();
    for trail in trails {
        before.push(deeds(&deployment, trail).await);
    }
    let told: Vec<_> = before[0].iter().map(|deed| (deed.kind.as_str(), deed.detail.as_deref())).collect();
    let admin = Some("admin");
    let expected =
        [("group_created", None), ("role_changed", admin), ("member_removed", None), ("thread_audited", None)];
    assert_eq!(told, expected);
    let removed = &before[0][2];
    assert_eq!((removed.by, removed.user_id), (Some(people[0]), Some(people[1])), "who did what to whom");
    assert!(before[2].iter().any(|deed| deed.kind == "suspended" && deed.by == Some(desk.operator.operator_id)));

    let rebuilt = rebuild(&deployment, &[projection::View::Audit], Goal::Swap).await;
    let tables = rebuilt.iter().flat_map(|rebuilt| rebuilt.tables.as_ref().expect("they are compared"));
    assert!(tables.clone().all(|table| table.equal), "{rebuilt:?}");
    assert!(tables.map(|table| table.built).sum::<u64>() > 8, "{rebuilt:?}");
    for (trail, before) in trails.into_iter().zip(before) {
        assert_eq!(deeds(&deployment, trail).await, before);
    }
}
