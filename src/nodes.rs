//! Several nodes in one process, one after the other started and together stopped.

use crate::{
    cli::Stop,
    metrics::Gauges,
    node::{Node, Settings},
};
use anyhow::Context;
use futures_util::future::{join_all, select_all};
use std::{
    io::{Write, stderr},
    net::SocketAddr,
};

/// Runs so many nodes until one fails, or the process is asked to stop.
pub(crate) async fn run(settings: Settings, nodes: u16, gauges: &Gauges, stop: &mut Stop) -> anyhow::Result<()> {
    let (edge, scheme) = (settings.has_edge(), if settings.tls.is_some() { "https" } else { "http" });
    let mut running = Vec::new();
    let work = async {
        for settings in successive(&settings, nodes)? {
            let node = Node::start(settings).await?;
            gauges.watch(node.sight());
            if edge {
                writeln!(stderr(), "herald serves on {scheme}://{}", node.address()?).ok();
            }
            if let Some(address) = node.operators_address() {
                writeln!(stderr(), "operators are served on {scheme}://{address}").ok();
            }
            running.push(node);
        }
        Err(select_all(running.iter_mut().map(|node| Box::pin(node.failed()))).await.0)
    };
    let outcome = tokio::select! {
        () = stop => Ok(()),
        failed = work => failed,
    };
    join_all(running.into_iter().map(Node::stop)).await;
    outcome
}

/// The settings of so many nodes; each listens on the port after the last one's, or on any free one. Operators are
/// served by the first.
fn successive(settings: &Settings, nodes: u16) -> anyhow::Result<Vec<Settings>> {
    let first = settings.listen.port();
    let listen = |node: u16| {
        let port = if first == 0 { Some(0) } else { first.checked_add(node) };
        port.map(|port| SocketAddr::new(settings.listen.ip(), port)).context("there are no ports after 65535")
    };
    let operator_listen = |node: u16| settings.operator_listen.filter(|_| node == 0);
    let of = |node| Ok(Settings { listen: listen(node)?, operator_listen: operator_listen(node), ..settings.clone() });
    (0..nodes).map(of).collect()
}
