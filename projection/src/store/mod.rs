//! What projections say, written in sets. Names are unqualified: the connection's
//! `search_path` is the generation. Plain queries and not `query!`: no database
//! is there at build time; each of them runs in the tests on a real server.

mod audit;
pub(crate) mod checkpoint;
mod copy;
mod directory;
mod figures;
mod inbox;
mod membership;
mod pictures;
mod presence;
pub(crate) mod quarantine;
mod search;
mod timeline;

use crate::projection::Projection;
use sqlx::PgConnection;

/// A projection whose writes can be stored.
pub(crate) trait Store: Projection + Send + Sync {
    /// The table that says who sees a thread, with `thread_id` and `left_sequence`.
    const MEMBERS: Option<&'static str> = None;

    /// Writes the batch's rows. The caller's transaction holds the checkpoint that they belong to.
    fn write(&self, connection: &mut PgConnection) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}

/// One array of values, a column of the set that `unnest` makes of them.
fn array<R, T>(rows: impl IntoIterator<Item = R>, value: impl FnMut(R) -> T) -> Vec<T> {
    rows.into_iter().map(value).collect()
}
