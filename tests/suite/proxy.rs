//! A TCP proxy on loopback that can fail as networks do: swallow what the
//! server answers, and cut the connections.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::broadcast,
    task::JoinSet,
};

/// Stands before a server until it is dropped.
pub struct Proxy {
    pub address: SocketAddr,
    deaf: Arc<AtomicBool>,
    cut: broadcast::Sender<()>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Listens before the server at `url` (`scheme://host:port`).
    pub async fn before(url: &str) -> Self {
        let server = url.split_once("://").map_or(url, |(_, server)| server).to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (deaf, cut) = (Arc::new(AtomicBool::new(false)), broadcast::channel(16).0);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, server, Arc::clone(&deaf), cut.clone()));
        Self { address, deaf, cut, _tasks: tasks }
    }

    /// From now on what the server says is lost, what clients say arrives.
    pub fn swallow_answers(&self) {
        self.deaf.store(true, Ordering::SeqCst);
    }

    /// Ends all connections; new ones work.
    pub fn cut(&self) {
        self.deaf.store(false, Ordering::SeqCst);
        self.cut.send(()).ok();
    }
}

async fn accept(listener: TcpListener, server: String, deaf: Arc<AtomicBool>, cut: broadcast::Sender<()>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect(&server).await else { continue };
        let mut cut = cut.subscribe();
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let deaf = Arc::clone(&deaf);
        connections.spawn(async move {
            tokio::select! {
                () = copy(from_client, to_server, None) => {}
                () = copy(from_server, to_client, Some(&deaf)) => {}
                _ = cut.recv() => {}
            }
        });
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, swallow: Option<&AtomicBool>) {
    let mut bytes = vec![0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if swallow.is_some_and(|swallow| swallow.load(Ordering::SeqCst)) {
            continue;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
