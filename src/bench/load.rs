//! A run of the load: everybody connects, writes for a while, of which a part is
//! measured, and stops; then what is under way arrives, or is found missing.

use super::{
    Options,
    histogram::Histogram,
    pace::Pace,
    people::People,
    progress::Progress,
    talker::{Outcome, Talker},
    target::Target,
    usage::{Sample, Usage},
    views::Watch,
};
use anyhow::{Context, ensure};
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
const LOOK: Duration = Duration::from_millis(20);
const TICK: Duration = Duration::from_millis(500);

/// The beginning of time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin(Instant);

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
pub(super) struct Shared {
    pub(super) origin: Origin,
    pub(super) counters: Counters,
    /// Messages that are in the log and not yet known to be in the views.
    pub(super) in_log: Mutex<Vec<InLog>>,
}

/// A message that was acknowledged: where it lies, and when it was due.
#[derive(Debug, Clone, Copy)]
pub(super) struct InLog {
    pub(super) partition: usize,
    pub(super) sequence: u64,
    pub(super) due: u64,
}

#[derive(Default)]
pub(super) struct Counters {
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

/// The counters at a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    pub(super) at: u64,
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
    pub(super) refused: u64,
    pub(super) delivered: u64,
    pub(super) projected: u64,
}

/// What a run has moved.
pub(super) struct Moved {
    pub(super) first: Counts,
    pub(super) last: Counts,
    pub(super) end: Counts,
    pub(super) usage: [Usage; 3],
    pub(super) ack: Histogram,
    pub(super) delivery: Histogram,
    pub(super) view: Option<Histogram>,
    /// From the end of the writing until all was acknowledged and delivered, and until the views had it.
    pub(super) drained_in: Duration,
    pub(super) projected_in: Option<Duration>,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) complete: bool,
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

/// Runs the load.
pub(super) async fn run(
    options: &Options,
    target: &Target,
    people: &People,
    progress: &Progress,
) -> anyhow::Result<Moved> {
    let shared =
        Arc::new(Shared { origin: Origin(Instant::now()), counters: Counters::default(), in_log: Mutex::default() });
    let watch = match &target.log {
        Some(log) => Some(Watch::start(log, Arc::clone(&shared)).await?),
        None => None,
    };
    let (phase, phases) = watch::channel(Phase::Wait);
    let talkers = connect(options, target, people, &shared).await?;
    let (pace, dues) = match options.rate {
        Some(rate) => {
            let (pace, dues) = Pace::start(rate, talkers.len(), shared.origin);
            (Some(pace), dues.into_iter().map(Some).collect())
        }
        None => (None, talkers.iter().map(|_| None).collect::<Vec<_>>()),
    };
    let mut writing = JoinSet::new();
    for (talker, due) in talkers.into_iter().zip(dues) {
        writing.spawn(talker.run(phases.clone(), due));
    }

    phase.send_replace(Phase::Write);
    wait(Duration::from_secs(options.warm_up), "warming up", &shared, progress).await;
    let mut usage = vec![Usage::read(target.pids)];
    let first = shared.counts();
    shared.counters.from.store(first.at.max(1), Ordering::Relaxed);
    wait(Duration::from_secs(options.seconds), "measuring", &shared, progress).await;
    let last = shared.counts();
    shared.counters.until.store(last.at, Ordering::Relaxed);
    usage.push(Usage::read(target.pids));
    drop(pace);

    phase.send_replace(Phase::Drain);
    progress.step("what is under way arrives");
    let stopped = Instant::now();
    let arrived = until(&shared, |counts| {
        counts.acknowledged + counts.refused == counts.sent && counts.delivered >= counts.acknowledged
    });
    let arrived = arrived.await;
    let drained_in = stopped.elapsed();
    let mut projected_in = None;
    if watch.is_some() && until(&shared, |counts| counts.projected >= counts.acknowledged).await {
        projected_in = Some(stopped.elapsed());
    }
    usage.push(Usage::read(target.pids));

    phase.send_replace(Phase::End);
    let mut outcomes = Vec::new();
    while let Some(outcome) = writing.join_next().await {
        outcomes.push(outcome.context("a person of the bench broke")?);
    }
    outcomes.sort_by_key(|outcome| outcome.person);
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

async fn connect(
    options: &Options,
    target: &Target,
    people: &People,
    shared: &Arc<Shared>,
) -> anyhow::Result<Vec<Talker>> {
    let mut talkers = Vec::with_capacity(people.all.len());
    for (index, person) in people.all.iter().enumerate() {
        talkers.push(Talker::connect(index, person, target.address, options, Arc::clone(shared)).await?);
    }
    ensure!(talkers.len() >= 2, "two people are needed");
    Ok(talkers)
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

impl Moved {
    /// What the processes used while something was measured, and until all of it had arrived.
    pub(super) fn used(&self, of: impl Fn(&Usage) -> Option<Sample>) -> [Option<Duration>; 2] {
        let [start, end, drained] = &self.usage;
        let since = |later: &Usage| Some(of(later)?.cpu.saturating_sub(of(start)?.cpu));
        [since(end), since(drained)]
    }
}
