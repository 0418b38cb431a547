//! Metrics in the text format of Prometheus, on a listener of their own: what
//! the rooms count by the `metrics` facade, gathered when somebody asks.

use anyhow::Context;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::{convert::Infallible, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::interval,
};

/// How often what was recorded is taken together, so that it does not grow while nobody asks.
const UPKEEP: Duration = Duration::from_secs(5);
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const FORMAT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

const SECONDS: [f64; 16] =
    [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Of facts, of frames: how many come together.
const SIZES: [f64; 12] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0];

/// What was counted in this process. Clones read the same.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
            .set_buckets_for_metric(Matcher::Suffix("_events".to_owned()), &SIZES)?
            .set_buckets_for_metric(Matcher::Suffix("_frames".to_owned()), &SIZES)?
            .install_recorder()
            .context("counting was started before")?;
        Ok(Self(handle))
    }

    /// Answers `GET /metrics` until it is dropped; before each answer, `gather` sets what nobody counts.
    pub async fn serve<G, F>(self, listener: TcpListener, gather: G)
    where
        G: Fn() -> F + Clone + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let mut connections = JoinSet::new();
        let mut upkeep = interval(UPKEEP);
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(self.clone().connection(stream, gather.clone()));
                    }
                    // Not at once again: most likely there are no file descriptors left.
                    Err(error) => {
                        tracing::warn!(%error, "metrics cannot be asked for");
                        upkeep.tick().await;
                    }
                },
                _ = upkeep.tick() => self.0.run_upkeep(),
                Some(_) = connections.join_next() => {}
            }
        }
    }

    async fn connection<G, F>(self, stream: TcpStream, gather: G)
    where
        G: Fn() -> F + Send + Sync,
        F: Future<Output = ()> + Send + 'static,
    {
        let answer =
            service_fn(async |request: Request<Incoming>| Ok::<_, Infallible>(self.answer(&request, &gather).await));
        let mut serving = http1::Builder::new();
        serving.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
        if let Err(error) = serving.serve_connection(TokioIo::new(stream), answer).await {
            tracing::debug!(%error, "a connection for metrics ended badly");
        }
    }

    async fn answer<G, F>(&self, request: &Request<Incoming>, gather: &G) -> Response<Full<Bytes>>
    where
        G: Fn() -> F,
        F: Future<Output = ()>,
    {
        let known = request.uri().path() == "/metrics";
        if !known || !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = Response::new(Full::default());
            *response.status_mut() = if known { StatusCode::METHOD_NOT_ALLOWED } else { StatusCode::NOT_FOUND };
            return response;
        }
        gather().await;
        let mut response = Response::new(Full::from(self.0.render()));
        response.headers_mut().insert(CONTENT_TYPE, FORMAT);
        response
    }
}
