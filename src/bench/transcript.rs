//! What somebody was told of a conversation, as one digest: two transcripts are
//! compared however long they are, and take no memory.

use std::hash::{DefaultHasher, Hasher};

/// All messages that were told, in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Transcript {
    hasher: DefaultHasher,
    pub(super) messages: u64,
    pub(super) last_number: u64,
    /// Where the last one lies.
    pub(super) position: String,
}

impl Transcript {
    pub(super) fn add(&mut self, number: u64, key: &[u8], sender_id: &[u8], body: &[u8]) {
        self.hasher.write_u64(number);
        self.hasher.write(key);
        self.hasher.write(sender_id);
        self.hasher.write(body);
        self.messages += 1;
        self.last_number = number;
    }

    /// The last message lies there.
    pub(super) fn at(&mut self, position: &[u8]) {
        self.position.clear();
        self.position.push_str(std::str::from_utf8(position).unwrap_or_default());
    }

    pub(super) fn digest(&self) -> u64 {
        self.hasher.finish()
    }
}
