//! The sessions of this node, and what the log tells them: one tail for each
//! partition, each fact observed by accounts first, then dispatched in order to
//! those whom it concerns. One slow socket never delays another.

mod audience;
mod outbox;
mod ring;
#[cfg(test)]
mod simulation;
mod state;
#[cfg(test)]
mod tests;
mod told;

pub(crate) use outbox::{Ended, Outbox};

use crate::{app::DEAF_AFTER, measures};
use command::accounts::Accounts;
use events::{Envelope, EventLog, Partition, SessionId, Trace, UserId, Vector, log::LogError};
use query::inbox::Membership;
use ring::Ring;
use state::{Joined, SeatId, State};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, interval, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;

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
    /// Partitions of which the node has not yet heard what was in the log at its boot.
    behind: AtomicUsize,
    /// What the tails have heard is not dispatched in time.
    late: AtomicBool,
}

/// A socket's place at the hub; given up when it is dropped.
pub(crate) struct Seat {
    hub: Hub,
    id: SeatId,
    entered: Vector,
}

impl Hub {
    /// Follows the log in the background until `stop`, from where on revocations still matter.
    #[expect(clippy::disallowed_methods, reason = "the hub owns its tails and ends them with the node")]
    pub fn start(log: EventLog, accounts: Accounts, stop: CancellationToken) -> Self {
        let behind = AtomicUsize::new(log.names().partitions().count());
        let hub = Self(Arc::new(Inner {
            state: Mutex::default(),
            heard: Notify::new(),
            behind,
            late: AtomicBool::new(false),
        }));
        tokio::spawn(stop.run_until_cancelled_owned(hub.clone().run(log, accounts)));
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

    /// Takes in a socket: from now on the hub keeps what it must know of this person.
    pub(crate) fn enter(&self, user_id: UserId, session_id: SessionId, outbox: Arc<Outbox>) -> Seat {
        let mut state = self.state();
        let id = state.enter(user_id, session_id, outbox);
        Seat { hub: self.clone(), id, entered: state.vector() }
    }

    async fn run(self, log: EventLog, accounts: Accounts) {
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
            tails.spawn(self.clone().follow(log.clone(), accounts.clone(), start));
        }
        let mut watch = interval(PAUSE);
        let (mut milestone, mut set_at) = (Vector::default(), Instant::now());
        loop {
            tokio::select! {
                Some(ended) = tails.join_next() => {
                    tracing::error!(?ended, "a tail has failed, this node tells nothing any more");
                    self.0.behind.fetch_add(1, Ordering::AcqRel);
                    self.state().end_all();
                }
                _ = watch.tick() => {
                    // What the tails have heard must be dispatched within the same time.
                    if self.vector().covers(&milestone) {
                        (milestone, set_at) = (log.heard(), Instant::now());
                    }
                    let late = set_at.elapsed() >= DEAF_AFTER;
                    self.0.late.store(late, Ordering::Release);
                    if late || log.silent_for() >= DEAF_AFTER {
                        self.state().end_all();
                    }
                }
            }
        }
    }

    async fn follow(self, log: EventLog, accounts: Accounts, start: Start) {
        let Start { partition, after, end } = start;
        let mut subscription = log.subscribe(partition, after);
        let mut caught_up = after >= end;
        self.caught_up(caught_up);
        loop {
            let batch = subscription.next_batch(BATCH).await;
            for envelope in &batch {
                accounts.observe(envelope);
            }
            for go in batch.chunks(GO) {
                self.dispatch(go);
                tokio::task::yield_now().await;
            }
            if !caught_up && batch.last().is_some_and(|last| last.position.sequence >= end) {
                caught_up = true;
                self.caught_up(true);
            }
        }
    }

    fn caught_up(&self, caught_up: bool) {
        self.0.behind.fetch_sub(usize::from(caught_up), Ordering::AcqRel);
    }

    fn dispatch(&self, go: &[Arc<Envelope>]) {
        let mut state = self.state();
        let tell = |envelope: &Arc<Envelope>| match envelope.trace {
            None => state.dispatch(envelope),
            Some(trace) => traced(trace, envelope, &mut state),
        };
        let frames = go.iter().map(tell).sum();
        drop(state);
        measures::dispatched(go.len(), frames);
        self.0.heard.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// What the hub had heard when the socket entered: what a view must have applied before it is asked
    /// for this person's threads, and where a socket that resumes nothing starts.
    pub(crate) fn entered(&self) -> &Vector {
        &self.entered
    }

    /// Goes live with the person's threads as a view has them at [`Seat::entered`] or later: what was
    /// missed since `resume` is put into the outbox, and from now on what happens.
    pub(crate) fn attach(&self, memberships: &[Membership], resume: Option<&Vector>) {
        let joined: Vec<_> = memberships.iter().map(joined).collect();
        self.hub.state().attach(self.id, &joined, resume.unwrap_or(&self.entered));
    }

    /// Puts a pong into the outbox, with the vector of what was put there before it.
    pub(crate) fn pong(&self) {
        self.hub.state().pong(self.id);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hub.state().leave(self.id);
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

fn joined(membership: &Membership) -> Joined {
    let Membership { thread_id, joined_sequence, member_count } = *membership;
    Joined { thread_id, sequence: joined_sequence, size: member_count }
}
