//! The sessions of this node, and what the log tells them: one tail for each
//! partition, each fact observed by accounts and threads first, then dispatched
//! in order to those whom it concerns. One slow socket never delays another.

mod attaching;
mod audience;
mod crowd;
mod outbox;
mod receipts;
mod ring;
mod seat;
#[cfg(test)]
mod simulated_client;
#[cfg(test)]
mod simulated_log;
#[cfg(test)]
mod simulation;
mod sizes;
mod state;
mod stay;
mod telling;
#[cfg(test)]
mod tests;
mod told;
mod typing;
mod watchers;
mod watching;

pub(crate) use attaching::{Heard, MAX_MISSED, Missed, Reach};
pub(crate) use outbox::{Ended, Outbox};
pub(crate) use seat::Seat;
pub(crate) use told::{Said, Told};

use crate::{app::DEAF_AFTER, measures};
use command::{accounts::Accounts, presence::Presence, threads::Threads};
use crowd::Crowd;
use events::{Clock, Envelope, EventLog, Partition, Trace, Vector, log::LogError};
use query::Views;
use ring::Ring;
use state::State;
use std::{
    future::pending,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, interval, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use watching::Watching;

const BATCH: usize = 500;
/// Facts dispatched at one go: fewer than a socket's queue holds, so that a client which reads is not cut off.
const GO: usize = 64;
const PAUSE: Duration = Duration::from_millis(500);

/// This node's hub. Clones share it.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    heard: Notify,
    /// There is a thread of which nobody knows how many are in it.
    unknown_size: Notify,
    /// Partitions of which the node has not yet heard what was in the log at its boot.
    behind: AtomicUsize,
    /// What the tails have heard is not dispatched in time.
    late: AtomicBool,
    clock: Clock,
    presence: Presence,
    watching: Watching,
}

impl Hub {
    /// Follows the log in the background until `stop`, from where on revocations still matter. The views are asked
    /// only how large a thread is, and who may see whom.
    #[expect(clippy::disallowed_methods, reason = "the hub owns its tails and ends them with the node")]
    pub fn start(
        log: EventLog,
        clock: Clock,
        accounts: Accounts,
        threads: Threads,
        presence: Presence,
        views: Views,
        stop: CancellationToken,
    ) -> Self {
        let (watching, watch) = Watching::new(log.clone(), views.clone());
        let behind = AtomicUsize::new(log.names().partitions().count());
        let hub = Self(Arc::new(Inner {
            state: Mutex::default(),
            heard: Notify::new(),
            unknown_size: Notify::new(),
            behind,
            late: AtomicBool::new(false),
            clock,
            presence,
            watching,
        }));
        let names = log.names().clone();
        tokio::spawn(stop.clone().run_until_cancelled_owned(watch));
        tokio::spawn(stop.clone().run_until_cancelled_owned(hub.clone().pass_on_typing(log.clone())));
        tokio::spawn(stop.clone().run_until_cancelled_owned(hub.clone().end_when_lost()));
        tokio::spawn(stop.clone().run_until_cancelled_owned(hub.clone().keep_sizes(names, views)));
        tokio::spawn(stop.run_until_cancelled_owned(hub.clone().run(log, accounts, threads)));
        hub
    }

    /// Whether all that was in the log at the node's boot has been heard, and what came since is dispatched in time.
    pub fn ready(&self) -> bool {
        self.0.behind.load(Ordering::Acquire) == 0 && !self.0.late.load(Ordering::Acquire)
    }

    /// Up to where the log has been heard and dispatched.
    pub(crate) fn vector(&self) -> Vector {
        self.state().vector()
    }

    /// Waits until that much has been heard.
    pub(crate) async fn reached(&self, wanted: &Vector) {
        loop {
            let heard = self.0.heard.notified();
            tokio::pin!(heard);
            heard.as_mut().enable();
            if self.vector().covers(wanted) {
                return;
            }
            heard.await;
        }
    }

