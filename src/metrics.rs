//! Where metrics are asked for, and those that nobody counts: they are looked up
//! when somebody asks, over all nodes of this process.

use crate::databases::Progress;
use anyhow::Context;
use events::{EventLog, Partition, Share, Vector, log::Extent};
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use observability::Metrics;
use projection::{Delay, View};
use query::{Connections, Views};
use std::{
    collections::{BTreeMap, HashMap},
    io::{Write, stderr},
    net::SocketAddr,
    path::PathBuf,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    time::{Instant, timeout},
};

/// How long NATS and Postgres may take over what is asked of them.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where metrics are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    Off,
    At(SocketAddr),
}

/// What is looked up when somebody asks. Clones share it.
#[derive(Clone)]
pub struct Gauges(Arc<Inner>);

struct Inner {
    began: Instant,
    /// The folder of the embedded servers' data.
    data: Option<PathBuf>,
    nodes: Mutex<Vec<Sight>>,
    delays: Mutex<HashMap<(View, Share, Partition), Delay>>,
}

/// What can be seen of a node.
#[derive(Clone)]
pub struct Sight {
    pub log: EventLog,
    /// How far its runners have come.
    pub progress: Progress,
    /// Where it has an edge.
    pub views: Option<Views>,
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            address => address.parse().map(Self::At).map_err(|_| "must be an address and port, or `off`".to_owned()),
        }
    }
}

/// Answers those who ask for metrics, for as long as the work takes.
///
/// # Errors
/// When the address cannot be listened on; the work's own.
pub async fn beside<T>(
    listen: Listen,
    metrics: Option<Metrics>,
    gauges: Gauges,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let (Listen::At(address), Some(metrics)) = (listen, metrics) else { return work.await };
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!(
            "metrics cannot be offered at {address}: choose another address with --metrics-listen or \
             HERALD_METRICS_LISTEN, or `off`"
        )
    })?;
    // The error stream is the last place to say it: a failure there cannot be told.
    writeln!(stderr(), "herald's metrics are at http://{}/metrics", listener.local_addr()?).ok();
    describe();
    let gather = move || {
        let gauges = gauges.clone();
        async move { gauges.look().await }
    };
    tokio::select! {
        done = work => done,
        () = metrics.serve(listener, gather) => anyhow::bail!("the listener for metrics ended"),
    }
}

impl Gauges {
    pub fn new(data: Option<PathBuf>) -> Self {
        let (nodes, delays) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { began: Instant::now(), data, nodes, delays }))
    }

    /// From now on a node is seen too.
    pub fn watch(&self, node: Sight) {
        lock(&self.0.nodes).push(node);
    }

    async fn look(&self) {
        let nodes = lock(&self.0.nodes).clone();
        self.look_at_disk();
        let up = !nodes.is_empty() && nodes.iter().all(|node| node.log.is_connected());
        gauge!("herald_nats_up").set(f64::from(u8::from(up)));
        counter!("herald_nats_connects_total").absolute(nodes.iter().map(|node| node.log.connects()).sum());
        let silence = nodes.iter().map(|node| node.log.silent_for()).max().unwrap_or_default();
        gauge!("herald_log_silence_seconds").set(silence);
        tokio::join!(self.look_at_log(&nodes), look_at_views(&nodes));
    }

    async fn look_at_log(&self, nodes: &[Sight]) {
        let Some(first) = nodes.first() else { return };
        // What cannot be asked stays as it was: `herald_nats_up` says why.
        let Ok(Ok(extents)) = timeout(PATIENCE, first.log.extents()).await else { return };
        for Extent { end, bytes, max_bytes } in &extents {
            let partition = end.partition.label();
            gauge!("herald_log_end_sequence", "partition" => partition.clone()).set(float(end.sequence));
            gauge!("herald_log_bytes", "partition" => partition.clone()).set(float(*bytes));
            let max_bytes = max_bytes.map_or(f64::INFINITY, float);
            gauge!("herald_log_max_bytes", "partition" => partition).set(max_bytes);
        }
        let now = self.0.began.elapsed();
        let mut delays = lock(&self.0.delays);
        for ((view, share), applied) in furthest(nodes) {
            let streams = view.streams(first.log.names(), share);
            for Extent { end, .. } in extents.iter().filter(|extent| streams.contains(&extent.end.partition)) {
                let applied = applied.get(end.partition);
                let delay = delays.entry((view, share, end.partition)).or_default();
                let delay = delay.seen(now, end.sequence, applied);
                let labels = [
                    ("view", view.name().to_owned()),
                    ("database", share.index().to_string()),
                    ("partition", end.partition.label()),
                ];
                gauge!("herald_projection_lag_events", &labels).set(float(end.sequence.saturating_sub(applied)));
                gauge!("herald_projection_lag_seconds", &labels).set(delay);
            }
        }
    }

    fn look_at_disk(&self) {
        let Some(data) = &self.0.data else { return };
        // Before the servers' first start there is no such folder.
        if let Ok(disk) = rustix::fs::statvfs(data) {
            gauge!("herald_data_free_bytes").set(float(disk.f_bavail * disk.f_frsize));
            gauge!("herald_data_size_bytes").set(float(disk.f_blocks * disk.f_frsize));
        }
    }
}

