//! Who is writing, passed on from node to node to those members who are here. It
//! waits until this node knows who was removed before, and no longer than it is worth.

use super::{Hub, PAUSE};
use events::{
    EventLog,
    log::{Typing, Typings},
};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// What is not heard within that is told to nobody.
const WORTH: Duration = Duration::from_secs(1);

impl Hub {
    pub(super) async fn pass_on_typing(self, log: EventLog) {
        loop {
            match log.typings().await {
                Ok(typings) => self.pass_on(typings).await,
                Err(error) => tracing::warn!(%error, "who is writing is not heard"),
            }
            sleep(PAUSE).await;
        }
    }

    async fn pass_on(&self, mut typings: Typings) {
        while let Some(Typing { thread_id, user_id, as_of }) = typings.next().await {
            if timeout(WORTH, self.reached(&as_of.into())).await.is_ok() {
                self.state().tell_typing(thread_id, user_id);
            }
        }
    }
}
