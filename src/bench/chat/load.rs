//! A run of the load: everybody connects, writes for a while, of which a part is
//! measured, and stops; then what is under way arrives, or is found missing.

use super::{
    listener::Listener,
    pace::Pace,
    talker::{Outcome, Talker},
    views::Watch,
};
use crate::bench::{Options, histogram::Histogram, people::Person, progress::Progress, target::Target, usage::Usage};
use anyhow::{Context, bail, ensure};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};

/// How long what is under way at the end may take.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long it may take to write what is to be missed.
const WRITING: Duration = Duration::from_mins(2);
const LOOK: Duration = Duration::from_millis(20);
const TICK: Duration = Duration::from_millis(500);

/// The beginning of time.
#[derive(Debug, Clone, Copy)]
pub(in crate::bench) struct Origin(Instant);

/// What everybody is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Wait,
    Write,
    /// Write no more, and go on reading.
    Drain,
    /// Make sure that all has been read, and end.
    End,
}

/// What all have in common.
pub(in crate::bench) struct Shared {
    pub(super) origin: Origin,
    pub(super) counters: Counters,
    /// Messages that are in the log and not yet known to be in the views.
    pub(super) in_log: Mutex<Vec<InLog>>,
}

/// A message that was acknowledged: where it lies, and when it was due.
#[derive(Debug, Clone, Copy)]
pub(in crate::bench) struct InLog {
    pub(in crate::bench) partition: usize,
    pub(in crate::bench) sequence: u64,
    pub(in crate::bench) due: u64,
}

#[derive(Default)]
pub(in crate::bench) struct Counters {
    pub(super) sent: AtomicU64,
    pub(super) acknowledged: AtomicU64,
    pub(super) refused: AtomicU64,
    /// To the other person.
    pub(super) delivered: AtomicU64,
    pub(super) projected: AtomicU64,
    /// People whose connection has broken, or who were told what cannot be: the run is over.
    pub(super) broken: AtomicU64,
    /// What is due from here on, and before there, is measured; 0: not yet known.
    pub(super) from: AtomicU64,
    pub(super) until: AtomicU64,
}

/// Those who are connected, and of whom each message of a talker's is heard by so many others.
pub(in crate::bench) struct Cast {
    pub(in crate::bench) shared: Arc<Shared>,
    pub(in crate::bench) talkers: Vec<Talker>,
    pub(in crate::bench) listeners: Vec<Listener>,
    pub(in crate::bench) others: u64,
}

/// The counters at a moment.
#[derive(Debug, Clone, Copy)]
pub(in crate::bench) struct Counts {
    pub(in crate::bench) at: u64,
    pub(in crate::bench) sent: u64,
    pub(in crate::bench) acknowledged: u64,
    pub(in crate::bench) refused: u64,
    pub(in crate::bench) delivered: u64,
    pub(in crate::bench) projected: u64,
}

/// What a run has moved.
pub(in crate::bench) struct Moved {
    pub(in crate::bench) first: Counts,
    pub(in crate::bench) last: Counts,
    pub(in crate::bench) end: Counts,
    pub(in crate::bench) usage: [Usage; 3],
    pub(in crate::bench) ack: Histogram,
    pub(in crate::bench) delivery: Histogram,
    pub(in crate::bench) view: Option<Histogram>,
    /// From the end of the writing until all was acknowledged and delivered, and until the views had it.
    pub(in crate::bench) drained_in: Duration,
    pub(in crate::bench) projected_in: Option<Duration>,
    pub(in crate::bench) outcomes: Vec<Outcome>,
    pub(in crate::bench) complete: bool,
}

impl Origin {
    pub(super) fn micros(self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).expect("the bench ends before that")
    }
}

impl Counters {
    pub(super) fn is_measured(&self, due: u64) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        let from = self.from.load(Ordering::Relaxed);
        from > 0 && due >= from && (until == 0 || due < until)
    }
}

