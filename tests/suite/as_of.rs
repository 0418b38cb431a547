//! A thread as it stood, asked of a herald that runs, by its facts alone.

use crate::{
    harness::{folder, program},
    people::Person,
    process::Process,
};
use serde_json::{Value, json};
use std::process::Output;
use tokio::process::Command;

async fn as_of(data: &str, thread: &str, at: &str, more: &[&str]) -> Output {
    let mut command = Command::new(program());
    command.args(["as-of", "--data", data, "--thread", thread, "--at", at]).args(more);
    command.kill_on_drop(true).output().await.unwrap()
}

async fn told(data: &str, thread: &str, at: &str, more: &[&str]) -> Value {
    let output = as_of(data, thread, at, &[more, &["--json"]].concat()).await;
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice::<Value>(&output.stdout).unwrap()["as_of"].take()
}

async fn refused(data: &str, thread: &str, at: &str, more: &[&str]) -> String {
    let output = as_of(data, thread, at, more).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_is_told_as_it_stood_at_a_position_or_a_time() {
    let data = folder("as-of");
    let data = data.to_str().unwrap();
    let herald = Process::start(&["--data", data, "--durability", "unsynced"]).await;
    let url = &herald.url;
    let (ada, bob, carol) = (Person::sign_up(url).await, Person::sign_up(url).await, Person::sign_up(url).await);
    let thread = ada.create_group(&[&bob]).await;
    let message = |number: u32| format!("/v1/threads/{thread}/messages/{number}");
    let sent = ada.write_in(&thread, "first").await;
    let after = async |position: &str| _ = ada.get_after(position, &format!("/v1/threads/{thread}/messages")).await;
    after(sent.position()).await;
    let edited = ada.patch(&message(1), json!({ "body": "edited" })).await;
    after(edited.position()).await;
    let added = ada.put(&format!("/v1/threads/{thread}/members/{}", carol.user_id), json!({})).await;
    let second = bob.write_in(&thread, "second").await;
    after(second.position()).await;
    let deleted = ada.delete(&message(1)).await;
    let removed = ada.delete(&format!("/v1/threads/{thread}/members/{}", bob.user_id)).await;

    let then = told(data, &thread, sent.position(), &[]).await;
    assert_eq!(then["messages"]["1"]["body"], "first", "{then:#}");
    assert_eq!(then["members"].as_object().unwrap().len(), 2);
    let then = told(data, &thread, edited.position(), &[]).await;
    assert_eq!((&then["messages"]["1"]["body"], &then["kind"]), (&json!("edited"), &json!("group")));
    let then = told(data, &thread, added.position(), &[]).await;
    assert_eq!(then["members"][&carol.user_id]["sees_from"], 2, "{then:#}");
    assert_eq!(then["messages"]["1"]["seen_by"].as_array().unwrap().len(), 2);
    let then = told(data, &thread, second.position(), &["--message", "2"]).await;
    assert_eq!(then["messages"]["2"]["seen_by"].as_array().unwrap().len(), 3);
    assert_eq!(then["messages"].as_object().unwrap().len(), 1);
    let then = told(data, &thread, deleted.position(), &["--last", "2"]).await;
    let first = &then["messages"]["1"];
    assert_eq!((&first["body"], &first["state"]), (&Value::Null, &json!("deleted")));
    let now = told(data, &thread, "2999-01-01T00:00:00Z", &[]).await;
    assert_eq!(now["position"], removed.position());
    assert!(now["members"].get(&bob.user_id).is_none());
    assert_eq!(now["title"], "group");

    let text = String::from_utf8(as_of(data, &thread, sent.position(), &[]).await.stdout).unwrap();
    assert!(text.contains("  owner, since ") && text.ends_with(": first\n"), "{text}");
    for (thread, at, more, why) in [
        (&thread, "2001-01-01T00:00:00Z", &[][..], "was not there then"),
        (&bob.user_id, "2999-01-01T00:00:00Z", &[], "no such thread"),
        (&thread, sent.position(), &["--message", "2"], "no message 2 then"),
        (&thread, "0:999999", &[], ""),
    ] {
        let said = refused(data, thread, at, more).await;
        assert!(said.contains(why), "{said}");
    }
}
