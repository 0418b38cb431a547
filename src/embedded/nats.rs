//! The embedded nats-servers, one alone or several in a cluster: configuration,
//! start and end. Each picks its own free ports and says which, unless it is
//! given ports to keep.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use futures_util::future::{select_all, try_join_all};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::guardian::Plan;
use super::users::{Passwords, User};
use super::{Durability, Error, READY_MINUTES, ports, process};
use crate::secret;

const NAME: &str = "nats-server";
/// Who may do what.
const ACCOUNTS: &str = include_str!("../../deploy/nats/accounts.conf");
/// As servers of a cluster call each other.
const NEIGHBOUR: &str = "herald";
const MAX_PAYLOAD: u32 = 512 * 1024;
/// Above any disk, and above what all partitions together may take: what ends the log's growth is the disk, not a quota.
const MAX_FILE_STORE: u64 = 1 << 50;
const POLL: Duration = Duration::from_millis(10);
/// Servers of a cluster that meet for the first time elect a leader within seconds.
const ELECTION_POLL: Duration = Duration::from_millis(100);
/// Told to stop, a server of a cluster first hands on what it leads.
const END: [(Signal, Duration); 2] = [(Signal::TERM, Duration::from_secs(30)), (Signal::KILL, Duration::from_secs(10))];

/// Where one server lives.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) folder: PathBuf,
    name: String,
    /// 0: any that is free.
    client_port: u16,
    monitor_port: u16,
    /// The port for its neighbours, and all those ports of the cluster; none where it is alone.
    routes: Option<(u16, Vec<u16>)>,
}

/// Where the server listens, as it writes it into its ports file.
#[derive(Debug, Deserialize)]
struct Ports {
    nats: Vec<String>,
    monitoring: Vec<String>,
}

/// The addresses of a running server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Addresses {
    pub(super) nats: String,
    pub(super) monitor: String,
}

impl Place {
    /// Where the server of a place that keeps its ports listens.
    pub(super) fn addresses(&self) -> Addresses {
        let url = |scheme: &str, port: u16| format!("{scheme}://127.0.0.1:{port}");
        Addresses { nats: url("nats", self.client_port), monitor: url("http", self.monitor_port) }
    }
}

/// The places of so many servers below a data folder; `keep`: at the same ports at every start.
pub(super) fn places(data: &Path, nodes: usize, keep: bool) -> Result<Vec<Place>, Error> {
    let (alone, first) = (data.join("nats"), data.join("nats-1"));
    let other = if nodes == 1 { &first } else { &alone };
    if other.join("jetstream").exists() {
        return Err(Error::OtherNodes { path: other.clone() });
    }
    let mut free = ports::free(3 * nodes).map_err(|_| Error::PortTaken { server: NAME.into() })?;
    let (routes, kept) = (free.split_off(2 * nodes), free);
    let port = |index: usize| if keep { kept[index] } else { 0 };
    let place = |node: usize| Place {
        folder: if nodes == 1 { alone.clone() } else { data.join(format!("nats-{}", node + 1)) },
        name: if nodes == 1 { "herald".to_owned() } else { format!("herald-{}", node + 1) },
        client_port: port(node),
        monitor_port: port(nodes + node),
        routes: (nodes > 1).then(|| (routes[node], routes.clone())),
    };
    Ok((0..nodes).map(place).collect())
}

/// Starts the servers into `slots`, so that they are ended even if this is dropped.
pub(super) async fn start_all(
    plan: &Plan,
    places: &[Place],
    slots: &mut Vec<Option<Child>>,
) -> Result<Vec<Addresses>, Error> {
    slots.resize_with(places.len(), || None);
    let starts = places.iter().zip(slots).map(|(place, slot)| start(plan, place, slot));
    let addresses = try_join_all(starts).await?;
    if addresses.len() > 1 {
        let log = places[0].folder.join("nats.log");
        timeout(Duration::from_mins(READY_MINUTES), elected(&addresses)).await.map_err(|_| slow(&log))?;
    }
    Ok(addresses)
}

