//! What of a partition's receipts is news: nothing of who has left the thread
//! by then, although it was accepted before, and no watermark below one that was
//! told, whichever node it came by. It remembers as far back as the ring.

use super::told::Told;
use events::{
    ThreadId, UserId,
    event::{Number, Receipt},
};
use std::collections::HashMap;

type Reader = (ThreadId, UserId);

#[derive(Debug, Default)]
pub(super) struct Receipts {
    /// The watermarks that were told last, delivered and read, and where they lie.
    told: HashMap<Reader, ((Number, Number), u64)>,
    /// Where somebody left, who has not come back.
    left: HashMap<Reader, u64>,
}

impl Receipts {
    /// What is to be told of a receipt that lies at a sequence: watermarks no lower than before, or nothing.
    pub(super) fn news(&mut self, receipt: Receipt, sequence: u64) -> Option<Receipt> {
        let reader = (receipt.thread_id, receipt.user_id);
        if self.left.contains_key(&reader) {
            return None;
        }
        let before = self.told.get(&reader).map_or((0, 0), |&(before, _)| before);
        let marks = (receipt.delivered.max(before.0), receipt.read.max(before.1));
        if marks == before {
            return None;
        }
        self.told.insert(reader, (marks, sequence));
        Some(Receipt { delivered: marks.0, read: marks.1, ..receipt })
    }

    pub(super) fn enters(&mut self, thread_id: ThreadId, user_id: UserId) {
        self.left.remove(&(thread_id, user_id));
    }

    pub(super) fn leaves(&mut self, thread_id: ThreadId, user_id: UserId, sequence: u64) {
        self.left.insert((thread_id, user_id), sequence);
    }

    /// The ring forgets an event.
    pub(super) fn forget(&mut self, oldest: &Told) {
        let sequence = oldest.position().sequence;
        for receipt in oldest.receipts() {
            let reader = (receipt.thread_id, receipt.user_id);
            if self.told.get(&reader).is_some_and(|(_, at)| *at == sequence) {
                self.told.remove(&reader);
            }
        }
    }

    /// The ring forgets that somebody left at a sequence.
    pub(super) fn forget_leaving(&mut self, thread_id: ThreadId, user_id: UserId, sequence: u64) {
        if self.left.get(&(thread_id, user_id)) == Some(&sequence) {
            self.left.remove(&(thread_id, user_id));
        }
    }
}
