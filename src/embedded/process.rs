//! Servers as processes: how they are ended, found again after a crash, and
//! what their logs say. Signals go by process id to what is known to be ours.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::time::{sleep, timeout};

const TAIL_LINES: usize = 12;
const LOG_ROOM: u64 = 64 * 1024;
const POLL: Duration = Duration::from_millis(20);

/// How a server is ended: a signal, and how long to wait before the next.
pub(super) type Steps = [(Signal, Duration)];

/// Ends a child, each signal harsher than the one before.
pub(super) async fn end(child: &mut Child, steps: &Steps) {
    for (signal, patience) in steps {
        let Some(id) = child.id() else { return };
        send(id, *signal);
        if timeout(*patience, child.wait()).await.is_ok() {
            return;
        }
    }
}

/// Ends a server that outlived its guardian: the process of a pid file, if its
/// command line has an argument that only ours has.
pub(super) async fn end_leftover(pid_file: &Path, argument: &Path, steps: &Steps) {
    let Some(id) = pid_in(pid_file) else { return };
    for (signal, patience) in steps {
        if !has_argument(id, argument) {
            return;
        }
        tracing::info!(process = id, "ending a server of an earlier herald");
        send(id, *signal);
        let gone = async {
            while has_argument(id, argument) {
                sleep(POLL).await;
            }
        };
        if timeout(*patience, gone).await.is_ok() {
            return;
        }
    }
}

/// The process id on the first line of a file.
pub(super) fn pid_in(file: &Path) -> Option<u32> {
    fs::read_to_string(file).ok()?.lines().next()?.trim().parse().ok()
}

/// Whether any process has this id.
pub(super) fn exists(id: u32) -> bool {
    // Whoever may not be signalled exists as well.
    pid(id).is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

/// Whether a process has a path among its arguments.
pub(super) fn has_argument(id: u32, argument: &Path) -> bool {
    let wanted = argument.as_os_str().as_encoded_bytes();
    if Path::new("/proc/self").exists() {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        return line.split(|byte| *byte == 0).any(|word| word == wanted);
    }
    let ps = std::process::Command::new("ps").args(["-ww", "-o", "command=", "-p", &id.to_string()]).output();
    ps.is_ok_and(|ps| ps.stdout.windows(wanted.len()).any(|words| words == wanted))
}

/// Opens a new log for both outputs; the one before stays beside it.
pub(super) fn open_log(log: &Path) -> io::Result<(File, File)> {
    if log.exists() {
        let mut before = PathBuf::from(log).into_os_string();
        before.push(".1");
        fs::rename(log, before)?;
    }
    let out = File::create(log)?;
    Ok((out.try_clone()?, out))
}

/// Whether the disk of a path has no room even for a log line.
pub(super) fn is_full(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|disk| disk.f_bavail * disk.f_frsize < LOG_ROOM)
}

/// The last lines of a log.
pub(super) fn tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    last_lines(&text)
}

/// The last lines of a text.
pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

fn send(id: u32, signal: Signal) {
    // It may have ended meanwhile, which is what was wanted.
    let _ = pid(id).map(|pid| kill_process(pid, signal));
}

fn pid(id: u32) -> Option<Pid> {
    i32::try_from(id).ok().and_then(Pid::from_raw)
}