impl Shared {
    pub(super) fn new() -> Arc<Self> {
        let origin = Origin(Instant::now());
        Arc::new(Self { origin, counters: Counters::default(), in_log: Mutex::default() })
    }

    pub(super) fn counts(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { sent, acknowledged, refused, delivered, projected, .. } = &self.counters;
        Counts {
            at: self.origin.micros(),
            sent: of(sent),
            acknowledged: of(acknowledged),
            refused: of(refused),
            delivered: of(delivered),
            projected: of(projected),
        }
    }

    fn is_broken(&self) -> bool {
        self.counters.broken.load(Ordering::Relaxed) > 0
    }

    pub(super) fn is_in_log(&self, messages: &mut Vec<InLog>) {
        self.in_log.lock().unwrap_or_else(PoisonError::into_inner).append(messages);
    }
}

impl Cast {
    /// People two by two, both writing.
    pub(in crate::bench) async fn pairs(options: &Options, target: &Target, people: &[Person]) -> anyhow::Result<Self> {
        let shared = Shared::new();
        let mut talkers = Vec::with_capacity(people.len());
        for (index, person) in people.iter().enumerate() {
            talkers.push(Talker::connect(index, person, target.address, options, Arc::clone(&shared)).await?);
        }
        Ok(Self { shared, talkers, listeners: Vec::new(), others: 1 })
    }

    /// The first writes, all others hear it.
    pub(in crate::bench) async fn crowd(options: &Options, target: &Target, people: &[Person]) -> anyhow::Result<Self> {
        let Self { shared, talkers, .. } = Self::pairs(options, target, &people[..1]).await?;
        let mut listeners = Vec::with_capacity(people.len());
        for (index, person) in people.iter().enumerate().skip(1) {
            listeners.push(Listener::connect(index, person, target.address, Arc::clone(&shared)).await?);
        }
        let others = u64::try_from(listeners.len())?;
        Ok(Self { shared, talkers, listeners, others })
    }

    /// Each writes no more than so many messages.
    pub(in crate::bench) fn at_most(self, messages: usize) -> Self {
        let talkers = self.talkers.into_iter().map(|talker| talker.at_most(messages)).collect();
        Self { talkers, ..self }
    }

    /// Everybody begins to wait for their phases.
    fn begin(self, rate: Option<u32>) -> Running {
        let (phase, phases) = watch::channel(Phase::Wait);
        let (pace, dues) = match rate {
            Some(rate) => {
                let (pace, dues) = Pace::start(rate, self.talkers.len(), self.shared.origin);
                (Some(pace), dues.into_iter().map(Some).collect())
            }
            None => (None, self.talkers.iter().map(|_| None).collect::<Vec<_>>()),
        };
        let mut tasks = JoinSet::new();
        for (talker, due) in self.talkers.into_iter().zip(dues) {
            tasks.spawn(talker.run(phases.clone(), due));
        }
        for listener in self.listeners {
            tasks.spawn(listener.run(phases.clone()));
        }
        Running { shared: self.shared, others: self.others, phase, pace, tasks }
    }
}

/// Everybody, at work.
struct Running {
    shared: Arc<Shared>,
    others: u64,
    phase: watch::Sender<Phase>,
    pace: Option<Pace>,
    tasks: JoinSet<Outcome>,
}

impl Running {
    /// Nobody writes any more; whether all that was written arrives.
    async fn drain(&mut self) -> bool {
        self.pace = None;
        self.phase.send_replace(Phase::Drain);
        let others = self.others;
        let arrived = until(&self.shared, |counts| {
            counts.acknowledged + counts.refused == counts.sent && counts.delivered >= counts.acknowledged * others
        });
        arrived.await
    }

    /// What each has seen, in their order.
    async fn end(mut self) -> anyhow::Result<Vec<Outcome>> {
        self.phase.send_replace(Phase::End);
        let mut outcomes = Vec::new();
        while let Some(outcome) = self.tasks.join_next().await {
            outcomes.push(outcome.context("a person of the bench broke")?);
        }
        outcomes.sort_by_key(|outcome| outcome.person);
        Ok(outcomes)
    }
}

