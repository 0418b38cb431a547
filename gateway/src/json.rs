//! Request bodies: JSON of exactly the expected shape, or a problem. A text that
//! cannot be read is 400, one that says something else than asked for is 422.

use crate::problem::Kind;
use crate::{problem::Problem, scan::scan};
use axum::{
    body::HttpBody,
    extract::{FromRequest, Request},
    http::{
        HeaderMap,
        header::{CONTENT_ENCODING, CONTENT_TYPE},
    },
};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

/// Characters of a fault, or of the field at fault, that are told.
const MAX_TOLD: usize = 200;

/// A request's JSON body. The door has bounded its size and its time.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        plain_json(request.headers())?;
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|_| Problem::malformed("the body ended early"))?;
        parse(&body).map(Self)
    }
}

/// A request's JSON body, where all of it may be left out, and the body too.
pub(crate) struct JsonOrNothing<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for JsonOrNothing<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if request.body().is_end_stream() && !request.headers().contains_key(CONTENT_ENCODING) {
            return Ok(Self(T::default()));
        }
        Json::from_request(request, state).await.map(|Json(body)| Self(body))
    }
}

/// Reads a field that is given, though it be as `null`: for those where absent means something else.
pub(crate) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(field: D) -> Result<Option<T>, D::Error> {
    T::deserialize(field).map(Some)
}

/// Reads a JSON text into a type, strictly.
///
/// # Errors
/// 400 where it is no JSON that all read alike, 422 where it is not of that type.
pub(crate) fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, Problem> {
    scan(json)?;
    // An array is no object, though serde would take its items for the fields.
    if !json.trim_ascii_start().starts_with(b"{") {
        return Err(Problem::invalid("body", "is not an object"));
    }
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(json)).map_err(|error| {
        let path = error.path().to_string();
        mismatch(&path, &error.into_inner().to_string())
    })
}

/// 422 for a value that a type does not take, with the field that is missing, unknown or wrong.
pub(crate) fn mismatch(path: &str, error: &str) -> Problem {
    // serde_json appends the place, which names a byte where the path names the field.
    let error = shortened(error.rsplit_once(" at line ").map_or(error, |(error, _)| error));
    let path = shortened(if path == "." { "" } else { path });
    match error.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        Some(missing) if path.is_empty() => Problem::invalid(missing, "is missing"),
        Some(missing) => Problem::invalid(&format!("{path}.{missing}"), "is missing"),
        None if path.is_empty() => Problem::invalid("body", format!("is not what is expected: {error}")),
        None => Problem::invalid(path, format!("is not what is expected: {error}")),
    }
}

/// What a client wrote comes back in words of ours, but not at any length.
fn shortened(text: &str) -> &str {
    text.char_indices().nth(MAX_TOLD).map_or(text, |(end, _)| &text[..end])
}

fn plain_json(headers: &HeaderMap) -> Result<(), Problem> {
    let refused = |detail| Err(Problem::new(Kind::UnsupportedMediaType, detail));
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return refused("send the body without a content encoding");
    }
    let essence = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = essence.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return refused("send the body as application/json");
    }
    Ok(())
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
