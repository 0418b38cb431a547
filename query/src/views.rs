//! The handle on the views' databases: their connections, a time limit on every
//! statement, and freshness.

use crate::{
    Answer, Error, View, answer,
    freshness::Behind,
    measures::{Measures, Question},
    shards::{ACQUIRE, Rows, Shard, Shards, wanted_of},
};
use events::{Share, Vector, shard::Map, subject::Names};
use futures_util::future::join_all;
use sqlx::{
    PgPool, Postgres,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};
use tracing::Instrument;

/// A connection that says nothing for longer than a statement may take is dead.
const SILENCE: Duration = Duration::from_secs(4);

/// The views. Clones share connections and freshness.
#[derive(Clone)]
pub struct Views {
    shards: Arc<watch::Sender<Arc<Shards>>>,
    /// The most to each database.
    connections: u32,
    measures: Arc<Measures>,
}

/// The connections to Postgres: those that are open, those of them that wait for a question, and the most there may be.
#[derive(Debug, Clone, Copy)]
pub struct Connections {
    pub open: u32,
    pub idle: u32,
    pub most: u32,
}

impl Views {
    /// Connects when first asked something: Postgres may be away, then the answer is [`Error::Unavailable`].
    ///
    /// # Errors
    /// When a URL is none of Postgres.
    pub fn new(names: &Names, databases: &Map, connections: u32) -> Result<Self, Error> {
        let shards = watch::Sender::new(Arc::new(Shards::new(names, databases, connections)?));
        Ok(Self { shards: Arc::new(shards), connections, measures: Arc::new(Measures::new()) })
    }

    /// Goes by another map from now on; what is under way ends as it began.
    ///
    /// # Errors
    /// When a URL is none of Postgres.
    pub fn remap(&self, databases: &Map) -> Result<(), Error> {
        let names = self.shards().names().clone();
        self.shards.send_replace(Arc::new(Shards::new(&names, databases, self.connections)?));
        Ok(())
    }

    pub fn connections(&self) -> Connections {
        let shards = self.shards();
        let pools = || shards.iter().flat_map(|shard| [&shard.pool, &shard.apart]);
        let sum = |of: fn(&PgPool) -> u32| pools().map(of).sum();
        Connections {
            open: sum(PgPool::size),
            idle: sum(|pool| u32::try_from(pool.num_idle()).unwrap_or(u32::MAX)),
            most: sum(|pool| pool.options().get_max_connections()),
        }
    }

    /// A runner tells how far the view has come in a database.
    pub fn announced(&self, view: View, share: Share, applied: &Vector) {
        if let Some(shard) = self.shards().at(share) {
            shard.freshness.announced(view, applied);
        }
    }

    /// Reads how far the view has come: for who follows announcements, at the start and when they may have missed
    /// some; and for whoever asks whether the view can be read at all.
    ///
    /// # Errors
    /// When the view cannot be read in all databases.
    pub async fn refresh(&self, view: View) -> Result<Vector, Error> {
        let mut applied = Vector::default();
        for (_, of_shard) in self.refresh_each(view).await {
            applied = applied.with_lower(&of_shard?);
        }
        Ok(applied)
    }

    /// The same in each database: what one says, the failure of another does not hide.
    pub async fn refresh_each(&self, view: View) -> Vec<(Share, Result<Vector, Error>)> {
        let shards = self.shards();
        join_all(shards.iter().map(async |shard| (shard.share(), self.refresh_one(shard, view).await))).await
    }

    async fn refresh_one(&self, shard: &Shard, view: View) -> Result<Vector, Error> {
        let rows = self.rows(shard, Question::AsOf, sqlx::query(view.as_of())).await?;
        let applied = answer::vector(view, &rows)?;
        shard.freshness.announced(view, &applied);
        Ok(applied)
    }

    /// Waits until the view has applied that much in all databases, no longer than until the deadline.
    ///
    /// # Errors
    /// [`Error::Behind`] when it has not in time, [`Error::Unavailable`] when it cannot be read.
    pub async fn reached(&self, view: View, wanted: &Vector, deadline: Instant) -> Result<(), Error> {
        let mut map = self.shards.subscribe();
        loop {
            let shards = Arc::clone(&map.borrow_and_update());
            let waiting = shards.iter().map(|shard| self.reached_in(shard, shards.names(), view, wanted, deadline));
            match join_all(waiting).await.into_iter().collect() {
                Err(Error::Moved) if timeout_at(deadline, map.changed()).await.is_ok() => {}
                reached => return reached,
            }
        }
    }

