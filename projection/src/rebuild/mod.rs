//! Makes views anew beside the living ones: fills the next generation from the
//! log, gives it its indexes, compares it with the one that serves, and swaps it
//! in. Whatever ends it half-way, the next run goes on where this one was.

mod build;
mod compare;
mod feed;
mod pace;
mod reshard;
mod swap;

use crate::{
    View,
    database::Database,
    error::Error,
    place::{Place, Schema},
};
use build::Build;
pub(crate) use build::lock;
pub use compare::{Compared, Only};
use events::{EventLog, Share, shard::Map};
use feed::Feed;
use futures_util::future::try_join_all;
use pace::Pace;
use std::{num::NonZeroU32, time::Duration};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

/// How long the generation that served is kept where nothing else is asked for.
pub const KEEP: Duration = Duration::from_hours(24);
/// Beyond it a larger batch makes nothing faster.
pub const BATCH: usize = 5_000;

/// What is to be done with which views.
#[derive(Debug, Clone)]
pub struct Rebuild {
    pub views: Vec<View>,
    pub goal: Goal,
    /// At most so many facts of the log a second; `None`: as fast as it goes.
    pub pace: Option<NonZeroU32>,
    /// How long the generation that served until now is kept abreast, so that it can be swapped in again.
    pub keep: Duration,
    /// The most facts in one transaction.
    pub batch: usize,
}

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// The view as built anew serves.
    Swap,
    /// The same, where the one that serves is of an older version.
    Renew,
    /// It is compared with the one that serves, and dropped.
    Compare,
    /// The one that served before serves again.
    RollBack,
}

/// How far the rebuild of a view has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    pub step: Step,
    /// Facts applied since this run began, and how many there were to apply.
    pub applied: u64,
    pub of: u64,
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Waiting,
    Filling,
    Indexing,
    Comparing,
    Swapping,
    Done,
}

/// A view that was rebuilt in a database.
#[derive(Debug, Clone)]
pub struct Rebuilt {
    pub view: View,
    pub share: Share,
    /// Facts that this run applied until it was abreast of the log as it was at the beginning, and how long that took.
    pub events: u64,
    pub filling: Duration,
    /// All of it.
    pub took: Duration,
    /// Each table beside the living one's; `None`: they could not be compared, because the one that served was of
    /// another version, not at work, or lives by what the log keeps no longer.
    pub tables: Option<Vec<Compared>>,
    /// For how long the living view stood still while it was swapped; `None`: it was not.
    pub stalled: Option<Duration>,
}

/// A rebuild that has not begun.
pub struct Prepared {
    rebuild: Rebuild,
    log: EventLog,
    builds: Vec<Build>,
    progress: Vec<(View, Share, Progress)>,
}

/// Tells how far the rebuild of a view has come.
pub type Progress = watch::Receiver<Status>;

impl Rebuild {
    /// All that the rebuild of one view at start is: as fast as it goes.
    pub(crate) fn at_start(view: View) -> Self {
        Self { views: vec![view], goal: Goal::Renew, pace: None, keep: KEEP, batch: BATCH }
    }

    /// Prepares it, in each of the databases. Told to stop, it ends between two batches, with [`Error::Stopped`].
    ///
    /// # Errors
    /// When a URL is none of Postgres.
    pub fn prepare(self, log: EventLog, databases: &Map, stop: &CancellationToken) -> Result<Prepared, Error> {
        self.prepare_in(log, databases.shards(), stop)
    }

    /// The same in some of the databases.
    ///
    /// # Errors
    /// When a URL is none of Postgres.
    pub fn prepare_in<'a>(
        self,
        log: EventLog,
        databases: impl Iterator<Item = (Share, &'a str)>,
        stop: &CancellationToken,
    ) -> Result<Prepared, Error> {
        let place = if self.goal == Goal::RollBack { Place::Previous } else { Place::Next };
        let (mut builds, mut progress) = (Vec::new(), Vec::new());
        for (share, url) in databases {
            let database = Database::new(url)?;
            for &view in &self.views {
                let (status, watch) = watch::channel(Status { step: Step::Waiting, applied: 0, of: 0 });
                progress.push((view, share, watch));
                let schema = Schema { view, place };
                builds.push(Build::new(schema, share, &log, &database, self.batch, status, stop.clone()));
            }
        }
        Ok(Prepared { rebuild: self, log, builds, progress })
    }
}

impl Prepared {
    /// How far it has come, for each view in each database; to be watched while it runs.
    pub fn progress(&self) -> Vec<(View, Share, Progress)> {
        self.progress.clone()
    }

    /// Does it all.
    ///
    /// # Errors
    /// [`Error::Busy`] where another one is at work, [`Error::Gone`] where there is nothing to roll back to, and whatever
    /// Postgres and NATS refuse: what is done by then is not lost.
    pub async fn run(self) -> Result<Vec<Rebuilt>, Error> {
        let pace = Pace::new(self.rebuild.pace);
        // A search writes many rows for each fact: the others would wait for it.
        let (slow, fast): (Vec<_>, Vec<_>) = self.builds.iter().partition(|build| build.view() == View::Search);
        let mut rebuilt = Vec::new();
        for builds in [fast, slow].iter().filter(|builds| !builds.is_empty()) {
            rebuilt.extend(self.together(builds, &pace).await?);
        }
        Ok(rebuilt)
    }

    /// Rebuilds views that share one reading of the log.
    async fn together(&self, builds: &[&Build], pace: &Pace) -> Result<Vec<Rebuilt>, Error> {
        let Rebuild { goal, keep, .. } = self.rebuild;
        let began = Instant::now();
        let (mut opened, mut locks) = (Vec::new(), Vec::new());
        for build in builds {
            let (desk, lock) = build.open(goal).await?;
            opened.push(desk);
            locks.push(lock);
        }
        let filled = if goal == Goal::RollBack {
            // What is kept abreast has no bulk to be filled with.
            builds.iter().map(|_| (0, Duration::ZERO)).collect()
        } else {
            let generations: Vec<_> = opened.iter().map(|desk| desk.generation.clone()).collect();
            let (_feed, sources) = Feed::start(&self.log, &generations, pace);
            let fill = builds.iter().zip(&generations).zip(sources);
            try_join_all(fill.map(|((build, generation), sources)| build.fill(generation, sources))).await?
        };
        let finish = builds.iter().zip(opened).zip(filled).map(|((build, desk), (events, filling))| async move {
            let (tables, stalled) = build.finish(desk, goal, keep).await?;
            Ok(Rebuilt {
                view: build.view(),
                share: build.share(),
                events,
                filling,
                took: began.elapsed(),
                tables,
                stalled,
            })
        });
        try_join_all(finish).await
    }
}
