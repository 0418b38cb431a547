//! The trace that a request belongs to: the one that its client brings along
//! (W3C Trace Context), or one of its own; its id is told to the logs.

use axum::http::{HeaderMap, HeaderName};
use opentelemetry::{
    Context, global,
    propagation::Extractor,
    trace::{TraceContextExt, TraceId},
};
use tracing::Span;

const TRACEPARENT: &str = "traceparent";

struct Headers<'a>(&'a HeaderMap);

struct Field<'a>(Option<&'a str>);

/// The trace that a request's headers name, or none.
pub(crate) fn of_headers(headers: &HeaderMap) -> Context {
    extract(&Headers(headers))
}

/// The trace that a frame's `traceparent` names, or none.
pub(crate) fn of_frame(traceparent: Option<&str>) -> Context {
    extract(&Field(traceparent))
}

/// Tells the logs whose trace the present span is; `brought` is what its client named.
pub(crate) fn tell(brought: &Context) {
    let id = |context: &Context| context.span().span_context().trace_id();
    let own = Context::map_current(id);
    let trace_id = if own == TraceId::INVALID { id(brought) } else { own };
    if trace_id != TraceId::INVALID {
        Span::current().record("trace_id", tracing::field::display(trace_id));
    }
}

fn extract(from: &dyn Extractor) -> Context {
    global::get_text_map_propagator(|propagator| propagator.extract_with_context(&Context::new(), from))
}

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

impl Extractor for Field<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.filter(|_| key == TRACEPARENT)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|_| TRACEPARENT).collect()
    }
}
