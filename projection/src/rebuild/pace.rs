//! How fast a rebuild may read, so that those who chat meanwhile do not feel it.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// In so many portions a second, where they are not too small for the transaction that each costs.
const PORTIONS: u32 = 100;
const SMALLEST: usize = 100;

/// So many facts a second over all partitions, or as many as can be. Clones share it.
#[derive(Clone)]
pub(super) struct Pace {
    per_second: Option<NonZeroU32>,
    /// When the next facts may be handed on.
    next: Arc<Mutex<Instant>>,
}

impl Pace {
    pub(super) fn new(per_second: Option<NonZeroU32>) -> Self {
        Self { per_second, next: Arc::new(Mutex::new(Instant::now())) }
    }

    /// Facts that are read at once, no more than `most`: small enough that they come evenly.
    pub(super) fn portion(&self, most: usize) -> usize {
        let Some(per_second) = self.per_second else { return most };
        usize::try_from(per_second.get() / PORTIONS).map_or(most, |portion| portion.max(SMALLEST).min(most))
    }

    /// Waits until so many facts are due for one of so many views: one after the other, so that they leave a core to others.
    pub(super) async fn take(&self, facts: usize, views: usize) {
        let Some(per_second) = self.per_second else { return };
        let (Ok(facts), Ok(views)) = (u32::try_from(facts), u32::try_from(views)) else { return };
        let due = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let due = (*next).max(Instant::now());
            *next = due + Duration::from_secs(1) * facts / per_second.get() / views;
            due
        };
        sleep_until(due).await;
    }
}