/// Runs the load.
pub(in crate::bench) async fn run(
    options: &Options,
    target: &Target,
    cast: Cast,
    progress: &Progress,
) -> anyhow::Result<Moved> {
    let shared = Arc::clone(&cast.shared);
    let watch = match &target.log {
        Some(log) => Some(Watch::start(log, Arc::clone(&shared)).await?),
        None => None,
    };
    let mut running = cast.begin(options.rate);
    running.phase.send_replace(Phase::Write);
    wait(Duration::from_secs(options.warm_up), "warming up", &shared, progress).await;
    let mut usage = vec![Usage::read(target.pids)];
    let first = shared.counts();
    shared.counters.from.store(first.at.max(1), Ordering::Relaxed);
    wait(Duration::from_secs(options.seconds), "measuring", &shared, progress).await;
    let last = shared.counts();
    shared.counters.until.store(last.at, Ordering::Relaxed);
    usage.push(Usage::read(target.pids));

    progress.step("what is under way arrives");
    let stopped = Instant::now();
    let arrived = running.drain().await;
    let drained_in = stopped.elapsed();
    let mut projected_in = None;
    if watch.is_some() && until(&shared, |counts| counts.projected >= counts.acknowledged).await {
        projected_in = Some(stopped.elapsed());
    }
    usage.push(Usage::read(target.pids));

    let outcomes = running.end().await?;
    let end = shared.counts();
    let (mut ack, mut delivery) = (Histogram::default(), Histogram::default());
    for outcome in &outcomes {
        ack.add(&outcome.ack);
        delivery.add(&outcome.delivery);
    }
    let view = match watch {
        Some(watch) => Some(watch.stop().await?),
        None => None,
    };
    let complete = arrived && (target.log.is_none() || projected_in.is_some());
    let usage = usage.try_into().expect("three were read");
    Ok(Moved { first, last, end, usage, ack, delivery, view, drained_in, projected_in, outcomes, complete })
}

/// Lets everybody write until that is enough, as judged by what was acknowledged since the last look.
pub(in crate::bench) async fn write(
    cast: Cast,
    mut enough: impl FnMut(&[InLog]) -> bool,
) -> anyhow::Result<Vec<Outcome>> {
    let shared = Arc::clone(&cast.shared);
    let mut running = cast.begin(None);
    running.phase.send_replace(Phase::Write);
    let began = Instant::now();
    while !enough(&std::mem::take(&mut *shared.in_log.lock().unwrap_or_else(PoisonError::into_inner))) {
        if shared.is_broken() {
            let faults = running.end().await?.into_iter().flat_map(|outcome| outcome.faults);
            bail!("what is to be missed cannot be written: {}", faults.collect::<Vec<_>>().join("; "));
        }
        ensure!(began.elapsed() < WRITING, "what is to be missed takes too long to write");
        sleep(LOOK).await;
    }
    ensure!(running.drain().await, "not all that was written has arrived");
    running.end().await
}

async fn wait(lasting: Duration, doing: &str, shared: &Shared, progress: &Progress) {
    let began = Instant::now();
    let mut before = shared.counts();
    while began.elapsed() < lasting && !shared.is_broken() {
        sleep(TICK.min(lasting.saturating_sub(began.elapsed()))).await;
        let now = shared.counts();
        progress.rates(doing, began.elapsed(), lasting, &before, &now);
        before = now;
    }
}

/// Whether it comes to that in time.
async fn until(shared: &Shared, reached: impl Fn(&Counts) -> bool) -> bool {
    let began = Instant::now();
    while !reached(&shared.counts()) {
        if began.elapsed() > PATIENCE || shared.is_broken() {
            return false;
        }
        sleep(LOOK).await;
    }
    true
}
