//! Posts letters when they are due. Who is in one is looked up anew each time:
//! who has left, read, muted or come online since is told nothing.

use super::{
    Letter, Push,
    following::FRESH,
    lead::Lead,
    letter::{self, Verdict},
    measures,
    outbox::Dead,
    queue::Queue,
};
use events::log::BucketError;
use futures_util::{StreamExt, stream::FuturesUnordered};
use query::{Error, View, waiting::Undelivered};
use std::time::Duration;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use uuid::Uuid;

/// Letters that are posted at once.
const AT_ONCE: usize = 8;
/// How often letters are looked for that somebody else has written: an operator who sends dead ones again.
const LOOK: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_secs(1);

/// What became of a letter.
enum Became {
    /// It is not there any more.
    Done,
    /// The receiver did not take it.
    Failed(Option<Duration>),
    /// It could not be made.
    Unmade,
}

impl Push {
    /// Posts what is due until something fails.
    pub(super) async fn post(&self, lead: &Lead, room: &watch::Sender<bool>) -> BucketError {
        let (began, mut kept) = (Instant::now(), lead.kept());
        let (mut queue, mut cursor, mut look_at) = (Queue::default(), 0, began);
        let mut flying = FuturesUnordered::new();
        loop {
            let window = kept.borrow().0;
            if Instant::now() >= look_at {
                if let Err(error) = self.find(&mut queue, &mut cursor, lead, began).await {
                    return error;
                }
                look_at = Instant::now() + LOOK;
            }
            while flying.len() < AT_ONCE
                && lead.is_sure()
                && let Some(id) = queue.take(began.elapsed())
            {
                flying.push(async move { (id, self.deliver(id).await) });
            }
            room.send_if_modified(|room| std::mem::replace(room, queue.has_room(began.elapsed())) != *room);
            measures::waiting(queue.len());
            // Where as many fly as may, or the lead is in doubt, the next that is due has to wait.
            let due = queue.next().filter(|_| flying.len() < AT_ONCE && lead.is_sure());
            let until = due.map_or(look_at, |due| look_at.min(began + due));
            tokio::select! {
                Some((id, became)) = flying.next() => {
                    let now = began.elapsed();
                    match became {
                        Ok(Became::Done) => queue.done(id),
                        Ok(Became::Failed(asked)) => queue.failed(id, now, asked),
                        Ok(Became::Unmade) => queue.put_back(id, now + PAUSE),
                        Err(error) => return error,
                    }
                }
                () = sleep_until(until) => {}
                Ok(()) = kept.changed() => {
                    if kept.borrow().0 != window {
                        look_at = Instant::now();
                    }
                }
            }
        }
    }

    /// Finds letters that count and are not in the queue yet.
    async fn find(&self, queue: &mut Queue, cursor: &mut u64, lead: &Lead, began: Instant) -> Result<(), BucketError> {
        while let Some((revision, letter)) = self.outbox.next(*cursor).await? {
            let counts = lead.counts(letter.lead, letter.window);
            if !counts && letter.lead == lead.id() {
                return Ok(());
            }
            *cursor = revision;
            if !counts {
                // Of one who had the lead, and lost it before the look's end: it was begun again.
                self.outbox.remove(letter.id).await?;
                continue;
            }
            let wait = (letter.due_at - self.clock.now()).to_std().unwrap_or_default();
            queue.add(letter.id, began.elapsed() + wait);
        }
        Ok(())
    }

    async fn deliver(&self, id: Uuid) -> Result<Became, BucketError> {
        let Some(letter) = self.outbox.find(id).await? else { return Ok(Became::Done) };
        let now = self.clock.now();
        let told = match self.undelivered(&letter).await {
            Ok(told) => told,
            Err(error) if now - letter.made_at < self.keep() => {
                tracing::warn!(%error, "what is to be pushed is not known yet");
                return Ok(Became::Unmade);
            }
            Err(error) => {
                measures::died();
                self.outbox.bury(&Dead { letter, died_at: now, reason: error.to_string() }).await?;
                return Ok(Became::Done);
            }
        };
        let (told, claim) = self.claims.claim(told);
        if told.is_empty() {
            self.outbox.remove(id).await?;
            return Ok(Became::Done);
        }
        let ended = self.post.send(id, now, letter::body(now, told)).await;
        match ended.verdict {
            Verdict::Taken => {
                measures::posted(claim.people());
                claim.told();
                self.outbox.remove(id).await?;
                Ok(Became::Done)
            }
            Verdict::Again(asked) if now - letter.made_at < self.keep() => {
                measures::failed();
                tracing::warn!(%id, why = ended.why, "a push was not taken, it is tried again");
                Ok(Became::Failed(asked))
            }
            Verdict::Again(_) | Verdict::Refused => {
                measures::died();
                tracing::error!(%id, why = ended.why, "a push is dead: `herald push dead` lists it");
                self.outbox.bury(&Dead { letter, died_at: now, reason: ended.why }).await?;
                Ok(Became::Done)
            }
        }
    }

    /// What is so by now, as far as this node has heard.
    async fn undelivered(&self, letter: &Letter) -> Result<Vec<Undelivered>, Error> {
        let heard = self.log.heard();
        self.fresh(&heard).await?;
        let (now, text) = (self.clock.now(), self.settings.text);
        let ask = || self.views.undelivered(&letter.pairs, now, text);
        Ok(self.views.at_least(View::Inbox, &heard, Instant::now() + FRESH, ask).await?.value)
    }
}
