//! Follows the log: what was written within a window is asked for once, and whom
//! it has not reached gets into letters. Falls behind alone: nobody waits for it.

use super::{Letter, Push, lead::Lead, measures, window::Window};
use chrono::TimeDelta;
use events::{
    Partition, Position, ThreadId, UserId, Vector,
    event::Number,
    log::{BucketError, Subscription},
};
use futures_util::future::select_all;
use query::{Error, View, waiting::Waiting};
use std::{collections::BTreeMap, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};
use uuid::Uuid;

const BATCH: usize = 500;
/// Threads of one question.
const ASKED: usize = 500;
/// Pairs of a person and a thread in one letter.
const PAIRS: usize = 250;
/// Pairs that are held in memory before they are written, whether or not more of the same people follow.
const HELD: usize = 200_000;
/// How often the progress is kept where nobody writes.
const STALE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(500);
/// How long the views may take to come as far as what is asked.
pub(super) const FRESH: Duration = Duration::from_secs(5);
/// Who reads what is older is behind: of a thread, only its newest message is still worth a push.
const BEHIND: TimeDelta = TimeDelta::minutes(1);

/// Those whom a look has found, person by person.
#[derive(Default)]
struct Found {
    now: BTreeMap<UserId, Vec<ThreadId>>,
    /// They are connected, and may not be for much longer.
    later: BTreeMap<UserId, Vec<ThreadId>>,
    pairs: usize,
}

impl Push {
    /// Follows all partitions from where letters were last made, until something fails.
    pub(super) async fn follow(&self, lead: &Lead, mut room: watch::Receiver<bool>) -> BucketError {
        let mut number = lead.kept().borrow().0;
        let mut facts = match self.subscribe(lead).await {
            Ok(facts) => facts,
            Err(error) => return error,
        };
        let (mut window, mut kept_at) = (Window::after(lead.reached().await), Instant::now());
        loop {
            self.gather(&mut facts, &mut window).await;
            let threads = window.threads();
            if threads.is_empty() && kept_at.elapsed() < STALE {
                continue;
            }
            number += 1;
            let done = async {
                // A letter that nobody takes stops the making of others, not the log.
                if room.wait_for(|room| *room).await.is_err() {
                    return Err(BucketError::Unavailable("nobody posts any more".into()));
                }
                self.look(&threads, &window, (lead.id(), number)).await?;
                lead.commit(window.reached.clone(), number).await
            };
            tokio::select! {
                done = done => if let Err(error) = done {
                    return error;
                },
                () = self.tell_lag(&window) => {}
            }
            (window, kept_at) = (Window::after(window.reached), Instant::now());
        }
    }

    /// Tells how old what is looked at is, over and over.
    async fn tell_lag(&self, window: &Window) {
        loop {
            measures::lag(window.since.map(|since| self.clock.now() - since));
            sleep(STALE).await;
        }
    }

    /// What is older than a letter may become is not pushed any more.
    async fn subscribe(&self, lead: &Lead) -> Result<Vec<Subscription>, BucketError> {
        let reached = lead.reached().await;
        let mut facts = Vec::new();
        for partition in self.log.names().partitions() {
            let young = self.log.sequence_before(partition, self.keep()).await;
            let young = young.map_err(|error| BucketError::Unavailable(error.into()))?;
            facts.push(self.log.subscribe(partition, reached.get(partition).max(young)));
        }
        Ok(facts)
    }

    /// Takes facts until a window has passed since the first message.
    async fn gather(&self, facts: &mut [Subscription], window: &mut Window) {
        let mut until = Instant::now() + STALE;
        let mut open = false;
        while !window.is_full() {
            let batch = select_all(facts.iter_mut().map(|facts| Box::pin(facts.next_batch(BATCH))));
            let Ok((batch, _, _)) = timeout_at(until, batch).await else { return };
            let oldest = self.clock.now() - self.keep();
            for envelope in &batch {
                window.take(envelope, oldest);
            }
            if window.since.is_some() && !open {
                open = true;
                until = Instant::now() + self.settings.window;
            }
        }
    }