    async fn run(self, log: EventLog, accounts: Accounts, threads: Threads) {
        let starts = loop {
            match starts(&log, &accounts).await {
                Ok(starts) => break starts,
                Err(error) => tracing::warn!(%error, "where to start in the log is not known yet"),
            }
            sleep(PAUSE).await;
        };
        let mut tails = JoinSet::new();
        for start in starts {
            self.state().follow(start.partition, Ring::starting_after(start.after));
            tails.spawn(self.clone().follow(log.clone(), accounts.clone(), threads.clone(), start));
        }
        let mut watch = interval(PAUSE);
        let (mut milestone, mut set_at) = (Vector::default(), Instant::now());
        loop {
            tokio::select! {
                Some(ended) = tails.join_next() => {
                    tracing::error!(?ended, "a tail has failed, this node tells nothing any more");
                    self.0.behind.fetch_add(1, Ordering::AcqRel);
                    self.state().end_all(Ended::Deaf);
                }
                _ = watch.tick() => {
                    // What the tails have heard must be dispatched within the same time.
                    if self.vector().covers(&milestone) {
                        (milestone, set_at) = (log.heard(), Instant::now());
                    }
                    let late = set_at.elapsed() >= DEAF_AFTER;
                    self.0.late.store(late, Ordering::Release);
                    if late || log.silent_for() >= DEAF_AFTER {
                        self.state().end_all(Ended::Deaf);
                    }
                }
            }
        }
    }

    async fn follow(self, log: EventLog, accounts: Accounts, threads: Threads, start: Start) {
        let Start { partition, after, end } = start;
        let mut subscription = log.subscribe(partition, after);
        let mut caught_up = after >= end;
        self.caught_up(caught_up);
        let (mut crowd, began) = (Crowd::default(), Instant::now());
        loop {
            let due = async {
                match crowd.due() {
                    Some(due) => sleep_until(began + due).await,
                    None => pending().await,
                }
            };
            let batch = tokio::select! {
                batch = subscription.next_batch(BATCH) => batch,
                () = due => Vec::new(),
            };
            crowd.wake(began.elapsed());
            for envelope in &batch {
                accounts.observe(envelope);
                threads.observe(envelope);
                if let Some(user_id) = audience::shows_otherwise(envelope) {
                    self.0.watching.reconsider(user_id, envelope.position);
                }
            }
            for go in batch.chunks(GO) {
                crowd.hold(self.dispatch(go));
                crowd.wake(began.elapsed());
                // What the log had at the node's boot is late for nobody.
                if let Some(last) = go.last().filter(|_| caught_up) {
                    measures::told((self.0.clock.now() - last.at).to_std().unwrap_or_default());
                }
                tokio::task::yield_now().await;
            }
            if !caught_up && batch.last().is_some_and(|last| last.position.sequence >= end) {
                caught_up = true;
                self.caught_up(true);
            }
        }
    }

    /// By what the log says nobody is connected here: whoever is has to come again.
    async fn end_when_lost(self) {
        let mut presence = self.0.presence.clone();
        loop {
            presence.lost().await;
            self.state().end_all(Ended::Lost);
        }
    }

    fn caught_up(&self, caught_up: bool) {
        self.0.behind.fetch_sub(usize::from(caught_up), Ordering::AcqRel);
    }

    /// Tells everybody; those of a crowd have to be woken.
    fn dispatch(&self, go: &[Arc<Envelope>]) -> Vec<Arc<Outbox>> {
        let mut state = self.state();
        let tell = |envelope: &Arc<Envelope>| match envelope.trace {
            None => state.dispatch(envelope),
            Some(trace) => traced(trace, envelope, &mut state),
        };
        let frames = go.iter().map(tell).sum();
        let unknown_size = state.rooms.has_unknown_size();
        let held = std::mem::take(&mut state.held);
        drop(state);
        measures::dispatched(go.len(), frames);
        self.0.heard.notify_waiters();
        if unknown_size {
            self.0.unknown_size.notify_one();
        }
        held
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a partition is followed from, and where it ended at boot.
#[derive(Clone, Copy)]
struct Start {
    partition: Partition,
    after: u64,
    end: u64,
}

async fn starts(log: &EventLog, accounts: &Accounts) -> Result<Vec<Start>, LogError> {
    let ago = accounts.revocations_matter_for();
    let mut starts = Vec::new();
    let end = log.end().await?;
    for partition in log.names().partitions() {
        let after = log.sequence_before(partition, ago).await?;
        starts.push(Start { partition, after, end: end.get(partition) });
    }
    Ok(starts)
}

/// Dispatches a fact in the trace that it was appended in.
fn traced(trace: Trace, envelope: &Arc<Envelope>, state: &mut State) -> usize {
    let _appended = trace.context().attach();
    let span = tracing::debug_span!("gateway.push", position = %envelope.position, frames = Empty);
    span.in_scope(|| {
        let frames = state.dispatch(envelope);
        span.record("frames", frames);
        frames
    })
}
