//! Logs: for people on a terminal, as JSON lines otherwise.

use anyhow::Context;
use std::io::{IsTerminal, stderr};
use tracing::Subscriber;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry::LookupSpan};

/// What is logged unless the operator says otherwise.
pub const DEFAULT_FILTER: &str = "info";

pub(crate) fn layer<S>(filter: &str) -> anyhow::Result<Box<dyn Layer<S> + Send + Sync>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let filter = EnvFilter::try_new(filter).with_context(|| format!("`{filter}` is no filter of logs"))?;
    let logs = fmt::layer().with_writer(stderr);
    Ok(if stderr().is_terminal() {
        logs.compact().with_filter(filter).boxed()
    } else {
        logs.json().flatten_event(true).with_filter(filter).boxed()
    })
}