    /// Makes the letters of a look.
    async fn look(&self, threads: &[(ThreadId, Number)], window: &Window, of: (Uuid, u64)) -> Result<(), BucketError> {
        let mut found = Found::default();
        let behind = window.since.is_some_and(|since| self.clock.now() - since > BEHIND);
        let mut left: Vec<&[(ThreadId, Number)]> = threads.chunks(ASKED).rev().collect();
        while let Some(some) = left.pop() {
            match self.who_waits(some, &window.reached, behind).await {
                Ok(waiting) => waiting.into_iter().for_each(|waiting| found.take(waiting)),
                Err(error @ (Error::Unavailable(_) | Error::Moved | Error::Behind(_))) => {
                    tracing::warn!(%error, "whom messages have not reached is not known yet");
                    left.push(some);
                    sleep(PAUSE).await;
                }
                // Asked for less, or left out: nobody else waits for it.
                Err(_) if some.len() > 1 => {
                    let (one, other) = some.split_at(some.len() / 2);
                    left.extend([other, one]);
                }
                Err(error) => {
                    tracing::error!(%error, threads = ?some, "whom a message has not reached is not to be known");
                }
            }
            if found.pairs >= HELD {
                self.write(std::mem::take(&mut found), of).await?;
            }
        }
        self.write(found, of).await
    }

    async fn who_waits(
        &self,
        threads: &[(ThreadId, Number)],
        reached: &Vector,
        behind: bool,
    ) -> Result<Vec<Waiting>, Error> {
        self.fresh(reached).await?;
        let deadline = Instant::now() + FRESH;
        let ask = || self.views.waiting(threads, self.clock.now(), behind);
        Ok(self.views.at_least(View::Inbox, reached, deadline, ask).await?.value)
    }

    /// Waits until the views know who is connected and who has blocked whom by now.
    pub(super) async fn fresh(&self, reached: &Vector) -> Result<(), Error> {
        let deadline = Instant::now() + FRESH;
        let partition = Partition::PRESENCE;
        let end = self.log.end_of(partition).await.map_err(|error| Error::Unavailable(error.into()))?;
        let present = Vector::from(Position { partition, sequence: end });
        self.views.reached(View::Presence, &present, deadline).await?;
        self.views.reached(View::Directory, reached, deadline).await
    }

    async fn write(&self, found: Found, (lead, window): (Uuid, u64)) -> Result<(), BucketError> {
        let now = self.clock.now();
        let later = now + TimeDelta::from_std(self.settings.again).unwrap_or(TimeDelta::MAX);
        for (people, due_at) in [(found.now, now), (found.later, later)] {
            for pairs in letters(people) {
                self.outbox.add(&Letter { id: self.ids.next(), lead, window, made_at: now, due_at, pairs }).await?;
            }
        }
        Ok(())
    }
}

impl Found {
    fn take(&mut self, waiting: Waiting) {
        let Waiting { user_id, thread_id, online } = waiting;
        let people = if online { &mut self.later } else { &mut self.now };
        people.entry(user_id).or_default().push(thread_id);
        self.pairs += 1;
    }
}

/// Letters of a bounded size; a person is in one only, unless they wait in too many threads for it.
fn letters(people: BTreeMap<UserId, Vec<ThreadId>>) -> Vec<Vec<(UserId, ThreadId)>> {
    let mut letters: Vec<Vec<_>> = Vec::new();
    for (user_id, threads) in people {
        for threads in threads.chunks(PAIRS) {
            let pairs = threads.iter().map(|thread_id| (user_id, *thread_id));
            match letters.last_mut().filter(|letter| letter.len() + threads.len() <= PAIRS) {
                Some(letter) => letter.extend(pairs),
                None => letters.push(pairs.collect()),
            }
        }
    }
    letters
}
