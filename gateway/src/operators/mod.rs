//! What operators may, on a listener of its own with credentials of its own: no
//! token of a person's is good here, and no operator's elsewhere. Each act is a
//! fact that names its operator.

mod people;
mod reports;
mod sign_up;

use crate::{
    app::App,
    auth::{bearer, unauthorized},
    door,
    positions::After,
    problem::{Kind, Problem},
};
use axum::{Json, Router, extract::FromRequestParts, http::request::Parts, middleware::from_fn, routing::get};
use command::{Operators, operators::Operator};
use events::UserId;
use serde::Deserialize;
use utoipa::{
    Modify, OpenApi, ToSchema,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// What the handlers hold: the node's rooms, and what operators may.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) app: App,
    pub(crate) operators: Operators,
}

/// The caller, an operator.
pub(crate) struct Acting(pub(crate) Operator);

/// Why something is done.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Because {
    /// 1 to 256 characters, for the audit.
    #[schema(example = "threatens others", min_length = 1, max_length = 1024)]
    pub(crate) reason: String,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Herald, for operators",
        description = "Served on a listener of its own. `herald operator add` makes the tokens. Every act is a fact that \
                       names who did it and why.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(Problem)),
    modifiers(&Token),
    tags(
        (name = "people", description = "Who is let in"),
        (name = "sign-up", description = "Whether anybody can join"),
        (name = "reports", description = "What people told of"),
    )
)]
struct Document;

struct Token;

/// The whole document of what operators may.
pub fn document() -> utoipa::openapi::OpenApi {
    operations().into_openapi()
}

/// All that operators are served.
pub(crate) fn router(app: App, operators: Operators) -> Router {
    let (router, document) = operations().split_for_parts();
    router
        .route("/openapi.json", get(async move || Json(document)))
        .fallback(async || Problem::new(Kind::NotFound, "no such address"))
        .method_not_allowed_fallback(async || Problem::new(Kind::MethodNotAllowed, "see the header Allow"))
        .layer(from_fn(door::bound))
        .layer(from_fn(door::harden))
        .layer(from_fn(door::trace))
        .with_state(Desk { app, operators })
}

fn operations() -> OpenApiRouter<Desk> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(people::find))
        .routes(routes!(people::suspend))
        .routes(routes!(people::restore))
        .routes(routes!(sign_up::get, sign_up::set))
        .routes(routes!(reports::list))
        .routes(routes!(reports::one))
        .routes(routes!(reports::resolve))
}

impl Acting {
    pub(crate) fn id(&self) -> UserId {
        self.0.operator_id
    }
}

impl FromRequestParts<Desk> for Acting {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Problem> {
        let token = bearer(&parts.headers).ok_or_else(|| unauthorized("an operator's token is needed"))?;
        let operator = desk.operators.authenticate(token).await?;
        operator.map(Self).ok_or_else(|| unauthorized("the token is no operator's"))
    }
}

impl FromRequestParts<Desk> for After {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Problem> {
        Self::from_request_parts(parts, &desk.app).await
    }
}

impl Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An operator's token, of `herald operator add`"))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("operator", SecurityScheme::Http(scheme));
    }
}

#[cfg(test)]
mod tests {
    use super::document;
    use crate::rest::operations;

    #[test]
    fn no_operation_of_operators_is_one_of_everybodys() {
        let theirs = serde_json::to_value(document()).unwrap();
        let everybodys = serde_json::to_value(operations().into_openapi()).unwrap();
        let paths = theirs["paths"].as_object().unwrap();
        assert!(paths.len() > 5);
        for (path, methods) in paths {
            assert!(everybodys["paths"].get(path).is_none() && path.starts_with("/operator/v1/"), "{path}");
            for operation in methods.as_object().unwrap().values() {
                assert!(operation["security"][0]["operator"].is_array(), "{path}");
                assert!(operation["responses"]["401"].is_object() && operation["summary"].is_string(), "{path}");
            }
        }
    }
}
