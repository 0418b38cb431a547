//! The OpenAPI document against the routes: Schemathesis makes requests of it,
//! good and bad, and holds the answers to what it says. No 5xx, nothing that is
//! not documented, nothing bad that is taken. Many more cases, by hand:
//! `cargo test --test suite contract::many -- --ignored --nocapture`.

use crate::{
    harness::{self, Herald},
    people::{PASSWORD, Person, key, send},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::{
    fs,
    io::{Write, stderr},
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::process::Command;

const MANY: u64 = 50_000;

/// Operations that a run has to succeed with, of 46: a password and an unused upload are not guessed, and time is short.
const SERVED: usize = 39;

/// What Schemathesis is, and what it logs in with.
fn own(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis").join(file)
}

async fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// The folder of Python packages, as the requirements pin them.
async fn packages() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemathesis");
    let (wanted, has) = (own("requirements.txt"), folder.join("requirements.txt"));
    if fs::read(&has).ok() != fs::read(&wanted).ok() {
        fs::remove_dir_all(&folder).ok();
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]);
        run(pip.arg("--target").arg(&folder).arg("-r").arg(&wanted)).await;
        fs::copy(&wanted, &has).unwrap();
    }
    folder
}

/// Somebody with company, and what they can see: a direct thread, groups of their own, and groups of others.
async fn company(url: &str) -> (Person, Value) {
    let somebody = Person::sign_up(url).await;
    let (bob, cyd) = (Person::sign_up(url).await, Person::sign_up(url).await);
    let mut threads = vec![somebody.write(&bob, "hi").await.body["thread_id"].as_str().unwrap().to_owned()];
    for _ in 0..2 {
        threads.push(somebody.create_group(&[&bob, &cyd]).await);
        threads.push(bob.create_group(&[&somebody, &cyd]).await);
    }
    for thread in &threads {
        for (by, text) in [(&somebody, "one"), (&bob, "two"), (&somebody, "three")] {
            assert_eq!(by.write_in(thread, text).await.status, StatusCode::CREATED);
        }
    }
    let upload = somebody.request(Method::POST, "/v1/attachments").body("notes");
    let file = send(upload).await.body["attachment_id"].clone();
    let sent = json!({ "key": key(), "body": "look", "attachments": [file] });
    let sent = somebody.post(&format!("/v1/threads/{}/messages", threads[0]), sent).await;
    assert_eq!(sent.status, StatusCode::CREATED, "{sent:?}");
    let world = json!({
        "attachment_id": [file],
        "user_id": [bob.user_id, cyd.user_id, somebody.user_id],
        "thread_id": threads,
        "number": [1, 2, 3],
        "emoji": ["👍", "❤️"],
    });
    (somebody, world)
}

/// Lets Schemathesis loose for so many seconds; how many cases it tried.
async fn held_to_the_document(herald: &Herald, seed: u64, seconds: u32) -> u64 {
    let (somebody, world) = company(&herald.url).await;
    let folder = packages().await;
    let served = harness::folder(&format!("served-{seed}.json"));
    let mut command = Command::new("python3");
    command
        .args(["-c", "from schemathesis.cli import schemathesis; schemathesis()"])
        .arg("--config-file")
        .arg(own("schemathesis.toml"))
        .args(["run", &format!("{}/openapi.json", herald.url)])
        .args(["--checks", "all", "--exclude-checks", "positive_data_acceptance"])
        // Whoever logs out is not answered any more, and a socket is not for HTTP.
        .args(["--exclude-operation-id", "log_out", "--exclude-operation-id", "open_socket"])
        .args(["--max-time", &seconds.to_string(), "--seed", &seed.to_string()])
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .env("PYTHONPATH", std::env::join_paths([folder, own("")]).unwrap())
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("HERALD_URL", &herald.url)
        .env("HERALD_USERNAME", &somebody.username)
        .env("HERALD_PASSWORD", PASSWORD)
        .env("HERALD_WORLD", world.to_string())
        .env("HERALD_SEED", seed.to_string())
        .env("HERALD_SERVED", &served);
    let said = run(&mut command).await;
    let served: Vec<String> = serde_json::from_slice(&fs::read(&served).unwrap()).unwrap();
    assert!(served.len() >= SERVED, "only these were ever served, all else was refused: {served:?}");
    let cases = said.lines().find_map(|line| line.trim().split_once(" generated,").map(|(cases, _)| cases.to_owned()));
    cases.and_then(|cases| cases.parse().ok()).unwrap_or_else(|| panic!("no count of cases in {said}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_as_the_document_says() {
    let herald = Herald::start().await;
    let cases = held_to_the_document(&herald, 1, 40).await;
    assert!(cases > 1_000, "only {cases} cases");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes ten minutes"]
async fn many_answers_are_as_the_document_says() {
    let herald = Herald::start().await;
    let (mut tried, mut seed) = (0, u64::from_str_radix(&key()[..8], 16).unwrap());
    while tried < MANY {
        seed += 1;
        let cases = held_to_the_document(&herald, seed, 120).await;
        tried += cases;
        writeln!(stderr(), "seed {seed}: {cases} cases, {tried} of {MANY}").unwrap();
    }
}
