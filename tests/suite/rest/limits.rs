//! What counts as writing: one limit for all of it.

use super::{NOBODY, told};
use crate::{
    harness::Deployment,
    people::{Person, key, send},
};
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use tokio::task::JoinSet;

/// More than a burst, and than what comes back meanwhile.
const FLOOD: usize = 150;

#[tokio::test(flavor = "multi_thread")]
async fn all_that_writes_counts_against_one_limit() {
    let herald = Deployment::new().await.limited(&[]).await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let thread = ada.create_group(&[&bob]).await;
    ada.write_in(&thread, "hello").await;
    let message = format!("/v1/threads/{thread}/messages/1");
    let bobs = |list: &str| format!("{list}/{}", bob.user_id);
    for (method, path, body) in [
        (Method::PATCH, message.clone(), Some(json!({ "body": "hello again" }))),
        (Method::PUT, format!("{message}/reactions/%F0%9F%91%8D"), None),
        (Method::DELETE, format!("{message}/reactions/%F0%9F%91%8D"), None),
        (Method::DELETE, message, None),
        (Method::POST, "/v1/threads".into(), Some(json!({ "kind": "direct", "user_id": bob.user_id }))),
        (Method::PATCH, format!("/v1/threads/{thread}"), Some(json!({ "title": "title" }))),
        (Method::PUT, bobs(&format!("/v1/threads/{thread}/members")), None),
        (Method::DELETE, format!("/v1/threads/{thread}/members/{NOBODY}"), None),
        (Method::PUT, format!("/v1/threads/{thread}/settings"), Some(json!({ "pinned": true }))),
        (Method::PUT, bobs("/v1/contacts"), None),
        (Method::DELETE, bobs("/v1/contacts"), None),
        (Method::PUT, bobs("/v1/blocks"), None),
        (Method::DELETE, bobs("/v1/blocks"), None),
        (Method::POST, "/v1/messages".into(), Some(json!({ "to": bob.user_id, "key": key(), "body": "hi" }))),
    ] {
        let mut flood = JoinSet::new();
        for _ in 0..FLOOD {
            let request = ada.request(method.clone(), &path);
            flood.spawn(send(body.iter().fold(request, RequestBuilder::json)));
        }
        let answers = flood.join_all().await;
        let limited: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
        assert!(!limited.is_empty(), "{method} {path}");
        for answer in limited {
            assert_eq!(told(answer), (429, "too-many-requests"));
            assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1);
        }
    }
    // Nobody else pays for it. That ada still blocks bob may be: what took it back was refused as well.
    let cyd = Person::sign_up(&herald.url).await;
    assert_eq!(told(&bob.put(&format!("/v1/contacts/{}", cyd.user_id), json!({})).await), (204, ""));
}
