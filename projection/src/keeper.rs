//! Looks after the generations of a view that do not serve: keeps the one abreast
//! that may serve again, and drops what is too old.

use crate::{
    Runner, View,
    database::Database,
    error::Error,
    generation,
    place::{Place, Schema},
    rebuild,
};
use events::{EventLog, Share};
use sqlx::{AssertSqlSafe, PgConnection};
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How often it looks.
const LOOK: Duration = Duration::from_secs(10);

/// Does so until it is told to stop.
///
/// # Errors
/// When the URL is none of Postgres; all else is tried again.
pub async fn keep_generations(
    view: View,
    share: Share,
    log: EventLog,
    database_url: &str,
    stop: CancellationToken,
) -> Result<(), Error> {
    let database = Database::new(database_url)?;
    let [next, previous] = [Place::Next, Place::Previous].map(|place| Schema { view, place });
    loop {
        let keeping = async {
            drop_if_old(&database, next).await?;
            if drop_if_old(&database, previous).await? {
                let runner = Runner::of_previous(view, log.clone(), database_url)?.of_share(share);
                let is_old = async {
                    while drop_if_old(&database, previous).await? {
                        sleep(LOOK).await;
                    }
                    Ok::<_, Error>(())
                };
                tokio::select! {
                    ended = runner.run(stop.clone()) => ended?,
                    is_old = is_old => is_old?,
                }
            }
            Ok::<_, Error>(())
        };
        if let Some(Err(error)) = Box::pin(stop.run_until_cancelled(keeping)).await {
            tracing::debug!(%view, %error, "the generations that do not serve are looked after later");
        }
        if stop.run_until_cancelled(sleep(LOOK)).await.is_none() {
            return Ok(());
        }
    }
}

/// Drops a generation that is no longer kept; tells whether there is one that this build can write.
async fn drop_if_old(database: &Database, schema: Schema) -> Result<bool, Error> {
    let mut connection = database.connect(Schema::living(schema.view)).await?;
    let Some(version) = generation::version(&mut connection, schema).await? else { return Ok(false) };
    if !is_old(&mut connection, schema).await? {
        return Ok(version == schema.view.version());
    }
    // The lock goes with the connection. Until it was ours, another generation may have taken that place.
    if rebuild::lock(&mut connection, schema.view).await? && is_old(&mut connection, schema).await? {
        tracing::info!(%schema, "a generation that is too old is dropped");
        generation::drop_schema(&mut connection, schema).await?;
    }
    Ok(false)
}

async fn is_old(connection: &mut PgConnection, schema: Schema) -> Result<bool, sqlx::Error> {
    let is_old = format!("SELECT coalesce(max(keep_until) < now(), true) FROM {schema}.generation");
    sqlx::query_scalar(AssertSqlSafe(is_old)).fetch_one(connection).await
}
