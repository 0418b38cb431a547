//! Who is connected to this gateway, told to the log: one coalesced fact a second
//! at most, however many come and go. A gateway holds a lease; who loses it is
//! nobody any more, and begins again under another id.

mod keeper;
mod present;

use events::{
    Clock, EventLog, Ids, UserId,
    log::{Bucket, BucketError},
};
use keeper::Keeper;
use present::Present;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

/// How often a lease is renewed.
const RENEW: Duration = Duration::from_secs(3);
/// A lease that was not renewed for so long is lost: an election of NATS takes up to 9 s.
pub(crate) const TERM: Duration = Duration::from_secs(12);

/// Where a gateway says who is connected. Cheap to clone.
#[derive(Clone)]
pub struct Presence {
    here: Arc<Here>,
    losses: watch::Receiver<u64>,
}

/// Somebody is connected for as long as this lives.
pub struct Connected {
    here: Arc<Here>,
    user_id: UserId,
}

struct Here {
    began: Instant,
    present: Mutex<Present>,
    changed: Notify,
}

/// The leases, by the id of the gateway.
///
/// # Errors
/// When NATS does not answer.
pub(crate) async fn leases(log: &EventLog) -> Result<Bucket, BucketError> {
    log.bucket("GATEWAYS").await
}

impl Presence {
    /// Opens the bucket of leases. Whoever runs the future tells the log who is connected, until it is dropped.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn open(
        log: EventLog,
        clock: Clock,
        ids: Ids,
    ) -> Result<(Self, impl Future<Output = ()> + use<>), BucketError> {
        let leases = leases(&log).await?;
        let here = Arc::new(Here { began: Instant::now(), present: Mutex::default(), changed: Notify::new() });
        let (lost, losses) = watch::channel(0);
        let keeper = Keeper { log, clock, ids, leases, here: Arc::clone(&here), lost };
        Ok((Self { here, losses }, keeper.run()))
    }

    /// One more connection of somebody's.
    pub fn connect(&self, user_id: UserId) -> Connected {
        self.here.lock().enter(user_id);
        self.here.changed.notify_one();
        Connected { here: Arc::clone(&self.here), user_id }
    }

    /// Waits until this gateway has lost its lease since the last call, or since this handle was made: by what the log
    /// says, nobody is connected to it.
    pub async fn lost(&mut self) {
        if self.losses.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let now = self.here.now();
        self.here.lock().leave(self.user_id, now);
        self.here.changed.notify_one();
    }
}

impl Here {
    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
