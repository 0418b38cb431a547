//! The latest events of one partition that sockets hear of: what a client that
//! was away for a while is told without asking any view.

use super::told::Told;
use std::{collections::VecDeque, sync::Arc};

const MAX_EVENTS: usize = 8_192;
const MAX_WEIGHT: usize = 32 << 20;

#[derive(Debug)]
pub(super) struct Ring {
    /// Everything after this sequence, up to `last`, is held.
    after: u64,
    last: u64,
    events: VecDeque<Arc<Told>>,
    weight: usize,
    max_events: usize,
}

impl Ring {
    /// A ring that holds nothing yet of what comes after a sequence.
    pub(super) fn starting_after(sequence: u64) -> Self {
        Self { after: sequence, last: sequence, events: VecDeque::new(), weight: 0, max_events: MAX_EVENTS }
    }

    #[cfg(test)]
    pub(super) fn of_at_most(mut self, events: usize) -> Self {
        self.max_events = events;
        self
    }

    /// Up to where this partition has been heard.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The partition has come to a sequence, which tells that, or nothing.
    pub(super) fn advance(&mut self, sequence: u64, told: Option<Arc<Told>>) {
        self.last = sequence;
        if let Some(told) = told {
            self.weight += told.weight();
            self.events.push_back(told);
        }
        while self.events.len() > self.max_events || self.weight > MAX_WEIGHT {
            let Some(oldest) = self.events.pop_front() else { return };
            self.weight -= oldest.weight();
            self.after = oldest.position().sequence;
        }
    }

    /// The events after a sequence, oldest first; `None` where it is too long ago, or has not been yet.
    pub(super) fn since(&self, sequence: u64) -> Option<impl Iterator<Item = &Told>> {
        let held = (self.after..=self.last).contains(&sequence);
        let skipped = self.events.partition_point(|told| told.position().sequence <= sequence);
        held.then(|| self.events.range(skipped..).map(AsRef::as_ref))
    }
}
