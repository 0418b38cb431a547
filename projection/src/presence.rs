//! `presence`: who is connected to which gateway, and when they were last seen.
//! Run-time state: it is as old as the facts that are kept, and no history.

use crate::projection::Projection;
use events::{Aggregate, Envelope, Event, GatewayId, PresenceEvent, Share, Timestamp, UserId, shard::Part};
use std::{borrow::Cow, collections::BTreeMap};

/// A transaction of more people makes nothing faster.
const MOST: usize = 20_000;

/// What each comes to; then the gateways that are lost, with all whom they still have.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Presence {
    /// Whether somebody is connected to a gateway.
    pub(crate) connections: BTreeMap<(GatewayId, UserId), bool>,
    pub(crate) seen: BTreeMap<UserId, Timestamp>,
    pub(crate) lost: BTreeMap<GatewayId, Timestamp>,
}

impl Projection for Presence {
    fn part_of<'a>(part: &Part, fact: &'a Envelope) -> Option<Cow<'a, Envelope>> {
        let Event::Presence(PresenceEvent::PresenceChanged { came, went }) = &fact.event else {
            return Some(Cow::Borrowed(fact));
        };
        if part.share() == Share::WHOLE {
            return Some(Cow::Borrowed(fact));
        }
        let here = |people: &[UserId]| people.iter().copied().filter(|user_id| part.has(user_id.uuid())).collect();
        let event = PresenceEvent::PresenceChanged { came: here(came), went: here(went) }.into();
        Some(Cow::Owned(Envelope { event, ..Envelope::clone(fact) }))
    }

    fn project(&mut self, envelope: &Envelope) {
        let (Aggregate::Gateway(gateway_id), Event::Presence(event)) = (envelope.aggregate, &envelope.event) else {
            return;
        };
        match event {
            PresenceEvent::PresenceChanged { came, went } => {
                let changes = came.iter().map(|id| (*id, true)).chain(went.iter().map(|id| (*id, false)));
                for (user_id, is_here) in changes {
                    self.connections.insert((gateway_id, user_id), is_here);
                    self.see(user_id, envelope.at);
                }
            }
            PresenceEvent::GatewayLost {} => self.lose(gateway_id, envelope.at),
        }
    }

    fn is_empty(&self) -> bool {
        let Self { connections, seen, lost } = self;
        connections.is_empty() && seen.is_empty() && lost.is_empty()
    }

    fn is_full(&self) -> bool {
        self.connections.len() >= MOST
    }
}

impl Presence {
    /// Those who came in this batch go in it, those who came before go with the gateway.
    fn lose(&mut self, gateway_id: GatewayId, at: Timestamp) {
        let mut gone = Vec::new();
        let first = (gateway_id, UserId::from_uuid(uuid::Uuid::nil()));
        for (&(_, user_id), is_here) in
            self.connections.range_mut(first..).take_while(|((of, _), _)| *of == gateway_id).filter(|(_, is)| **is)
        {
            *is_here = false;
            gone.push(user_id);
        }
        for user_id in gone {
            self.see(user_id, at);
        }
        self.lost.insert(gateway_id, at);
    }

    fn see(&mut self, user_id: UserId, at: Timestamp) {
        let seen = self.seen.entry(user_id).or_insert(at);
        *seen = at.max(*seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::{EventId, Partition, Position, clock::millis};
    use uuid::Uuid;

    const ADA: UserId = UserId::from_uuid(Uuid::from_u128(1));
    const BOB: UserId = UserId::from_uuid(Uuid::from_u128(2));
    const ONE: GatewayId = GatewayId::from_uuid(Uuid::from_u128(10));
    const OTHER: GatewayId = GatewayId::from_uuid(Uuid::from_u128(11));

    fn projected(facts: impl IntoIterator<Item = (GatewayId, PresenceEvent)>) -> Presence {
        let mut presence = Presence::default();
        for (sequence, (gateway_id, event)) in (1..).zip(facts) {
            presence.project(&Envelope {
                position: Position { partition: Partition::PRESENCE, sequence },
                aggregate: Aggregate::Gateway(gateway_id),
                id: EventId::from_uuid(Uuid::from_u128(sequence.into())),
                by: None,
                at: millis(i64::try_from(sequence).unwrap()),
                trace: None,
                event: event.into(),
            });
        }
        presence
    }

    fn changed(came: &[UserId], went: &[UserId]) -> PresenceEvent {
        PresenceEvent::PresenceChanged { came: came.to_vec(), went: went.to_vec() }
    }

    #[test]
    fn what_a_batch_comes_to_is_what_was_said_last() {
        let presence = projected([(ONE, changed(&[ADA, BOB], &[])), (ONE, changed(&[], &[ADA]))]);
        assert_eq!(presence.connections, [((ONE, ADA), false), ((ONE, BOB), true)].into());
        assert_eq!(presence.seen, [(ADA, millis(2)), (BOB, millis(1))].into());
        assert!(projected([(ONE, changed(&[], &[]))]).is_empty());
    }

    #[test]
    fn a_lost_gateway_takes_its_own_with_it_and_nobody_elses() {
        let presence = projected([
            (ONE, changed(&[ADA, BOB], &[])),
            (OTHER, changed(&[ADA], &[])),
            (ONE, changed(&[], &[BOB])),
            (ONE, PresenceEvent::GatewayLost {}),
        ]);
        assert_eq!(presence.connections, [((ONE, ADA), false), ((ONE, BOB), false), ((OTHER, ADA), true)].into());
        // Who went before was not there any more to be lost.
        assert_eq!(presence.seen, [(ADA, millis(4)), (BOB, millis(3))].into());
        assert_eq!(presence.lost, [(ONE, millis(4))].into());
    }
}
