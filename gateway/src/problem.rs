//! Every error of the edge: one `application/problem+json` (RFC 9457), over
//! REST and in the `error` frames of sockets. Never tells what is inside: the
//! causes of 500 and 503 go to the log of the process.

use crate::shapes;
use axum::{
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use events::{Position, Vector};
use query::{Behind, freshness::Missing};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use std::{borrow::Cow, fmt, time::Duration};
use utoipa::ToSchema;

/// An answer that is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, JsonSchema)]
pub struct Problem {
    #[serde(rename = "type")]
    #[schema(value_type = shapes::ProblemType)]
    kind: Kind,
    #[schema(example = "Not found")]
    #[schemars(example = &"Not found")]
    title: &'static str,
    #[schema(example = 404, minimum = 400, maximum = 599)]
    #[schemars(example = 404)]
    status: u16,
    /// What is the matter in this very case.
    #[schema(value_type = String)]
    detail: Cow<'static, str>,
    /// The fields at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldError>,
    /// With `view-behind`: how far the view has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<shapes::Vector>)]
    applied: Option<Vector>,
    /// Seconds after which it may work, with 429 and 503; over REST `Retry-After` says the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

/// A field of the request, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, JsonSchema)]
pub(crate) struct FieldError {
    /// The field's path.
    #[schema(example = "username")]
    field: String,
    detail: String,
}

/// The kinds of problems that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Malformed,
    InvalidCursor,
    InvalidPosition,
    Unauthorized,
    BadCredentials,
    ForeignOrigin,
    Blocked,
    Forbidden,
    SignUpClosed,
    Suspended,
    MayNotAdd,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    UsernameTaken,
    KeyReused,
    IdTaken,
    LastOwner,
    GroupFull,
    MessageDeleted,
    TooLarge,
    UnsupportedMediaType,
    RangeNotSatisfiable,
    Validation,
    UpgradeRequired,
    TooManyRequests,
    Internal,
    OutcomeUnknown,
    ViewBehind,
    SetAside,
    Busy,
    Unavailable,
}

impl Kind {
    /// The status, the stable name, and the title.
    const fn told(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Malformed => (StatusCode::BAD_REQUEST, "urn:herald:malformed", "Malformed request"),
            Self::InvalidCursor => (StatusCode::BAD_REQUEST, "urn:herald:invalid-cursor", "Invalid cursor"),
            Self::InvalidPosition => (StatusCode::BAD_REQUEST, "urn:herald:invalid-position", "Invalid position"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "urn:herald:unauthorized", "Not logged in"),
            Self::BadCredentials => (StatusCode::UNAUTHORIZED, "urn:herald:bad-credentials", "Wrong credentials"),
            Self::ForeignOrigin => (StatusCode::FORBIDDEN, "urn:herald:foreign-origin", "Foreign origin"),
            Self::Blocked => (StatusCode::FORBIDDEN, "urn:herald:blocked", "Blocked"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "urn:herald:forbidden", "Not allowed"),
            Self::SignUpClosed => (StatusCode::FORBIDDEN, "urn:herald:sign-up-closed", "Sign-up is closed"),
            Self::Suspended => (StatusCode::FORBIDDEN, "urn:herald:suspended", "Suspended"),
            Self::MayNotAdd => (StatusCode::FORBIDDEN, "urn:herald:may-not-add", "May not be added"),
            Self::NotFound => (StatusCode::NOT_FOUND, "urn:herald:not-found", "Not found"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "urn:herald:method-not-allowed", "Method not allowed")
            }
            Self::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "urn:herald:request-timeout", "Request too slow"),
            Self::UsernameTaken => (StatusCode::CONFLICT, "urn:herald:username-taken", "Username taken"),
            Self::KeyReused => (StatusCode::CONFLICT, "urn:herald:key-reused", "Key used before"),
            Self::IdTaken => (StatusCode::CONFLICT, "urn:herald:id-taken", "Id taken"),
            Self::LastOwner => (StatusCode::CONFLICT, "urn:herald:last-owner", "Last owner"),
            Self::GroupFull => (StatusCode::CONFLICT, "urn:herald:group-full", "Group full"),
            Self::MessageDeleted => (StatusCode::CONFLICT, "urn:herald:message-deleted", "Message deleted"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "urn:herald:too-large", "Request too large"),
            Self::UnsupportedMediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "urn:herald:unsupported-media-type", "Unsupported media type")
            }
            Self::RangeNotSatisfiable => {
                (StatusCode::RANGE_NOT_SATISFIABLE, "urn:herald:range-not-satisfiable", "Range not satisfiable")
            }
            Self::Validation => (StatusCode::UNPROCESSABLE_ENTITY, "urn:herald:validation", "Invalid request"),
            Self::UpgradeRequired => {
                (StatusCode::UPGRADE_REQUIRED, "urn:herald:upgrade-required", "WebSocket upgrade required")
            }
            Self::TooManyRequests => {
                (StatusCode::TOO_MANY_REQUESTS, "urn:herald:too-many-requests", "Too many requests")
            }
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "urn:herald:internal", "Internal error"),
            Self::OutcomeUnknown => (StatusCode::SERVICE_UNAVAILABLE, "urn:herald:outcome-unknown", "Outcome unknown"),
            Self::ViewBehind => (StatusCode::SERVICE_UNAVAILABLE, "urn:herald:view-behind", "View behind"),
            Self::SetAside => (StatusCode::SERVICE_UNAVAILABLE, "urn:herald:set-aside", "Set aside"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "urn:herald:busy", "Busy"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "urn:herald:unavailable", "Unavailable"),
        }
    }
}

