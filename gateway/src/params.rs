//! What a request's address says: ids and numbers in the path, parameters in the
//! query. Both as strict as bodies.

use crate::{json::mismatch, problem::Problem, shapes};
use axum::{
    extract::{FromRequestParts, Query, RawPathParams},
    http::request::Parts,
};
use events::{AttachmentId, Emoji, Position, SessionId, ThreadId, UserId, event::Number, id::InvalidId};
use query::Cursor;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use std::{collections::HashSet, str::FromStr};
use utoipa::IntoParams;

/// How many entries a page has, unless told otherwise.
const PAGE: u16 = 50;

/// How many entries a page may have.
const MAX_PAGE: u16 = 100;

/// How many people may be asked about at once.
const MAX_PEOPLE: usize = 100;

/// The parameters of a path, parsed.
pub(crate) struct InPath<T>(pub(crate) T);

/// What the parameters of a path can be parsed into.
pub(crate) trait FromPath: Sized {
    /// Parses the parameters, in the order of the path.
    fn from_path(segments: &[(&str, &str)]) -> Result<Self, Problem>;
}

impl FromPath for UserId {
    fn from_path(segments: &[(&str, &str)]) -> Result<Self, Problem> {
        match segments {
            [(name, text), ..] => id(name, text),
            [] => Err(Problem::not_found()),
        }
    }
}

impl FromPath for AttachmentId {
    fn from_path(segments: &[(&str, &str)]) -> Result<Self, Problem> {
        match segments {
            [(name, text), ..] => id(name, text),
            [] => Err(Problem::not_found()),
        }
    }
}

impl FromPath for SessionId {
    fn from_path(segments: &[(&str, &str)]) -> Result<Self, Problem> {
        match segments {
            [(name, text), ..] => id(name, text),
            [] => Err(Problem::not_found()),
        }
    }
}

impl FromPath for ThreadId {
    fn from_path(segments: &[(&str, &str)]) -> Result<Self, Problem> {
        match segments {
            [(name, text), ..] => id(name, text),
            [] => Err(Problem::not_found()),
        }
    }
}

impl FromPath for Position {
    fn from_path(segments: &[(&str, &str)]) -> Result<Self, Problem> {
        match segments {
            [(name, text), ..] => text.parse().map_err(|error| Problem::malformed_field(name, error)),
            [] => Err(Problem::not_found()),
        }
    }
}

impl FromPath for (ThreadId, Number) {
    fn from_path(segments: &[(&str, &str)]) -> Result<Self, Problem> {
        let [thread, (name, text)] = segments else { return Err(Problem::not_found()) };
        Ok((ThreadId::from_path(&[*thread])?, whole(text).ok_or_else(|| no_number(name, Problem::malformed_field))?))
    }
}

impl FromPath for (ThreadId, UserId) {
    fn from_path(segments: &[(&str, &str)]) -> Result<Self, Problem> {
        let [thread, user] = segments else { return Err(Problem::not_found()) };
        Ok((ThreadId::from_path(&[*thread])?, UserId::from_path(&[*user])?))
    }
}

impl FromPath for (ThreadId, Number, Emoji) {
    fn from_path(segments: &[(&str, &str)]) -> Result<Self, Problem> {
        let [thread, number, (name, text)] = segments else { return Err(Problem::not_found()) };
        let (thread_id, number) = <(ThreadId, Number)>::from_path(&[*thread, *number])?;
        Ok((thread_id, number, text.parse().map_err(|error| Problem::invalid(name, error))?))
    }
}

impl<S: Send + Sync, T: FromPath> FromRequestParts<S> for InPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let segments = RawPathParams::from_request_parts(parts, state).await;
        let segments = segments.map_err(|_| Problem::malformed("the path is not UTF-8"))?;
        T::from_path(&segments.iter().collect::<Vec<_>>()).map(Self)
    }
}