/// Starts a server into `slot`, so that it is ended even if this is dropped.
pub(super) async fn start(plan: &Plan, place: &Place, slot: &mut Option<Child>) -> Result<Addresses, Error> {
    let folder = &place.folder;
    let (ports, config, log) = (folder.join("ports"), folder.join("nats.conf"), folder.join("nats.log"));
    process::end_leftover(&folder.join("nats.pid"), &config, &END).await;
    if ports.exists() {
        fs::remove_dir_all(&ports).map_err(|error| Error::folder("empty", &ports, &error))?;
    }
    fs::create_dir_all(&ports).map_err(|error| Error::folder("create", &ports, &error))?;
    let parts = [
        ("nats.json", configuration(place, plan.durability, &plan.nats_passwords)),
        ("accounts.conf", ACCOUNTS.to_owned()),
        ("nats.conf", "include nats.json\ninclude accounts.conf\n".to_owned()),
    ];
    for (name, text) in parts {
        let part = folder.join(name);
        secret::keep(&part, text.as_bytes()).map_err(|error| Error::folder("write", &part, &error))?;
    }
    let (out, err) = process::open_log(&log).map_err(|error| Error::folder("write", &log, &error))?;

    let mut command = Command::new(&plan.nats_server);
    command.arg("--config").arg(&config).current_dir(folder);
    command.envs(plan.nats_passwords.variables());
    command.stdin(Stdio::null()).stdout(out).stderr(err).kill_on_drop(true);
    let child = command.spawn().map_err(|error| Error::NotAServer {
        server: NAME.into(),
        path: plan.nats_server.clone(),
        option: super::wheel::NATS_SERVER.option.into(),
        reason: error.to_string(),
    })?;
    let child = slot.insert(child);
    timeout(Duration::from_mins(READY_MINUTES), ready(child, &ports, &log)).await.map_err(|_| slow(&log))?
}

/// Resolves when a server ends, and says which.
pub(super) async fn ended(children: &mut [Option<Child>], places: &[Place]) -> (usize, Error) {
    let ends = children.iter_mut().map(|child| Box::pin(child.as_mut().expect("started").wait()));
    let (status, node, _) = select_all(ends).await;
    let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    (node, failure(&status, &places[node].folder.join("nats.log")))
}

/// What a user's client is told: all of them.
pub(super) fn url(addresses: &[Addresses], passwords: &Passwords, user: User) -> String {
    let urls: Vec<_> = addresses.iter().map(|addresses| addresses.nats.as_str()).collect();
    passwords.log_in(user, &urls.join(","))
}

pub(super) async fn end(child: &mut Child) {
    process::end(child, &END).await;
}

/// The configuration but for the accounts, which may be JSON.
pub(super) fn configuration(place: &Place, durability: Durability, passwords: &Passwords) -> String {
    let Place { folder, name, client_port, monitor_port, routes } = place;
    let address = |port: u16| if port == 0 { "127.0.0.1:-1".to_owned() } else { format!("127.0.0.1:{port}") };
    let mut jetstream = json!({ "store_dir": folder, "max_file_store": MAX_FILE_STORE });
    if durability == Durability::Fsync {
        jetstream["sync_interval"] = json!("always");
    }
    let mut configuration = json!({
        "server_name": name,
        "listen": address(*client_port),
        "http": address(*monitor_port),
        "ports_file_dir": folder.join("ports"),
        "pid_file": folder.join("nats.pid"),
        "max_payload": MAX_PAYLOAD,
        "jetstream": jetstream,
    });
    if let Some((own, all)) = routes {
        let others = all.iter().filter(|port| *port != own).map(|port| format!("nats://127.0.0.1:{port}"));
        let password = &passwords.routes;
        let routes: Vec<_> = others.map(|url| url.replace("://", &format!("://{NEIGHBOUR}:{password}@"))).collect();
        configuration["cluster"] = json!({
            "name": "herald",
            "listen": address(*own),
            "authorization": { "user": NEIGHBOUR, "password": password },
            "routes": routes,
        });
    }
    format!("{configuration:#}\n")
}

async fn ready(child: &mut Child, ports: &Path, log: &Path) -> Result<Addresses, Error> {
    loop {
        if let Some(addresses) = listening(ports) {
            return Ok(addresses);
        }
        if let Some(status) = child.try_wait().ok().flatten() {
            return Err(failure(&status.to_string(), log));
        }
        sleep(POLL).await;
    }
}

/// `None` as well while the file is half written.
fn listening(ports: &Path) -> Option<Addresses> {
    let file: PathBuf = fs::read_dir(ports).ok()?.flatten().next()?.path();
    let ports: Ports = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    Some(Addresses { nats: ports.nats.into_iter().next()?, monitor: ports.monitoring.into_iter().next()? })
}

/// Until every server says that it has found the others and their leader.
async fn elected(addresses: &[Addresses]) {
    for Addresses { monitor, .. } in addresses {
        while !healthy(monitor).await.unwrap_or(false) {
            sleep(ELECTION_POLL).await;
        }
    }
}

async fn healthy(monitor: &str) -> std::io::Result<bool> {
    let address = monitor.strip_prefix("http://").unwrap_or(monitor);
    let mut connection = TcpStream::connect(address).await?;
    connection.write_all(format!("GET /healthz HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    Ok(answer.lines().next().is_some_and(|line| line.contains(" 200 ")))
}

fn slow(log: &Path) -> Error {
    Error::Slow { server: NAME.into(), minutes: READY_MINUTES, log: log.to_owned() }
}

fn failure(status: &str, log: &Path) -> Error {
    Error::exited(NAME, status, log, process::tail(log))
}
