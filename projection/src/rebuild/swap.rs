//! Swaps a generation in: one transaction that holds the living view's checkpoint
//! until the other has reached it, and then gives the schemas each other's names.
//! No reader waits; whoever writes finds out by the generation's id.

use super::build::Build;
use crate::{
    View,
    desk::Desk,
    error::Error,
    generation,
    place::{Place, Schema},
    store::checkpoint,
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// For how long the living view may stand still while the other catches up.
const HELD: Duration = Duration::from_millis(500);
/// Then it is tried again, so many times and after such a pause.
const TRIES: usize = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// Tells for how long the living view stood still.
pub(super) async fn swap(build: &Build, desk: &mut Desk, keep: Duration) -> Result<Duration, Error> {
    let view = build.view();
    let mut connection = build.database().connect(Schema::living(view)).await?;
    drop_outdated(&mut connection, view).await?;
    for _ in 0..TRIES {
        let end = build.end().await?;
        build.catch_up(desk, &end, None).await?;
        if let Some(stalled) = try_swap(build, desk, &mut connection, keep).await? {
            // Who waits for what this one has applied need not wait for a runner to say so.
            if let Err(error) =
                build.log().announce(view.name(), build.share(), &desk.generation.checkpoint.vector()).await
            {
                tracing::debug!(%view, %error, "a checkpoint was not announced");
            }
            drop_outdated(&mut connection, view).await?;
            return Ok(stalled);
        }
        sleep(PAUSE).await;
    }
    Err(Error::Outpaced(view))
}

async fn try_swap(
    build: &Build,
    desk: &mut Desk,
    connection: &mut PgConnection,
    keep: Duration,
) -> Result<Option<Duration>, Error> {
    let (view, built) = (build.view(), build.schema());
    let living = Schema::living(view);
    let exists = generation::version(connection, living).await?.is_some();
    let mut transaction = connection.begin().await?;
    let began = Instant::now();
    if exists {
        // What it holds of a share that lies elsewhere from now on is built there.
        let held = checkpoint::hold(&mut transaction, living).await?.vector();
        let wanted = held.within(&desk.generation.checkpoint.vector());
        if !build.catch_up(desk, &wanted, Some(began + HELD)).await? {
            return Ok(None);
        }
        // The next runner's batch may lie between: then that one is what there is, and further on.
        if !checkpoint::hold(&mut transaction, built).await?.vector().covers(&wanted) {
            return Ok(None);
        }
        let seconds = i64::try_from(keep.as_secs()).unwrap_or(i64::MAX);
        let until = format!("UPDATE {living}.generation SET keep_until = now() + $1 * interval '1 second'");
        sqlx::query(AssertSqlSafe(until)).bind(seconds).execute(&mut *transaction).await?;
    }
    let replaces = built.place == Place::Next
        && generation::version(&mut transaction, Schema { view, place: Place::Previous }).await?.is_some();
    for rename in renames(view, built, exists, replaces) {
        sqlx::query(AssertSqlSafe(rename)).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(Some(began.elapsed()))
}

/// Drops what was the previous generation before a swap. Not within it: that takes longer.
async fn drop_outdated(connection: &mut PgConnection, view: View) -> Result<(), sqlx::Error> {
    sqlx::query(AssertSqlSafe(format!("DROP SCHEMA IF EXISTS {view}_outdated CASCADE"))).execute(connection).await?;
    Ok(())
}

fn renames(view: View, built: Schema, exists: bool, replaces: bool) -> Vec<String> {
    let [living, previous] = [Place::Living, Place::Previous].map(|place| Schema { view, place });
    let aside = format!("{view}_aside");
    let rename =
        |from: &dyn std::fmt::Display, to: &dyn std::fmt::Display| format!("ALTER SCHEMA {from} RENAME TO {to}");
    let mut renames = Vec::new();
    if exists && replaces {
        renames.push(rename(&previous, &format!("{view}_outdated")));
    }
    if exists {
        renames.push(rename(&living, &aside));
    }
    renames.push(rename(&built, &living));
    if exists {
        renames.push(rename(&aside, &previous));
    }
    renames
}
