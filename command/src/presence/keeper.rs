//! Holds a gateway's lease and tells the log who has come and gone. Each fact
//! carries the sequence of the one before: whoever was ended by `GatewayLost` is
//! refused by the log itself, however long it was away.

use super::{Here, RENEW, present::Change};
use events::{
    Aggregate, Clock, EventId, EventLog, GatewayId, Ids, PresenceEvent,
    envelope::Draft,
    log::{AppendError, Bucket, BucketError, Claim},
};
use metrics::{counter, describe_counter};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

/// The least time between two facts.
const WINDOW: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(500);

const LOST: &str = "herald_command_lost_leases_total";

pub(super) struct Keeper {
    pub(super) log: EventLog,
    pub(super) clock: Clock,
    pub(super) ids: Ids,
    pub(super) leases: Bucket,
    pub(super) here: Arc<Here>,
    pub(super) lost: watch::Sender<u64>,
}

impl Keeper {
    pub(super) async fn run(self) {
        describe_counter!(LOST, "Leases of gateways that were taken for dead; each closes all of a node's sockets.");
        let lost = counter!(LOST);
        loop {
            let gateway_id = GatewayId::from_uuid(self.ids.next());
            let revision = self.claim(gateway_id).await;
            self.here.lock().begin_anew();
            tracing::info!(%gateway_id, "this gateway has a lease");
            tokio::select! {
                () = self.renew(gateway_id, revision) => {}
                () = self.tell(gateway_id) => {}
            }
            tracing::warn!(%gateway_id, "this gateway was taken for dead: it begins again under another id");
            lost.increment(1);
            self.lost.send_modify(|losses| *losses += 1);
        }
    }

    async fn claim(&self, gateway_id: GatewayId) -> u64 {
        loop {
            match self.leases.create(&gateway_id.to_string(), "0".into()).await {
                Ok(Claim::Ours(revision)) => return revision,
                Ok(Claim::Theirs(entry)) => tracing::error!(?entry, "a new gateway's lease is held already"),
                Err(error) => tracing::warn!(%error, "waiting for a lease"),
            }
            sleep(PAUSE).await;
        }
    }

    /// Renews the lease until somebody else has changed it.
    async fn renew(&self, gateway_id: GatewayId, mut revision: u64) {
        let key = gateway_id.to_string();
        for renewals in 1_u64.. {
            sleep(RENEW).await;
            loop {
                match self.leases.update(&key, renewals.to_string().into(), revision).await {
                    Ok(renewed) => {
                        revision = renewed;
                        break;
                    }
                    Err(BucketError::Conflict) => match self.leases.get(&key).await {
                        // This very renewal, whose answer was lost.
                        Ok(Some(lease)) if lease.value == renewals.to_string() => {
                            revision = lease.revision;
                            break;
                        }
                        Ok(_) => return,
                        Err(error) => tracing::warn!(%error, "whether the lease is lost is not known yet"),
                    },
                    Err(error) => tracing::warn!(%error, "the lease is not renewed yet"),
                }
                sleep(PAUSE).await;
            }
        }
    }

    /// Tells who has come and gone until the log refuses it.
    async fn tell(&self, gateway_id: GatewayId) {
        let mut expected = 0;
        loop {
            self.due().await;
            let change = self.here.lock().take(self.here.now());
            let (is_full, began) = (change.is_full(), Instant::now());
            match self.append(gateway_id, expected, change).await {
                Some(sequence) => expected = sequence,
                None => return,
            }
            // A crowd does not wait for the rest of it to be told.
            if !is_full {
                sleep_until(began + WINDOW).await;
            }
        }
    }

    async fn due(&self) {
        loop {
            let due = self.here.lock().due();
            let wait = async {
                match due {
                    Some(at) => sleep_until(self.here.began + at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = wait => return,
                () = self.here.changed.notified() => {}
            }
        }
    }

    /// Appends until the outcome is known: where it lies, or that the log has another fact of this gateway.
    async fn append(&self, gateway_id: GatewayId, expected: u64, change: Change) -> Option<u64> {
        let Change { came, went } = change;
        let draft = Draft {
            aggregate: Aggregate::Gateway(gateway_id),
            id: EventId::from_uuid(self.ids.next()),
            by: None,
            at: self.clock.now(),
            event: PresenceEvent::PresenceChanged { came, went }.into(),
        };
        loop {
            match self.log.append(&draft, Some(expected)).await {
                Ok(position) => return Some(position.sequence),
                Err(AppendError::Conflict) => return None,
                Err(error) => tracing::warn!(%error, "who is connected is not told yet"),
            }
            sleep(PAUSE).await;
        }
    }
}