/// The parameters of a query: each at most once, none that the type does not have. The type's fields are texts.
pub(crate) struct InQuery<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for InQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        let Query(pairs) = pairs.map_err(|_| Problem::malformed("the query cannot be read"))?;
        let mut names = HashSet::new();
        for (name, value) in &pairs {
            if !names.insert(name) {
                return Err(Problem::invalid(name, "is given twice"));
            }
            if value.contains('\0') {
                return Err(Problem::invalid(name, "has a NUL character"));
            }
        }
        let texts: Value = pairs.into_iter().collect();
        serde_path_to_error::deserialize(texts)
            .map(Self)
            .map_err(|error| mismatch(&error.path().to_string(), &error.inner().to_string()))
    }
}

/// The people whom a query asks about, each once: `user_id`, again and again, and nothing else.
pub(crate) struct UserIds(pub(crate) Vec<UserId>);

impl<S: Send + Sync> FromRequestParts<S> for UserIds {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        let Query(pairs) = pairs.map_err(|_| Problem::malformed("the query cannot be read"))?;
        if let Some((name, _)) = pairs.iter().find(|(name, _)| name != "user_id") {
            return Err(Problem::invalid(name, "is unknown"));
        }
        if !(1..=MAX_PEOPLE).contains(&pairs.len()) {
            return Err(Problem::invalid("user_id", format!("must be given 1 to {MAX_PEOPLE} times")));
        }
        let mut people = Vec::with_capacity(pairs.len());
        for (name, text) in &pairs {
            let user_id = id(name, text)?;
            if !people.contains(&user_id) {
                people.push(user_id);
            }
        }
        Ok(Self(people))
    }
}

/// Which part of a list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListPage {
    /// 1 to 100, 50 unless told otherwise.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 50)]
    limit: Option<String>,
    /// The `next` of the page before.
    #[param(value_type = Option<shapes::PageToken>)]
    cursor: Option<String>,
}

impl ListPage {
    /// How many, and after what.
    ///
    /// # Errors
    /// 422 for a size that may not be, 400 for what is no cursor.
    pub(crate) fn parse(&self) -> Result<(u16, Option<Cursor>), Problem> {
        Ok((limit(self.limit.as_deref())?, cursor(self.cursor.as_deref())?))
    }
}

/// Parses the cursor of a list.
///
/// # Errors
/// 400 where it is none.
pub(crate) fn cursor(text: Option<&str>) -> Result<Option<Cursor>, Problem> {
    text.map(|text| text.parse().map_err(|_| Problem::invalid_cursor())).transpose()
}

/// Parses an id that we minted: 400 where it cannot be one.
pub(crate) fn id<I: FromStr<Err = InvalidId>>(field: &str, text: &str) -> Result<I, Problem> {
    text.parse().map_err(|error| Problem::malformed_field(field, error))
}

/// Parses the size of a page.
pub(crate) fn limit(text: Option<&str>) -> Result<u16, Problem> {
    let Some(text) = text else { return Ok(PAGE) };
    let limit = whole(text).and_then(|limit| u16::try_from(limit).ok());
    limit
        .filter(|limit| (1..=MAX_PAGE).contains(limit))
        .ok_or_else(|| Problem::invalid("limit", format!("must be 1 to {MAX_PAGE}")))
}

/// Parses a number that a message can have.
///
/// # Errors
/// 422 where it is none.
pub(crate) fn number(field: &str, text: Option<&str>) -> Result<Option<Number>, Problem> {
    let parse = |text: &str| {
        whole(text).ok_or_else(|| no_number(field, Problem::invalid))?;
        text.parse().map_err(|_| Problem::invalid(field, format!("is more than {}", Number::MAX)))
    };
    text.map(parse).transpose()
}

/// Parses `true` or `false`.
pub(crate) fn flag(field: &str, text: Option<&str>) -> Result<Option<bool>, Problem> {
    text.map(|text| text.parse().map_err(|_| Problem::invalid(field, "must be true or false"))).transpose()
}

fn no_number(field: &str, problem: impl Fn(&str, &'static str) -> Problem) -> Problem {
    problem(field, "is not a whole number")
}

/// Digits only; clamped to what the type holds.
fn whole(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
#[path = "params_tests.rs"]
mod tests;
