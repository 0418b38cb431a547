//! What is written and cannot be read yet is no failure.

use super::told;
use crate::{harness::Deployment, people::Person};
use events::{Position, Vector};
use herald::node::Role;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_the_views_do_not_show_yet_is_answered_as_done() {
    let deployment = Deployment::new().await;
    let whole = deployment.herald().await;
    let (ada, bob) = (Person::sign_up(&whole.url).await, Person::sign_up(&whole.url).await);
    let thread = format!("/v1/threads/{}", ada.create_group(&[&bob]).await);
    let seen = ada.patch(&thread, json!({ "title": "one" })).await;
    assert_eq!((told(&seen), &seen.body["title"]), ((200, ""), &json!("one")));
    ada.patch("/v1/me", json!({ "about": "before" })).await;
    whole.stop().await;

    // Nobody brings the views up to date.
    let edge = deployment.node([Role::Command, Role::Query, Role::Gateway]).await;
    let ada = ada.at(&edge.url);
    let renamed = ada.patch(&thread, json!({ "title": "two" })).await;
    assert_eq!((told(&renamed), &renamed.body["title"]), ((200, ""), &json!("two")));
    assert_eq!(renamed.body["member_count"], 2);
    let (as_of, position): (Vector, Position) =
        (renamed.header("herald-as-of").parse().unwrap(), renamed.position().parse().unwrap());
    assert!(as_of.get(position.partition) < position.sequence, "{as_of} is what the view has seen, not {position}");
    let change = json!({ "about": "after", "last_seen_visible_to": "nobody", "may_add_me": "contacts" });
    let changed = ada.patch("/v1/me", change.clone()).await;
    assert_eq!(told(&changed), (200, ""));
    for (field, value) in change.as_object().unwrap() {
        assert_eq!(&changed.body[field], value);
    }
    assert_eq!(changed.body["username"], json!(ada.username));

    deployment.wipe_postgres().await;
    let renamed = ada.patch(&thread, json!({ "title": "three" })).await;
    let changed = ada.patch("/v1/me", json!({ "about": "at last" })).await;
    for answer in [&renamed, &changed] {
        assert_eq!(told(answer), (204, ""), "{answer:?}");
    }
}
