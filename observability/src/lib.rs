//! What an operator sees of a running herald: logs, traces and metrics, begun
//! together and ended together. Knows no other room; they speak plain `tracing`
//! and `metrics`, and cost next to nothing where nobody listens.

mod logs;
mod metrics;
mod traces;

pub use logs::DEFAULT_FILTER;
pub use metrics::Metrics;

use anyhow::Context;
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::time::Duration;
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

/// How long the last spans may take on their way out.
const FLUSH: Duration = Duration::from_secs(5);

/// What is listened to for as long as this is held; at the end, what is under way is flushed.
#[must_use = "it ends when it is dropped"]
pub struct Observability {
    metrics: Option<Metrics>,
    traces: Option<SdkTracerProvider>,
}

/// Starts logging to the standard error stream, exporting spans where the `OTEL_*` variables say
/// where to, and counting if anybody is to read it. Once for a process, before all else: who counts
/// earlier is not heard.
///
/// # Errors
/// When the filter or the variables cannot be understood, or it was started before.
pub fn init(filter: &str, metrics: bool) -> anyhow::Result<Observability> {
    let logs = logs::layer(filter)?;
    let traces = traces::provider()?;
    let registry = tracing_subscriber::registry().with(logs).with(traces.as_ref().map(traces::layer));
    registry.try_init().context("logging was started before")?;
    traces::propagate();
    let metrics = if metrics { Some(Metrics::start()?) } else { None };
    Ok(Observability { metrics, traces })
}

impl Observability {
    /// What was counted, if it is.
    pub fn metrics(&self) -> Option<Metrics> {
        self.metrics.clone()
    }
}

impl Drop for Observability {
    fn drop(&mut self) {
        if let Some(traces) = &self.traces
            && let Err(error) = traces.shutdown_with_timeout(FLUSH)
        {
            tracing::warn!(%error, "the last spans are lost");
        }
    }
}
