//! The routes: a file per resource, each handler documented where it stands.
//! What all requests share is the door's.

mod accounts;
mod attachments;
mod blocks;
mod contacts;
mod export;
mod history;
mod members;
mod messages;
mod oneself;
mod operators;
mod pages;
mod pictures;
mod presence;
mod reactions;
mod receipts;
mod reports;
mod search;
mod sessions;
mod settings;
mod socket;
mod sync;
mod threads;
mod users;

use crate::{
    app::App,
    door,
    openapi::{Document, close},
    problem::{Kind, Problem},
};
use axum::{Router, middleware::from_fn};
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use operators::healthz;
pub(crate) use reports::reason_of;
pub(crate) use sync::LONGEST_WAIT;

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
    let mut operations = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(accounts::sign_up))
        .routes(routes!(accounts::log_in))
        .routes(routes!(accounts::refresh))
        .routes(routes!(accounts::log_out))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::end))
        .routes(routes!(oneself::get, oneself::change))
        .routes(routes!(oneself::change_password))
        .routes(routes!(export::export))
        .routes(routes!(users::by_username))
        .routes(routes!(users::by_id))
        .routes(routes!(presence::find))
        .routes(routes!(contacts::list))
        .routes(routes!(contacts::save, contacts::remove))
        .routes(routes!(blocks::list))
        .routes(routes!(blocks::block, blocks::unblock))
        .routes(routes!(threads::open, threads::inbox))
        .routes(routes!(threads::one, threads::change))
        .routes(routes!(members::list))
        .routes(routes!(members::put, members::remove))
        .routes(routes!(settings::change))
        .routes(routes!(messages::send_to_thread, history::page))
        .routes(routes!(messages::send_to_person))
        .routes(routes!(history::one, messages::edit, messages::delete))
        .routes(routes!(reactions::put, reactions::remove))
        .routes(routes!(attachments::upload))
        .routes(routes!(attachments::download))
        .routes(routes!(pictures::set_mine, pictures::remove_mine))
        .routes(routes!(pictures::set_groups, pictures::remove_groups))
        .routes(routes!(receipts::advance))
        .routes(routes!(receipts::all))
        .routes(routes!(reports::report))
        .routes(routes!(search::find))
        .routes(routes!(socket::open))
        .routes(routes!(sync::sync))
        .routes(routes!(operators::jwks))
        .routes(routes!(operators::healthz))
        .routes(routes!(operators::readyz));
    close(operations.get_openapi_mut(), &threads::OpenThread::name());
    operations
}
