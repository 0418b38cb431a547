//! Other databases: each view of each of them is built beside whatever serves
//! there, then all are swapped in together, and the new map is published, which
//! every node goes by from then on. Begun again, it goes on where it was.

use super::{Build, Feed, Goal, Pace, Prepared, Rebuilt, Step};
use crate::{View, database::Database, desk::Desk, error::Error, generation, place::Schema};
use events::{EventLog, shard::Map};
use futures_util::future::{try_join, try_join_all};
use sqlx::PgConnection;
use std::time::Duration;
use tokio::time::Instant;

/// A view in a database that is ready to be swapped in, and the lock that keeps other rebuilds away.
struct Ready<'a> {
    build: &'a Build,
    desk: Desk,
    _lock: PgConnection,
    events: u64,
    filling: Duration,
}

impl Prepared {
    /// Builds what is prepared for the map `to`, lets it serve, and publishes the map in the place of the one of that
    /// revision. Databases that only `from` has hold nothing any more.
    ///
    /// # Errors
    /// As [`Prepared::run`]; [`Error::Bucket`] where the map is not published: begun again, only that is left to do.
    pub async fn reshard(self, from: &Map, to: &Map, replaces: Option<u64>) -> Result<Vec<Rebuilt>, Error> {
        let began = Instant::now();
        let Self { rebuild, log, builds, .. } = &self;
        let pace = Pace::new(rebuild.pace);
        let mut left = Vec::new();
        for build in builds {
            if build.serves().await? {
                build.step(Step::Done);
            } else {
                left.push(build);
            }
        }
        // A search writes many rows for each fact: the others would wait for it.
        let (slow, fast): (Vec<_>, Vec<_>) = left.into_iter().partition(|build| build.view() == View::Search);
        let mut ready = Vec::new();
        for builds in [slow, fast] {
            ready.extend(fill(log, &builds, &pace).await?);
        }
        try_join_all(ready.iter_mut().map(|ready| ready.build.index(&mut ready.desk))).await?;
        try_join_all(ready.iter_mut().map(|ready| ready.build.come_abreast(&mut ready.desk))).await?;
        // From the first swap until nodes know of the map, what meets another share waits.
        let swap = async |mut ready: Ready<'_>| {
            let stalled = Some(ready.build.swap(&mut ready.desk, Duration::ZERO).await?);
            ready.build.step(Step::Done);
            let Ready { build, events, filling, .. } = ready;
            let (view, share, took) = (build.view(), build.share(), began.elapsed());
            Ok(Rebuilt { view, share, events, filling, took, tables: None, stalled })
        };
        let leaving = from.shards().map(|(_, url)| url).filter(|url| !to.has(url));
        let (rebuilt, _) =
            try_join(try_join_all(ready.into_iter().map(swap)), try_join_all(leaving.map(retire))).await?;
        if from != to || replaces.is_none() {
            log.publish_map(to, replaces).await?;
        }
        Ok(rebuilt)
    }
}

/// Fills the views of one reading of the log.
async fn fill<'a>(log: &EventLog, builds: &[&'a Build], pace: &Pace) -> Result<Vec<Ready<'a>>, Error> {
    let (mut desks, mut generations) = (Vec::new(), Vec::new());
    for build in builds {
        let (desk, lock) = build.open(Goal::Swap).await?;
        generations.push(desk.generation.clone());
        desks.push((*build, desk, lock));
    }
    let (_feed, sources) = Feed::start(log, &generations, pace);
    let filling = builds.iter().zip(&generations).zip(sources);
    let filled = try_join_all(filling.map(|((build, generation), sources)| build.fill(generation, sources))).await?;
    let ready = desks.into_iter().zip(filled).map(|((build, desk, lock), (events, filling))| Ready {
        build,
        desk,
        _lock: lock,
        events,
        filling,
    });
    Ok(ready.collect())
}

/// Nothing of a deployment lies in that database any more.
async fn retire(url: &str) -> Result<(), Error> {
    let database = Database::new(url)?;
    for view in View::ALL {
        let living = Schema::living(view);
        generation::retire(&mut database.connect(living).await?, living).await?;
    }
    Ok(())
}
