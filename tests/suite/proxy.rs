//! A TCP proxy on loopback that can fail as networks do: delay what passes,
//! let nothing through (loss, as TCP shows it), or hardly anything, swallow what
//! the server answers, leave links half open, and cut them.

use crate::harness::lasts;
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpSocket, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{broadcast, watch},
    task::JoinSet,
};

/// Stands before a server until it is dropped.
pub struct Proxy {
    pub address: SocketAddr,
    weather: watch::Sender<Weather>,
    end: broadcast::Sender<End>,
    accepted: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

/// What happens to all that passes.
#[derive(Debug, Clone, Copy, Default)]
struct Weather {
    /// What the server says on the first so many connections is lost.
    deaf: u64,
    stalled: bool,
    /// What the server says arrives a byte a second.
    trickles: bool,
    delay: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Cut,
    HalfOpen,
    Orphaned,
}

impl Proxy {
    /// Listens before the server at `url` (`scheme://user@host:port/more`).
    pub async fn before(url: &str) -> Self {
        Self::with_window(url, None).await
    }

    /// The same, with no more than that on its way from the server.
    pub async fn with_window(url: &str, window: Option<u32>) -> Self {
        let server = server(url).to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (weather, end) = (watch::Sender::new(Weather::default()), broadcast::channel(16).0);
        let mut tasks = JoinSet::new();
        let accepted = Arc::new(AtomicU64::new(0));
        tasks.spawn(accept(listener, (server, window), weather.subscribe(), end.clone(), Arc::clone(&accepted)));
        Self { address, weather, end, accepted, _tasks: tasks }
    }

    /// The URL by which a client gets to the server through this proxy.
    pub fn url(&self, url: &str) -> String {
        url.replace(server(url), &self.address.to_string())
    }

    /// From now on what the server says on the connections that there are is lost, what clients say arrives.
    pub fn swallow_answers(&self) {
        self.weather.send_modify(|weather| weather.deaf = self.accepted.load(Ordering::SeqCst));
    }

    /// From now on nothing arrives, and nobody is told; `calm` lets it all through.
    pub fn stall(&self) {
        self.weather.send_modify(|weather| weather.stalled = true);
    }

    /// From now on a byte a second arrives of what the server says.
    pub fn trickle(&self) {
        self.weather.send_modify(|weather| weather.trickles = true);
    }

    /// From now on all that passes takes so much longer, each way.
    pub fn delay(&self, delay: Duration) {
        self.weather.send_modify(|weather| weather.delay = delay);
    }

    pub fn calm(&self) {
        self.weather.send_replace(Weather::default());
    }

    /// Ends all connections; new ones work.
    pub fn cut(&self) {
        self.calm();
        self.end.send(End::Cut).ok();
    }

    /// The server's ends are gone, and clients are not told; new connections work.
    pub fn leave_half_open(&self) {
        self.end.send(End::HalfOpen).ok();
    }

    /// The clients' ends are gone, and the server is not told; new connections work.
    pub fn orphan(&self) {
        self.end.send(End::Orphaned).ok();
    }
}

/// The `host:port` of a URL.
fn server(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

async fn accept(
    listener: TcpListener,
    (server, window): (String, Option<u32>),
    weather: watch::Receiver<Weather>,
    end: broadcast::Sender<End>,
    accepted: Arc<AtomicU64>,
) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let number = accepted.fetch_add(1, Ordering::SeqCst);
        let Ok(server) = connect(&server, window).await else { continue };
        connections.spawn(connection(client, server, weather.clone(), end.subscribe(), number));
    }
}

async fn connect(server: &str, window: Option<u32>) -> io::Result<TcpStream> {
    let Some(window) = window else { return TcpStream::connect(server).await };
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(window)?;
    socket.connect(server.parse().unwrap()).await
}

async fn connection(
    client: TcpStream,
    server: TcpStream,
    weather: watch::Receiver<Weather>,
    mut end: broadcast::Receiver<End>,
    number: u64,
) {
    client.set_nodelay(true).ok();
    server.set_nodelay(true).ok();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let how = tokio::select! {
        () = copy(&mut from_client, &mut to_server, weather.clone(), None) => End::Cut,
        () = copy(&mut from_server, &mut to_client, weather, Some(number)) => End::Cut,
        how = end.recv() => how.unwrap_or(End::Cut),
    };
    match how {
        End::Cut => return,
        End::HalfOpen => drop((from_server, to_server)),
        End::Orphaned => drop((from_client, to_client)),
    }
    while !matches!(end.recv().await, Ok(End::Cut) | Err(_)) {}
}

async fn copy(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
    answers_of: Option<u64>,
) {
    let mut bytes = vec![0; 16 << 10];
    let most = bytes.len();
    loop {
        let trickles = answers_of.is_some() && weather.borrow().trickles;
        if trickles {
            lasts(Duration::from_secs(1)).await;
        }
        let Ok(count @ 1..) = from.read(&mut bytes[..if trickles { 1 } else { most }]).await else { return };
        let now = match weather.wait_for(|weather| !weather.stalled).await {
            Ok(now) => *now,
            Err(_) => return,
        };
        if answers_of.is_some_and(|number| number < now.deaf) {
            continue;
        }
        if !now.delay.is_zero() {
            lasts(now.delay).await;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
