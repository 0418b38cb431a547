//! Oneself over REST: sessions that are listed and ended on every node, the
//! password, the profile.

use crate::{
    harness::Deployment,
    people::{Answer, PASSWORD, Person, send},
    socket::client::{Client, Closed},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

const NOBODY: &str = "00000000-0000-7000-8000-000000000000";

async fn delete(person: &Person, path: &str) -> Answer {
    send(person.request(Method::DELETE, path)).await
}

async fn refresh(person: &Person) -> Answer {
    send(
        reqwest::Client::new()
            .post(format!("{}/v1/token", person.url))
            .json(&json!({ "refresh_token": person.refresh_token })),
    )
    .await
}

async fn sessions(person: &Person) -> Vec<Value> {
    let answer = person.get("/v1/sessions").await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert!(!answer.header("herald-as-of").is_empty());
    answer.body["sessions"].as_array().unwrap().clone()
}

/// The session is refused on that node, and its socket was closed, within a second.
async fn ends(person: &Person, socket: &mut Client, since: Instant) {
    while person.get("/v1/me").await.status != StatusCode::UNAUTHORIZED {
        assert!(since.elapsed() < Duration::from_secs(1), "REST goes on");
    }
    let Closed { code, .. } = socket.closed().await;
    assert_eq!(code, 4401);
    assert!(since.elapsed() < Duration::from_secs(1), "the socket goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_listed_and_ended_from_another_on_every_node() {
    let deployment = Deployment::new().await;
    let (here, there) = (deployment.herald().await, deployment.herald().await);
    let ada = Person::sign_up(&here.url).await;
    let body = json!({ "username": ada.username, "password": PASSWORD, "device": "Ada's telephone" });
    let logged_in = send(reqwest::Client::new().post(format!("{}/v1/login", there.url)).json(&body)).await;
    let telephone = ada.with_tokens(&there.url, &logged_in.body);
    let bob = Person::sign_up(&there.url).await;

    let listed = sessions(&telephone).await;
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert_eq!(listed.iter().map(|session| &session["current"]).collect::<Vec<_>>(), [false, true]);
    assert_eq!((&listed[0]["device"], &listed[1]["device"]), (&Value::Null, &json!("Ada's telephone")));
    let id = listed[1]["session_id"].as_str().unwrap();
    assert_eq!(id, logged_in.body["session_id"]);
    assert_eq!(listed[1]["created_at"], listed[1]["last_used_at"]);
    let refreshed = refresh(&telephone).await;
    assert_eq!(refreshed.status, StatusCode::OK);
    let listed = sessions(&ada).await;
    assert_eq!(listed.iter().map(|session| &session["current"]).collect::<Vec<_>>(), [true, false]);
    assert!(listed[1]["last_used_at"].as_str().unwrap() > listed[1]["created_at"].as_str().unwrap(), "{listed:?}");

    for (who, path, status) in [
        (&bob, format!("/v1/sessions/{id}"), 404),
        (&ada, format!("/v1/sessions/{NOBODY}"), 404),
        (&ada, "/v1/sessions/mine".to_owned(), 400),
    ] {
        assert_eq!(delete(who, &path).await.status.as_u16(), status, "{path}");
    }
    let mut sockets = [Client::live(&telephone).await, Client::live(&telephone.at(&here.url)).await];
    let since = Instant::now();
    let ended = delete(&ada, &format!("/v1/sessions/{id}")).await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT, "{ended:?}");
    assert!(!ended.position().is_empty());
    for (url, socket) in [&there.url, &here.url].into_iter().zip(&mut sockets) {
        ends(&telephone.at(url), socket, since).await;
    }
    assert_eq!(delete(&ada, &format!("/v1/sessions/{id}")).await.problem(), "not-found");
    let successor = telephone.with_tokens(&there.url, &refreshed.body);
    assert_eq!(refresh(&successor).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(sessions(&ada).await.len(), 1);
    assert_eq!(bob.get("/v1/me").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_password_ends_every_other_session_on_every_node() {
    let deployment = Deployment::new().await;
    let (here, there) = (deployment.herald().await, deployment.herald().await);
    let ada = Person::sign_up(&here.url).await;
    let (second, third) = (ada.log_in(&here.url).await, ada.log_in(&there.url).await);
    let mut own = Client::live(&ada).await;
    let mut sockets = [Client::live(&second).await, Client::live(&third).await];

    let change = |current: &str, new: &str| {
        let body = json!({ "current": current, "new": new });
        send(ada.request(Method::POST, "/v1/me/password").json(&body))
    };
    let new = "another battery staple";
    assert_eq!(change("a wrong horse", new).await.problem(), "bad-credentials");
    for weak in ["short", "password1", &format!("{}!!", ada.username)] {
        let refused = change(PASSWORD, weak).await;
        assert_eq!((refused.status.as_u16(), &refused.body["errors"][0]["field"]), (422, &json!("new")), "{weak}");
    }
    assert_eq!(sessions(&ada).await.len(), 3, "nothing has happened so far");

    let since = Instant::now();
    let changed = change(PASSWORD, new).await;
    assert_eq!(changed.status, StatusCode::NO_CONTENT, "{changed:?}");
    for (person, socket) in [&second, &third].into_iter().zip(&mut sockets) {
        for url in [&here.url, &there.url] {
            while person.at(url).get("/v1/me").await.status != StatusCode::UNAUTHORIZED {
                assert!(since.elapsed() < Duration::from_secs(1), "REST goes on");
            }
        }
        ends(person, socket, since).await;
        assert_eq!(refresh(person).await.status, StatusCode::UNAUTHORIZED);
    }
    // This one goes on, its socket and its refresh token too.
    assert_eq!(own.drain().await, Vec::<Value>::new());
    assert_eq!(refresh(&ada).await.status, StatusCode::OK);
    assert_eq!(sessions(&ada).await.len(), 1);
    let log_in = |password: &str| {
        let body = json!({ "username": ada.username, "password": password });
        send(reqwest::Client::new().post(format!("{}/v1/login", there.url)).json(&body))
    };
    assert_eq!(log_in(PASSWORD).await.problem(), "bad-credentials");
    assert_eq!(log_in(new).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_changed_in_part_and_seen_by_others() {
    let herald = Deployment::new().await.herald().await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let me = ada.get("/v1/me").await.body;
    assert_eq!((&me["last_seen_visible_to"], &me["may_add_me"]), (&json!("everyone"), &json!("everyone")));
    let change = |body: Value| send(ada.request(Method::PATCH, "/v1/me").json(&body));

    let changed = change(json!({ "about": " Enchantress\nof numbers ", "may_add_me": "contacts" })).await;
    assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    let mut expected = me.clone();
    expected["about"] = json!("Enchantress\nof numbers");
    expected["may_add_me"] = json!("contacts");
    assert_eq!(changed.body, expected);
    let renamed = change(json!({ "display_name": "Ada Lovelace", "last_seen_visible_to": "nobody" })).await;
    expected["display_name"] = json!("Ada Lovelace");
    expected["last_seen_visible_to"] = json!("nobody");
    assert_eq!(renamed.body, expected);
    assert_eq!(ada.get_after(renamed.position(), "/v1/me").await.body, expected);

    let seen = bob.get_after(renamed.position(), &format!("/v1/users/{}", ada.user_id)).await.body;
    assert_eq!((&seen["display_name"], &seen["about"]), (&expected["display_name"], &expected["about"]));
    assert_eq!(seen["last_seen_visible_to"], Value::Null, "that is nobody else's");

    // What is already so writes no fact.
    for same in [json!({}), json!({ "may_add_me": "contacts", "last_seen_visible_to": "nobody" })] {
        assert_eq!(change(same.clone()).await.position(), renamed.position(), "{same}");
    }
    let cleared = change(json!({ "about": "" })).await;
    assert_eq!(cleared.body["about"], "");
    for (field, value) in [
        ("display_name", json!("")),
        ("display_name", json!("a\u{7}")),
        ("about", json!("x".repeat(257))),
        ("last_seen_visible_to", json!("friends")),
        ("may_add_me", json!("nobody")),
        ("username", json!("countess")),
    ] {
        let refused = change(json!({ field: value })).await;
        assert_eq!((refused.status.as_u16(), &refused.body["errors"][0]["field"]), (422, &json!(field)));
    }
}
