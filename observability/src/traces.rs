//! Traces by OTLP over HTTP, as OpenTelemetry's own variables say: where to
//! (nowhere: none are made), how many (`OTEL_TRACES_SAMPLER`), under what name.

use anyhow::{Context, bail};
use opentelemetry::{Key, Value, global, trace::TracerProvider};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

const NAME: &str = "herald";
/// Whose spans are exported: the rooms', and not those of the libraries, the exporter's own among them.
const ROOMS: [&str; 6] = ["command", "events", "gateway", "herald", "projection", "query"];

/// What exports spans; `None` where nobody is named who takes them.
pub(crate) fn provider() -> anyhow::Result<Option<SdkTracerProvider>> {
    let off = |name: &str, value: &str| variable(name).is_some_and(|is| is.eq_ignore_ascii_case(value));
    let endpoint = variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(|| variable("OTEL_EXPORTER_OTLP_ENDPOINT"));
    let Some(endpoint) = endpoint else { return Ok(None) };
    if off("OTEL_SDK_DISABLED", "true") || off("OTEL_TRACES_EXPORTER", "none") {
        return Ok(None);
    }
    if !endpoint.starts_with("http://") {
        bail!("spans go to a collector nearby, by OTLP over plain HTTP: `{endpoint}` is no http:// address");
    }
    let exporter = SpanExporter::builder().with_http().build().context("spans cannot be exported")?;
    Ok(Some(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource()).build()))
}

/// Turns the rooms' spans into those of a provider.
pub(crate) fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer(NAME));
    let layer = layer.with_location(false).with_threads(false).with_tracked_inactivity(false);
    layer.with_filter(filter_fn(is_exported))
}

/// Lets requests bring a trace along (W3C Trace Context).
pub(crate) fn propagate() {
    global::set_text_map_propagator(TraceContextPropagator::new());
}

fn is_exported(metadata: &Metadata<'_>) -> bool {
    let room = metadata.target().split("::").next().unwrap_or_default();
    ROOMS.contains(&room) && (metadata.is_span() || *metadata.level() <= Level::INFO)
}

/// What the variables say of this process, and who it is where they do not.
fn resource() -> Resource {
    let told = Resource::builder().build();
    let unnamed = |name: Value| name.as_str().starts_with("unknown_service");
    if told.get(&Key::from_static_str("service.name")).is_none_or(unnamed) {
        return Resource::builder().with_service_name(NAME).build();
    }
    told
}

#[expect(clippy::disallowed_methods, reason = "these variables are OpenTelemetry's, whose library reads them itself")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
