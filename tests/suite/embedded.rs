//! The embedded servers, hurt as machines and people hurt them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use herald::embedded::{Durability, Error, Options, Pids, Servers};
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn both_answer_and_stop_leaves_no_process() {
    let data = Folder::new("stop");
    let servers = start(&data).await.unwrap();
    let mut postgres = PgConnection::connect(&servers.database_url).await.unwrap();
    let (database,): (String,) =
        sqlx::query_as("SELECT current_database()::text").fetch_one(&mut postgres).await.unwrap();
    assert_eq!(database, "herald");
    let varz = varz(&servers).await;
    assert_eq!(varz["max_payload"], 524_288);
    assert_eq!(varz["jetstream"]["config"]["sync_always"], serde_json::Value::Null, "unsynced");

    let pids = servers.pids;
    servers.stop().await.unwrap();
    assert_eq!(running(pids), Vec::<u32>::new());
}

#[tokio::test]
async fn fsync_syncs_every_append() {
    let data = Folder::new("fsync");
    let servers = Servers::start(Options { durability: Durability::Fsync, ..options(&data) }).await.unwrap();
    assert_eq!(varz(&servers).await["jetstream"]["config"]["sync_always"], true);
    servers.stop().await.unwrap();
}

#[tokio::test]
async fn what_postgres_holds_is_there_after_a_restart() {
    let data = Folder::new("restart");
    let servers = start(&data).await.unwrap();
    let mut postgres = PgConnection::connect(&servers.database_url).await.unwrap();
    sqlx::query("CREATE TABLE kept ()").execute(&mut postgres).await.unwrap();
    servers.stop().await.unwrap();

    let servers = start(&data).await.unwrap();
    let mut postgres = PgConnection::connect(&servers.database_url).await.unwrap();
    sqlx::query("SELECT FROM kept").execute(&mut postgres).await.unwrap();
    servers.stop().await.unwrap();
}

/// What the kernel does to the pipe of a killed herald.
#[tokio::test]
async fn the_end_of_the_pipe_stops_the_servers_and_a_start_right_after_succeeds() {
    let data = Folder::new("pipe");
    let servers = start(&data).await.unwrap();
    let before = servers.pids;
    drop(servers);
    let servers = start(&data).await.unwrap();
    assert_eq!(running(before), Vec::<u32>::new());
    servers.stop().await.unwrap();
}

