//! What an operator sees of a running herald: logs, for people on a terminal
//! and as JSON lines otherwise. Knows no other room; they speak plain `tracing`.

use anyhow::Context;
use std::io::{IsTerminal, stderr};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// What is logged unless the operator says otherwise.
pub const DEFAULT_FILTER: &str = "info";

/// Starts logging to the standard error stream, once for a process.
///
/// # Errors
/// When the filter cannot be parsed, or logging was started before.
pub fn init(filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).with_context(|| format!("`{filter}` is no filter of logs"))?;
    let registry = tracing_subscriber::registry().with(filter);
    if stderr().is_terminal() {
        registry.with(fmt::layer().compact().with_writer(stderr)).try_init()
    } else {
        registry.with(fmt::layer().json().flatten_event(true).with_writer(stderr)).try_init()
    }
    .context("logging was started before")
}
