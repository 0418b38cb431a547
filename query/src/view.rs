//! The views that there are, by the names of their schemas, under which their
//! checkpoints are announced too, and the versions that this build can read.

use crate::answer::as_of;
use events::{Partition, Share, subject::Names};
use std::fmt;

/// A view of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum View {
    Directory,
    Timeline,
    Inbox,
    Search,
    Presence,
    Audit,
}

impl View {
    pub const ALL: [Self; 6] =
        [Self::Directory, Self::Timeline, Self::Inbox, Self::Search, Self::Presence, Self::Audit];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Timeline => "timeline",
            Self::Inbox => "inbox",
            Self::Search => "search",
            Self::Presence => "presence",
            Self::Audit => "audit",
        }
    }

    pub const fn version(self) -> i32 {
        match self {
            Self::Directory | Self::Timeline | Self::Inbox => 5,
            Self::Search | Self::Presence => 3,
            Self::Audit => 1,
        }
    }

    /// Whether a node serves though the view is far behind: nothing but its own questions waits for it.
    pub const fn may_lag(self) -> bool {
        match self {
            Self::Directory | Self::Timeline | Self::Inbox => false,
            Self::Search | Self::Presence | Self::Audit => true,
        }
    }

    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Directory => 0,
            Self::Timeline => 1,
            Self::Inbox => 2,
            Self::Search => 3,
            Self::Presence => 4,
            Self::Audit => 5,
        }
    }

    /// The streams that its rows in a database are made of.
    pub fn streams(self, names: &Names, share: Share) -> Vec<Partition> {
        match self {
            Self::Timeline | Self::Inbox | Self::Search | Self::Audit => {
                names.partitions().filter(|of| share.has(*of)).collect()
            }
            Self::Directory => names.partitions().collect(),
            Self::Presence => vec![Partition::PRESENCE],
        }
    }

    /// Asks how far the view has come, and nothing else.
    pub(crate) const fn as_of(self) -> &'static str {
        match self {
            Self::Directory => concat!(as_of!("directory"), "SELECT vector, version FROM as_of"),
            Self::Timeline => concat!(as_of!("timeline"), "SELECT vector, version FROM as_of"),
            Self::Inbox => concat!(as_of!("inbox"), "SELECT vector, version FROM as_of"),
            Self::Search => concat!(as_of!("search"), "SELECT vector, version FROM as_of"),
            Self::Presence => concat!(as_of!("presence"), "SELECT vector, version FROM as_of"),
            Self::Audit => concat!(as_of!("audit"), "SELECT vector, version FROM as_of"),
        }
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
