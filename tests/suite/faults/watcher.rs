//! Somebody's device while things fail: what it saw of a thread is held against
//! the thread's history.

use super::rig::PATIENCE;
use crate::{device::Device, people::Person};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
    time::timeout,
};

pub(super) struct Watcher {
    /// The thread's last number, once it is known.
    last: watch::Sender<Option<u64>>,
    at_work: JoinSet<Seen>,
}

/// What a device saw: between two resets without a gap.
#[derive(Debug, Default)]
pub(super) struct Seen {
    runs: Vec<Vec<(u64, String)>>,
    /// How often the device had to connect, and how often it was sent away, by code.
    pub(super) connections: usize,
    pub(super) closed: BTreeMap<u16, usize>,
}

impl Watcher {
    /// Watches from now on; returns once the device is live.
    pub(super) async fn of(person: &Person, urls: &[String], thread_id: &str) -> Self {
        let (last, (live, is_live)) = (watch::Sender::new(None), oneshot::channel());
        let seen = Seen { runs: vec![Vec::new()], connections: 0, closed: BTreeMap::new() };
        let watching = Watching { thread_id: thread_id.to_owned(), seen, last: last.subscribe() };
        let mut at_work = JoinSet::new();
        at_work.spawn(watching.run(Device::of(person, urls), live));
        is_live.await.unwrap();
        Self { last, at_work }
    }

    /// Waits until all up to the last has been seen, and compares.
    pub(super) async fn check(mut self, history: &BTreeMap<u64, (String, String)>) -> Seen {
        self.last.send_replace(history.keys().next_back().copied());
        let seen = timeout(PATIENCE, self.at_work.join_next()).await.expect("a device sees the last message in time");
        let seen = seen.unwrap().unwrap();
        for (index, run) in seen.runs.iter().enumerate() {
            if let (0, Some((first, _))) = (index, run.first()) {
                assert_eq!(*first, 1, "it was live before the first message");
            }
            for pair in run.windows(2) {
                assert_eq!(pair[0].0 + 1, pair[1].0, "a gap, a duplicate or another order: {run:?}");
            }
            for (number, key) in run {
                assert_eq!(history.get(number).map(|(key, _)| key), Some(key), "{number} is another in history");
            }
        }
        seen
    }
}

struct Watching {
    thread_id: String,
    seen: Seen,
    last: watch::Receiver<Option<u64>>,
}

impl Watching {
    async fn run(mut self, mut device: Device, live: oneshot::Sender<()>) -> Seen {
        let mut live = Some(live);
        let mut last = self.last.clone();
        while !self.is_complete() {
            let frame = tokio::select! {
                frame = device.next() => frame,
                Ok(()) = last.changed() => continue,
            };
            match frame["type"].as_str().unwrap() {
                "live" => {
                    self.seen.connections += 1;
                    live.take().map(|live| live.send(()));
                }
                // The first run begins with the first welcome.
                "welcome" | "reset" if live.is_none() => self.seen.runs.push(Vec::new()),
                "message" => self.take(&frame),
                _ => {}
            }
        }
        Seen { closed: device.closed, ..self.seen }
    }

    fn take(&mut self, frame: &Value) {
        if frame["thread_id"] == json!(self.thread_id) {
            let number = frame["number"].as_u64().unwrap();
            self.seen.runs.last_mut().unwrap().push((number, frame["key"].as_str().unwrap().to_owned()));
        }
    }

    /// After a reset the last may have been reloaded rather than seen.
    fn is_complete(&self) -> bool {
        let Some(last) = *self.last.borrow() else { return false };
        match self.seen.runs.last().and_then(|run| run.last()) {
            Some((number, _)) => *number >= last,
            None => self.seen.runs.len() > 1,
        }
    }
}