impl JsonSchema for Kind {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ProblemType".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^urn:herald:[a-z]+(-[a-z]+)*$", "examples": ["urn:herald:not-found"] })
    }
}

impl Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.told().1)
    }
}

impl Problem {
    pub fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        let (status, _, title) = kind.told();
        Self {
            kind,
            title,
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
            applied: None,
            retry_after: matches!(status.as_u16(), 429 | 503).then_some(1),
        }
    }

    /// 400: what cannot be read at all.
    pub fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Malformed, detail)
    }

    /// 400: a field that names nothing that could be.
    pub fn malformed_field(field: &str, error: impl fmt::Display) -> Self {
        Self::malformed(format!("{field} {error}")).with_field(field, error)
    }

    /// 400: a page token that we never gave out.
    pub fn invalid_cursor() -> Self {
        let detail = "is not a cursor of this list";
        Self::new(Kind::InvalidCursor, format!("cursor {detail}")).with_field("cursor", detail)
    }

    /// 404, the same for what is absent and for what the caller must not know of.
    pub fn not_found() -> Self {
        Self::new(Kind::NotFound, "there is nothing here that you can see")
    }

    /// 422: a field that can be read and must not be so.
    pub fn invalid(field: &str, error: impl fmt::Display) -> Self {
        Self::new(Kind::Validation, format!("{field} {error}")).with_field(field, error)
    }

    /// 429: not before that time has passed.
    pub fn too_many(wait: Duration) -> Self {
        let retry_after = wait.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX).max(1);
        Self {
            retry_after: Some(retry_after),
            ..Self::new(Kind::TooManyRequests, format!("too often: wait {retry_after} s"))
        }
    }

    /// 503: not now, and nothing has happened.
    pub fn unavailable(detail: &'static str) -> Self {
        Self::new(Kind::Unavailable, detail)
    }

    /// 503, with its cause told to the process's log only.
    pub fn out_of_reach(error: &dyn std::error::Error) -> Self {
        Self::unavailable("a part of the service is out of reach, try again").caused_by(error)
    }

    /// 503: it may have happened, and asking again is safe.
    pub fn outcome_unknown() -> Self {
        let detail = "it may or may not have happened: ask again with the same key, it cannot happen twice";
        Self::new(Kind::OutcomeUnknown, detail)
    }

    /// 500, with its cause told to the process's log only.
    pub fn internal(error: &dyn std::error::Error) -> Self {
        Self::new(Kind::Internal, "something went wrong on our side").caused_by(error)
    }

    /// 503: the view has not come as far as was asked for.
    pub fn view_behind(behind: &Behind) -> Self {
        let applied = |m: &Missing| Position { partition: m.wanted.partition, sequence: m.applied };
        let applied = behind.missing.iter().map(applied).collect();
        Self { applied: Some(applied), ..Self::new(Kind::ViewBehind, behind.to_string()) }
    }

    #[must_use]
    pub fn with_field(mut self, field: &str, error: impl fmt::Display) -> Self {
        self.errors.push(FieldError { field: field.to_owned(), detail: error.to_string() });
        self
    }

    /// Tells the cause to the process's log; the caller learns nothing of it.
    #[must_use]
    pub fn caused_by(self, error: &dyn std::error::Error) -> Self {
        let kind = self.kind.told().1;
        if self.kind == Kind::Internal {
            tracing::error!(kind, error = %chain(error), "a request failed");
        } else {
            tracing::warn!(kind, error = %chain(error), "a request failed");
        }
        self
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn status(&self) -> StatusCode {
        self.kind.told().0
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = serde_json::to_vec(&self).expect("a problem is plain JSON");
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// An error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |cause| cause.source())
        .fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}
