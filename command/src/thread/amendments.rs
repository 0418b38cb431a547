//! What was lately done to messages: enough to tell exactly what a message is
//! now from a view that is a little behind. Older amendments are forgotten, and
//! the view must have seen them.

use events::{Emoji, UserId, event::Number};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How many amendments a thread remembers.
pub(super) const REMEMBERED: usize = 64;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Amendments {
    latest: VecDeque<Amendment>,
    /// The sequence of the newest one that is not remembered.
    forgotten: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Amendment {
    pub(super) sequence: u64,
    pub(super) number: Number,
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum What {
    Edited,
    Deleted,
    Reacted { by: UserId, emoji: Emoji, removed: bool },
}

impl Amendments {
    pub(super) fn push(&mut self, amendment: Amendment) {
        if self.latest.len() == REMEMBERED
            && let Some(oldest) = self.latest.pop_front()
        {
            self.forgotten = oldest.sequence;
        }
        self.latest.push_back(amendment);
    }

    /// What a view must have seen before the rest is known here.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// When a message was last edited, as far as that is remembered.
    pub(super) fn edited(&self, number: Number) -> Option<u64> {
        let edited = |one: &&Amendment| one.number == number && one.what == What::Edited;
        self.latest.iter().rfind(edited).map(|one| one.sequence)
    }

    /// What was done to a message after a sequence, in order.
    pub(super) fn since(&self, number: Number, after: u64) -> impl Iterator<Item = &What> {
        self.latest.iter().filter(move |one| one.number == number && one.sequence > after).map(|one| &one.what)
    }

    pub(super) fn weight(&self) -> usize {
        self.latest.capacity() * (size_of::<Amendment>() + 16)
    }
}
