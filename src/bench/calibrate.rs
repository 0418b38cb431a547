//! What one of each thing costs on this machine, for `herald estimate`: several
//! benches one after the other, each a process of its own, and their figures in
//! one file.

use super::progress::Progress;
use crate::estimate::Costs;
use anyhow::{Context, ensure};
use events::log::Durability;
use serde_json::Value;
use std::{env, fs, path::Path, process::Stdio};
use tokio::process::Command;

/// What each of them does, and for how long.
const CHAT: &str = "chat --seconds 15 --warm-up 3 --body 30 --no-floors";
const GROUP: &str = "group --seconds 8 --warm-up 2 --no-floors";
const IDLE: &str = "idle --users 400 --each 5 --seconds 5 --no-floors";
const REBUILD: &str = "rebuild --events 300000 --body 30 --no-floors";

/// # Errors
/// When one of them fails, or the file cannot be written.
pub(super) async fn calibrate(file: &Path, durability: Durability) -> anyhow::Result<String> {
    let progress = Progress::new();
    let run = async |what: &str, arguments: &str| {
        progress.step(what);
        bench(arguments, durability).await
    };
    let chat = run("people write to each other", CHAT).await?;
    let group = run("one writes to a group", GROUP).await?;
    let idle = run("sockets say hello", IDLE).await?;
    let rebuild = run("views are made anew", REBUILD).await?;
    progress.finish();

    let cores = figure(&chat, "/settings/cores")?;
    let each = |path: &str| figure(&chat, path).map(|seconds| seconds * 1e3);
    let costs = Costs {
        machine: format!("{cores} cores, {durability}, load generator beside it"),
        message_edge_us: each("/cpu/seconds_per_1000/herald")?,
        message_nats_us: each("/cpu/seconds_per_1000/nats")?,
        message_postgres_us: each("/cpu/seconds_per_1000/postgres")?,
        message_log_bytes: figure(&chat, "/bytes_per_message/log_files")?,
        timeline_bytes: figure(&chat, "/bytes_per_message/timeline_messages")?,
        delivery_us: figure(&group, "/servers_us_per_delivery")?,
        hello_edge_us: figure(&idle, "/us_per_hello/herald")?,
        hello_postgres_us: figure(&idle, "/us_per_hello/postgres")?,
        connection_kib: figure(&idle, "/kib_per_later_connection/herald")?,
        rebuild_per_second: figure(&rebuild, "/events_per_s")? / cores,
        ..Costs::default()
    };
    // Refused as `herald estimate` would refuse it: a machine too busy to measure on gives figures that are none.
    let json = serde_json::to_string_pretty(&costs)?;
    Costs::parse(&json)?;
    fs::write(file, format!("{json}\n")).with_context(|| file.display().to_string())?;
    Ok(format!("{}: for `herald estimate --costs`", file.display()))
}

pub(super) async fn bench(arguments: &str, durability: Durability) -> anyhow::Result<Value> {
    let mut command = Command::new(env::current_exe()?);
    command.arg("bench").args(arguments.split(' ')).args(["--json", "--log", "error", "--durability"]);
    command.arg(durability.to_string()).stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
    let output = command.output().await?;
    ensure!(output.status.success(), "herald bench {arguments} failed: {}", output.status);
    serde_json::from_slice(&output.stdout).with_context(|| format!("what herald bench {arguments} says"))
}

pub(super) fn figure(report: &Value, path: &str) -> anyhow::Result<f64> {
    report.pointer(path).and_then(Value::as_f64).with_context(|| format!("{path} was not measured"))
}
