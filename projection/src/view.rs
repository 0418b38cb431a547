//! The views that there are: their names, which are their schemas' and what
//! their checkpoints are announced under, and the versions of their projections.

use events::{Partition, subject::Names};
use sqlx::migrate::Migrator;
use std::fmt;

/// A view of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum View {
    Directory,
    Timeline,
    Inbox,
    Search,
    Presence,
}

impl View {
    pub const ALL: [Self; 5] = [Self::Directory, Self::Timeline, Self::Inbox, Self::Search, Self::Presence];

    /// The name of its schema, under which its checkpoints are announced too.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Timeline => "timeline",
            Self::Inbox => "inbox",
            Self::Search => "search",
            Self::Presence => "presence",
        }
    }

    /// Raised whenever the same facts come to mean other rows: the view is then built anew.
    pub const fn version(self) -> i32 {
        match self {
            Self::Directory | Self::Timeline | Self::Inbox => 3,
            Self::Search | Self::Presence => 1,
        }
    }

    /// The streams that it is made of.
    pub fn streams(self, names: &Names) -> Vec<Partition> {
        match self {
            Self::Directory | Self::Timeline | Self::Inbox | Self::Search => names.partitions().collect(),
            Self::Presence => vec![Partition::PRESENCE],
        }
    }

    /// Locks nothing by itself: a generation is opened under a lock of its own.
    pub(crate) fn migrator(self) -> Migrator {
        let mut migrator = match self {
            Self::Directory => sqlx::migrate!("../migrations/directory"),
            Self::Timeline => sqlx::migrate!("../migrations/timeline"),
            Self::Inbox => sqlx::migrate!("../migrations/inbox"),
            Self::Search => sqlx::migrate!("../migrations/search"),
            Self::Presence => sqlx::migrate!("../migrations/presence"),
        };
        migrator.set_locking(false);
        migrator
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
