//! The handle on the views' database: a pool, a time limit on every statement,
//! and freshness.

use crate::{
    Answer, Error, View, answer,
    freshness::{Behind, Freshness},
    measures::{Measures, Question},
};
use events::Vector;
use sqlx::{
    PgPool, Postgres,
    postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow},
    query::Query,
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::Instrument;

const STATEMENT: &str = "3s";
/// A connection that says nothing for longer than a statement may take is dead.
const SILENCE: Duration = Duration::from_secs(4);
/// For so many connections there is one more for what may be dear.
const APART: u32 = 4;
const ACQUIRE: Duration = Duration::from_secs(2);

/// The views. Clones share connections and freshness.
#[derive(Clone)]
pub struct Views {
    pool: PgPool,
    /// For questions that may be dear: however many of them there are, the others find a connection.
    apart: PgPool,
    freshness: Freshness,
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
    /// When the URL is none of Postgres.
    pub fn new(database_url: &str, connections: u32, freshness: Freshness) -> Result<Self, Error> {
        let options: PgConnectOptions = database_url.parse()?;
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
        Ok(Self { pool, apart, freshness, measures: Arc::new(Measures::new()) })
    }

    pub fn connections(&self) -> Connections {
        let pools = [&self.pool, &self.apart];
        let sum = |of: fn(&PgPool) -> u32| pools.iter().map(|pool| of(pool)).sum();
        Connections {
            open: sum(PgPool::size),
            idle: sum(|pool| u32::try_from(pool.num_idle()).unwrap_or(u32::MAX)),
            most: sum(|pool| pool.options().get_max_connections()),
        }
    }

    /// How far the view is known to have come.
    pub fn applied(&self, view: View) -> Vector {
        self.freshness.applied(view)
    }

    /// Reads how far the view has come: for who follows announcements, at the start and when they may have missed
    /// some; and for whoever asks whether the view can be read at all.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub async fn refresh(&self, view: View) -> Result<Vector, Error> {
        let rows = self.rows(Question::AsOf, sqlx::query(view.as_of())).await?;
        let applied = answer::vector(view, &rows)?;
        self.freshness.announced(view, &applied);
        Ok(applied)
    }

    /// Waits until the view has applied that much, no longer than until the deadline.
    ///
    /// # Errors
    /// [`Error::Behind`] when it has not in time, [`Error::Unavailable`] when it cannot be read.
    pub async fn reached(&self, view: View, wanted: &Vector, deadline: Instant) -> Result<(), Error> {
        if self.freshness.applied(view).covers(wanted) || self.refresh(view).await?.covers(wanted) {
            return Ok(());
        }
        if timeout_at(deadline, self.freshness.reach(view, wanted)).await.is_ok() {
            return Ok(());
        }
        let applied = self.refresh(view).await?;
        if applied.covers(wanted) { Ok(()) } else { Err(Behind::new(view, wanted, &applied).into()) }
    }

    /// Asks a view that has applied at least that much. The answer itself proves it: a view that was dropped since it
    /// was last heard of is built anew from nothing.
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
        self.reached(view, wanted, deadline).await?;
        let answer = question().await?;
        if answer.as_of.covers(wanted) {
            return Ok(answer);
        }
        self.freshness.fell_back(view, &answer.as_of);
        self.reached(view, wanted, deadline).await?;
        let answer = question().await?;
        if answer.as_of.covers(wanted) { Ok(answer) } else { Err(Behind::new(view, wanted, &answer.as_of).into()) }
    }

    /// The rows of a statement, within its time.
    pub(crate) async fn rows(
        &self,
        question: Question,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<Vec<PgRow>, Error> {
        let began = Instant::now();
        let span = tracing::debug_span!("query.rows", query = question.name());
        let pool = if question.may_be_dear() { &self.apart } else { &self.pool };
        let rows = fetch(pool, query).instrument(span).await;
        self.measures.asked(question, &rows, began.elapsed());
        rows
    }
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
