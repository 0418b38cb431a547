//! What questions tell of themselves: how long each takes, and how it ends.

use crate::Error;
use metrics::{Histogram, Unit, describe_histogram, histogram};
use std::time::Duration;

const ANSWER: &str = "herald_query_duration_seconds";

/// The questions that there are, one for each statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    AsOf,
    Audited,
    Blocks,
    Contacts,
    Deeds,
    File,
    FindKey,
    History,
    Kept,
    Members,
    Memberships,
    Message,
    Missed,
    MovedReceipts,
    Named,
    Oneself,
    OwnMessages,
    Presence,
    Receipts,
    Reports,
    Search,
    SetAside,
    Settings,
    Thread,
    Threads,
    Undelivered,
    UserByUsername,
    Users,
    Waiting,
}

pub(crate) struct Measures {
    answered: Vec<Histogram>,
    failed: Vec<Histogram>,
}

impl Question {
    /// In the order of the variants.
    const ALL: [Self; 29] = [
        Self::AsOf,
        Self::Audited,
        Self::Blocks,
        Self::Contacts,
        Self::Deeds,
        Self::File,
        Self::FindKey,
        Self::History,
        Self::Kept,
        Self::Members,
        Self::Memberships,
        Self::Message,
        Self::Missed,
        Self::MovedReceipts,
        Self::Named,
        Self::Oneself,
        Self::OwnMessages,
        Self::Presence,
        Self::Receipts,
        Self::Reports,
        Self::Search,
        Self::SetAside,
        Self::Settings,
        Self::Thread,
        Self::Threads,
        Self::Undelivered,
        Self::UserByUsername,
        Self::Users,
        Self::Waiting,
    ];

    /// Whether it may take long, and is kept from the connections of the others.
    pub(crate) const fn may_be_dear(self) -> bool {
        matches!(self, Self::Audited | Self::Search | Self::Undelivered | Self::Waiting)
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::AsOf => "as_of",
            Self::Audited => "audited",
            Self::Blocks => "blocks",
            Self::Contacts => "contacts",
            Self::Deeds => "deeds",
            Self::File => "file",
            Self::FindKey => "find_key",
            Self::History => "history",
            Self::Kept => "kept",
            Self::Members => "members",
            Self::Memberships => "memberships",
            Self::Message => "message",
            Self::Missed => "missed",
            Self::MovedReceipts => "moved_receipts",
            Self::Named => "named",
            Self::Oneself => "oneself",
            Self::OwnMessages => "own_messages",
            Self::Presence => "presence",
            Self::Receipts => "receipts",
            Self::Reports => "reports",
            Self::Search => "search",
            Self::SetAside => "set_aside",
            Self::Settings => "settings",
            Self::Thread => "thread",
            Self::Threads => "threads",
            Self::Undelivered => "undelivered",
            Self::UserByUsername => "user_by_username",
            Self::Users => "users",
            Self::Waiting => "waiting",
        }
    }
}

impl Measures {
    pub(crate) fn new() -> Self {
        describe_histogram!(
            ANSWER,
            Unit::Seconds,
            "Questions to a view, by statement, waiting for a connection included."
        );
        let of = |outcome| {
            let each = |question: Question| histogram!(ANSWER, "query" => question.name(), "outcome" => outcome);
            Question::ALL.map(each).into()
        };
        Self { answered: of("answered"), failed: of("failed") }
    }

    pub(crate) fn asked<T>(&self, question: Question, outcome: &Result<T, Error>, took: Duration) {
        let histograms = if outcome.is_ok() { &self.answered } else { &self.failed };
        histograms[question as usize].record(took);
    }
}

#[cfg(test)]
mod tests {
    use super::Question;

    #[test]
    fn each_question_is_where_it_is_looked_up() {
        assert!(Question::ALL.iter().enumerate().all(|(index, question)| *question as usize == index));
    }
}
