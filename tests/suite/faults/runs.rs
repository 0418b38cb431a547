//! The runs that everything passes: processes killed under load, Postgres or
//! NATS away, acknowledgements lost on the way. What a short one does in
//! seconds, the long one (`long.rs`) does for minutes.

use super::{
    check,
    load::{Load, answer},
    long,
    rig::{Rig, Victim},
    story::Story,
    watcher::Watcher,
};
use crate::harness::lasts;
use reqwest::{Method, StatusCode};
use std::time::Duration;

const PAIRS: usize = 3;
const SHORT: Duration = Duration::from_secs(3);

/// Load on a rig, watched by one device of each pair.
pub(super) async fn watched(rig: &Rig) -> (Load, Vec<Watcher>) {
    let mut load = Load::of(&rig.urls(), PAIRS).await;
    let mut watchers = Vec::new();
    for pair in &load.pairs {
        watchers.push(Watcher::of(&pair.people[1], &rig.urls(), &pair.thread_id).await);
    }
    load.begin(&rig.story);
    (load, watchers)
}

/// Ends the load, and checks all that must hold.
pub(super) async fn settle(rig: &Rig, mut load: Load, watchers: Vec<Watcher>) {
    let reads = load.end().await;
    let counts = check::threads(rig, &load, watchers).await;
    assert!(counts.acknowledged > 0 && reads > 0, "{counts:?}, {reads} reads");
    rig.story.announce(format!("{counts:?}, {reads} reads of what was just written"));
    check::rebuild(rig).await;
}

/// Kills everybody in turn, in an order that chance decides, under load.
pub(super) async fn killed_at_random(story: &Story, rounds: usize, between: usize) {
    let mut rig = Rig::start(story, 1, 2).await;
    let (load, watchers) = watched(&rig).await;
    for _ in 0..rounds {
        let victims = vec![Victim::Herald(0), Victim::Herald(1), Victim::Nats(0), Victim::Postgres];
        for victim in story.shuffled(victims) {
            load.ledger.more(between + story.below(between)).await;
            rig.kill(victim).await;
            if story.below(2) == 0 && victim != Victim::Nats(0) {
                load.ledger.more(between).await;
            }
            rig.revive(victim).await;
        }
    }
    load.ledger.more(between).await;
    settle(&rig, load, watchers).await;
}

/// While Postgres is away all is sent and nothing is read; when it comes, the views catch up unaided.
pub(super) async fn postgres_away(story: &Story, length: Duration) {
    let mut rig = Rig::start(story, 1, 2).await;
    let (load, watchers) = watched(&rig).await;
    load.ledger.more(50).await;
    rig.kill(Victim::Postgres).await;
    lasts(length).await;
    load.ledger.more(50).await;
    let reader = &load.pairs[0].people[0];
    let inbox = answer(reader.request(Method::GET, "/v1/threads")).await.unwrap();
    assert_eq!(inbox.status, StatusCode::SERVICE_UNAVAILABLE, "{}", inbox.body);
    assert_eq!(ready(&rig).await, StatusCode::SERVICE_UNAVAILABLE);
    rig.revive(Victim::Postgres).await;
    rig.ready().await;
    load.ledger.more(50).await;
    settle(&rig, load, watchers).await;
}

/// While Postgres is away NATS is restarted, and devices that lose their connections come back all the while: who
/// cannot be told what they missed is sent away until they can.
pub(super) async fn both_away(story: &Story, length: Duration) {
    let mut rig = Rig::start(story, 1, 2).await;
    let (load, watchers) = watched(&rig).await;
    load.ledger.more(50).await;
    rig.kill(Victim::Postgres).await;
    load.ledger.more(50).await;
    rig.kill(Victim::Nats(0)).await;
    lasts(length).await;
    rig.revive(Victim::Nats(0)).await;
    load.ledger.more(50).await;
    // Whoever was connected to it resumes, from another that has heard it all, or from none.
    rig.kill(Victim::Herald(0)).await;
    rig.revive(Victim::Herald(0)).await;
    load.ledger.more(50).await;
    rig.revive(Victim::Postgres).await;
    rig.ready().await;
    load.ledger.more(50).await;
    settle(&rig, load, watchers).await;
}

