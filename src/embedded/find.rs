//! Finds the two servers' programs: a path given, for Postgres the system's,
//! else the pinned wheel. An existing cluster decides which Postgres it must be.

use std::cmp::Reverse;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::account::Account;
use super::wheel::{NATS_SERVER, POSTGRES};
use super::{Error, Options};

const LEAST_NATS: (u32, u32) = (2, 12);
const LEAST_POSTGRES: u32 = 15;

/// Where packages put a Postgres: a folder, and how the names in it begin.
const SYSTEM: [(&str, &str); 5] = [
    ("/usr/lib/postgresql", ""),
    ("/usr", "pgsql-"),
    ("/usr/libexec", "postgresql"),
    ("/opt/homebrew/opt", "postgresql@"),
    ("/usr/local/opt", "postgresql@"),
];

/// A folder with the programs of one Postgres.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Postgres {
    pub(super) bin: PathBuf,
    pub(super) major: u32,
}

/// The nats-server to run.
pub(super) async fn nats_server(options: &Options, cache: &Path) -> Result<PathBuf, Error> {
    let Some(given) = &options.nats_server else {
        return Ok(NATS_SERVER.programs(cache, options.progress).await?.join("nats-server"));
    };
    let path = fs::canonicalize(given).unwrap_or_else(|_| given.clone());
    let not = |reason: String| Error::NotAServer {
        server: "nats-server".into(),
        path: path.clone(),
        option: NATS_SERVER.option.into(),
        reason,
    };
    let said = version(Account::Own, &path, "--version").await.map_err(not)?;
    let found = nats_version(&said).ok_or_else(|| not(introduction(&said)))?;
    if found < LEAST_NATS {
        return Err(Error::TooOld {
            server: "nats-server".into(),
            path,
            option: NATS_SERVER.option.into(),
            found: format!("{}.{}", found.0, found.1),
            least: format!("{}.{}", LEAST_NATS.0, LEAST_NATS.1),
        });
    }
    Ok(path)
}

/// The Postgres to run on a cluster, which may not exist yet.
pub(super) async fn postgres(
    options: &Options,
    account: Account,
    cache: &Path,
    cluster: &Path,
) -> Result<Postgres, Error> {
    let data = fs::read_to_string(cluster.join("PG_VERSION")).ok().map(|version| version.trim().to_owned());
    let found = match &options.postgres {
        Some(given) => vec![given_postgres(given, account).await?],
        None => system_postgres(account).await,
    };
    if let Some(postgres) = fit(&found, data.as_deref()) {
        return Ok(postgres.clone());
    }
    let pinned = Postgres { bin: PathBuf::new(), major: POSTGRES.major() };
    let mut available = found;
    if options.postgres.is_none() {
        if fit(std::slice::from_ref(&pinned), data.as_deref()).is_some() {
            return Ok(Postgres { bin: POSTGRES.programs(cache, options.progress).await?, ..pinned });
        }
        available.push(pinned);
    }
    let available: Vec<String> = available.iter().map(|postgres| postgres.major.to_string()).collect();
    Err(Error::DataVersion {
        path: cluster.to_owned(),
        data: data.expect("anything fits a cluster that does not exist"),
        available: available.join(", "),
    })
}

/// The first that can open data of this version; for new data the first.
pub(super) fn fit<'a>(found: &'a [Postgres], data: Option<&str>) -> Option<&'a Postgres> {
    found.iter().find(|postgres| data.is_none_or(|data| data == postgres.major.to_string()))
}

/// The version in `nats-server: v2.15.1`.
pub(super) fn nats_version(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.trim().strip_prefix("nats-server: v")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The major version in `postgres (Postgres) 15.18 (Debian 15.18-0+deb12u1)`.
pub(super) fn postgres_version(said: &str) -> Option<u32> {
    let (_, version) = said.split_once("(PostgreSQL) ")?;
    let digits = version.find(|character: char| !character.is_ascii_digit()).unwrap_or(version.len());
    version[..digits].parse().ok()
}

async fn given_postgres(given: &Path, account: Account) -> Result<Postgres, Error> {
    let path = fs::canonicalize(given).unwrap_or_else(|_| given.to_owned());
    let bin = if path.join("bin/postgres").exists() { path.join("bin") } else { path };
    let option = POSTGRES.option.to_owned();
    let server = "PostgreSQL".to_owned();
    let major = match major(&bin, account).await {
        Ok(major) => major,
        Err(reason) => return Err(Error::NotAServer { server, path: bin, option, reason }),
    };
    if major < LEAST_POSTGRES {
        let (found, least) = (major.to_string(), LEAST_POSTGRES.to_string());
        return Err(Error::TooOld { server, path: bin, option, found, least });
    }
    Ok(Postgres { bin, major })
}

/// The system's: what `PATH` has comes first, then the newest.
#[expect(clippy::disallowed_methods, reason = "PATH is the machine's, no setting of herald")]
async fn system_postgres(account: Account) -> Vec<Postgres> {
    let path = env::var_os("PATH").unwrap_or_default();
    let first = usable(env::split_paths(&path).collect(), account).await;
    let installed = SYSTEM.iter().flat_map(|(folder, prefix)| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .filter(move |entry| entry.file_name().to_string_lossy().starts_with(prefix))
            .flat_map(|entry| [entry.path().join("bin"), entry.path()])
    });
    let mut others = usable(installed.collect(), account).await;
    others.sort_by_key(|postgres| Reverse(postgres.major));
    first.into_iter().chain(others).collect()
}

async fn usable(folders: Vec<PathBuf>, account: Account) -> Vec<Postgres> {
    let mut found = Vec::new();
    for folder in folders {
        // A link in PATH stands for the folder that has initdb as well.
        let Ok(program) = fs::canonicalize(folder.join("postgres")) else { continue };
        let Some(bin) = program.parent() else { continue };
        match major(bin, account).await {
            Ok(major) if major >= LEAST_POSTGRES => found.push(Postgres { bin: bin.to_owned(), major }),
            Ok(_) | Err(_) => {}
        }
    }
    found
}

async fn major(bin: &Path, account: Account) -> Result<u32, String> {
    if !bin.join("initdb").exists() {
        return Err("there is no initdb in it".into());
    }
    let said = version(account, &bin.join("postgres"), "--version").await?;
    postgres_version(&said).ok_or_else(|| introduction(&said))
}

fn introduction(said: &str) -> String {
    format!("it calls itself {:?}", said.lines().next().unwrap_or_default())
}

async fn version(account: Account, program: &Path, flag: &str) -> Result<String, String> {
    let mut command = account.command(program);
    command.arg(flag).current_dir("/").stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().await.map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("{flag} failed ({})", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
