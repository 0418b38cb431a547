//! A collector of traces on loopback, as OTLP over HTTP has it: takes spans and
//! hands them over.

use opentelemetry_proto::tonic::{collector::trace::v1::ExportTraceServiceRequest, trace::v1::Span};
use prost::Message;
use std::time::Duration;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};

/// Longer than anything that is waited for takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Stands until it is dropped.
pub struct Collector {
    pub url: String,
    pub spans: Vec<Span>,
    arriving: mpsc::UnboundedReceiver<Span>,
    _tasks: JoinSet<()>,
}

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, arriving) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(take(stream, sender.clone()));
            }
        });
        Self { url, spans: Vec::new(), arriving, _tasks: tasks }
    }

    /// Waits until all spans are here that are wanted.
    pub async fn until(&mut self, all_here: impl Fn(&[Span]) -> bool) {
        let arrival = async {
            while !all_here(&self.spans) {
                self.spans.push(self.arriving.recv().await.unwrap());
            }
        };
        let in_time = timeout(PATIENCE, arrival).await.is_ok();
        let names: Vec<_> = self.spans.iter().map(|span| &span.name).collect();
        assert!(in_time, "only these spans came: {names:?}");
    }
}

async fn take(stream: TcpStream, spans: mpsc::UnboundedSender<Span>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = 0;
        let mut head = String::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            if line == "\r\n" {
                break;
            }
            let line = line.to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            head.push_str(&line);
        }
        assert!(head.starts_with("post /v1/traces "), "{head}");
        assert!(head.contains("content-type: application/x-protobuf"), "{head}");
        let mut body = vec![0; length];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        let request = ExportTraceServiceRequest::decode(&*body).unwrap();
        let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).for_each(|span| {
            spans.send(span).ok();
        });
        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}
