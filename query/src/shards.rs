//! The databases that the views lie in: the connections to each, and which of
//! them a person or a thread is found in. Whoever asks several puts together what
//! each says; the answer knows no more than the one that knows least.

use crate::{Answer, Error, Freshness, View};
use events::{
    Partition, Share, Vector,
    shard::{Map, Part},
    subject::Names,
};
use futures_util::future::try_join_all;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions, PgRow},
};
use std::{ops::Deref, time::Duration};
use uuid::Uuid;

const STATEMENT: &str = "3s";
/// For so many connections there is one more for what may be dear.
const APART: u32 = 4;
pub(crate) const ACQUIRE: Duration = Duration::from_secs(2);

/// One of the databases.
pub(crate) struct Shard {
    part: Part,
    pub(crate) pool: PgPool,
    /// For questions that may be dear: however many of them there are, the others find a connection.
    pub(crate) apart: PgPool,
    pub(crate) freshness: Freshness,
}

/// All databases of a map, in its order.
pub(crate) struct Shards {
    names: Names,
    shards: Vec<Shard>,
}

/// What one database says to a statement.
pub(crate) struct Rows {
    pub(crate) share: Share,
    pub(crate) rows: Vec<PgRow>,
}

impl Deref for Rows {
    type Target = [PgRow];

    fn deref(&self) -> &[PgRow] {
        &self.rows
    }
}

impl Shard {
    pub(crate) fn share(&self) -> Share {
        self.part.share()
    }

    /// Whether somebody, or a thread, lies here.
    pub(crate) fn has(&self, id: Uuid) -> bool {
        self.part.has(id)
    }

    fn new(names: &Names, share: Share, url: &str, connections: u32) -> Result<Self, Error> {
        let options: PgConnectOptions = url.parse()?;
        let options = options.application_name("herald query").options([
            ("statement_timeout", STATEMENT),
            ("default_transaction_read_only", "on"),
            // Compiling a statement takes longer than any of ours.
            ("jit", "off"),
        ]);
        let pool = |connections| {
            let pool = PgPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE);
            pool.connect_lazy_with(options.clone())
        };
        let (pool, apart) = (pool(connections), pool(connections.div_ceil(APART)));
        Ok(Self { part: Part::new(names, share), pool, apart, freshness: Freshness::default() })
    }
}

impl Shards {
    /// Connects when first asked something.
    ///
    /// # Errors
    /// When a URL is none of Postgres.
    pub(crate) fn new(names: &Names, map: &Map, connections: u32) -> Result<Self, Error> {
        let shards = map.shards().map(|(share, url)| Shard::new(names, share, url, connections));
        Ok(Self { names: names.clone(), shards: shards.collect::<Result<_, _>>()? })
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Shard> + Clone {
        self.shards.iter()
    }

    /// The one that has all there is.
    pub(crate) fn only(&self) -> Option<&Shard> {
        if let [only] = self.shards.as_slice() { Some(only) } else { None }
    }

    /// The one that has a share, while the map is the same.
    pub(crate) fn at(&self, share: Share) -> Option<&Shard> {
        self.shards.get(usize::from(share.index())).filter(|shard| shard.share() == share)
    }

    /// The one that somebody, or a thread, lies in.
    pub(crate) fn of(&self, id: Uuid) -> &Shard {
        let shard = self.only().or_else(|| self.shards.iter().find(|shard| shard.has(id)));
        shard.expect("each partition has a database")
    }

    /// The one that what is told by a partition's facts alone lies in.
    pub(crate) fn with(&self, partition: Partition) -> &Shard {
        let shard = self.shards.iter().find(|shard| shard.share().has(partition));
        shard.expect("each partition has a database")
    }

    /// Those that some people or threads lie in, each with its own of them.
    pub(crate) fn group<T: Copy>(&self, all: &[T], id: impl Fn(&T) -> Uuid) -> Vec<(&Shard, Vec<T>)> {
        if let Some(only) = self.only() {
            return vec![(only, all.to_vec())];
        }
        let own = |shard: &Shard| all.iter().filter(|one| shard.has(id(one))).copied().collect::<Vec<_>>();
        let groups = self.shards.iter().map(|shard| (shard, own(shard)));
        groups.filter(|(_, own)| !own.is_empty()).collect()
    }
}

/// Asks several at once, and takes all their answers, in their order.
pub(crate) async fn gather<S, T, F>(
    shards: impl IntoIterator<Item = S>,
    ask: impl Fn(S) -> F,
) -> Result<Answer<Vec<T>>, Error>
where
    F: Future<Output = Result<Answer<T>, Error>>,
{
    let answers = try_join_all(shards.into_iter().map(ask)).await?;
    let mut gathered = Answer { as_of: Vector::default(), of: Vec::new(), value: Vec::with_capacity(answers.len()) };
    for answer in answers {
        gathered = gathered.with(answer.map(Some)).map(|(mut all, one)| {
            all.extend(one);
            all
        });
    }
    Ok(gathered)
}

/// What is wanted of one database: the streams that its rows are made of.
pub(crate) fn wanted_of(view: View, names: &Names, share: Share, wanted: &Vector) -> Vector {
    if share == Share::WHOLE {
        return wanted.clone();
    }
    let streams = view.streams(names, share);
    wanted.iter().filter(|position| streams.contains(&position.partition)).collect()
}