    async fn reached_in(
        &self,
        shard: &Shard,
        names: &Names,
        view: View,
        wanted: &Vector,
        deadline: Instant,
    ) -> Result<(), Error> {
        let wanted = wanted_of(view, names, shard.share(), wanted);
        if shard.freshness.applied(view).covers(&wanted) || self.refresh_one(shard, view).await?.covers(&wanted) {
            return Ok(());
        }
        self.told(shard, view, &wanted, deadline).await
    }

    /// Waits until it is told that the view has come that far in a database.
    async fn told(&self, shard: &Shard, view: View, wanted: &Vector, deadline: Instant) -> Result<(), Error> {
        if timeout_at(deadline, shard.freshness.reach(view, wanted)).await.is_ok() {
            return Ok(());
        }
        let applied = self.refresh_one(shard, view).await?;
        if applied.covers(wanted) { Ok(()) } else { Err(Behind::new(view, wanted, &applied).into()) }
    }

    /// Asks a view that has applied at least that much, wherever the question leads. The answer itself proves it: a view
    /// that was dropped since it was last heard of is built anew from nothing. Where the databases are being mapped anew,
    /// the new map is waited for.
    ///
    /// # Errors
    /// As [`Views::reached`], and as the question.
    pub async fn at_least<T, F>(
        &self,
        view: View,
        wanted: &Vector,
        deadline: Instant,
        question: impl Fn() -> F,
    ) -> Result<Answer<T>, Error>
    where
        F: Future<Output = Result<Answer<T>, Error>>,
    {
        let mut map = self.shards.subscribe();
        loop {
            let shards = Arc::clone(&map.borrow_and_update());
            let asked = async {
                // Of several databases the question chooses; the one that there is can be waited for before.
                if let Some(only) = shards.only() {
                    self.reached_in(only, shards.names(), view, wanted, deadline).await?;
                }
                question().await
            };
            let answer = match asked.await {
                Err(Error::Moved) if timeout_at(deadline, map.changed()).await.is_ok() => continue,
                answer => answer?,
            };
            // Of what its databases do not hold it says nothing.
            if answer.as_of.covers(&wanted.within(&answer.as_of)) {
                return Ok(complete(&shards, view, wanted, answer));
            }
            for shard in answer.of.iter().filter_map(|share| shards.at(*share)) {
                let of_shard = |vector| wanted_of(view, shards.names(), shard.share(), vector);
                if shard.freshness.applied(view).covers(&of_shard(wanted)) {
                    shard.freshness.fell_back(view, &of_shard(&answer.as_of));
                    self.reached_in(shard, shards.names(), view, wanted, deadline).await?;
                } else {
                    self.told(shard, view, &of_shard(wanted), deadline).await?;
                }
            }
            if Instant::now() >= deadline {
                return Err(Behind::new(view, &wanted.within(&answer.as_of), &answer.as_of).into());
            }
        }
    }

    /// The databases, by the map that this node goes by now.
    pub(crate) fn shards(&self) -> Arc<Shards> {
        Arc::clone(&self.shards.borrow())
    }

    /// The rows of a statement, within its time.
    pub(crate) async fn rows(
        &self,
        shard: &Shard,
        question: Question,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<Rows, Error> {
        let began = Instant::now();
        let span = tracing::debug_span!("query.rows", query = question.name());
        let pool = if question.may_be_dear() { &shard.apart } else { &shard.pool };
        let rows = fetch(pool, query).instrument(span).await;
        self.measures.asked(question, &rows, began.elapsed());
        Ok(Rows { share: shard.share(), rows: rows? })
    }
}

/// Of partitions that the answer does not depend on, it is as of whatever is known of them.
fn complete<T>(shards: &Shards, view: View, wanted: &Vector, mut answer: Answer<T>) -> Answer<T> {
    if shards.only().is_none() {
        let known = shards.iter().map(|shard| shard.freshness.applied(view)).chain([wanted.clone()]);
        let asked = answer.as_of.clone();
        for position in known.flat_map(|known| known.iter().collect::<Vec<_>>()) {
            if !asked.names(position.partition) {
                answer.as_of.raise(position);
            }
        }
    }
    answer
}

async fn fetch(pool: &PgPool, query: Query<'_, Postgres, PgArguments>) -> Result<Vec<PgRow>, Error> {
    let rows = async {
        let mut connection = pool.acquire().await?;
        query.fetch_all(&mut *connection).await
    };
    match timeout(ACQUIRE + SILENCE, rows).await {
        Ok(rows) => Ok(rows?),
        Err(silent) => Err(Error::Unavailable(silent.into())),
    }
}
