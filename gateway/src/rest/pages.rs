//! Pages for people: what runs here, and both documents as a page of our own that
//! needs no network. Their policy lets in nothing but our own files.

use crate::{app::App, asyncapi};
use axum::{
    Router,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use bytes::Bytes;
use serde::Serialize;
use utoipa::openapi::OpenApi;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

pub(super) fn router(document: &OpenApi) -> Router<App> {
    let (openapi, asyncapi) = (bytes(document), bytes(&asyncapi::document()));
    Router::new()
        .route("/", get(async || file(HTML, include_str!("../../web/index.html"))))
        .route("/docs", get(async || file(HTML, include_str!("../../web/docs.html"))))
        .route("/docs.js", get(async || file(SCRIPT, include_str!("../../web/docs.js"))))
        .route("/style.css", get(async || file(STYLE, include_str!("../../web/style.css"))))
        .route("/openapi.json", get(async move || ([(CONTENT_TYPE, "application/json")], openapi)))
        .route("/asyncapi.json", get(async move || ([(CONTENT_TYPE, "application/json")], asyncapi)))
}

fn bytes(document: &impl Serialize) -> Bytes {
    serde_json::to_vec(document).expect("a document is plain JSON").into()
}

fn file(content_type: &'static str, content: &'static str) -> impl IntoResponse {
    let headers = [(CONTENT_TYPE, content_type), (CONTENT_SECURITY_POLICY, POLICY), (CACHE_CONTROL, "no-cache")];
    (headers, content)
}
