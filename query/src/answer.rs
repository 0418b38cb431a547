//! An answer, and the checkpoint that it is true at.

use crate::{Error, View, inbox::Kind};
use events::{Vector, event::Role};
use sqlx::{Row, postgres::PgRow};

/// What a view says, as of a vector that was read in the same snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    pub as_of: Vector,
    pub value: T,
}

impl<T> Answer<T> {
    pub fn map<U>(self, with: impl FnOnce(T) -> U) -> Answer<U> {
        Answer { as_of: self.as_of, value: with(self.value) }
    }
}

/// Begins a statement on a view: `as_of` is one row, its checkpoint as a vector, and its version.
macro_rules! as_of {
    ($schema:literal) => {
        concat!(
            "WITH as_of AS (SELECT string_agg(partition || ':' || sequence, ',' ORDER BY partition) AS vector, ",
            "(SELECT version FROM ",
            $schema,
            ".generation) AS version FROM ",
            $schema,
            ".checkpoint) "
        )
    };
}
pub(crate) use as_of;

/// What a statement that begins with `as_of!` says in the first of its rows.
pub(crate) fn vector(view: View, rows: &[PgRow]) -> Result<Vector, Error> {
    vector_of(view, rows, "vector", "version")
}

/// The same of a second view, under other names.
pub(crate) fn vector_of(view: View, rows: &[PgRow], name: &str, version: &str) -> Result<Vector, Error> {
    let row = rows.first().ok_or(Error::Inconsistent("a statement without a checkpoint".into()))?;
    match row.try_get::<Option<i32>, _>(version)? {
        None => return Err(Error::Unavailable("the view is not yet built".into())),
        Some(version) if version == view.version() => {}
        Some(version) => return Err(Error::Unavailable(format!("the view's version {version} is unknown").into())),
    }
    let vector = row.try_get::<Option<&str>, _>(name)?.unwrap_or_default();
    vector.parse().map_err(Error::inconsistent)
}

pub(crate) fn sequence(column: i64) -> Result<u64, Error> {
    u64::try_from(column).map_err(Error::inconsistent)
}

pub(crate) fn role(column: &str) -> Result<Role, Error> {
    match column {
        "owner" => Ok(Role::Owner),
        "admin" => Ok(Role::Admin),
        "member" => Ok(Role::Member),
        other => Err(Error::Inconsistent(format!("a member of role {other}").into())),
    }
}

pub(crate) fn kind(column: &str) -> Result<Kind, Error> {
    match column {
        "direct" => Ok(Kind::Direct),
        "group" => Ok(Kind::Group),
        other => Err(Error::Inconsistent(format!("a thread of kind {other}").into())),
    }
}
