//! What became of every send, as its sender knows it: acknowledged, refused, or
//! unknown. Held against the log at the end: the first is there once, the
//! second never, the third at most once.

use super::rig::PATIENCE;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};
use tokio::{sync::watch, time::timeout};

/// All sends of a run. Clones share it.
#[derive(Clone)]
pub(super) struct Ledger {
    sends: Arc<Mutex<HashMap<String, Send>>>,
    acknowledged: watch::Sender<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// With its number in the thread.
    Acknowledged(u64),
    /// The answer said that nothing has happened.
    Refused,
    /// No answer, or one that said that it is not known.
    Unknown,
}

#[derive(Debug, Clone)]
struct Send {
    pair: usize,
    body: String,
    outcome: Outcome,
}

/// How many sends had which outcome.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    pub(super) acknowledged: usize,
    pub(super) refused: usize,
    pub(super) unknown: usize,
    /// Of the unknown ones, those that are there.
    pub(super) appeared: usize,
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self { sends: Arc::default(), acknowledged: watch::Sender::new(0) }
    }

    /// Notes an attempt. A refusal does not undo what an earlier attempt with the key left open.
    pub(super) fn note(&self, pair: usize, key: &str, body: &str, outcome: Outcome) {
        let mut sends = self.sends.lock().unwrap();
        let fresh = Send { pair, body: body.to_owned(), outcome };
        let send = sends.entry(key.to_owned()).or_insert(fresh);
        match (send.outcome, outcome) {
            (Outcome::Acknowledged(first), Outcome::Acknowledged(again)) => {
                assert_eq!(first, again, "{key} was acknowledged twice, with different numbers");
            }
            (Outcome::Acknowledged(_), _) | (Outcome::Unknown, Outcome::Refused) => {}
            (Outcome::Refused | Outcome::Unknown, _) => send.outcome = outcome,
        }
        if matches!(outcome, Outcome::Acknowledged(_)) {
            self.acknowledged.send_modify(|count| *count += 1);
        }
    }

    pub(super) fn acknowledged(&self) -> usize {
        *self.acknowledged.borrow()
    }

    /// Waits for so many more acknowledgements.
    pub(super) async fn more(&self, count: usize) {
        let enough = self.acknowledged() + count;
        let mut acknowledged = self.acknowledged.subscribe();
        let reached = timeout(PATIENCE, acknowledged.wait_for(|count| *count >= enough)).await;
        assert!(reached.is_ok(), "only {} of {enough} are acknowledged", self.acknowledged());
    }

    /// Holds what one pair of people sent against their thread in the log (number → key, text).
    pub(super) fn check(&self, pair: usize, log: &BTreeMap<u64, (String, String)>) -> Counts {
        assert!(log.keys().copied().eq(1..=log.len() as u64), "the numbers have gaps: {:?}", log.keys());
        let mut there = HashMap::new();
        for (number, (key, body)) in log {
            assert_eq!(there.insert(key.as_str(), (*number, body)), None, "{key} is there twice");
        }
        let mut counts = Counts::default();
        for (key, send) in self.sends.lock().unwrap().iter().filter(|(_, send)| send.pair == pair) {
            let found = there.remove(key.as_str());
            match send.outcome {
                Outcome::Acknowledged(number) => {
                    assert_eq!(found, Some((number, &send.body)), "{key} was acknowledged, and this is there");
                    counts.acknowledged += 1;
                }
                Outcome::Refused => {
                    assert_eq!(found, None, "{key} was refused, and is there");
                    counts.refused += 1;
                }
                Outcome::Unknown => {
                    assert!(found.is_none_or(|(_, body)| *body == send.body), "{key} is there as another: {found:?}");
                    counts.unknown += 1;
                    counts.appeared += usize::from(found.is_some());
                }
            }
        }
        assert!(there.is_empty(), "nobody sent these: {there:?}");
        counts
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.unknown += other.unknown;
        self.appeared += other.appeared;
    }
}
