//! Pushes: whom a message has not reached, and who has no socket open, is told by
//! a signed webhook of the operator's, which wakes their phone. One node at a time
//! follows the log, makes letters, and posts them. Decides nothing, and nobody
//! waits for it.

mod claims;
mod endpoint;
mod following;
mod lead;
mod letter;
mod measures;
mod outbox;
mod post;
mod posting;
mod queue;
mod window;

pub use endpoint::{Endpoint, InvalidEndpoint, InvalidSecret, Secret};
pub use outbox::{Dead, Letter, Outbox};

use chrono::TimeDelta;
use claims::Claims;
use events::{Clock, EventLog, Ids, log::BucketError};
use lead::Lead;
use post::Post;
use query::Views;
use std::{io, time::Duration};
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

const PAUSE: Duration = Duration::from_secs(1);

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct Settings {
    pub endpoint: Endpoint,
    pub secret: Secret,
    /// Whether pushes tell texts, titles and names.
    pub text: bool,
    /// What is written within it is one push.
    pub window: Duration,
    /// After that time those who were connected and got nothing are looked at again: a phone that fell asleep is found to
    /// be gone later than that it no longer reads.
    pub again: Duration,
    /// How old a push may become.
    pub keep: Duration,
}

impl Settings {
    /// Longer than it takes to find out that a socket is dead: 60 s without an answer to a ping, and a grace.
    pub const AGAIN: Duration = Duration::from_secs(90);
}

/// Pushes, as one node may do them for its deployment.
pub struct Push {
    log: EventLog,
    clock: Clock,
    ids: Ids,
    views: Views,
    settings: Settings,
    outbox: Outbox,
    post: Post,
    claims: Claims,
}

/// Why pushing cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    #[error(transparent)]
    Bucket(#[from] BucketError),
    #[error("the system's certificates, by which a receiver is known, cannot be read")]
    Certificates(#[source] io::Error),
}

impl Push {
    /// Opens what lies in buckets. From the first time on that it is open anywhere, whatever is written is pushed.
    ///
    /// # Errors
    /// When NATS does not answer, or the system has no certificates.
    pub async fn open(
        log: EventLog,
        clock: Clock,
        ids: Ids,
        views: Views,
        settings: Settings,
    ) -> Result<Self, PushError> {
        let post = Post::new(settings.endpoint.clone(), settings.secret.clone()).map_err(PushError::Certificates)?;
        let outbox = Outbox::open(&log).await?;
        lead::begin(&log, &outbox.letters).await?;
        Ok(Self { log, clock, ids, views, settings, outbox, post, claims: Claims::new() })
    }

    /// Pushes whenever no other node does, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let holder = self.ids.next();
        loop {
            let taking = Lead::take(&self.outbox.letters, holder, self.ids.next());
            let Some(lead) = stop.run_until_cancelled(taking).await else { return };
            tracing::info!(endpoint = %self.settings.endpoint, "this node pushes");
            match stop.run_until_cancelled(Box::pin(self.lead(&lead))).await {
                Some(BucketError::Conflict) => tracing::warn!("another node pushes"),
                Some(error) => tracing::warn!(%error, "pushing begins again"),
                None => {
                    if let Err(error) = lead.release().await {
                        tracing::debug!(%error, "the lead in pushing is left to lapse");
                    }
                    return;
                }
            }
            stop.run_until_cancelled(sleep(PAUSE)).await;
        }
    }

    /// Follows and posts until something fails, or another node has the lead.
    async fn lead(&self, lead: &Lead) -> BucketError {
        if let Err(error) = self.forget(lead).await {
            return error;
        }
        let (sender, room) = watch::channel(true);
        tokio::select! {
            error = lead.renew() => error,
            error = self.follow(lead, room) => error,
            error = self.post(lead, &sender) => error,
        }
    }

    /// How old a push may become.
    fn keep(&self) -> TimeDelta {
        TimeDelta::from_std(self.settings.keep).expect("an operator keeps nothing for thousands of years")
    }

    /// Removes the letters of a look that was not brought to its end: it is begun again.
    async fn forget(&self, lead: &Lead) -> Result<(), BucketError> {
        let mut after = 0;
        while let Some((revision, letter)) = self.outbox.next(after).await? {
            after = revision;
            if !lead.counts(letter.lead, letter.window) {
                self.outbox.remove(letter.id).await?;
            }
        }
        Ok(())
    }
}
