//! The embedded nats-server: its configuration, its start, its end. It picks
//! its own free ports and says which.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use serde::Deserialize;
use serde_json::json;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::guardian::Plan;
use super::{Durability, Error, READY_MINUTES, process};

const NAME: &str = "nats-server";
const MAX_PAYLOAD: u32 = 512 * 1024;
/// Above any disk: what ends the log's growth is the disk, not a quota.
const MAX_FILE_STORE: u64 = 1 << 44;
const POLL: Duration = Duration::from_millis(10);

const END: [(Signal, Duration); 2] = [(Signal::TERM, Duration::from_secs(30)), (Signal::KILL, Duration::from_secs(10))];

/// Where the server listens, as it writes it into its ports file.
#[derive(Debug, Deserialize)]
struct Ports {
    nats: Vec<String>,
    monitoring: Vec<String>,
}

/// The addresses of a running server.
pub(super) struct Addresses {
    pub(super) nats: String,
    pub(super) monitor: String,
}

/// Starts the server into `slot`, so that it is ended even if this is dropped.
pub(super) async fn start(plan: &Plan, slot: &mut Option<Child>) -> Result<Addresses, Error> {
    let folder = plan.data.join("nats");
    let ports = folder.join("ports");
    let config = folder.join("nats.conf");
    let log = folder.join("nats.log");
    process::end_leftover(&folder.join("nats.pid"), &config, &END).await;
    if ports.exists() {
        fs::remove_dir_all(&ports).map_err(|error| Error::folder("empty", &ports, &error))?;
    }
    fs::create_dir_all(&ports).map_err(|error| Error::folder("create", &ports, &error))?;
    let text = configuration(&folder, plan.durability);
    fs::write(&config, text).map_err(|error| Error::folder("write", &config, &error))?;
    let (out, err) = process::open_log(&log).map_err(|error| Error::folder("write", &log, &error))?;

    let mut command = Command::new(&plan.nats_server);
    command.arg("--config").arg(&config).current_dir(&folder);
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    let child = command.spawn().map_err(|error| Error::NotAServer {
        server: NAME.into(),
        path: plan.nats_server.clone(),
        option: super::wheel::NATS_SERVER.option.into(),
        reason: error.to_string(),
    })?;
    let child = slot.insert(child);
    timeout(Duration::from_mins(READY_MINUTES), ready(child, &ports, &log)).await.map_err(|_| Error::Slow {
        server: NAME.into(),
        minutes: READY_MINUTES,
        log: log.clone(),
    })?
}

/// Resolves when the server ends.
pub(super) async fn ended(child: &mut Child, data: &Path) -> Error {
    let status = child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
    failure(&status, &data.join("nats/nats.log"))
}

pub(super) async fn end(child: &mut Child) {
    process::end(child, &END).await;
}

/// The configuration file, which may be JSON.
pub(super) fn configuration(folder: &Path, durability: Durability) -> String {
    let mut jetstream = json!({ "store_dir": folder, "max_file_store": MAX_FILE_STORE });
    if durability == Durability::Fsync {
        jetstream["sync_interval"] = json!("always");
    }
    let configuration = json!({
        "server_name": "herald",
        "listen": "127.0.0.1:-1",
        "http": "127.0.0.1:-1",
        "ports_file_dir": folder.join("ports"),
        "pid_file": folder.join("nats.pid"),
        "max_payload": MAX_PAYLOAD,
        "jetstream": jetstream,
    });
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

fn failure(status: &str, log: &Path) -> Error {
    Error::exited(NAME, status, log, process::tail(log))
}
