//! Which sends a thread has seen: its latest ones in order of arrival, and each
//! sender's largest key. Bounded, and exact: where it cannot tell, it says so.

use events::{AttachmentId, MessageKey, Timestamp, UserId, event::Number};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, VecDeque};

/// How many sends a thread remembers.
pub(super) const REMEMBERED: usize = 256;

/// A fingerprint of what was sent, salted with its key so that equal texts differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Content(u64);

/// A send that is in the log already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeated {
    pub number: Number,
    pub sequence: u64,
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub sent_at: Timestamp,
    /// `None` once the text was erased: then any text is taken for the same.
    pub content: Option<Content>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sends {
    latest: VecDeque<(UserId, MessageKey, Repeated)>,
    largest: BTreeMap<UserId, MessageKey>,
    /// Whether there were more sends than are remembered.
    forgot: bool,
}

/// What is known of a sender's key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    New,
    Sent(Repeated),
    /// The message log must be asked, as of at least that sequence.
    Unsure {
        as_of: u64,
    },
}

impl Content {
    pub fn of(
        key: MessageKey,
        body: &str,
        reply_to: Option<Number>,
        attachments: impl IntoIterator<Item = AttachmentId>,
    ) -> Self {
        let mut digest = Sha256::new();
        digest.update(key.uuid().as_bytes());
        digest.update(reply_to.unwrap_or(0).to_be_bytes());
        digest.update(body.as_bytes());
        // No text has this byte: where it ends and the files begin is not in doubt.
        for id in attachments {
            digest.update([0xff]);
            digest.update(id.uuid().as_bytes());
        }
        let digest = digest.finalize();
        Self(u64::from_be_bytes(digest[..8].try_into().expect("SHA-256 has 32 bytes")))
    }
}

impl Sends {
    pub(super) fn find(&self, by: UserId, key: MessageKey) -> Option<Repeated> {
        let same = |(sender, sent, _): &&(UserId, MessageKey, Repeated)| *sender == by && *sent == key;
        self.latest.iter().rev().find(same).map(|(_, _, repeated)| *repeated)
    }

    /// Where a message lies; of one that is forgotten, a sequence that lies behind it.
    pub(super) fn sequence_of(&self, number: Number) -> u64 {
        let found = self.latest.iter().rev().find(|(_, _, sent)| sent.number == number);
        found.or(self.latest.front()).map_or(0, |(_, _, sent)| sent.sequence)
    }

    pub(super) fn knows(&self, by: UserId, key: MessageKey, absent_as_of: Option<u64>) -> Known {
        if self.largest.get(&by).is_none_or(|largest| key > *largest) {
            return Known::New;
        }
        if let Some(repeated) = self.find(by, key) {
            return Known::Sent(repeated);
        }
        let oldest = self.latest.front().map_or(0, |(_, _, repeated)| repeated.sequence);
        if !self.forgot || absent_as_of.is_some_and(|absent| absent >= oldest) {
            return Known::New;
        }
        Known::Unsure { as_of: oldest }
    }

    pub(super) fn push(&mut self, by: UserId, key: MessageKey, repeated: Repeated) {
        let largest = self.largest.entry(by).or_insert(key);
        *largest = key.max(*largest);
        if self.latest.len() == REMEMBERED {
            self.latest.pop_front();
            self.forgot = true;
        }
        self.latest.push_back((by, key, repeated));
    }

    pub(super) fn weight(&self) -> usize {
        self.latest.capacity() * size_of::<(UserId, MessageKey, Repeated)>() + self.largest.len() * 48
    }
}
