//! The programs in `docs/consumers.md`, run as they stand there: each tells what
//! `herald events` tells.

use crate::{
    harness::{folder, program},
    packages::{self, run},
    pages::blocks,
    people::Person,
    process::Process,
};
use serde_json::Value;
use std::{collections::BTreeSet, fs};
use tokio::process::Command;

/// The one program of that language on the page.
fn snippet(language: &str) -> String {
    let [snippet] = blocks::of("docs/consumers.md", language).try_into().expect("one program of each language");
    snippet
}

async fn python(url: &str) -> String {
    run(Command::new("python3")
        .args(["-c", &snippet("python")])
        .env("PYTHONPATH", packages::python("consumers").await)
        .env("HERALD_NATS_URL", url))
    .await
}

async fn javascript(url: &str) -> String {
    let folder = packages::node("consumers").await;
    let file = folder.join(format!("snippet-{}.mjs", std::process::id()));
    fs::write(&file, snippet("js")).unwrap();
    let said = run(Command::new("node").arg(&file).env("HERALD_NATS_URL", url)).await;
    fs::remove_file(file).unwrap();
    said
}

/// What lies where, of lines of JSON.
fn told(lines: &str) -> BTreeSet<(String, String, String)> {
    let of_line = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| event[name].as_str().unwrap().to_owned();
        let kind = text("type");
        let tag = kind.strip_prefix("herald.").map_or(kind.as_str(), |name| name.split_once('.').unwrap().1);
        (text("position"), text("id"), tag.to_owned())
    };
    lines.lines().map(of_line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_programs_on_the_page_tell_what_lies_in_the_log() {
    let data = folder("snippets").display().to_string();
    let herald = Process::start(&["--data", &data, "--durability", "unsynced"]).await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    for number in 1..=120 {
        assert_eq!(ada.write(&bob, &format!("text {number}")).await.body["number"], number);
    }
    let events = |option: &str| {
        let mut command = Command::new(program());
        command.args(["events", "--data", &data, option]);
        command
    };
    let url = run(&mut events("--credentials")).await;
    let expected = told(&run(&mut events("--json")).await);
    assert!(expected.len() > 120);
    assert_eq!(told(&python(url.trim()).await), expected);
    assert_eq!(told(&javascript(url.trim()).await), expected);
}
