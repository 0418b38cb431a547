//! The OpenAPI document: what the routes and their types do not say themselves.
//! The operations are collected where they are routed, there is no second list.

use crate::{problem::Problem, rest};
use std::collections::BTreeMap;
use utoipa::{
    IntoResponses, Modify, OpenApi, PartialSchema, ToSchema,
    openapi::{
        ContentBuilder, Ref, RefOr, Response, ResponseBuilder, Schema,
        header::HeaderBuilder,
        schema::AdditionalProperties,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

const PROBLEM: &str = "application/problem+json";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Herald",
        description = "The messaging backend. Times are RFC 3339 in UTC with milliseconds, ids are UUIDs in lower-case \
                       hyphenated form, those minted by clients UUIDv7. Unknown request fields are refused; unknown \
                       response fields may appear later. Every error is a problem (RFC 9457).\n\n\
                       **Read what you wrote**: a command answers `Herald-Position`; a query that is given it as \
                       `Herald-After` answers from views that have applied it, and says what it has seen in \
                       `Herald-As-Of`, which is the next `Herald-After` for monotonic reads.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(Problem)),
    modifiers(&Bearer),
    tags(
        (name = "accounts", description = "Sign-up, log-in, tokens, oneself"),
        (name = "people", description = "Others"),
        (name = "threads", description = "Conversations and who is in them"),
        (name = "messages", description = "Sending and reading"),
        (name = "attachments", description = "Files and pictures"),
        (name = "socket", description = "What happens, as it happens"),
        (name = "operators", description = "How the node is"),
    )
)]
pub(crate) struct Document;

/// The whole document, of all routes.
pub fn document() -> utoipa::openapi::OpenApi {
    rest::operations().into_openapi()
}

/// Says of the variants of a request's enum what serde holds them to: utoipa tells it of structs alone.
pub(crate) fn close(document: &mut utoipa::openapi::OpenApi, name: &str) {
    let schemas = &mut document.components.get_or_insert_default().schemas;
    let Some(RefOr::T(Schema::OneOf(variants))) = schemas.get_mut(name) else {
        unreachable!("{name} is an enum in the document");
    };
    for variant in &mut variants.items {
        if let RefOr::T(Schema::Object(object)) = variant {
            object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
        }
    }
}

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("An access token of five minutes, of a log-in or a refresh"))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// The problems that any operation can answer.
pub(crate) struct AnyProblem;

/// The problems of an operation that knows its caller.
pub(crate) struct CallerProblem;

/// The problems of an operation with a body.
pub(crate) struct BodyProblem;

/// The problem of an operation with parameters in its query.
pub(crate) struct QueryProblem;

/// The problem of an operation that can be asked for too often.
pub(crate) struct LimitProblem;

/// The problem of an operation on something that may not be there.
pub(crate) struct NotThere;

impl IntoResponses for AnyProblem {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        BTreeMap::from([
            problem(400, "What was sent cannot be read"),
            problem(500, "An error inside"),
            problem(503, "Not now (`unavailable`, `busy`, `view-behind`), or `outcome-unknown`: ask again"),
        ])
    }
}

impl IntoResponses for CallerProblem {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut problems = AnyProblem::responses();
        problems.extend([problem(401, "The access token is missing, over, or revoked")]);
        problems
    }
}

impl IntoResponses for BodyProblem {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        BTreeMap::from([
            problem(408, "The body took longer than 15 s"),
            problem(413, "The body has more than 256 KiB"),
            problem(415, "The body is not plain JSON"),
            problem(422, "A field is missing, unknown or wrong: see `errors`"),
        ])
    }
}

impl IntoResponses for QueryProblem {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        BTreeMap::from([problem(422, "A parameter is missing, unknown or wrong: see `errors`")])
    }
}

impl IntoResponses for LimitProblem {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        BTreeMap::from([problem(429, "Too often")])
    }
}

/// The problem of an operation without a body that makes no sense for what it names.
pub(crate) struct Unprocessable;

impl IntoResponses for Unprocessable {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        BTreeMap::from([problem(422, "What is named does not allow it")])
    }
}

/// The problem of an operation that not everybody may do.
pub(crate) struct NotAllowed;

impl IntoResponses for NotAllowed {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        BTreeMap::from([problem(403, "The caller may not (`forbidden`, `may-not-add`, `blocked`)")])
    }
}

impl IntoResponses for NotThere {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        BTreeMap::from([problem(404, "It is not there, or not for the caller")])
    }
}

fn problem(status: u16, description: &str) -> (String, RefOr<Response>) {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
    let mut response = ResponseBuilder::new().description(description).content(PROBLEM, content);
    if status == 429 || status == 503 {
        let header = HeaderBuilder::new().schema(Some(u32::schema())).description(Some("Seconds")).build();
        response = response.header("Retry-After", header);
    }
    (status.to_string(), response.build().into())
}

#[cfg(test)]
#[path = "openapi_tests.rs"]
mod tests;
