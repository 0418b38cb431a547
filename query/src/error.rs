//! Why there is no answer. The edge turns `Unavailable`, `Moved`, `TooDear`,
//! `Behind` and `SetAside` into 503, `Inconsistent` into 500, `Cursor` into 400.

use crate::{Behind, InvalidCursor};

type Source = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Postgres is away or overloaded, or the view is not built yet, or not in a version that this build knows.
    #[error("the view cannot be read now")]
    Unavailable(#[source] Source),
    /// The database holds another share of the partitions than the map says that this node goes by.
    #[error("the databases are being mapped anew")]
    Moved,
    /// The question takes longer than one may.
    #[error("the question takes too long")]
    TooDear(#[source] Source),
    /// The view has not come as far as was asked for.
    #[error(transparent)]
    Behind(#[from] Behind),
    /// A fact of the thread could not be applied: until it is, nobody sees the thread in this view.
    #[error("the thread is set aside")]
    SetAside,
    /// A cursor of another list.
    #[error(transparent)]
    Cursor(#[from] InvalidCursor),
    /// The rows are not what the statement or this code expects.
    #[error("the view is inconsistent")]
    Inconsistent(#[source] Source),
}

impl Error {
    pub(crate) fn inconsistent(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Inconsistent(error.into())
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if is_too_dear(&error) {
            Self::TooDear(error.into())
        } else if is_passing(&error) {
            Self::Unavailable(error.into())
        } else {
            Self::Inconsistent(error.into())
        }
    }
}

/// Whether its time limit ended the statement.
fn is_too_dear(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some("57014")
}

/// Whether the same question may well be answered later.
fn is_passing(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else {
        return matches!(
            error,
            sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
        );
    };
    let code = error.code().unwrap_or_default();
    // 08 connection, 40 rolled back, 53 resources, 55 not in that state, 57 intervention and time-outs, 58 system.
    let class = code.get(..2).unwrap_or_default();
    // A database, schema, table or column that is not there is one that is not there yet.
    matches!(class, "08" | "40" | "53" | "55" | "57" | "58") || matches!(&*code, "3D000" | "3F000" | "42P01" | "42703")
}
