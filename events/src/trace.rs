//! Where a fact belongs in a distributed trace (W3C Trace Context). A fact says
//! it only while the trace is sampled, so that an unsampled one costs no byte.

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// A sampled trace, and the span of it that appended the fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Trace {
    trace_id: TraceId,
    span_id: SpanId,
}

/// Not the ids of a trace and a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a trace's id and a span's, in hexadecimal")]
pub struct InvalidTrace;

impl Trace {
    /// The span in which this is called, if its trace is sampled.
    pub fn current() -> Option<Self> {
        Context::map_current(|context| {
            let span = context.span();
            let here = span.span_context();
            let (trace_id, span_id) = (here.trace_id(), here.span_id());
            (here.is_sampled() && here.is_valid()).then_some(Self { trace_id, span_id })
        })
    }

    /// A span that is opened where this is attached continues the trace.
    pub fn context(self) -> Context {
        Context::new().with_remote_span_context(self.span_context())
    }

    /// The span in which this is called names others as what it works for.
    pub fn link(traces: &[Self]) {
        if traces.is_empty() {
            return;
        }
        Context::map_current(|context| {
            for trace in traces {
                context.span().add_link(trace.span_context(), Vec::new());
            }
        });
    }

    fn span_context(self) -> SpanContext {
        SpanContext::new(self.trace_id, self.span_id, TraceFlags::SAMPLED, true, TraceState::default())
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.trace_id, self.span_id)
    }
}

impl FromStr for Trace {
    type Err = InvalidTrace;

    fn from_str(text: &str) -> Result<Self, InvalidTrace> {
        let (trace_id, span_id) = text.split_once('-').ok_or(InvalidTrace)?;
        let trace_id = TraceId::from_hex(trace_id).map_err(|_| InvalidTrace)?;
        let span_id = SpanId::from_hex(span_id).map_err(|_| InvalidTrace)?;
        let trace = Self { trace_id, span_id };
        // One spelling only: what was read is written again byte by byte.
        if trace.to_string() == text { Ok(trace) } else { Err(InvalidTrace) }
    }
}

impl Serialize for Trace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Trace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::Trace;

    const TEXT: &str = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";

    #[test]
    fn a_trace_has_one_spelling() {
        let trace: Trace = TEXT.parse().unwrap();
        assert_eq!(trace.to_string(), TEXT);
        for wrong in ["", "-", "4bf9-00f0", &TEXT.to_uppercase(), &TEXT.replace('-', ""), &format!("{TEXT}0")] {
            assert!(wrong.parse::<Trace>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_a_sampled_span_is_told() {
        assert_eq!(Trace::current(), None);
        let trace: Trace = TEXT.parse().unwrap();
        let _attached = trace.context().attach();
        assert_eq!(Trace::current(), Some(trace));
    }
}
