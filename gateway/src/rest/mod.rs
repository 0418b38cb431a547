//! The routes: a file per resource, each handler documented where it stands.
//! What all requests share is the door's.

mod accounts;
mod messages;
mod oneself;
mod operators;
mod pages;
mod receipts;
mod sessions;
mod socket;
mod threads;
mod users;

use crate::{
    app::App,
    door,
    openapi::Document,
    problem::{Kind, Problem},
};
use axum::{Router, middleware::from_fn};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use operators::healthz;

/// All that is served over HTTP.
pub fn router(app: App) -> Router {
    let (router, document) = operations().split_for_parts();
    router
        .merge(pages::router(&document))
        .fallback(async || Problem::new(Kind::NotFound, "no such address"))
        .method_not_allowed_fallback(async || Problem::new(Kind::MethodNotAllowed, "see the header Allow"))
        .layer(from_fn(door::bound))
        .layer(from_fn(door::harden))
        .layer(from_fn(door::trace))
        .with_state(app)
}

/// The operations that the OpenAPI document describes, and their handlers.
pub(crate) fn operations() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(accounts::sign_up))
        .routes(routes!(accounts::log_in))
        .routes(routes!(accounts::refresh))
        .routes(routes!(accounts::log_out))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::end))
        .routes(routes!(oneself::get, oneself::change))
        .routes(routes!(oneself::change_password))
        .routes(routes!(users::by_username))
        .routes(routes!(users::by_id))
        .routes(routes!(threads::open, threads::inbox))
        .routes(routes!(threads::one))
        .routes(routes!(threads::members))
        .routes(routes!(messages::send_to_thread, messages::history))
        .routes(routes!(messages::send_to_person))
        .routes(routes!(messages::one))
        .routes(routes!(receipts::advance))
        .routes(routes!(receipts::all))
        .routes(routes!(socket::open))
        .routes(routes!(operators::jwks))
        .routes(routes!(operators::healthz))
        .routes(routes!(operators::readyz))
}
