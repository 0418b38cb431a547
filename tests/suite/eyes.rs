//! What an operator sees: one trace from a request to the push, metrics of few
//! labels, logs without what people say, and dashboards and alerts that ask for
//! what there is.

mod collector;
mod conversation;
mod prometheus;
pub mod rules;

use crate::harness;
use conversation::{BY_REST, BY_SOCKET, CLIENT, Seen, UNSAMPLED, attribute, hex, seen};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::{net::TcpListener, process::Command};

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_runs_from_a_request_through_the_log_to_the_push() {
    let seen = seen().await;
    follow(seen, BY_REST, "gateway.request");
    let request = named(seen, BY_REST, "gateway.request");
    assert_eq!(attribute(request, "route").as_deref(), Some("/v1/messages"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_runs_from_a_frame_through_the_log_to_the_push() {
    follow(seen().await, BY_SOCKET, "gateway.send");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sampled_leaves_no_trace() {
    let seen = seen().await;
    let links = |span: &Span| span.links.iter().any(|link| hex(&link.trace_id) == UNSAMPLED);
    assert!(!seen.spans.iter().any(|span| hex(&span.trace_id) == UNSAMPLED || links(span)));
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_tell_the_trace_and_never_what_people_say_or_enter_by() {
    let Seen { log, secrets, .. } = seen().await;
    for trace in [BY_REST, BY_SOCKET, UNSAMPLED] {
        let tells = format!("\"trace_id\":\"{trace}\"");
        assert!(log.iter().any(|line| line.contains(&tells)), "{trace} is in no line");
    }
    // It was a talkative log: else this test shows nothing.
    assert!(log.iter().any(|line| line.contains("\"level\":\"DEBUG\"")));
    for secret in secrets {
        let told: Vec<_> = log.iter().filter(|line| line.contains(secret.as_str())).collect();
        assert!(told.is_empty(), "{secret}: {told:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_what_happened() {
    let Seen { metrics, .. } = seen().await;
    for (series, least) in [
        ("herald_log_append_duration_seconds_count{outcome=\"stored\"}", 9.0),
        ("herald_log_append_duration_seconds_count{outcome=\"conflict\"}", 0.0),
        ("herald_log_read_events_total{partition=\"0\"}", 0.0),
        ("herald_log_bytes{partition=\"0\"}", 0.0),
        ("herald_command_decisions_total{aggregate=\"thread\",outcome=\"appended\"}", 4.0),
        ("herald_command_decisions_total{aggregate=\"thread\",outcome=\"unchanged\"}", 1.0),
        ("herald_command_decisions_total{aggregate=\"user\",outcome=\"appended\"}", 5.0),
        ("herald_command_refusals_total{aggregate=\"thread\",reason=\"key_reused\"}", 1.0),
        ("herald_command_cache_hits_total{aggregate=\"thread\"}", 4.0),
        ("herald_command_cache_misses_total{aggregate=\"thread\"}", 1.0),
        ("herald_command_cache_bytes{aggregate=\"thread\"}", 1.0),
        ("herald_projection_batch_events_sum{view=\"timeline\"}", 9.0),
        ("herald_projection_commit_duration_seconds_count{view=\"inbox\"}", 1.0),
        ("herald_projection_lag_events{view=\"directory\",database=\"0\",partition=\"0\"}", 0.0),
        ("herald_projection_lag_seconds{view=\"directory\",database=\"0\",partition=\"0\"}", 0.0),
        ("herald_gateway_sockets", 0.0),
        ("herald_gateway_send_duration_seconds_count", 4.0),
        ("herald_gateway_frames_total{direction=\"received\"}", 4.0),
        ("herald_gateway_frames_total{direction=\"sent\"}", 5.0),
        ("herald_gateway_queued_frames_count", 4.0),
        ("herald_gateway_pushed_frames_total", 2.0),
        ("herald_gateway_closed_sockets_total{code=\"4400\"}", 1.0),
        ("herald_gateway_closed_sockets_total{code=\"1013\"}", 0.0),
        ("herald_command_lost_leases_total", 0.0),
        ("herald_query_duration_seconds_count{query=\"history\",outcome=\"answered\"}", 1.0),
        ("herald_query_duration_seconds_count{query=\"memberships\",outcome=\"answered\"}", 1.0),
        ("herald_push_waiting_letters", 0.0),
        ("db_client_connection_count{state=\"idle\"}", 1.0),
        ("db_client_connection_max", 1.0),
        ("herald_postgres_up", 1.0),
        ("herald_nats_up", 1.0),
        ("herald_data_free_bytes", 1.0),
        (
            "http_server_request_duration_seconds_count{http_request_method=\"POST\",http_route=\"/v1/messages\",http_response_status_code=\"201\"}",
            3.0,
        ),
        (
            "http_server_request_duration_seconds_count{http_request_method=\"GET\",http_route=\"unmatched\",http_response_status_code=\"404\"}",
            1.0,
        ),
    ] {
        let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        let value = value.unwrap_or_else(|| panic!("no {series} in\n{metrics}"));
        assert!(value.parse::<f64>().unwrap() >= least, "{series} is {value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_are_few_and_name_nobody() {
    let Seen { metrics, ids, .. } = seen().await;
    assert!(ids.iter().all(|id| !metrics.contains(id.as_str())));
    let series = metrics.lines().filter(|line| !line.starts_with('#') && !line.contains("_bucket{")).count();
    assert!(series < 500, "{series} series after one conversation");
    for name in metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        assert!(metrics.contains(&format!("# HELP {name} ")), "{name} is not explained");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_have_the_port_for_metrics_is_told_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = harness::folder("eyes-taken");
    let arguments = ["--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0", "--metrics-listen", &address];
    let ended = Command::new(harness::program()).args(arguments).output().await.unwrap();
    assert!(!ended.status.success());
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(said.contains("--metrics-listen") && said.contains(&address), "{said}");
    assert!(!data.exists(), "it began although it could not go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_go_over_plain_http_or_herald_says_so() {
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example"), ("HERALD_METRICS_LISTEN", "off")];
    let ended = Command::new(harness::program()).args(["--data", "/nonexistent"]).envs(environment).output();
    let ended = ended.await.unwrap();
    assert!(!ended.status.success());
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(said.contains("https://collector.example"), "{said}");
}

/// From the client's span to the append, and from there to whoever is told and to each view's commit.
fn follow(seen: &Seen, trace: &str, entry: &str) {
    let entry = named(seen, trace, entry);
    assert_eq!(hex(&entry.parent_span_id), CLIENT);
    let handled = named(seen, trace, "command.handle");
    assert_eq!(handled.parent_span_id, entry.span_id);
    let append = named(seen, trace, "events.append");
    assert_eq!(append.parent_span_id, handled.span_id);
    assert_eq!(named(seen, trace, "gateway.push").parent_span_id, append.span_id);
    for view in ["directory", "timeline", "inbox", "search"] {
        let is_of_view =
            |span: &&Span| span.name == "projection.commit" && attribute(span, "view").as_deref() == Some(view);
        let links =
            |span: &Span| span.links.iter().any(|link| hex(&link.trace_id) == trace && link.span_id == append.span_id);
        assert!(seen.spans.iter().filter(is_of_view).any(links), "no commit of {view} names it");
    }
}

fn named<'a>(seen: &'a Seen, trace: &str, name: &str) -> &'a Span {
    let mut found = seen.spans.iter().filter(|span| span.name == name && hex(&span.trace_id) == trace);
    let span = found.next().unwrap_or_else(|| panic!("{trace} has no {name}"));
    assert!(found.next().is_none(), "{trace} has two of {name}");
    span
}
