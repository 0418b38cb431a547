//! Contacts, blocks, and who finds whom.

use super::{NOBODY, fields, told};
use crate::{harness::Deployment, people::Person};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test(flavor = "multi_thread")]
async fn contacts_are_kept_under_an_alias_or_none_and_listed_in_pages() {
    let deployment = Deployment::new().await;
    let (a, b) = (deployment.herald().await, deployment.herald().await);
    let ada = Person::sign_up(&a.url).await;
    let ada_at_b = ada.at(&b.url);
    let others = [Person::sign_up(&a.url).await, Person::sign_up(&a.url).await, Person::sign_up(&b.url).await];
    let mut last = String::new();
    for (index, other) in others.iter().enumerate() {
        let path = format!("/v1/contacts/{}", other.user_id);
        // A body may be left out.
        let saved = if index == 0 {
            crate::people::send(ada.request(Method::PUT, &path)).await
        } else {
            ada.put(&path, json!({ "alias": format!("alias {index}") })).await
        };
        assert_eq!(saved.status, StatusCode::NO_CONTENT, "{saved:?}");
        last = saved.position().to_owned();
    }
    let listed = ada_at_b.get_after(&last, "/v1/contacts").await;
    let contacts = listed.body["contacts"].as_array().unwrap();
    assert_eq!(contacts.len(), 3);
    assert_eq!(
        fields(&contacts[0]),
        BTreeSet::from(["user_id", "username", "display_name", "about", "picture", "alias"])
    );
    let of = |person: &Person| contacts.iter().find(|contact| contact["user_id"] == person.user_id.as_str()).unwrap();
    assert_eq!((&of(&others[0])["alias"], &of(&others[1])["alias"]), (&Value::Null, &json!("alias 1")));

    let mut paged = Vec::new();
    let mut path = "/v1/contacts?limit=2".to_owned();
    loop {
        let page = ada_at_b.get_after(&last, &path).await;
        paged.extend(page.body["contacts"].as_array().unwrap().clone());
        let Some(next) = page.body["next"].as_str() else { break };
        path = format!("/v1/contacts?limit=2&cursor={next}");
    }
    assert_eq!(&paged, contacts);

    let path = format!("/v1/contacts/{}", others[1].user_id);
    for _ in 0..2 {
        let removed = ada_at_b.delete(&path).await;
        assert_eq!(removed.status, StatusCode::NO_CONTENT);
        let left = ada.get_after(removed.position(), "/v1/contacts").await;
        assert_eq!(left.body["contacts"].as_array().unwrap().len(), 2);
    }
    for (path, body, expected) in [
        (format!("/v1/contacts/{NOBODY}"), json!({}), (404, "not-found")),
        ("/v1/contacts/x".to_owned(), json!({}), (400, "malformed")),
        (format!("/v1/contacts/{}", ada.user_id), json!({}), (422, "validation")),
        (path.clone(), json!({ "alias": " " }), (422, "validation")),
        (path.clone(), json!({ "alias": "x".repeat(65) }), (422, "validation")),
        (path.clone(), json!({ "alias": "a\nb" }), (422, "validation")),
        (path, json!({ "nickname": "x" }), (422, "validation")),
    ] {
        assert_eq!(told(&ada.put(&path, body.clone()).await), expected, "{path} {body}");
    }
    let cursor = ada.get("/v1/contacts?limit=1").await.body["next"].as_str().unwrap().to_owned();
    assert_eq!(told(&ada.get(&format!("/v1/blocks?cursor={cursor}")).await), (400, "invalid-cursor"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_somebody_blocks_cannot_write_to_them_nor_find_them() {
    let deployment = Deployment::new().await;
    let (a, b) = (deployment.herald().await, deployment.herald().await);
    let (ada, bob) = (Person::sign_up(&a.url).await, Person::sign_up(&b.url).await);
    let eve = Person::sign_up(&a.url).await;
    assert_eq!(ada.write(&bob, "hi").await.status, StatusCode::CREATED);
    let block = format!("/v1/blocks/{}", ada.user_id);
    let blocked = bob.put(&block, json!({})).await;
    assert_eq!(blocked.status, StatusCode::NO_CONTENT);

    assert_eq!(told(&ada.write(&bob, "hello?").await), (403, "blocked"));
    let thread = crate::rest::thread_of(&eve, &bob).await;
    assert_eq!(told(&ada.write_in(&thread, "hello?").await), (404, "not-found"));
    let hidden = ada.get_after(blocked.position(), &format!("/v1/users/{}", bob.user_id)).await;
    let absent = ada.get(&format!("/v1/users/{NOBODY}")).await;
    assert_eq!((hidden.status, &hidden.body), (StatusCode::NOT_FOUND, &absent.body));
    assert_eq!(told(&ada.get(&format!("/v1/users?username={}", bob.username)).await), (404, "not-found"));
    assert_eq!(told(&ada.put(&format!("/v1/contacts/{}", bob.user_id), json!({})).await), (404, "not-found"));
    let body = json!({ "kind": "group", "title": "group", "member_ids": [bob.user_id] });
    assert_eq!(told(&ada.post("/v1/threads", body).await), (403, "may-not-add"));
    // In the inbox their thread stays, with a name and no more.
    let inbox = ada.get_after(blocked.position(), "/v1/threads").await;
    assert_eq!(inbox.body["threads"][0]["peer"]["display_name"], bob.username.as_str());
    // To all others, and to the blocker, nothing is another.
    assert_eq!(eve.get(&format!("/v1/users/{}", bob.user_id)).await.body["display_name"], "Some Body");
    assert_eq!(bob.get(&format!("/v1/users/{}", ada.user_id)).await.status, StatusCode::OK);
    let blocks = bob.get_after(blocked.position(), "/v1/blocks").await;
    assert_eq!(blocks.body["blocks"][0]["user_id"], ada.user_id.as_str());
    assert_eq!(ada.get("/v1/blocks").await.body["blocks"], json!([]));

    for _ in 0..2 {
        assert_eq!(bob.delete(&block).await.status, StatusCode::NO_CONTENT);
    }
    assert_eq!(ada.write(&bob, "hello").await.status, StatusCode::CREATED);
    assert_eq!(told(&bob.put(&format!("/v1/blocks/{}", bob.user_id), json!({})).await), (422, "validation"));
    assert_eq!(told(&bob.put(&format!("/v1/blocks/{NOBODY}"), json!({})).await), (404, "not-found"));
    // Who never wrote can be blocked as well: then no thread comes to be.
    assert_eq!(bob.put(&format!("/v1/blocks/{}", eve.user_id), json!({})).await.status, StatusCode::NO_CONTENT);
    let mallory = Person::sign_up(&a.url).await;
    assert_eq!(bob.put(&format!("/v1/blocks/{}", mallory.user_id), json!({})).await.status, StatusCode::NO_CONTENT);
    assert_eq!(told(&mallory.write(&bob, "let me in").await), (403, "blocked"));
    let open = json!({ "kind": "direct", "user_id": bob.user_id });
    assert_eq!(told(&mallory.post("/v1/threads", open).await), (403, "blocked"));
    assert_eq!(mallory.get("/v1/threads").await.body["threads"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_add_somebody_is_for_them_to_say() {
    let herald = crate::harness::Herald::start().await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    assert_eq!(bob.patch("/v1/me", json!({ "may_add_me": "contacts" })).await.status, StatusCode::OK);
    let group = json!({ "kind": "group", "title": "group", "member_ids": [bob.user_id] });
    let refused = ada.post("/v1/threads", group.clone()).await;
    assert_eq!(told(&refused), (403, "may-not-add"));
    assert_eq!(refused.body["errors"][0]["field"], bob.user_id.as_str());
    let thread = ada.create_group(&[]).await;
    let member = format!("/v1/threads/{thread}/members/{}", bob.user_id);
    assert_eq!(told(&ada.put(&member, json!({})).await), (403, "may-not-add"));
    assert_eq!(bob.put(&format!("/v1/contacts/{}", ada.user_id), json!({})).await.status, StatusCode::NO_CONTENT);
    assert_eq!(ada.put(&member, json!({})).await.status, StatusCode::NO_CONTENT);
    assert_eq!(ada.post("/v1/threads", group).await.status, StatusCode::CREATED);
}
