//! More than one node: roles as processes of their own, started and stopped in
//! any order; a cluster for trying by one flag; settings from four places.

use crate::{
    harness::{folder, program},
    people::Person,
    process::{Process, free_address},
};
use herald::embedded::{self, Apart};
use reqwest::StatusCode;
use serde_json::Value;
use std::{fs, process::Output};
use tokio::process::Command;

const SERVES: &str = "herald serves on ";

async fn status(url: &str) -> Option<StatusCode> {
    reqwest::get(url).await.ok().map(|answer| answer.status())
}

async fn until(url: &str, wanted: StatusCode) {
    while status(url).await != Some(wanted) {}
}

async fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program());
    command.args(arguments).env_clear().envs(environment.iter().copied());
    command.kill_on_drop(true).output().await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_apart_start_before_their_servers_and_stop_after_them() {
    let options = embedded::Options {
        data: folder("nodes"),
        durability: embedded::Durability::Fsync,
        nats_nodes: 1,
        databases: 1,
        nats_server: None,
        postgres: None,
        postgres_fsync: false,
        program: program(),
        progress: false,
    };
    let apart = Apart::find(&options).await.unwrap();
    // Its password is made with its data.
    apart.start_postgres().await.unwrap().kill().await.unwrap();
    let (nats_url, monitor_url) = (apart.nats_url(), apart.nats_monitor_urls()[0].clone());
    let database_url = apart.database_url().unwrap();
    let launch = |role: &str| {
        let urls = ["--nats-url", &nats_url, "--nats-monitor-url", &monitor_url, "--database-url", &database_url];
        Process::launch(&crate::harness::program(), &[&["serve", "--role", role][..], &urls].concat(), free_address())
    };
    let (projection, edge) = (launch("projection"), launch("command,query,gateway"));
    until(&format!("{}/healthz", edge.url), StatusCode::OK).await;
    for path in ["/readyz", "/v1/me", "/anything"] {
        let answer = reqwest::get(format!("{}{path}", edge.url)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key("retry-after"));
    }
    while !edge.said().lines().iter().any(|line| line.contains("waiting for the log")) {
        status(&edge.url).await;
    }

    let mut nats = apart.start_nats(0).await.unwrap();
    while !edge.said().lines().iter().any(|line| line.starts_with(SERVES)) {
        status(&edge.url).await;
    }
    // Whoever signs up needs no views.
    let ada = Person::sign_up(&edge.url).await;
    let ready = format!("{}/readyz", edge.url);
    assert_eq!(status(&ready).await, Some(StatusCode::SERVICE_UNAVAILABLE), "there is no Postgres");
    let mut postgres = apart.start_postgres().await.unwrap();
    until(&ready, StatusCode::OK).await;
    let bob = Person::sign_up(&edge.url).await;
    let sent = ada.write(&bob, "over processes").await;
    let inbox = bob.get_after(sent.position(), "/v1/threads").await;
    assert_eq!(inbox.body["threads"][0]["last_message"]["body"], "over processes");

    // A second edge is one more node; the first goes.
    let second = launch("gateway");
    until(&format!("{}/readyz", second.url), StatusCode::OK).await;
    assert!(edge.terminate().await.success());
    assert_eq!(ada.at(&second.url).write(&bob, "on the other").await.body["number"], 2);

    nats.kill().await.unwrap();
    postgres.kill().await.unwrap();
    assert!(projection.terminate().await.success());
    assert!(second.terminate().await.success());
    let waiting = launch("query");
    until(&format!("{}/healthz", waiting.url), StatusCode::OK).await;
    assert!(waiting.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nats_servers_and_two_heralds_by_one_flag() {
    let data = folder("cluster");
    let data = data.to_str().unwrap();
    let herald = Process::start(&["--data", data, "--nats-nodes", "3", "--nodes", "2"]).await;
    let second = loop {
        let lines = herald.said().lines();
        if let Some(url) = lines.iter().find_map(|line| line.strip_prefix(SERVES)) {
            break url.to_owned();
        }
        status(&herald.url).await;
    };
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&second).await);
    let sent = ada.write(&bob, "by a quorum").await;
    let inbox = bob.get_after(sent.position(), "/v1/threads").await;
    assert_eq!(inbox.body["threads"][0]["last_message"]["body"], "by a quorum");
    assert!(herald.terminate().await.success());

    let alone = run(&["--data", data, "--listen", "127.0.0.1:0"], &[("HOME", "/")]).await;
    assert!(!alone.status.success());
    assert!(text(&alone.stderr).contains("another number of NATS nodes"), "{}", text(&alone.stderr));
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_the_remedy() {
    for (arguments, remedy) in [
        (&["--durability", "replicated"][..], "--nats-nodes 3"),
        (&["--nats-nodes", "3", "--durability", "fsync"], "`replicated` or `unsynced`"),
        (&["--nats-nodes", "2"], "must be 1 or 3"),
        (&["serve", "--database-url", "postgres://db/herald"], "HERALD_NATS_URL"),
        (&["serve", "--nats-url", "nats://nats"], "HERALD_DATABASE_URL"),
        (&["--config", "/nowhere/herald.toml"], "HERALD_CONFIG"),
        (&["--push-url", "http://push.example/"], "must be https"),
        (&["--push-url", "https://push.example/"], "HERALD_PUSH_SECRET_FILE"),
        (&["--push-url", "https://push.example/", "--push-secret", "hunter2"], "base64 of 24 to 64 random bytes"),
    ] {
        let refused = run(arguments, &[]).await;
        assert!(!refused.status.success());
        assert!(text(&refused.stderr).contains(remedy), "{}", text(&refused.stderr));
        assert!(!text(&refused.stderr).contains("hunter2"));
    }
}

#[tokio::test]
async fn settings_say_where_they_are_from_and_keep_their_secrets() {
    let folder = folder("config");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("herald.toml");
    fs::write(&file, "listen = '127.0.0.1:7000'\npartitions = 8\nrole = ['query', 'projection']\nnats_nodes = 3\n")
        .unwrap();
    let file = file.to_str().unwrap();
    let environment = [
        ("HERALD_CONFIG", file),
        ("HERALD_PARTITIONS", "16"),
        ("HERALD_DATABASE_URL", "postgres://herald:hunter2@db/herald"),
        ("HERALD_PUSH_SECRET", "whsec_hunter3"),
    ];
    let shown = run(&["config", "--json", "--nats-url", "nats://token@nats:4222"], &environment).await;
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    let settings: Value = serde_json::from_slice(&shown.stdout).unwrap();
    for (name, value, from) in [
        ("listen", Some("127.0.0.1:7000"), file),
        ("partitions", Some("16"), "HERALD_PARTITIONS"),
        ("role", Some("query,projection"), file),
        ("database_url", Some("postgres://herald:***@db/herald"), "HERALD_DATABASE_URL"),
        ("nats_url", Some("nats://***@nats:4222"), "--nats-url"),
        ("push_secret", Some("***"), "HERALD_PUSH_SECRET"),
        ("durability", Some("replicated"), "default"),
        ("data", Some("data"), "default"),
        ("nats_monitor_url", None, "default"),
    ] {
        let setting = settings.as_array().unwrap().iter().find(|setting| setting["name"] == name).unwrap();
        assert_eq!((setting["value"].as_str(), setting["from"].as_str()), (value, Some(from)), "{name}");
    }
    let shown = run(&["config"], &environment).await;
    let (printed, said) = (text(&shown.stdout), text(&shown.stderr));
    assert!(printed.lines().any(|line| line.starts_with("listen ") && line.ends_with(file)), "{printed}");
    for secret in ["hunter2", "hunter3", "token@"] {
        assert!(!printed.contains(secret) && !said.contains(secret), "{printed}");
    }
    let help = text(&run(&["serve", "--help"], &environment).await.stdout);
    assert!(!help.contains("hunter2") && !help.contains("hunter3"), "{help}");
}
