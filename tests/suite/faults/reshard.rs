//! The views spread over other databases under load, while a NATS server of three
//! is away, and one of the databases lost: nothing is missing, nothing is double,
//! and what all databases hold together is what one makes of the log from nothing.

use super::{
    check,
    rig::{PATIENCE, Rig, Victim},
    runs::watched,
    story::Story,
};
use crate::{harness::program, views::rows_in};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    process::{Output, Stdio},
};
use tokio::{process::Command, time::timeout};

fn reshard(rig: &Rig, names: &[&str]) -> Command {
    let to: Vec<_> = names.iter().map(|name| rig.database(name)).collect();
    let mut command = Command::new(program());
    command.args(["reshard", "--to", &to.join(","), "--json", "--nats-url", &rig.nats_url()]);
    command.args(["--database-url", &rig.database_url()]).stdin(Stdio::null()).kill_on_drop(true);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Reshards until it is done: the lock of one that was killed goes with its connection, a little later.
async fn resharded(rig: &Rig, names: &[&str]) {
    rig.story.tell(format!("herald reshard to {names:?}"));
    let done = async {
        loop {
            let Output { status, stdout, stderr } = reshard(rig, names).output().await.unwrap();
            if status.success() {
                let views: Value = serde_json::from_slice(&stdout).unwrap();
                return views["views"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter_map(|view| view["took_s"].as_f64())
                    .fold(0.0, f64::max);
            }
            rig.story.tell(format!("{status}: {}", String::from_utf8_lossy(&stderr)));
        }
    };
    let took = timeout(PATIENCE, done).await.expect("a reshard ends well at last");
    rig.story.announce(format!("over {} databases after {took:.1} s", names.len()));
}

/// What some databases hold together.
async fn rows(rig: &Rig, names: &[&str]) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in names {
        for (table, rows) in rows_in(&rig.database(name)).await {
            all.entry(table).or_default().extend(rows);
        }
    }
    for rows in all.values_mut() {
        rows.sort();
    }
    all
}

pub(super) async fn resharded_under_load(story: &Story, between: usize) {
    let mut rig = Rig::start(story, 3, 2).await;
    let (mut load, watchers) = watched(&rig).await;
    load.ledger.more(between).await;

    let mut killed = reshard(&rig, &["herald", "herald_1", "herald_2"]).spawn().unwrap();
    load.ledger.more(between / 4).await;
    story.tell("kill -9 herald reshard");
    killed.kill().await.unwrap();
    let ((), ()) = tokio::join!(resharded(&rig, &["herald", "herald_1", "herald_2"]), load.ledger.more(between));

    rig.terminate(Victim::Nats(1)).await;
    load.ledger.more(between).await;
    let ((), ()) = tokio::join!(resharded(&rig, &["herald", "herald_1"]), load.ledger.more(between));
    rig.revive(Victim::Nats(1)).await;
    load.ledger.more(between).await;

    rig.drop_database("herald_1").await;
    load.ledger.more(between).await;
    rig.ready().await;
    load.ledger.more(between).await;

    let reads = load.end().await;
    let counts = check::threads(&rig, &load, watchers).await;
    story.announce(format!("{counts:?}, {reads} reads of what was just written"));
    assert!(counts.acknowledged > 0 && reads > 0, "{counts:?}, {reads} reads");
    let living = rows(&rig, &["herald", "herald_1"]).await;
    resharded(&rig, &["anew"]).await;
    rig.settled().await;
    for (table, rows) in rows(&rig, &["anew"]).await {
        assert!(living[&table] == rows, "{table} is another when it is built from nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_come_go_and_are_lost_under_load_and_nothing_is_missing_or_double() {
    resharded_under_load(&Story::new("resharded"), 40).await;
}
