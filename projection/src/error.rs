//! What can go wrong between the log and a view.

use crate::View;
use events::{
    Partition, Position, Share,
    log::{BucketError, LogError},
};
use sqlx::migrate::MigrateError;

/// A failure of a runner or a rebuild. All but [`Error::NewerVersion`] are retried by the runner itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the {view} view is of version {found}, this build knows versions up to {known}: run a newer herald")]
    NewerVersion { view: View, found: i32, known: i32 },
    #[error("the {view} view is of version {found}, which an older herald made")]
    Outdated { view: View, found: i32 },
    #[error(
        "the {view} view here is share {found} of the partitions, the map of databases says {share}: was it resharded?"
    )]
    Elsewhere { view: View, found: String, share: Share },
    #[error("there is no such generation that this build can write")]
    Gone,
    #[error("the {0} view is being rebuilt already")]
    Busy(View),
    #[error("the {0} view moves faster than the one that is built beside it")]
    Outpaced(View),
    #[error("it was told to stop")]
    Stopped,
    #[error("of {events} facts, up to {last:?}, one cannot be applied: {reason}")]
    Poisoned { events: usize, last: Option<Position>, suspects: Vec<Partition>, reason: String },
    #[error("another runner moved the checkpoint, or the view was built anew")]
    Overtaken,
    #[error("Postgres does not answer")]
    Silent,
    #[error("Postgres: {0}")]
    Sql(#[from] sqlx::Error),
    #[error("the view's tables cannot be made: {0}")]
    Migrate(#[from] MigrateError),
    #[error("the log: {0}")]
    Log(#[from] LogError),
    #[error("the map of databases is not published: {0}")]
    Bucket(#[from] BucketError),
}

impl Error {
    /// A table that was there is gone.
    pub(crate) fn is_wiped(&self) -> bool {
        matches!(self.sql_state().as_deref(), Some("42P01" | "3F000"))
    }

    /// The database itself is gone.
    pub(crate) fn is_without_database(&self) -> bool {
        self.sql_state().as_deref() == Some("3D000")
    }

    pub(crate) fn sql_state(&self) -> Option<String> {
        let (Self::Sql(error) | Self::Migrate(MigrateError::Execute(error))) = self else { return None };
        error.as_database_error()?.code().map(Into::into)
    }
}
