//! How threads are kept: muted, archived, pinned.

use super::told;
use crate::{harness::Deployment, people::Person};
use reqwest::StatusCode;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_the_callers_own_and_partial() {
    let deployment = Deployment::new().await;
    let (a, b) = (deployment.herald().await, deployment.herald().await);
    let (ada, bob) = (Person::sign_up(&a.url).await, Person::sign_up(&a.url).await);
    ada.write(&bob, "hi").await;
    let thread = super::thread_of(&ada, &bob).await;
    let path = format!("/v1/threads/{thread}/settings");
    let until = "2030-01-31T12:00:00.000Z";
    let muted = ada.put(&path, json!({ "muted_until": "2030-01-31T13:00:00+01:00" })).await;
    assert_eq!(muted.status, StatusCode::NO_CONTENT, "{muted:?}");
    let pinned = ada.put(&path, json!({ "pinned": true, "archived": true })).await;
    assert_eq!(ada.put(&path, json!({ "pinned": true })).await.position(), pinned.position());
    let list = async |who: &Person, archived: bool| {
        let page = who.at(&b.url).get_after(pinned.position(), &format!("/v1/threads?archived={archived}")).await;
        page.body["threads"].as_array().unwrap().clone()
    };
    assert_eq!((list(&ada, false).await.len(), list(&bob, true).await.len()), (0, 0));
    let kept = list(&ada, true).await.remove(0);
    assert_eq!((&kept["muted_until"], &kept["archived"], &kept["pinned"]), (&json!(until), &json!(true), &json!(true)));
    let plain = list(&bob, false).await.remove(0);
    assert_eq!(
        (&plain["muted_until"], &plain["archived"], &plain["pinned"]),
        (&Value::Null, &json!(false), &json!(false))
    );

    let cleared = ada.put(&path, json!({ "muted_until": null, "archived": false })).await;
    let inbox = ada.get_after(cleared.position(), "/v1/threads").await;
    assert_eq!(
        (&inbox.body["threads"][0]["muted_until"], &inbox.body["threads"][0]["pinned"]),
        (&Value::Null, &json!(true))
    );
    for body in [
        json!({ "muted_until": "tomorrow" }),
        json!({ "muted_until": 7 }),
        json!({ "pinned": null, "x": 1 }),
        json!({ "archived": "yes" }),
    ] {
        assert_eq!(told(&ada.put(&path, body.clone()).await), (422, "validation"), "{body}");
    }
}
