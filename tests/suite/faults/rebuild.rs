//! Views rebuilt, swapped and rolled back under load, by an operator whose
//! commands are killed too, while two heralds run every view and are killed at
//! random.

use super::{
    rig::{PATIENCE, Rig, Victim},
    runs::{settle, watched},
    story::Story,
};
use crate::harness::program;
use serde_json::Value;
use std::process::{Output, Stdio};
use tokio::{process::Command, time::timeout};

/// `herald rebuild` with those arguments, on the deployment.
fn rebuild(rig: &Rig, arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.arg("rebuild").args(arguments).args(["--json", "--nats-url", &rig.nats_url()]);
    command.args(["--database-url", &rig.database_url()]).stdin(Stdio::null()).kill_on_drop(true);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it until it is done. The lock of one that was killed goes with its connection, a little later.
async fn done(rig: &Rig, arguments: &[&str]) -> Value {
    rig.story.tell(format!("herald rebuild {arguments:?}"));
    let done = async {
        loop {
            let Output { status, stdout, stderr } = rebuild(rig, arguments).output().await.unwrap();
            if status.success() {
                return serde_json::from_slice::<Value>(&stdout).unwrap();
            }
            rig.story.tell(format!("{status}: {}", String::from_utf8_lossy(&stderr)));
        }
    };
    timeout(PATIENCE, done).await.expect("a rebuild ends well at last")
}

pub(super) async fn rebuilt_under_load(story: &Story, rounds: usize) {
    let mut rig = Rig::start(story, 1, 2).await;
    let (load, watchers) = watched(&rig).await;
    for _ in 0..rounds {
        load.ledger.more(30 + story.below(40)).await;
        // One that is killed half-way is gone on with by the next.
        let mut killed = rebuild(&rig, &["timeline", "inbox", "--pace", "400", "--batch", "7"]).spawn().unwrap();
        load.ledger.more(20 + story.below(20)).await;
        story.tell("kill -9 herald rebuild");
        killed.kill().await.unwrap();

        let victim = Victim::Herald(story.below(2));
        let (rebuilt, ()) = tokio::join!(done(&rig, &[]), load.ledger.more(20));
        for view in rebuilt["views"].as_array().unwrap() {
            let tables = view["tables"].as_array().into_iter().flatten();
            assert!(tables.clone().all(|table| table["equal"] == true), "{view}");
            assert!(view["stalled_ms"].is_number(), "{view}");
        }
        rig.kill(victim).await;
        load.ledger.more(30).await;
        rig.revive(victim).await;
        rig.ready().await;
        load.ledger.more(30).await;
        done(&rig, &["--rollback"]).await;
        if story.below(2) == 0 {
            done(&rig, &["--rollback"]).await;
        }
        rig.kill(Victim::Postgres).await;
        rig.revive(Victim::Postgres).await;
        rig.ready().await;
    }
    load.ledger.more(40).await;
    settle(&rig, load, watchers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rebuilt_and_rolled_back_under_load_while_runners_are_killed_nothing_is_lost_or_double() {
    rebuilt_under_load(&Story::new("rebuilt"), 1).await;
}
