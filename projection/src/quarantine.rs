//! What becomes of a fact that cannot be applied: it is found by ever smaller
//! batches, and its aggregate is parked from there on, in order; no other waits.
//! What no table holds is told by the fact alone, so a rebuild parks the same.

use crate::error::Error;
use events::{Aggregate, Envelope, Event, Partition, Position, event::ReceiptEvent};
use std::{any::Any, borrow::Cow, collections::HashSet, sync::Arc};
use uuid::Uuid;

/// The aggregates of which nothing more is applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parked(HashSet<Uuid>);

/// A fact that failed alone, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condemned {
    pub(crate) position: Position,
    pub(crate) reason: String,
}

/// How large a batch may be, and of what: less, and only of where a batch failed, until the fact is found.
#[derive(Debug)]
pub(crate) struct Ease {
    most: usize,
    pub(crate) limit: usize,
    pub(crate) suspects: Option<Vec<Partition>>,
    pub(crate) condemned: Option<Condemned>,
}

impl FromIterator<Uuid> for Parked {
    fn from_iter<I: IntoIterator<Item = Uuid>>(ids: I) -> Self {
        Self(ids.into_iter().collect())
    }
}

impl Parked {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn park(&mut self, aggregate: Aggregate) {
        self.0.extend(id(aggregate));
    }

    /// As much of a fact as is not about an aggregate that is parked.
    pub(crate) fn let_through<'a>(&self, fact: &'a Arc<Envelope>) -> Option<Cow<'a, Envelope>> {
        if self.0.is_empty() {
            return Some(Cow::Borrowed(fact));
        }
        if let Event::Receipts(ReceiptEvent::ReceiptsAdvanced { receipts }) = &fact.event {
            let of_others = receipts.iter().filter(|receipt| !self.0.contains(&receipt.thread_id.uuid()));
            let event = ReceiptEvent::ReceiptsAdvanced { receipts: of_others.copied().collect() };
            return Some(Cow::Owned(Envelope { event: event.into(), ..Envelope::clone(fact) }));
        }
        let is_parked = id(fact.aggregate).is_some_and(|id| self.0.contains(&id));
        (!is_parked).then_some(Cow::Borrowed(fact))
    }
}

/// Whose facts have an order that must be kept.
pub(crate) fn id(aggregate: Aggregate) -> Option<Uuid> {
    match aggregate {
        Aggregate::User(user_id) => Some(user_id.uuid()),
        Aggregate::Thread(thread_id) => Some(thread_id.uuid()),
        Aggregate::Gateway(gateway_id) => Some(gateway_id.uuid()),
        Aggregate::Receipts(_) => None,
        Aggregate::Deployment => Some(Uuid::nil()),
    }
}

impl Ease {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, limit: most, suspects: None, condemned: None }
    }

    /// A batch was committed, or its one fact parked.
    pub(crate) fn committed(&mut self) {
        if self.condemned.is_none() {
            self.limit = (self.limit * 2).min(self.most);
            // As much as failed was applied after all.
            if self.limit == self.most {
                self.suspects = None;
            }
        }
    }

    /// A batch of so many could not be applied; of one, we know which fact it is.
    pub(crate) fn failed(&mut self, events: usize, last: Option<Position>, suspects: Vec<Partition>, reason: &str) {
        self.limit = (events / 2).max(1);
        self.suspects = Some(suspects);
        if let (1, Some(position)) = (events, last) {
            self.condemned = Some(Condemned { position, reason: reason.to_owned() });
        }
    }

    /// Why the fact is to be parked, if it is the one that failed.
    pub(crate) fn take(&mut self, position: Position) -> Option<String> {
        let condemned = self.condemned.take_if(|condemned| condemned.position == position)?;
        self.suspects = None;
        Some(condemned.reason)
    }
}

/// What a panic says, as the reason of a failure.
pub(crate) fn panicked(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it panicked").to_owned()
}

impl Error {
    /// Why a batch will fail as often as it is tried: what it says, Postgres does not store.
    pub(crate) fn of_data(&self) -> Option<String> {
        // Data exceptions, violated constraints, and what is larger than a limit of Postgres' own.
        let state = self.sql_state()?;
        ["22", "23", "54"].iter().any(|class| state.starts_with(class)).then(|| self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(sequence: u64) -> Position {
        Position { partition: Partition(0), sequence }
    }

    /// The batches that a runner tries until it has parked the fact at that sequence and has come beyond it.
    fn tries(most: usize, poison: u64) -> (Vec<u64>, usize) {
        let (mut ease, mut checkpoint, mut parked, mut tries) = (Ease::new(most), 0_u64, Vec::new(), 0);
        while checkpoint < poison + most as u64 {
            tries += 1;
            let limit = ease.limit as u64;
            let holds = (checkpoint + 1..=checkpoint + limit).contains(&poison) && !parked.contains(&poison);
            if limit == 1 && ease.take(at(checkpoint + 1)).is_some() {
                parked.push(checkpoint + 1);
            } else if holds {
                ease.failed(ease.limit, Some(at(checkpoint + limit)), vec![Partition(0)], "bad");
                continue;
            }
            checkpoint += limit;
            ease.committed();
        }
        (parked, tries)
    }

    #[test]
    fn the_one_fact_that_fails_is_found_in_few_tries_and_no_other_is_parked() {
        for most in [1, 2, 7, 5_000] {
            for poison in [1, 2, 3, 64, 4_999, 5_000, 5_001, 12_345] {
                let (parked, tries) = tries(most, poison);
                assert_eq!(parked, [poison], "{most} at most");
                let straight = usize::try_from(poison).unwrap() / most + 1;
                assert!(tries <= straight + 120, "{tries} for {poison} by {most}");
            }
        }
    }
}
