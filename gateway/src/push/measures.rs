//! What pushing tells of itself: letters by how they ended, people they were about,
//! what waits, and how old what is looked at is.

use chrono::TimeDelta;
use metrics::{Counter, Gauge, Unit, counter, describe_counter, describe_gauge, gauge};
use std::sync::LazyLock;

const LETTERS: &str = "herald_push_letters_total";
const PEOPLE: &str = "herald_push_people_total";
const WAITING: &str = "herald_push_waiting_letters";
const LAG: &str = "herald_push_lag_seconds";

static PUSH: LazyLock<Measures> = LazyLock::new(Measures::new);

struct Measures {
    posted: Counter,
    failed: Counter,
    dead: Counter,
    people: Counter,
    waiting: Gauge,
    lag: Gauge,
}

impl Measures {
    fn new() -> Self {
        describe_counter!(LETTERS, "Tries to post pushes, by how they ended: posted, failed for now, or dead.");
        describe_counter!(PEOPLE, "People whom posted pushes were about.");
        describe_gauge!(WAITING, "Letters that are not posted yet, those for later included.");
        describe_gauge!(LAG, Unit::Seconds, "How old the oldest message was that was last looked at.");
        let letters = |outcome: &'static str| counter!(LETTERS, "outcome" => outcome);
        Self {
            posted: letters("posted"),
            failed: letters("failed"),
            dead: letters("dead"),
            people: counter!(PEOPLE),
            waiting: gauge!(WAITING),
            lag: gauge!(LAG),
        }
    }
}

pub(super) fn posted(people: usize) {
    PUSH.posted.increment(1);
    PUSH.people.increment(people as u64);
}

pub(super) fn failed() {
    PUSH.failed.increment(1);
}

pub(super) fn died() {
    PUSH.dead.increment(1);
}

pub(super) fn waiting(letters: usize) {
    PUSH.waiting.set(u32::try_from(letters).unwrap_or(u32::MAX));
}

/// `None`: nothing was written.
pub(super) fn lag(lag: Option<TimeDelta>) {
    PUSH.lag.set(lag.map_or(0.0, TimeDelta::as_seconds_f64));
}
