//! Whoever is connected to a gateway that died has gone: when its lease has not
//! been renewed for its term, one fact says so. How long that is, each node
//! measures by itself, so that no two clocks are compared.

use crate::presence::{TERM, leases};
use events::{
    Aggregate, Clock, Event, EventId, EventLog, GatewayId, Ids, PresenceEvent,
    envelope::Draft,
    log::{AppendError, Bucket, BucketError, LogError},
};
use std::{collections::HashMap, time::Duration};
use tokio::time::{Instant, sleep};

/// How often the leases are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// A node that did not look for longer does not know whether it, NATS or the gateway was away.
const BLIND: Duration = Duration::from_secs(5);
/// What stands in a lease that is over, and that its gateway can renew no more.
const LAPSED: &str = "lapsed";

/// Ends the gateways that are dead.
pub struct Gateways {
    log: EventLog,
    clock: Clock,
    ids: Ids,
    leases: Bucket,
}

/// Since when each lease has been as it is, pure. Times are durations since some beginning.
#[derive(Debug, Default)]
struct Watch {
    seen: HashMap<String, (u64, Duration)>,
    looked: Duration,
}

impl Gateways {
    /// Opens the bucket of leases.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn open(log: EventLog, clock: Clock, ids: Ids) -> Result<Self, BucketError> {
        Ok(Self { leases: leases(&log).await?, log, clock, ids })
    }

    /// Looks at the leases, over and over. What fails is tried again; another node may be faster.
    pub async fn run(self) {
        let (began, mut watch) = (Instant::now(), Watch::default());
        loop {
            if let Err(error) = self.look(began, &mut watch).await {
                tracing::warn!(%error, "dead gateways are not ended yet");
            }
            sleep(LOOK).await;
        }
    }

    async fn look(&self, began: Instant, watch: &mut Watch) -> Result<(), AppendError> {
        let (mut leases, mut after) = (HashMap::new(), 0);
        while let Some((key, entry)) = self.leases.next(after).await.map_err(LogError::from)? {
            after = entry.revision;
            leases.insert(key, entry.revision);
        }
        for (key, revision) in watch.lapsed(began.elapsed(), leases) {
            let Ok(gateway_id) = key.parse() else {
                tracing::error!(key, "a lease of no gateway");
                continue;
            };
            match self.leases.update(&key, LAPSED.into(), revision).await {
                // It was renewed, or another node is at it.
                Err(BucketError::Conflict) => continue,
                changed => changed.map_err(LogError::from)?,
            };
            self.end(gateway_id).await?;
            self.leases.purge(&key).await.map_err(LogError::from)?;
        }
        Ok(())
    }

    /// Says that a gateway is lost, once: whatever it may still say is refused from then on.
    async fn end(&self, gateway_id: GatewayId) -> Result<(), AppendError> {
        let aggregate = Aggregate::Gateway(gateway_id);
        loop {
            let last = self.log.newest(aggregate).await?.map_or(0, |(sequence, _)| sequence);
            let newest = self.log.history_above(aggregate, last.saturating_sub(1), 1).await?;
            let newest = newest.unwrap_or_default().pop();
            if newest.is_some_and(|newest| newest.event == Event::Presence(PresenceEvent::GatewayLost {})) {
                return Ok(());
            }
            let draft = Draft {
                aggregate,
                id: EventId::from_uuid(self.ids.next()),
                by: None,
                at: self.clock.now(),
                event: PresenceEvent::GatewayLost {}.into(),
            };
            match self.log.append(&draft, Some(last)).await {
                Err(AppendError::Conflict) => {}
                done => {
                    done?;
                    tracing::warn!(%gateway_id, "a gateway is lost");
                    return Ok(());
                }
            }
        }
    }
}

impl Watch {
    /// The leases that have been as they are for their term.
    fn lapsed(&mut self, now: Duration, leases: HashMap<String, u64>) -> Vec<(String, u64)> {
        let is_blind = now > self.looked + BLIND;
        let before = std::mem::take(&mut self.seen);
        self.looked = now;
        let since = |(key, revision): (String, u64)| {
            let same = before.get(&key).filter(|(seen, _)| *seen == revision && !is_blind);
            let since = same.map_or(now, |(_, since)| *since);
            (key, (revision, since))
        };
        self.seen = leases.into_iter().map(since).collect();
        let lapsed = self.seen.iter().filter(|(_, (_, since))| now >= *since + TERM);
        lapsed.map(|(key, (revision, _))| (key.clone(), *revision)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What has lapsed at the last of those looks.
    fn lapsed(looks: impl IntoIterator<Item = (u64, u64)>) -> bool {
        let mut watch = Watch::default();
        let look = |(second, revision)| {
            let leases = HashMap::from([("a".to_owned(), revision)]);
            !watch.lapsed(Duration::from_secs(second), leases).is_empty()
        };
        looks.into_iter().map(look).last().unwrap_or_default()
    }

    #[test]
    fn a_lease_lapses_when_it_was_the_same_for_its_term() {
        assert!(!lapsed((0..6).map(|look| (2 * look, 7))));
        assert!(lapsed((0..7).map(|look| (2 * look, 7))));
    }

    #[test]
    fn a_lease_that_is_renewed_never_lapses() {
        assert!(!lapsed((0..100).map(|look| (2 * look, look / 5))));
    }

    #[test]
    fn who_was_away_takes_nobody_for_dead() {
        assert!(!lapsed([(0, 7), (2, 7), (20, 7), (22, 7)]));
        assert!(lapsed([0, 2, 20, 22, 24, 26, 28, 30, 32].map(|second| (second, 7))));
    }
}
