//! Connections to the views' database, each for one generation: its schema is
//! where unqualified names lie.

use crate::{error::Error, place::Schema};
use sqlx::{ConnectOptions, PgConnection, Postgres, migrate::MigrateDatabase, postgres::PgConnectOptions};
use std::time::Duration;
use tokio::time::timeout;

/// How long Postgres may take over a batch or a connection. Beyond it a half-open connection is given up.
pub(crate) const ANSWER: Duration = Duration::from_secs(15);

/// Where the views lie.
#[derive(Clone)]
pub(crate) struct Database {
    url: String,
    options: PgConnectOptions,
}

impl Database {
    /// # Errors
    /// When the URL is none of Postgres.
    pub(crate) fn new(url: &str) -> Result<Self, Error> {
        let options = url.parse::<PgConnectOptions>()?.options([
            ("synchronous_commit", "on"),
            // A runner that was stopped inside a transaction must not hold up the one that takes over.
            ("idle_in_transaction_session_timeout", "15s"),
        ]);
        Ok(Self { url: url.to_owned(), options })
    }

    /// Connects to a generation, whether or not it exists; a database that does not is created.
    pub(crate) async fn connect(&self, schema: Schema) -> Result<PgConnection, Error> {
        match self.try_connect(schema).await {
            Err(error) if error.is_without_database() => {
                if let Err(error) = Postgres::create_database(&self.url).await {
                    tracing::debug!(%error, "the database is not created; another runner may just have done it");
                }
                self.try_connect(schema).await
            }
            connected => connected,
        }
    }

    async fn try_connect(&self, schema: Schema) -> Result<PgConnection, Error> {
        let name = format!("herald projection {schema}");
        let options = self.options.clone().application_name(&name).options([("search_path", schema.to_string())]);
        answered(async { Ok(options.connect().await?) }).await
    }
}

/// What Postgres answers, if it does in time.
pub(crate) async fn answered<T>(asking: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(ANSWER, asking).await.map_err(|_| Error::Silent)?
}