#[tokio::test]
async fn a_start_succeeds_after_herald_and_guardian_were_killed() {
    let data = Folder::new("guardian");
    let mut servers = start(&data).await.unwrap();
    let before = servers.pids;
    kill(before.guardian);
    let error = timeout(PATIENCE, servers.failed()).await.unwrap();
    assert!(matches!(error, Error::Guardian { .. }), "{error}");
    assert_eq!(running(before), [before.nats, before.postgres], "nobody was there to stop them");
    drop(servers);

    let servers = start(&data).await.unwrap();
    assert_eq!(running(before), Vec::<u32>::new());
    servers.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_dies_is_reported_and_the_other_stopped() {
    for victim in ["nats-server", "PostgreSQL"] {
        let data = Folder::new(&format!("dies-{victim}"));
        let mut servers = start(&data).await.unwrap();
        let pids = servers.pids;
        kill(if victim == "PostgreSQL" { pids.postgres } else { pids.nats });
        let error = timeout(PATIENCE, servers.failed()).await.unwrap();
        assert!(matches!(&error, Error::Exited { server, .. } if server == victim), "{error}");
        drop(servers);
        let servers = start(&data).await.unwrap();
        assert_eq!(running(pids), Vec::<u32>::new());
        servers.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_cluster_goes_on_without_one_of_its_servers_and_gets_it_back() {
    let data = Folder::new("cluster");
    let mut servers = Servers::start(Options { nats_nodes: 3, ..options(&data) }).await.unwrap();
    assert_eq!(servers.nats_url.split(',').count(), 3);
    assert_eq!(varz(&servers).await["cluster"]["urls"].as_array().unwrap().len(), 2);
    kill(servers.pids.nats);
    while is_running(servers.pids.nats) {}
    let url = format!("{}/varz", servers.nats_monitor_url);
    let back = async { while reqwest::get(&url).await.is_err() {} };
    tokio::select! {
        back = timeout(PATIENCE, back) => back.unwrap(),
        error = servers.failed() => panic!("{error}"),
    }
    servers.stop().await.unwrap();
}

#[tokio::test]
async fn the_signals_of_a_terminal_do_not_reach_the_servers() {
    let data = Folder::new("signals");
    let servers = start(&data).await.unwrap();
    for name in ["INT", "TERM", "HUP"] {
        signal(name, servers.pids.guardian);
    }
    PgConnection::connect(&servers.database_url).await.unwrap();
    varz(&servers).await;
    servers.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_herald_on_the_folder_is_refused() {
    let data = Folder::new("second");
    let servers = start(&data).await.unwrap();
    let error = start(&data).await.unwrap_err();
    assert!(matches!(error, Error::Busy { .. }), "{error}");
    assert!(error.to_string().contains("--data"), "{error}");
    servers.stop().await.unwrap();
}

#[tokio::test]
async fn data_of_another_version_is_refused_with_the_remedy() {
    let data = Folder::new("version");
    start(&data).await.unwrap().stop().await.unwrap();
    fs::write(data.path().join("postgres/cluster/PG_VERSION"), "12\n").unwrap();
    let error = start(&data).await.unwrap_err();
    assert!(matches!(&error, Error::DataVersion { data, .. } if data == "12"), "{error}");
    assert!(error.to_string().contains("--postgres") && error.to_string().contains("delete"), "{error}");
}

#[tokio::test]
async fn an_unfinished_cluster_and_a_reused_process_id_do_not_stop_a_start() {
    let data = Folder::new("unfinished");
    fs::create_dir_all(data.path().join("postgres/cluster.new/base")).unwrap();
    start(&data).await.unwrap().stop().await.unwrap();
    let stranger = format!("{}\n/elsewhere\n1\n5432\n\n127.0.0.1\n  1 1\nready\n", std::process::id());
    fs::write(data.path().join("postgres/cluster/postmaster.pid"), stranger).unwrap();
    start(&data).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn a_path_that_is_no_server_is_refused_by_name() {
    let data = Folder::new("given");
    let nothing = Some(PathBuf::from("/nowhere/at/all"));
    let error = Servers::start(Options { nats_server: nothing.clone(), ..options(&data) }).await.unwrap_err();
    assert!(error.to_string().contains("--nats-server"), "{error}");
    let error = Servers::start(Options { postgres: nothing, ..options(&data) }).await.unwrap_err();
    assert!(error.to_string().contains("--postgres"), "{error}");
}

/// A data folder of one test, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("embedded-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn options(data: &Folder) -> Options {
    Options {
        data: data.path().to_owned(),
        durability: Durability::Unsynced,
        nats_server: None,
        postgres: None,
        nats_nodes: 1,
        databases: 1,
        postgres_fsync: false,
        program: env!("CARGO_BIN_EXE_herald").into(),
        progress: false,
    }
}

async fn start(data: &Folder) -> Result<Servers, Error> {
    Servers::start(options(data)).await
}

async fn varz(servers: &Servers) -> serde_json::Value {
    reqwest::get(format!("{}/varz", servers.nats_monitor_url)).await.unwrap().json().await.unwrap()
}

/// Those of the processes that have not ended.
fn running(pids: Pids) -> Vec<u32> {
    [pids.guardian, pids.nats, pids.postgres].into_iter().filter(|pid| is_running(*pid)).collect()
}

/// Where nobody collects them, ended processes stay in the table, without a command line.
fn is_running(pid: u32) -> bool {
    if Path::new("/proc/self").exists() {
        return fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty());
    }
    signal("0", pid)
}

fn kill(pid: u32) {
    assert!(signal("KILL", pid));
}

fn signal(name: &str, pid: u32) -> bool {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("kill -{name} {pid}")]).stderr(Stdio::null());
    shell.status().unwrap().success()
}