/// How far the runners of each view in each database have come: those that wait for another's end follow it.
fn furthest(nodes: &[Sight]) -> BTreeMap<(View, Share), Vector> {
    let mut furthest: BTreeMap<_, Vector> = BTreeMap::new();
    for (view, share, applied) in nodes.iter().flat_map(|node| node.progress.of_runners()) {
        let furthest = furthest.entry((view, share)).or_default();
        applied.vector().iter().for_each(|position| furthest.raise(position));
    }
    furthest
}

async fn look_at_views(nodes: &[Sight]) {
    let (mut open, mut idle, mut most) = (0, 0, 0);
    let mut up = true;
    let edges: Vec<_> = nodes.iter().filter_map(|node| node.views.as_ref()).collect();
    let Some(first) = edges.first() else { return };
    for views in &edges {
        let connections: Connections = views.connections();
        open += connections.open;
        idle += connections.idle;
        most += connections.most;
    }
    for view in query::View::ALL {
        up &= matches!(timeout(PATIENCE, first.refresh(view)).await, Ok(Ok(_)));
    }
    gauge!("herald_postgres_up").set(f64::from(u8::from(up)));
    gauge!("db_client_connection_count", "state" => "idle").set(idle);
    gauge!("db_client_connection_count", "state" => "used").set(open.saturating_sub(idle));
    gauge!("db_client_connection_max").set(most);
}

fn describe() {
    describe_gauge!("herald_nats_up", "Whether there is a connection to NATS.");
    describe_counter!("herald_nats_connects_total", "Times that NATS was connected to.");
    describe_gauge!(
        "herald_log_silence_seconds",
        Unit::Seconds,
        "Since when the log is not heard, not even a heartbeat."
    );
    describe_gauge!("herald_log_end_sequence", "The last sequence of a partition.");
    describe_gauge!("herald_log_bytes", Unit::Bytes, "What a partition takes.");
    describe_gauge!("herald_log_max_bytes", Unit::Bytes, "What a partition may take before it refuses to grow.");
    describe_gauge!("herald_projection_lag_events", "Facts that a view has still to apply.");
    describe_gauge!("herald_projection_lag_seconds", Unit::Seconds, "Since when a view has been behind.");
    describe_gauge!("herald_postgres_up", "Whether the views can be read.");
    describe_gauge!("db_client_connection_count", "Connections to Postgres for questions.");
    describe_gauge!("db_client_connection_max", "The most connections to Postgres for questions.");
    describe_gauge!("herald_data_free_bytes", Unit::Bytes, "What is free on the disk of the embedded servers.");
    describe_gauge!("herald_data_size_bytes", Unit::Bytes, "The size of the disk of the embedded servers.");
    describe_gauge!("herald_build_info", "Always 1; which herald this is.");
    gauge!("herald_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1);
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; beyond 2^53 nobody counts single bytes")]
fn float(number: u64) -> f64 {
    number as f64
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
