//! An answer, and the checkpoint that it is true at.

use crate::{Error, View, inbox::Kind, shards::Rows};
use events::{Share, Vector, event::Role};
use sqlx::Row;

/// What a view says, as of a vector that was read in the same snapshot; of each database that was asked, of what it is
/// made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    pub as_of: Vector,
    /// The databases that it is from.
    pub(crate) of: Vec<Share>,
    pub value: T,
}

impl<T> Answer<T> {
    /// What the rows of a statement say that begins with `as_of!`.
    pub(crate) fn new(view: View, rows: &Rows, value: T) -> Result<Self, Error> {
        Ok(Self { as_of: vector(view, rows)?, of: vec![rows.share], value })
    }

    pub fn map<U>(self, with: impl FnOnce(T) -> U) -> Answer<U> {
        Answer { as_of: self.as_of, of: self.of, value: with(self.value) }
    }

    /// Both answers as one that knows no more than either.
    pub(crate) fn with<U>(mut self, other: Answer<U>) -> Answer<(T, U)> {
        self.of.extend(other.of);
        Answer { as_of: self.as_of.with_lower(&other.as_of), of: self.of, value: (self.value, other.value) }
    }
}

impl<T> Answer<Option<T>> {
    /// The answer, where there is something.
    pub fn found(self) -> Option<Answer<T>> {
        let Self { as_of, of, value } = self;
        Some(Answer { as_of, of, value: value? })
    }
}

/// Begins a statement on a view: `as_of` is one row, its checkpoint as a vector, and of which version and share it is.
macro_rules! as_of {
    ($schema:literal) => {
        concat!(
            "WITH as_of AS (SELECT string_agg(partition || ':' || sequence, ',' ORDER BY partition) AS vector, ",
            "(SELECT version || ' ' || share FROM ",
            $schema,
            ".generation) AS version FROM ",
            $schema,
            ".checkpoint) "
        )
    };
}
pub(crate) use as_of;

/// What a statement that begins with `as_of!` says in the first of its rows.
pub(crate) fn vector(view: View, rows: &Rows) -> Result<Vector, Error> {
    vector_of(view, rows, "vector", "version")
}

/// The same of a second view, under other names.
pub(crate) fn vector_of(view: View, rows: &Rows, name: &str, version: &str) -> Result<Vector, Error> {
    let row = rows.first().ok_or(Error::Inconsistent("a statement without a checkpoint".into()))?;
    let Some(made) = row.try_get::<Option<&str>, _>(version)? else {
        return Err(Error::Unavailable("the view is not yet built".into()));
    };
    let (version, share) = made.split_once(' ').unwrap_or((made, ""));
    if version.parse() != Ok(view.version()) {
        return Err(Error::Unavailable(format!("the view's version {version} is unknown").into()));
    }
    if share.parse() != Ok(rows.share) {
        return Err(Error::Moved);
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
