//! Those who watch: each a socket that is told of the same people, how long after
//! their coming, and how often.

use crate::bench::{
    histogram::Histogram,
    people::Person,
    scan::Told,
    wire::{Frame, Wire, closed, first},
};
use anyhow::{bail, ensure};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

/// As long as it may take that all are told.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(10);

/// People who watch, while this lives.
pub(super) struct Watchers {
    count: u64,
    seen: Arc<Seen>,
    tasks: JoinSet<anyhow::Result<()>>,
}

/// What all of them were told.
struct Seen {
    began: Instant,
    /// When each of the watched last began to come, in microseconds.
    came: HashMap<Vec<u8>, AtomicU64>,
    online: AtomicU64,
    offline: AtomicU64,
    latency: Mutex<Histogram>,
}

impl Watchers {
    /// So many sockets that are told of those people, and were told how they are now.
    pub(super) async fn watch(address: SocketAddr, watchers: &[Person], watched: &[Person]) -> anyhow::Result<Self> {
        let came = watched.iter().map(|person| (person.user_id.clone().into_bytes(), AtomicU64::new(0))).collect();
        let (online, offline) = (AtomicU64::new(0), AtomicU64::new(0));
        let seen = Arc::new(Seen { began: Instant::now(), came, online, offline, latency: Mutex::default() });
        let ids: Vec<_> = watched.iter().map(|person| format!("\"{}\"", person.user_id)).collect();
        let watch = format!(r#"{{"type":"watch","user_ids":[{}]}}"#, ids.join(","));
        let mut tasks = JoinSet::new();
        for watcher in watchers {
            let mut wire = Wire::open(address).await?;
            wire.say(|out| out.extend(format!(r#"{{"type":"hello","token":"{}"}}"#, watcher.access_token).bytes()));
            wire.say(|out| out.extend_from_slice(watch.as_bytes()));
            tasks.spawn(listen(wire, Arc::clone(&seen)));
        }
        let mut watchers = Self { count: u64::try_from(watchers.len())?, seen, tasks };
        watchers
            .told(|seen| seen.online.load(Ordering::Relaxed) + seen.offline.load(Ordering::Relaxed), watched)
            .await?;
        watchers.forget();
        Ok(watchers)
    }

    /// Somebody begins to come.
    pub(super) fn comes(&self, person: &Person) {
        if let Some(came) = self.seen.came.get(person.user_id.as_bytes()) {
            came.store(self.seen.now(), Ordering::Relaxed);
        }
    }

    /// Waits until everybody was told of each of them that they came.
    pub(super) async fn told_came(&mut self, watched: &[Person]) -> anyhow::Result<()> {
        self.told(|seen| seen.online.load(Ordering::Relaxed), watched).await
    }

    /// Waits until everybody was told of each of them that they went.
    pub(super) async fn told_went(&mut self, watched: &[Person]) -> anyhow::Result<()> {
        self.told(|seen| seen.offline.load(Ordering::Relaxed), watched).await
    }

    /// How many frames came since the last call; the next wait begins at none.
    pub(super) fn forget(&self) -> u64 {
        self.seen.online.swap(0, Ordering::Relaxed) + self.seen.offline.swap(0, Ordering::Relaxed)
    }

    /// From coming to being told of it, and it is counted anew.
    pub(super) fn latency(&self) -> Histogram {
        std::mem::take(&mut *self.seen.latency.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn told(&mut self, count: impl Fn(&Seen) -> u64, watched: &[Person]) -> anyhow::Result<()> {
        let all = self.count * u64::try_from(watched.len())?;
        let began = Instant::now();
        while count(&self.seen) < all {
            if let Some(ended) = self.tasks.try_join_next() {
                ended??;
            }
            let told = count(&self.seen);
            ensure!(began.elapsed() < PATIENCE, "only {told} of {all} frames of presence came");
            sleep(LOOK).await;
        }
        Ok(())
    }
}

impl Seen {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn told(&self, user_id: &[u8], online: bool) {
        if !online {
            self.offline.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let came = self.came.get(user_id).map_or(0, |came| came.load(Ordering::Relaxed));
        if came > 0 {
            let mut latency = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
            latency.record(self.now().saturating_sub(came));
        }
        self.online.fetch_add(1, Ordering::Relaxed);
    }
}

async fn listen(mut wire: Wire, seen: Arc<Seen>) -> anyhow::Result<()> {
    loop {
        wire.flush()?;
        wire.fill().await?;
        let input = wire.take();
        let mut at = 0;
        while let Some((frame, length)) = first(&input[at..])? {
            at += length;
            match frame {
                Frame::Text(text) => {
                    let told = Told::read(text);
                    if told.kind == b"presence" {
                        seen.told(told.user_id, told.online == b"true");
                    }
                }
                Frame::Ping(payload) => wire.pong(payload),
                Frame::Close(payload) => bail!("herald closed a watcher: {}", closed(payload)),
                Frame::Pong => {}
            }
        }
        wire.handled(input, at);
    }
}
