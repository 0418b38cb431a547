//! The bench against a herald that is there, and with one of its own.

use crate::{
    harness::{self, Herald},
    people::Person,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::{path::Path, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_mins(3);
const SHORT: [&str; 8] = ["bench", "--json", "--seconds", "1", "--warm-up", "0", "--log", "warn"];

/// How a bench ended: its exit code, and what it told.
async fn bench(arguments: &[&str]) -> (Option<i32>, Value) {
    let mut command = Command::new(harness::program());
    let output = command.args(SHORT).args(arguments).kill_on_drop(true).output();
    let output = timeout(PATIENCE, output).await.unwrap().unwrap();
    let told = serde_json::from_slice(&output.stdout);
    (output.status.code(), told.unwrap_or_else(|_| json!(String::from_utf8_lossy(&output.stderr))))
}

#[tokio::test]
async fn what_it_moves_through_a_running_herald_is_checked() {
    let herald = Herald::start().await;
    let (code, report) = bench(&["--url", &herald.url, "--users", "4", "--no-floors", "--body", "30"]).await;
    assert_eq!(code, Some(0), "{report:#}");
    let total = &report["total"];
    assert!(total["sent"].as_u64().unwrap() > 4 * 16, "{report:#}");
    for moved in ["acknowledged", "delivered"] {
        assert_eq!(total[moved], total["sent"], "{report:#}");
    }
    assert_eq!(report["check"]["verified"], total["sent"], "{report:#}");
    assert_eq!(report["total"]["projected"], Value::Null, "without NATS the views are not watched");
    assert_eq!(report["floors"], Value::Null);
    herald.stop().await;
}

#[tokio::test]
async fn at_a_rate_it_sends_no_more() {
    let herald = Herald::start().await;
    let (code, report) = bench(&["--url", &herald.url, "--users", "4", "--no-floors", "--rate", "60"]).await;
    assert_eq!(code, Some(0), "{report:#}");
    let sent = report["total"]["sent"].as_u64().unwrap();
    // A busy machine sends fewer.
    assert!((1..=80).contains(&sent), "{report:#}");
    assert!(report["latency_ms"]["delivery"]["p50"].as_f64().unwrap() > 0.0, "{report:#}");
    herald.stop().await;
}

#[tokio::test]
async fn with_a_herald_of_its_own_it_measures_everything_and_leaves_nothing() {
    let (code, report) = bench(&["--durability", "unsynced", "--users", "4"]).await;
    assert_eq!(code, Some(0), "{report:#}");
    assert_eq!(report["total"]["projected"], report["total"]["acknowledged"], "{report:#}");
    for (part, figure) in [
        ("cpu", "servers_per_1000"),
        ("cpu", "share_of_bench"),
        ("memory_mib", "herald"),
        ("memory_mib", "postgres"),
        ("bytes_per_message", "log_stream"),
        ("bytes_per_message", "log_files"),
        ("bytes_per_message", "views"),
        ("of_floor", "append"),
        ("of_floor", "project"),
    ] {
        assert!(report[part][figure].as_f64().unwrap() > 0.0, "{part}.{figure}: {report:#}");
    }
    assert!(report["latency_ms"]["view"]["p50"].as_f64().unwrap() > 0.0, "{report:#}");
}

#[tokio::test]
async fn what_one_of_each_takes_is_told_beside_what_it_takes_of_ten_times_as_many() {
    let (code, report) = bench(&["--durability", "unsynced", "--tenfold", "100", "--partitions", "2"]).await;
    assert_eq!(code, Some(0), "{report:#}");
    let compared = report["compared"].as_array().unwrap();
    assert_eq!(compared.len(), 5, "{report:#}");
    for of in compared {
        let [once, tenfold, ratio] = ["once", "tenfold", "ratio"].map(|figure| of[figure].as_f64().unwrap());
        assert!((tenfold / once - ratio).abs() < 1e-9, "{of:#}");
    }
    let log = compared.iter().find(|of| of["what"].as_str().unwrap().starts_with("log")).unwrap();
    assert!((0.5..2.0).contains(&log["ratio"].as_f64().unwrap()), "{log:#}");
}

#[tokio::test]
async fn people_are_used_again_and_a_message_of_somebody_elses_fails_the_check() {
    let herald = Herald::start().await;
    let folder = harness::folder("bench-people");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("people.json");
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let kept = json!({ "url": herald.url, "refresh_tokens": [ada.refresh_token, bob.refresh_token] });
    std::fs::write(&file, kept.to_string()).unwrap();
    let arguments = ["--url", &herald.url, "--no-floors", "--people", file.to_str().unwrap(), "--users", "2"];

    let (code, report) = bench(&arguments).await;
    assert_eq!((code, &report["sign_ups"]["count"]), (Some(0), &json!(0)), "{report:#}");
    let (code, report) = bench(&arguments).await;
    assert_eq!(code, Some(0), "with the tokens that the first run kept: {report:#}");

    let last = async || ada.get("/v1/threads").await.body["threads"][0]["last_number"].as_u64().unwrap();
    let before = last().await;
    let intrude = async {
        while last().await == before {}
        let answer = ada.write(&bob, "something else, long enough for a stamp").await;
        assert!(answer.status.is_success(), "{answer:?}");
    };
    let ((code, report), ()) = tokio::join!(bench(&arguments), intrude);
    assert_eq!(code, Some(1), "{report:#}");
    assert_eq!(report["check"]["passed"], false, "{report:#}");
    assert!(report["check"]["faults"].to_string().contains("did not write"), "{report:#}");
    herald.stop().await;
}

#[tokio::test]
async fn in_a_group_all_others_hear_the_one_while_some_write_to_each_other() {
    let herald = Herald::start().await;
    // So many are a crowd to the hub.
    let (code, report) = bench(&["group", "--url", &herald.url, "--users", "70", "--rate", "50"]).await;
    assert_eq!(code, Some(0), "{report:#}");
    let count = |figure: &str| report[figure].as_u64().unwrap();
    assert!(count("messages") > 16, "{report:#}");
    assert_eq!(count("deliveries"), count("messages") * 69, "{report:#}");
    let beside = report["check"]["verified"].as_u64().unwrap() - count("messages");
    assert!((20..=80).contains(&beside), "{report:#}");
    assert!(report["beside"]["delivery_ms"]["p99"].as_f64().unwrap() > 0.0, "{report:#}");
    for floor in ["socket_write", "socket_write_joined"] {
        assert!(report["floors"][floor]["per_second"].as_f64().unwrap() > 0.0, "{report:#}");
    }
    herald.stop().await;
}

#[tokio::test]
async fn idle_sockets_are_held_and_told_to_cost_something() {
    let arguments = ["idle", "--durability", "unsynced", "--users", "12", "--each", "5", "--at-once", "4"];
    let (code, report) = bench(&arguments).await;
    assert_eq!(code, Some(0), "{report:#}");
    assert_eq!(report["check"]["verified"], 60, "{report:#}");
    assert_eq!(report["hello_ms"]["count"], 60, "{report:#}");
    assert!(report["hellos_per_second"].as_f64().unwrap() > 0.0, "{report:#}");
    assert!(report["kib_per_later_connection"]["herald"].is_f64(), "{report:#}");
    assert!(report["of_connection"].as_f64().unwrap() > 0.0, "{report:#}");
}

#[tokio::test]
async fn who_resumes_is_told_what_was_missed_by_the_node_and_by_the_views() {
    let herald = Herald::start().await;
    let arguments = ["resume", "--url", &herald.url, "--users", "4", "--each", "3", "--missed", "8", "--no-floors"];
    let (code, report) = bench(&arguments).await;
    assert_eq!(code, Some(0), "{report:#}");
    // Two people with three sockets each, twice.
    assert_eq!(report["check"]["verified"], 2 * 3 * 8 * 2, "{report:#}");
    for from in ["remembered", "from_views"] {
        assert_eq!(report[from]["live_ms"]["count"], 6, "{report:#}");
    }
    herald.stop().await;
}

#[tokio::test]
async fn pages_are_read_beside_bare_statements() {
    let (code, report) = bench(&["reads", "--durability", "unsynced", "--users", "3", "--at-once", "4"]).await;
    assert_eq!(code, Some(0), "{report:#}");
    assert!(report["check"]["verified"].as_u64().unwrap() > 4, "{report:#}");
    for read in ["history", "history_at_once", "inbox", "inbox_at_once", "presence", "presence_at_once"] {
        assert!(report[read]["rest"]["ms"]["p50"].as_f64().unwrap() > 0.0, "{read}: {report:#}");
        assert!(report[read]["of_sql"].as_f64().unwrap() > 0.0, "{read}: {report:#}");
    }
}

#[tokio::test]
async fn comings_and_goings_are_told_to_who_watches_and_a_storm_passes() {
    let (code, report) = bench(&["presence", "--durability", "unsynced", "--users", "6", "--each", "2"]).await;
    assert_eq!(code, Some(0), "{report:#}");
    for (seen_by, watchers) in [("seen_by_one", 1), ("seen_by_all", 3)] {
        // Three people come and go three times.
        assert_eq!(report[seen_by]["frames"], 2 * 3 * 3 * watchers, "{report:#}");
        assert_eq!(report[seen_by]["came_to_told_ms"]["count"], 3 * 3 * watchers, "{report:#}");
    }
    assert_eq!((&report["flaps"]["count"], &report["flaps"]["facts"]), (&json!(18), &json!(0)), "{report:#}");
    assert_eq!(report["storm"]["live_ms"]["count"], 12, "{report:#}");
    assert!(report["storm"]["message_ms"]["p99"].as_f64().unwrap() > 0.0, "{report:#}");
}

#[tokio::test]
async fn another_machine_is_not_loaded_unasked() {
    let (code, said) = bench(&["--url", "http://192.0.2.1:8080"]).await;
    assert_eq!(code, Some(1));
    assert!(said.as_str().unwrap().contains("--anywhere"), "{said}");
}

#[tokio::test]
async fn an_interrupt_stops_it_and_what_it_started() {
    let mut child = Command::new(harness::program())
        .args(["bench", "--durability", "unsynced", "--users", "4"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let started = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("it says that herald is started");
            if line.contains("herald is started for the bench") {
                let line: Value = serde_json::from_str(&line).unwrap();
                return line["fields"]["process"].as_u64().or(line["process"].as_u64()).unwrap();
            }
        }
    };
    let herald = timeout(PATIENCE, started).await.unwrap();
    let id = child.id().unwrap();
    kill_process(Pid::from_raw(i32::try_from(id).unwrap()).unwrap(), Signal::INT).unwrap();
    let status = timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(130));
    assert!(!Path::new(&format!("/proc/{herald}")).exists(), "herald lives on");
    assert!(!std::env::temp_dir().join(format!("herald-bench-{id}")).exists(), "its data lie on");
}
