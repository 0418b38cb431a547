//! The views that there are: their names, which are their schemas' and what
//! their checkpoints are announced under, and the versions of their projections.

use events::{EventLog, Partition, Share, Vector, log::LogError, subject::Names};
use sqlx::migrate::Migrator;
use std::fmt;

/// The migration after which a generation can be written.
pub(crate) const TABLES: i64 = 2;

/// A view of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum View {
    Directory,
    Timeline,
    Inbox,
    Search,
    Presence,
    Audit,
    Figures,
}

impl View {
    pub const ALL: [Self; 7] =
        [Self::Directory, Self::Timeline, Self::Inbox, Self::Search, Self::Presence, Self::Audit, Self::Figures];

    /// The name of its schema, under which its checkpoints are announced too.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Timeline => "timeline",
            Self::Inbox => "inbox",
            Self::Search => "search",
            Self::Presence => "presence",
            Self::Audit => "audit",
            Self::Figures => "figures",
        }
    }

    /// Raised whenever the same facts come to mean other rows: the view is then built anew.
    pub const fn version(self) -> i32 {
        match self {
            Self::Directory | Self::Timeline | Self::Inbox => 5,
            Self::Search | Self::Presence => 3,
            Self::Audit | Self::Figures => 1,
        }
    }

    /// The streams that its rows in a database are made of. A block is a fact of two people's thread, and lies with who
    /// wants it. Figures are all in the first database.
    pub fn streams(self, names: &Names, share: Share) -> Vec<Partition> {
        match self {
            Self::Timeline | Self::Inbox | Self::Search | Self::Audit => {
                names.partitions().filter(|of| share.has(*of)).collect()
            }
            Self::Directory => names.partitions().collect(),
            Self::Presence => vec![Partition::PRESENCE],
            Self::Figures => names.partitions().filter(|of| share.index() == 0 || share.has(*of)).collect(),
        }
    }

    /// Where the streams end now that its rows in a database are made of.
    pub(crate) async fn end(self, log: &EventLog, share: Share) -> Result<Vector, LogError> {
        let mut end = Vector::default();
        for stream in self.streams(log.names(), share) {
            end.set(stream, log.end_of(stream).await?);
        }
        Ok(end)
    }

    /// The indexes that a whole generation has beside its keys.
    pub fn indexes(self) -> Vec<String> {
        let migrator = self.migrator();
        let words: Vec<&str> =
            migrator.iter().flat_map(|migration| migration.sql.as_str().split_whitespace()).collect();
        let named = words.windows(3).filter(|words| words[0] == "INDEX" && words[2] == "ON");
        named.map(|words| words[1].to_owned()).collect()
    }

    /// What makes its tables, and those that every generation has: up to [`TABLES`] what is written to, then the
    /// indexes. Locks nothing by itself: a generation is opened under a lock of its own.
    pub(crate) fn migrator(self) -> Migrator {
        let control = sqlx::migrate!("../migrations/control");
        let own = match self {
            Self::Directory => sqlx::migrate!("../migrations/directory"),
            Self::Timeline => sqlx::migrate!("../migrations/timeline"),
            Self::Inbox => sqlx::migrate!("../migrations/inbox"),
            Self::Search => sqlx::migrate!("../migrations/search"),
            Self::Presence => sqlx::migrate!("../migrations/presence"),
            Self::Audit => sqlx::migrate!("../migrations/audit"),
            Self::Figures => sqlx::migrate!("../migrations/figures"),
        };
        let mut migrator = Migrator::with_migrations(control.iter().chain(own.iter()).cloned().collect());
        migrator.set_locking(false);
        migrator
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The same work for whichever projection a view is made by.
macro_rules! with_projection {
    ($view:expr, $projection:ident => $work:expr) => {
        match $view {
            $crate::View::Directory => {
                type $projection = $crate::directory::Directory;
                $work
            }
            $crate::View::Timeline => {
                type $projection = $crate::timeline::Timeline;
                $work
            }
            $crate::View::Inbox => {
                type $projection = $crate::inbox::Inbox;
                $work
            }
            $crate::View::Search => {
                type $projection = $crate::search::Search;
                $work
            }
            $crate::View::Presence => {
                type $projection = $crate::presence::Presence;
                $work
            }
            $crate::View::Audit => {
                type $projection = $crate::audit::Audit;
                $work
            }
            $crate::View::Figures => {
                type $projection = $crate::figures::Figures;
                $work
            }
        }
    };
}
pub(crate) use with_projection;
