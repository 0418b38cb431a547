//! Connections: accepts them, bounds how long a head may take and how large it
//! may be, and at the end lets what is under way finish.

use crate::{address::Peer, app::App, measures, operators, rest, stall::Impatient, tls::Tls};
use axum::Router;
use command::Operators;
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use query::View;
use std::{io, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long a request's head may take, and a handshake before it; also how long an idle connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes that a request's head may have; hyper answers 431 to more.
const MAX_HEAD: usize = 16 << 10;

/// How long a client may take nothing of what is written to it.
const STALL: Duration = Duration::from_secs(30);

/// How long a stopping node waits for what is under way.
const DRAIN: Duration = Duration::from_secs(30);

/// How long a starting node lets connections wait until it can answer them.
const BOOT: Duration = Duration::from_secs(5);
const BOOT_LOOK: Duration = Duration::from_millis(50);

/// After an error of the listener (no file descriptors left, most likely) nothing is accepted for so long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`, then answers what is under way and closes the sockets.
pub async fn serve(listener: TcpListener, tls: Option<Tls>, app: App, stop: CancellationToken) {
    measures::begin();
    let router = rest::router(app.clone());
    let connections = TaskTracker::new();
    stop.run_until_cancelled(boot(&app)).await;
    accept(&listener, tls.as_ref(), &router, &stop, &connections).await;
    drop(listener);
    app.draining.cancel();
    connections.close();
    app.sockets.close();
    let drained = async { tokio::join!(connections.wait(), app.sockets.wait()) };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::warn!(connections = connections.len(), sockets = app.sockets.len(), "cut off at the end of the drain");
    }
}

/// Serves the operators until `stop`, then answers what is under way.
pub async fn serve_operators(
    listener: TcpListener,
    tls: Option<Tls>,
    app: App,
    operators: Operators,
    stop: CancellationToken,
) {
    let router = operators::router(app, operators);
    let connections = TaskTracker::new();
    accept(&listener, tls.as_ref(), &router, &stop, &connections).await;
    drop(listener);
    connections.close();
    if tokio::time::timeout(DRAIN, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "operators were cut off at the end of the drain");
    }
}

/// Takes connections until `stop`.
pub(crate) async fn accept(
    listener: &TcpListener,
    tls: Option<&Tls>,
    router: &Router,
    stop: &CancellationToken,
    connections: &TaskTracker,
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                connections.spawn(connection(stream, tls.cloned(), Peer(peer), router.clone(), stop.clone()));
            }
            Err(error) if of_the_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Who connects while the log is still being read, or the views are being made, waits a moment rather than being
/// sent away.
async fn boot(app: &App) {
    let ready = async {
        let mut look = tokio::time::interval(BOOT_LOOK);
        while !app.hub.ready() {
            look.tick().await;
        }
        for view in View::ALL {
            while app.views.refresh(view).await.is_err() {
                look.tick().await;
            }
        }
    };
    if tokio::time::timeout(BOOT, ready).await.is_err() {
        tracing::warn!("neither log nor views can be read to their ends yet: answering 503 until they can");
    }
}

async fn connection(stream: TcpStream, tls: Option<Tls>, peer: Peer, router: Router, stop: CancellationToken) {
    // Answers and frames are small and must not wait for each other.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection was gone at once");
        return;
    }
    let Some(tls) = tls else { return answer(stream, peer, router, stop).await };
    match stop.run_until_cancelled(timeout(HEAD_TIMEOUT, tls.acceptor().accept(stream))).await {
        Some(Ok(Ok(stream))) => answer(stream, peer, router, stop).await,
        Some(Ok(Err(error))) => tracing::debug!(%error, "a handshake failed"),
        Some(Err(_)) | None => {}
    }
}

async fn answer<S>(stream: S, peer: Peer, router: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(Impatient::new(stream, STALL)), service)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(DRAIN, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}

/// Whether only the one connection failed that was about to be accepted.
fn of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}
