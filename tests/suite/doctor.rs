//! What `herald doctor` finds: nothing where all is well, and what is wrong with
//! what to do about it, whatever else is down.

use crate::{
    harness::{folder, program},
    people::Person,
    process::Process,
};
use herald::embedded::Addresses;
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use tokio::process::Command;

/// Its exit code, and what it found.
async fn doctor(arguments: &[&str]) -> (i32, Vec<Value>) {
    let mut command = Command::new(program());
    let output = command.args(["doctor", "--json"]).args(arguments).kill_on_drop(true).output().await.unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    (output.status.code().unwrap(), told["findings"].as_array().unwrap().clone())
}

/// What is said of an area with a verdict.
fn said(findings: &[Value], area: &str, verdict: &str) -> Vec<String> {
    let of = findings.iter().filter(|finding| finding["area"] == area && finding["verdict"] == verdict);
    of.map(|finding| format!("{} → {}", finding["what"], finding["remedy"])).collect()
}

fn is_said(findings: &[Value], area: &str, verdict: &str, words: &str) -> bool {
    said(findings, area, verdict).iter().any(|said| said.contains(words))
}

#[tokio::test(flavor = "multi_thread")]
async fn it_finds_nothing_where_all_is_well_and_says_what_is_wrong_and_what_to_do() {
    let data = folder("doctor");
    let data = data.to_str().unwrap();
    let herald = Process::start(&["--data", data]).await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    ada.write(&bob, "hi").await;
    // The views and the lease of the node come within moments; how full the disk is, is nobody's fault.
    let findings = loop {
        let (code, findings) = doctor(&["--data", data]).await;
        let fails = |finding: &&Value| finding["verdict"] == "fail";
        assert_eq!(code == 0, !findings.iter().any(|finding| fails(&finding)), "{findings:#?}");
        if !findings.iter().filter(fails).any(|finding| finding["area"] != "disk") {
            break findings;
        }
    };
    for (area, words) in [
        ("nats", "answers, version"),
        ("log", "4 partitions"),
        ("log", "`fsync`: 1 replicas, synced before"),
        ("nodes", "1 nodes serve clients"),
        ("postgres", "connections"),
        ("views", "timeline has applied all"),
        ("clock", "NATS' clock"),
        ("clock", "Postgres' clock"),
        ("files", "is the deployment's"),
    ] {
        assert!(is_said(&findings, area, "ok", words), "{area}: {words}\n{findings:#?}");
    }
    assert!(findings.iter().any(|finding| finding["area"] == "disk"));

    let Addresses { nats_url, nats_monitor_url, database_url, .. } = Addresses::of(std::path::Path::new(data)).unwrap();
    let mut database = PgConnection::connect(&database_url).await.unwrap();
    sqlx::query("DROP INDEX timeline.messages_key").execute(&mut database).await.unwrap();
    let aside = "INSERT INTO inbox.quarantine (sequence, partition, event_id, reason) \
                 VALUES (1, 0, gen_random_uuid(), 'a test')";
    sqlx::query(aside).execute(&mut database).await.unwrap();
    let (code, findings) = doctor(&["--data", data, "--durability", "replicated"]).await;
    assert_eq!(code, 3);
    for (area, words) in [
        ("views", "timeline lacks the indexes messages_key"),
        ("views", "herald rebuild timeline"),
        ("views", "1 facts of inbox are set aside"),
        ("log", "promised is `replicated`"),
    ] {
        assert!(is_said(&findings, area, "fail", words), "{words}\n{findings:#?}");
    }

    // Each part is looked at though others are down.
    let nowhere = "nats://127.0.0.1:1";
    let (code, findings) = doctor(&["--nats-url", nowhere, "--database-url", &database_url]).await;
    assert_eq!(code, 3);
    assert!(is_said(&findings, "nats", "fail", "does not answer"), "{findings:#?}");
    assert!(is_said(&findings, "postgres", "ok", "version"), "{findings:#?}");
    assert!(is_said(&findings, "views", "fail", "messages_key"), "{findings:#?}");
    let both = format!("{nowhere},{nats_url}");
    let gone = "postgres://nobody@127.0.0.1:1/nothing";
    let urls = ["--nats-url", &both, "--nats-monitor-url", &nats_monitor_url, "--database-url", gone];
    let (code, findings) = doctor(&urls).await;
    assert_eq!(code, 3);
    assert!(is_said(&findings, "nats", "fail", "does not answer"), "{findings:#?}");
    assert!(is_said(&findings, "log", "ok", "4 partitions"), "{findings:#?}");
    assert!(is_said(&findings, "postgres", "fail", "start it"), "{findings:#?}");
    assert!(is_said(&findings, "nodes", "ok", "1 nodes"), "{findings:#?}");
    let (code, findings) = doctor(&["--nats-url", nowhere, "--database-url", gone]).await;
    assert_eq!((code, said(&findings, "log", "ok").len()), (3, 0), "{findings:#?}");
}
