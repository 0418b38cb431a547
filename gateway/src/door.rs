//! What every request passes: a span, limits of size and time, and the headers
//! that every answer carries. Never logs tokens, bodies, names or addresses.

use crate::{
    measures,
    problem::{Kind, Problem},
    rest, trace,
};
use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{MatchedPath, Request},
    http::{
        HeaderName, HeaderValue, Method, Version,
        header::{
            CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
            X_FRAME_OPTIONS,
        },
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::{panic::AssertUnwindSafe, time::Duration};
use tokio::time::{Instant, timeout};
use tracing::{Instrument, Span, field::Empty};

/// Bytes that a request's body may have.
const MAX_BODY: usize = 256 << 10;

/// Bytes beyond that which are read and dropped, so that the sender gets to read the refusal.
const MAX_DROPPED: usize = 2 << 20;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a handler may take.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(10);

/// Where files are uploaded, and how long that takes for the largest and slowest.
const UPLOADS: &str = "/v1/attachments";
const LONGEST_UPLOAD: Duration = Duration::from_mins(75);

const STRICT_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// Spans a request, and logs its end.
pub(crate) async fn trace(request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    let method = request.method().clone();
    let brought = trace::of_headers(request.headers());
    let span = {
        let _brought = brought.clone().attach();
        let name = method.as_str();
        tracing::info_span!("gateway.request", method = name, route, status = Empty, ms = Empty, trace_id = Empty)
    };
    let started = Instant::now();
    let answer = async move {
        trace::tell(&brought);
        let response = next.run(request).await;
        let status = response.status();
        measures::answered(route, &method, status, started.elapsed());
        Span::current().record("status", status.as_u16()).record("ms", started.elapsed().as_secs_f64() * 1e3);
        if status.is_server_error() {
            tracing::warn!("answered");
        } else {
            tracing::debug!("answered");
        }
        response
    };
    answer.instrument(span).await
}

/// Reads the body within its limits, and gives the handler its time; one that panics answers 500.
pub(crate) async fn bound(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    // RFC 9112, section 3.2: who does not name one host may mean another than we do.
    if parts.version == Version::HTTP_11 && parts.headers.get_all(HOST).iter().count() != 1 {
        return ([(CONNECTION, "close")], Problem::malformed("there must be one Host header")).into_response();
    }
    // A file is read by whoever takes it, within limits of its own.
    let is_upload = parts.method == Method::POST && parts.uri.path() == UPLOADS;
    let body = match if is_upload { Ok(body) } else { read(body).await.map(Body::from) } {
        Ok(body) => body,
        Err(problem) => return ([(CONNECTION, "close")], problem).into_response(),
    };
    let reads = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    // Whoever polls may wait for something to happen.
    let patience = match parts.uri.path() {
        "/v1/sync" => HANDLER_TIMEOUT + rest::LONGEST_WAIT,
        UPLOADS if is_upload => LONGEST_UPLOAD,
        _ => HANDLER_TIMEOUT,
    };
    let request = Request::from_parts(parts, body);
    match timeout(patience, AssertUnwindSafe(next.run(request)).catch_unwind()).await {
        Ok(Ok(response)) => response,
        // The panic's hook has told where.
        Ok(Err(_)) => Problem::new(Kind::Internal, "something went wrong on our side").into_response(),
        Err(_) if reads => Problem::unavailable("it takes too long, try again").into_response(),
        Err(_) => Problem::outcome_unknown().into_response(),
    }
}

/// Adds the headers that keep an answer from being kept, framed, sniffed or run.
pub(crate) async fn harden(request: Request, next: Next) -> Response {
    let private = ["/v1/", "/operator/"].iter().any(|private| request.uri().path().starts_with(private));
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut add = |name: HeaderName, value| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    if private {
        add(CACHE_CONTROL, "no-store");
    }
    add(X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(X_FRAME_OPTIONS, "DENY");
    add(REFERRER_POLICY, "no-referrer");
    add(CONTENT_SECURITY_POLICY, STRICT_POLICY);
    response
}

async fn read(body: Body) -> Result<Bytes, Problem> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let announced = body.size_hint().lower();
    let whole = async {
        if announced > (MAX_BODY + MAX_DROPPED) as u64 {
            return Err(too_large());
        }
        let mut body = Limited::new(body, MAX_BODY + MAX_DROPPED);
        let mut kept = Vec::new();
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
                Some(_) => too_large(),
                None => Problem::malformed("the body ended early"),
            })?;
            let Ok(data) = frame.into_data() else { continue };
            length += data.len();
            if length <= MAX_BODY {
                kept.extend_from_slice(&data);
            }
        }
        if length > MAX_BODY { Err(too_large()) } else { Ok(Bytes::from(kept)) }
    };
    let slow = || Problem::new(Kind::RequestTimeout, "the body took too long to arrive");
    timeout(BODY_TIMEOUT, whole).await.unwrap_or_else(|_| Err(slow()))
}

fn too_large() -> Problem {
    Problem::new(Kind::TooLarge, format!("a body may have {MAX_BODY} bytes"))
}
