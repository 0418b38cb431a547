//! Pages for people: the web client, and both documents as a page of our own that
//! needs no network. Their policy lets in nothing but our own files.

use crate::{app::App, asyncapi};
use axum::{
    Router,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::openapi::OpenApi;

/// No inline script or style, and nothing from elsewhere; `blob:` are the pictures that came with a token.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' blob:; manifest-src 'self'; worker-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types worker";

/// Where a file is served, and what is in it.
type File = (&'static str, &'static str);

macro_rules! file {
    ($path:literal) => {
        file!($path, $path)
    };
    ($path:literal, $file:literal) => {
        ($path, include_str!(concat!("../../web", $file)))
    };
}

const FILES: [File; 30] = [
    file!("/", "/index.html"),
    file!("/chat.css"),
    file!("/icon.svg"),
    file!("/manifest.json"),
    file!("/sw.js"),
    file!("/chat/api.js"),
    file!("/chat/app.js"),
    file!("/chat/client.js"),
    file!("/chat/composer.js"),
    file!("/chat/connection.js"),
    file!("/chat/dialog.js"),
    file!("/chat/dom.js"),
    file!("/chat/group.js"),
    file!("/chat/inbox.js"),
    file!("/chat/mentions.js"),
    file!("/chat/message.js"),
    file!("/chat/model.js"),
    file!("/chat/outbox.js"),
    file!("/chat/people.js"),
    file!("/chat/search.js"),
    file!("/chat/session.js"),
    file!("/chat/settings.js"),
    file!("/chat/signin.js"),
    file!("/chat/store.js"),
    file!("/chat/thread.js"),
    file!("/chat/timeline.js"),
    file!("/chat/vector.js"),
    file!("/docs", "/docs.html"),
    file!("/docs.css"),
    file!("/docs.js"),
];

pub(super) fn router(document: &OpenApi) -> Router<App> {
    let (openapi, asyncapi) = (bytes(document), bytes(&asyncapi::document()));
    let documents = Router::new()
        .route("/openapi.json", get(async move || ([(CONTENT_TYPE, "application/json")], openapi)))
        .route("/asyncapi.json", get(async move || ([(CONTENT_TYPE, "application/json")], asyncapi)));
    FILES.into_iter().fold(documents, |router, (path, content)| {
        let etag = etag(content);
        router.route(path, get(async move |headers: HeaderMap| answer(&headers, path, content, etag)))
    })
}

fn bytes(document: &impl Serialize) -> Bytes {
    serde_json::to_vec(document).expect("a document is plain JSON").into()
}

/// A browser asks each time whether it is still this; it is sent again only where it is not.
fn answer(headers: &HeaderMap, path: &str, content: &'static str, etag: HeaderValue) -> Response {
    let is_known = headers.get(IF_NONE_MATCH).is_some_and(|known| *known == etag);
    let told: [(HeaderName, HeaderValue); 4] = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type(path))),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (ETAG, etag),
    ];
    if is_known { (StatusCode::NOT_MODIFIED, told).into_response() } else { (told, content).into_response() }
}

fn etag(content: &str) -> HeaderValue {
    let digest = URL_SAFE_NO_PAD.encode(&Sha256::digest(content)[..12]);
    HeaderValue::try_from(format!("\"{digest}\"")).expect("quoted base64url")
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/manifest+json",
        Some(_) | None => "text/html; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::FILES;
    use std::{fs, path::Path};

    /// Lines of JavaScript that the web client may have.
    const MOST_LINES: usize = 2_500;

    fn files(folder: &str) -> Vec<(String, String)> {
        let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("web").join(folder);
        let files = fs::read_dir(web).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        let named = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        files.map(|path| (named(&path), fs::read_to_string(path).unwrap())).collect()
    }

    #[test]
    fn every_file_of_the_pages_is_served() {
        let all = files("").into_iter().chain(files("chat"));
        for (name, content) in all {
            assert!(FILES.iter().any(|(_, served)| *served == content), "{name} is in no list of files");
        }
    }

    #[test]
    fn every_module_of_the_client_is_kept_for_when_there_is_no_network() {
        let worker = FILES.iter().find(|(path, _)| *path == "/sw.js").unwrap().1;
        let list = worker.lines().find(|line| line.contains("const modules")).unwrap();
        let listed: Vec<_> = list.split('"').nth(1).unwrap().split(' ').collect();
        let mut modules: Vec<_> = files("chat").into_iter().map(|(name, _)| name.replace(".js", "")).collect();
        modules.sort();
        assert_eq!(listed, modules);
    }

    #[test]
    fn the_client_stays_small_and_each_of_its_modules_says_what_it_owns() {
        let client = files("chat");
        let worker = files("").into_iter().filter(|(name, _)| name == "sw.js");
        let all: Vec<_> = client.into_iter().chain(worker).collect();
        for (name, content) in &all {
            assert!(content.starts_with("// "), "{name} does not open by saying what it owns");
            assert!(content.lines().count() <= 400, "{name} is longer than one sitting");
        }
        assert!(all.iter().map(|(_, content)| content.lines().count()).sum::<usize>() <= MOST_LINES);
    }

    #[test]
    fn nothing_in_the_client_parses_html_or_runs_text() {
        let ways =
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval(", "new Function"];
        for (name, content) in files("chat") {
            assert!(!ways.iter().any(|way| content.contains(way)), "{name} parses what could be somebody's text");
        }
        let page = FILES[0].1;
        assert!(!page.contains("<script>") && !page.contains("style="), "the policy forbids what is inline");
    }
}
