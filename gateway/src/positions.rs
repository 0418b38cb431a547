//! Read your writes: `Herald-Position` on what a command did, `Herald-After` on
//! what a query must have seen, `Herald-As-Of` on what its answer has seen.

use crate::{
    app::App,
    problem::{Kind, Problem},
    shapes,
};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, request::Parts},
    response::{IntoResponseParts, ResponseParts},
};
use events::{Position, Vector, subject::Names};
use query::{Answer, View};
use std::{convert::Infallible, time::Duration};
use tokio::time::{Instant, timeout_at};
use utoipa::{
    IntoParams, PartialSchema,
    openapi::path::{Parameter, ParameterBuilder, ParameterIn},
};

const HERALD_POSITION: HeaderName = HeaderName::from_static("herald-position");
const HERALD_AFTER: HeaderName = HeaderName::from_static("herald-after");
const HERALD_AS_OF: HeaderName = HeaderName::from_static("herald-as-of");

/// How long a request waits for views.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the fact of a command lies.
pub(crate) struct At(pub(crate) Position);

/// What an answer has seen.
pub(crate) struct AsOf(pub(crate) Vector);

/// What an answer must have seen, empty where the caller does not care; and until when that is waited for.
pub(crate) struct After {
    wanted: Vector,
    deadline: Instant,
}

impl After {
    /// Whatever there is.
    pub(crate) fn nothing() -> Self {
        Self { wanted: Vector::default(), deadline: deadline() }
    }

    /// Waits until this node has heard it.
    ///
    /// # Errors
    /// 503 when it has not within 2 s.
    pub(crate) async fn heard(&self, app: &App) -> Result<(), Problem> {
        let behind = |_| Problem::unavailable("this node is behind the log, try again");
        timeout_at(self.deadline, app.hub.reached(&self.wanted)).await.map_err(behind)
    }

    /// What a command just did.
    pub(crate) fn at(position: Position) -> Self {
        Self { wanted: position.into(), deadline: deadline() }
    }

    /// Asks a view that has seen it.
    ///
    /// # Errors
    /// 503 when the view has not within 2 s, and as the question.
    pub(crate) async fn ask<T, F>(&self, app: &App, view: View, question: impl Fn() -> F) -> Result<Answer<T>, Problem>
    where
        F: Future<Output = Result<Answer<T>, query::Error>>,
    {
        ask(app, view, &self.wanted, self.deadline, question).await
    }

    /// What an answer has seen that came from the log's end, and no view.
    pub(crate) fn seen_in_the_log(&self, heard: Vector, position: Position) -> AsOf {
        let mut seen = heard;
        self.wanted.iter().chain([position]).for_each(|position| seen.raise(position));
        AsOf(seen)
    }
}

impl IntoParams for After {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let header = ParameterBuilder::new()
            .name("Herald-After")
            .parameter_in(ParameterIn::Header)
            .description(Some("A vector that the answer must have seen, as of `Herald-Position` or `Herald-As-Of`"))
            .schema(Some(shapes::Vector::schema()))
            .build();
        vec![header]
    }
}

impl FromRequestParts<App> for After {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let wanted = asked_for(&parts.headers, app.log.names())?;
        // What this node has seen of the log is enough to know that a position exists.
        if !wanted.is_empty() && !app.hub.vector().covers(&wanted) {
            let end = app.log.end().await.map_err(|error| Problem::out_of_reach(&error))?;
            if !end.covers(&wanted) {
                return Err(invalid("lies beyond the end of the log"));
            }
        }
        Ok(Self { wanted, deadline: deadline() })
    }
}

impl IntoResponseParts for At {
    type Error = Infallible;

    fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts, Infallible> {
        response.headers_mut().insert(HERALD_POSITION, header(&self.0));
        Ok(response)
    }
}

impl IntoResponseParts for AsOf {
    type Error = Infallible;

    fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts, Infallible> {
        response.headers_mut().insert(HERALD_AS_OF, header(&self.0));
        Ok(response)
    }
}

/// Asks a view that has applied at least that much.
///
/// # Errors
/// 503 when the view has not at the deadline, and as the question.
pub(crate) async fn ask<T, F>(
    app: &App,
    view: View,
    wanted: &Vector,
    deadline: Instant,
    question: impl Fn() -> F,
) -> Result<Answer<T>, Problem>
where
    F: Future<Output = Result<Answer<T>, query::Error>>,
{
    Ok(app.views.at_least(view, wanted, deadline, question).await?)
}

/// What a view shows of what was just changed there: as of the change, or, with `false`, of a moment before it where
/// the view is behind; `None` where it cannot be read. It is written: nothing of that may look like a failure.
pub(crate) async fn written<T, F>(position: Position, shown: impl Fn(After) -> F) -> Option<(T, bool)>
where
    F: Future<Output = Result<T, Problem>>,
{
    match shown(After::at(position)).await {
        Ok(shown) => Some((shown, true)),
        Err(problem) if problem.kind() == Kind::ViewBehind => {
            shown(After::nothing()).await.ok().map(|shown| (shown, false))
        }
        Err(_) => None,
    }
}

/// Until when a request that begins now waits for views.
pub(crate) fn deadline() -> Instant {
    Instant::now() + PATIENCE
}

/// What both vectors have seen: an answer from two views knows no more.
pub(crate) fn both(one: &Vector, other: &Vector) -> Vector {
    let lower = |p: Position| Position { sequence: p.sequence.min(other.get(p.partition)), ..p };
    one.iter().map(lower).collect()
}

fn asked_for(headers: &HeaderMap, names: &Names) -> Result<Vector, Problem> {
    let mut values = headers.get_all(HERALD_AFTER).iter();
    let after: Vector = match (values.next(), values.next()) {
        (None, _) => return Ok(Vector::default()),
        (Some(value), None) => {
            value.to_str().ok().and_then(|text| text.parse().ok()).ok_or_else(|| invalid("is not a vector"))?
        }
        (Some(_), Some(_)) => return Err(invalid("is given twice")),
    };
    let last = names.partitions().last();
    if after.iter().any(|position| Some(position.partition) > last) {
        return Err(invalid("names a partition that is not there"));
    }
    Ok(after)
}

fn invalid(detail: &str) -> Problem {
    Problem::new(Kind::InvalidPosition, format!("Herald-After {detail}")).with_field("Herald-After", detail)
}

fn header(text: &impl std::fmt::Display) -> HeaderValue {
    HeaderValue::try_from(text.to_string()).expect("positions are digits, colons and commas")
}

#[cfg(test)]
#[path = "positions_tests.rs"]
mod tests;
