//! Who operates a deployment and who did what in it, by the commands that operators
//! have: readable, of a terminal's no concern, and that it was read stands in it.

use crate::{
    harness::{folder, program},
    people::{PASSWORD, Person, send},
    process::Process,
};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::path::PathBuf;
use tokio::process::Command;

/// A herald of its own with an operators' listener.
struct Deployment {
    data: PathBuf,
    herald: Process,
    operators_url: String,
}

impl Deployment {
    async fn start(name: &str) -> Self {
        let data = folder(name);
        let arguments =
            ["--data", data.to_str().unwrap(), "--durability", "unsynced", "--operator-listen", "127.0.0.1:0"];
        let herald = Process::start(&arguments).await;
        let served = |line: &String| line.split_once("operators are served on ").map(|(_, url)| url.to_owned());
        let operators_url = loop {
            if let Some(url) = herald.said().lines().iter().find_map(served) {
                break url;
            }
        };
        Self { data, herald, operators_url }
    }

    /// What a command says, and its exit code.
    async fn run(&self, words: &[&str], token: Option<&str>) -> (Option<i32>, String) {
        let mut command = Command::new(program());
        command.args(words).args(["--data", self.data.to_str().unwrap()]).kill_on_drop(true);
        if let Some(token) = token {
            command.env("HERALD_OPERATOR_TOKEN", token);
        }
        let output = command.output().await.unwrap();
        let text = if output.status.success() { output.stdout } else { output.stderr };
        (output.status.code(), String::from_utf8(text).unwrap())
    }

    async fn done(&self, words: &[&str], token: Option<&str>) -> String {
        let (code, told) = self.run(words, token).await;
        assert_eq!(code, Some(0), "{words:?}: {told}");
        told
    }

    async fn refused(&self, words: &[&str], token: Option<&str>) -> String {
        let (code, told) = self.run(words, token).await;
        assert_eq!(code, Some(1), "{words:?}: {told}");
        told
    }
}

/// What a line of a trail says was done.
fn kinds(trail: &str) -> Vec<&str> {
    trail.lines().map(|line| line.split("  ").nth(2).unwrap().split(' ').next().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_are_made_and_removed_and_read_who_did_what_which_stands_there_too() {
    let deployment = Deployment::start("trail").await;
    let url = &deployment.herald.url;
    let token = deployment.done(&["operator", "add", "Eve"], None).await;
    let token = token.trim();
    assert!(token.starts_with("herald_operator_") && token.len() > 50, "{token}");
    let told = deployment.refused(&["operator", "add", "Eve"], None).await;
    assert!(told.contains("there is an operator of that name"), "{told}");
    assert_eq!(deployment.run(&["operator", "add", "E\u{1b}[31mve"], None).await.0, Some(2));
    let listed = deployment.done(&["operator", "list"], None).await;
    assert!(listed.lines().count() == 1 && listed.trim_end().ends_with("  Eve"), "{listed}");
    let (eve, _) = listed.split_once(' ').unwrap();

    let ada = Person::sign_up(url).await;
    let device = json!({ "username": ada.username, "password": PASSWORD, "device": "fon\u{202e}gpj.exe" });
    assert_eq!(send(Client::new().post(format!("{url}/v1/login")).json(&device)).await.status, 200);
    let bob = Person::sign_up(url).await;
    let thread = ada.create_group(&[&bob]).await;
    let because = json!({ "reason": "a first line\nand 2026-01-01T00:00:00.000Z  0:1  restored by nobody" });
    let suspend = format!("{}/operator/v1/users/{}/suspend", deployment.operators_url, bob.user_id);
    let suspended = Client::new().request(Method::POST, suspend).bearer_auth(token).json(&because);
    assert_eq!(send(suspended).await.status, 204);

    let trail = deployment.done(&["audit", "user", &ada.username], Some(token)).await;
    assert_eq!(
        kinds(&trail),
        ["signed_up", "session_opened", "session_opened", "group_created", "user_audited"],
        "{trail}"
    );
    assert!(trail.contains("fon\\u{202e}gpj.exe"), "no text turns what stands beside it: {trail}");
    let lines: Vec<_> = trail.lines().collect();
    let by_ada = format!("by {} ({})", ada.username, ada.user_id);
    let with_bob = format!("{by_ada}, {} ({}), of {thread}", bob.username, bob.user_id);
    assert!(lines[0].ends_with(&format!("signed_up {by_ada}")), "{trail}");
    assert!(lines[3].ends_with(&format!("group_created {with_bob}")), "{trail}");
    let read = format!("user_audited by Eve ({eve}), {} ({})", ada.username, ada.user_id);
    assert!(lines[4].ends_with(&read), "that it is read is told: {trail}");

    // By id, and as lines of JSON; what was done to somebody is one line whatever was said of it.
    let trail = deployment.done(&["audit", "user", &bob.user_id, "--json"], Some(token)).await;
    let deeds: Vec<Value> = trail.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let suspended = deeds.iter().find(|deed| deed["what"] == "suspended").unwrap();
    assert_eq!((&suspended["by"], &suspended["of"]), (&json!(eve), &json!(bob.user_id)), "{trail}");
    assert_eq!(suspended["detail"], because["reason"]);
    let trail = deployment.done(&["audit", "user", &bob.username], Some(token)).await;
    assert!(!kinds(&trail).contains(&"restored") && trail.contains("a first line\\nand"), "{trail}");
    let trail = deployment.done(&["audit", "thread", &thread], Some(token)).await;
    assert_eq!(kinds(&trail), ["group_created", "thread_audited"], "{trail}");
    let trail = deployment.done(&["audit", "user", eve], Some(token)).await;
    assert!(kinds(&trail).iter().filter(|kind| **kind == "user_audited").count() >= 3, "{trail}");

    for (words, wrong) in [
        (["audit", "user", &*ada.username], Some("herald_operator_AAAA")),
        (["audit", "user", &*ada.username], Some(&*ada.access_token)),
        (["audit", "thread", &*thread], Some("")),
    ] {
        let told = deployment.refused(&words, wrong).await;
        assert!(told.contains("the token is no operator's"), "{told}");
    }
    assert_eq!(deployment.run(&["audit", "user", &ada.username], None).await.0, Some(2), "a token has to be given");
    let told = deployment.refused(&["audit", "user", "no.body"], Some(token)).await;
    assert!(told.contains("nobody is called no.body"), "{told}");

    // Who is removed reads nothing any more, and what they did keeps their name.
    let kim = deployment.done(&["operator", "add", "Kim"], None).await;
    deployment.done(&["operator", "remove", "Eve"], None).await;
    deployment.refused(&["operator", "remove", "Eve"], None).await;
    deployment.refused(&["audit", "user", &ada.username], Some(token)).await;
    let trail = deployment.done(&["audit", "user", &bob.username], Some(kim.trim())).await;
    assert!(trail.contains(&format!("suspended by Eve ({eve}), of {} ({})", bob.username, bob.user_id)), "{trail}");
    assert!(deployment.herald.terminate().await.success());
    std::fs::remove_dir_all(&deployment.data).ok();
}