/// While NATS is away nothing is acknowledged, and everybody is told so; when it comes, all goes on unaided.
pub(super) async fn nats_away(story: &Story, length: Duration) {
    let mut rig = Rig::start(story, 1, 2).await;
    let (load, watchers) = watched(&rig).await;
    load.ledger.more(50).await;
    rig.kill(Victim::Nats(0)).await;
    let before = load.ledger.acknowledged();
    lasts(length).await;
    // What the log had acknowledged when it was killed may have been on its way.
    assert!(load.ledger.acknowledged() <= before + 2 * PAIRS, "who acknowledges without a log?");
    assert_eq!(ready(&rig).await, StatusCode::SERVICE_UNAVAILABLE);
    rig.revive(Victim::Nats(0)).await;
    let began = tokio::time::Instant::now();
    load.ledger.more(1).await;
    story.announce(format!("NATS was away for {length:?}: first acknowledgement {:?} after it came", began.elapsed()));
    load.ledger.more(50).await;
    settle(&rig, load, watchers).await;
}

/// What the log answers is lost again and again, links are left half open, all is slow: nothing is there twice.
pub(super) async fn bad_links(story: &Story, rounds: usize) {
    let rig = Rig::start(story, 1, 2).await;
    let (load, watchers) = watched(&rig).await;
    for _ in 0..rounds {
        load.ledger.more(40).await;
        let to_nats = rig.to_nats.as_ref().unwrap();
        let to_postgres = rig.to_postgres.as_ref().unwrap();
        match story.below(5) {
            0 => {
                story.tell("nothing passes to NATS");
                to_nats.stall();
            }
            1 => {
                story.tell("links to Postgres are half open");
                to_postgres.leave_half_open();
            }
            2 => {
                story.tell("NATS is slow");
                to_nats.delay(Duration::from_millis(20));
            }
            _ => {
                story.tell("what NATS answers is lost");
                to_nats.swallow_answers();
            }
        }
        lasts(Duration::from_millis(300 + story.below(700) as u64)).await;
        story.tell("calm");
        if story.below(2) == 0 {
            to_nats.cut();
        }
        to_nats.calm();
        to_postgres.cut();
    }
    load.ledger.more(40).await;
    settle(&rig, load, watchers).await;
}

/// Frozen processes are slow ones: what they had under way is done late, and once.
pub(super) async fn frozen(story: &Story, rounds: usize) {
    let rig = Rig::start(story, 1, 2).await;
    let (load, watchers) = watched(&rig).await;
    for _ in 0..rounds {
        for victim in story.shuffled(vec![Victim::Herald(0), Victim::Nats(0), Victim::Postgres, Victim::Herald(1)]) {
            load.ledger.more(30).await;
            rig.freeze(victim, true);
            lasts(Duration::from_millis(200 + story.below(800) as u64)).await;
            rig.freeze(victim, false);
        }
    }
    load.ledger.more(30).await;
    settle(&rig, load, watchers).await;
}

async fn ready(rig: &Rig) -> StatusCode {
    reqwest::get(format!("{}/readyz", rig.urls()[0])).await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_under_load_nothing_acknowledged_is_lost_and_nothing_is_there_twice() {
    killed_at_random(&Story::new("killed"), 1, 40).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_postgres_all_is_sent_and_what_was_sent_is_read_later() {
    postgres_away(&Story::new("postgres away"), SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_postgres_and_after_a_restart_of_nats_devices_resume_once_they_can() {
    both_away(&Story::new("both away"), SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_herald_costs_its_clients_seconds() {
    let story = Story::new("herald killed");
    let mut rig = Rig::start(&story, 1, 2).await;
    long::herald_killed(&mut rig, &story, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_nats_nothing_is_acknowledged_and_it_goes_on_by_itself() {
    nats_away(&Story::new("nats away"), SHORT * 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_acknowledgements_and_half_open_links_double_nothing() {
    bad_links(&Story::new("bad links"), 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_processes_do_late_what_they_do_and_once() {
    frozen(&Story::new("frozen"), 1).await;
}
