//! The latest events of one partition that sockets hear of: what a client that
//! was away for a while is told without asking any view. What was deleted since,
//! it does not tell any more.

use super::{receipts::Receipts, told::Told};
use events::{ThreadId, UserId, event::Number};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

const MAX_EVENTS: usize = 8_192;
const MAX_WEIGHT: usize = 32 << 20;

#[derive(Debug)]
pub(super) struct Ring {
    /// Everything after this sequence, up to `last`, is held.
    after: u64,
    last: u64,
    events: VecDeque<Arc<Told>>,
    /// Where texts of messages lie.
    texts: BTreeSet<(ThreadId, Number, u64)>,
    /// Where somebody came (1) or went (−1), in what thread, and who.
    steps: VecDeque<(u64, ThreadId, i32, UserId)>,
    pub(super) receipts: Receipts,
    weight: usize,
    max_events: usize,
}

impl Ring {
    /// A ring that holds nothing yet of what comes after a sequence.
    pub(super) fn starting_after(sequence: u64) -> Self {
        Self {
            after: sequence,
            last: sequence,
            events: VecDeque::new(),
            texts: BTreeSet::new(),
            steps: VecDeque::new(),
            receipts: Receipts::default(),
            weight: 0,
            max_events: MAX_EVENTS,
        }
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
    pub(super) fn advance(&mut self, sequence: u64, told: Option<Told>) {
        self.last = sequence;
        let Some(told) = told else { return };
        if let Some((thread_id, number)) = told.deletes() {
            let texts = self.texts.range((thread_id, number, 0)..=(thread_id, number, sequence));
            for text in texts.copied().collect::<Vec<_>>() {
                self.texts.remove(&text);
                self.empty(text.2);
            }
        }
        if let Some((thread_id, number)) = told.text_of() {
            self.texts.insert((thread_id, number, sequence));
        }
        self.weight += told.weight();
        self.events.push_back(Arc::new(told));
        while self.events.len() > self.max_events || self.weight > MAX_WEIGHT {
            let Some(oldest) = self.events.pop_front() else { break };
            self.forget(&oldest);
        }
    }

    /// Somebody came or went where the partition has come to.
    pub(super) fn step(&mut self, thread_id: ThreadId, step: i32, who: UserId) {
        self.steps.push_back((self.last, thread_id, step, who));
        if step > 0 {
            self.receipts.enters(thread_id, who);
        } else {
            self.receipts.leaves(thread_id, who, self.last);
        }
    }

    /// The events after a sequence, oldest first; `None` where it is too long ago, or has not been yet.
    pub(super) fn since(&self, sequence: u64) -> Option<impl Iterator<Item = &Arc<Told>>> {
        let held = (self.after..=self.last).contains(&sequence);
        held.then(|| self.events.range(self.index_after(sequence)..))
    }

    /// By how many members a thread has grown after a sequence; `None` where that is too long ago.
    pub(super) fn growth(&self, thread_id: ThreadId, after: u64) -> Option<i32> {
        let newer = self.steps.iter().rev().take_while(|(sequence, ..)| *sequence > after);
        let held = after >= self.after;
        held.then(|| newer.filter(|(_, of, ..)| *of == thread_id).map(|(_, _, step, _)| step).sum())
    }

    /// Replaces an event by one without its text.
    fn empty(&mut self, sequence: u64) {
        let index = self.index_after(sequence - 1);
        if let Some(told) = self.events.get_mut(index).filter(|told| told.position().sequence == sequence) {
            self.weight -= told.weight();
            *told = Arc::new(told.without_text());
            self.weight += told.weight();
        }
    }

    fn forget(&mut self, oldest: &Told) {
        self.weight -= oldest.weight();
        self.after = oldest.position().sequence;
        if let Some((thread_id, number)) = oldest.text_of() {
            self.texts.remove(&(thread_id, number, self.after));
        }
        self.receipts.forget(oldest);
        let too_old = self.steps.partition_point(|(sequence, ..)| *sequence <= self.after);
        for (sequence, thread_id, _, who) in self.steps.drain(..too_old) {
            self.receipts.forget_leaving(thread_id, who, sequence);
        }
    }

    fn index_after(&self, sequence: u64) -> usize {
        self.events.partition_point(|told| told.position().sequence <= sequence)
    }
}
