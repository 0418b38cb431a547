//! What the edge tells of itself: requests by route and status, sockets, frames
//! and what waits for them. Handles are resolved once; no label is made for a
//! request or a frame that is like one before.

use crate::session::CODES;
use axum::http::{Method, StatusCode};
use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use std::{
    collections::HashMap,
    sync::{LazyLock, PoisonError, RwLock},
    time::Duration,
};

const REQUEST: &str = "http_server_request_duration_seconds";
const SEND: &str = "herald_gateway_send_duration_seconds";
const SOCKETS: &str = "herald_gateway_sockets";
const FRAMES: &str = "herald_gateway_frames_total";
const QUEUED: &str = "herald_gateway_queued_frames";
const CLOSED: &str = "herald_gateway_closed_sockets_total";
const DISPATCHED: &str = "herald_gateway_dispatched_events_total";
const PUSHED: &str = "herald_gateway_pushed_frames_total";

static EDGE: LazyLock<Edge> = LazyLock::new(Edge::new);

/// By method and status.
type OfRoute = HashMap<(&'static str, StatusCode), Histogram>;

struct Edge {
    requests: RwLock<HashMap<String, OfRoute>>,
    sends: Histogram,
    sockets: Gauge,
    received: Counter,
    sent: Counter,
    queued: Histogram,
    dispatched: Counter,
    pushed: Counter,
}

/// An open socket, counted while it is held.
pub(crate) struct OpenSocket(());

impl Edge {
    fn new() -> Self {
        describe_histogram!(REQUEST, Unit::Seconds, "Requests, until the answer's head is made.");
        describe_histogram!(SEND, Unit::Seconds, "Messages, over REST and sockets, until they are acknowledged.");
        describe_gauge!(SOCKETS, "Open sockets.");
        describe_counter!(FRAMES, "Text frames, received from clients and sent to them.");
        describe_histogram!(QUEUED, Unit::Count, "Frames that waited for a socket when it was written to.");
        describe_counter!(CLOSED, "Sockets that herald closed, by code.");
        describe_counter!(DISPATCHED, "Facts that the hub has taken from the log.");
        describe_counter!(PUSHED, "Frames that the hub has put into sockets' queues.");
        // Prometheus sees no rise in what begins at 1.
        for (code, _) in CODES {
            of_code(code).increment(0);
        }
        Self {
            requests: RwLock::default(),
            sends: histogram!(SEND),
            sockets: gauge!(SOCKETS),
            received: counter!(FRAMES, "direction" => "received"),
            sent: counter!(FRAMES, "direction" => "sent"),
            queued: histogram!(QUEUED),
            dispatched: counter!(DISPATCHED),
            pushed: counter!(PUSHED),
        }
    }

    fn request(&self, route: &str, method: &Method, status: StatusCode) -> Histogram {
        let like = (name(method), status);
        let requests = self.requests.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = requests.get(route).and_then(|route| route.get(&like)) {
            return known.clone();
        }
        drop(requests);
        let mut requests = self.requests.write().unwrap_or_else(PoisonError::into_inner);
        let of_route = requests.entry(route.to_owned()).or_default();
        let new = || {
            let labels = [
                ("http_request_method", like.0.to_owned()),
                ("http_route", route.to_owned()),
                ("http_response_status_code", status.as_str().to_owned()),
            ];
            histogram!(REQUEST, &labels)
        };
        of_route.entry(like).or_insert_with(new).clone()
    }
}

impl OpenSocket {
    pub(crate) fn new() -> Self {
        EDGE.sockets.increment(1);
        Self(())
    }
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        EDGE.sockets.decrement(1);
    }
}

/// Everything that is counted is there from now on, though nothing has happened yet.
pub(crate) fn begin() {
    LazyLock::force(&EDGE);
}

pub(crate) fn answered(route: &str, method: &Method, status: StatusCode, took: Duration) {
    EDGE.request(route, method, status).record(took);
}

/// A message is in the log, or was before.
pub(crate) fn acknowledged(took: Duration) {
    EDGE.sends.record(took);
}

pub(crate) fn received() {
    EDGE.received.increment(1);
}

pub(crate) fn sent(frames: u64) {
    EDGE.sent.increment(frames);
}

pub(crate) fn queued(frames: usize) {
    EDGE.queued.record(u32::try_from(frames).unwrap_or(u32::MAX));
}

/// Codes are those of the contract: few.
pub(crate) fn closed(code: u16) {
    of_code(code).increment(1);
}

pub(crate) fn dispatched(events: usize, frames: usize) {
    EDGE.dispatched.increment(events as u64);
    EDGE.pushed.increment(frames as u64);
}

fn of_code(code: u16) -> Counter {
    counter!(CLOSED, "code" => code.to_string())
}

/// Clients may invent methods; they do not get to invent labels.
fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    }
}
