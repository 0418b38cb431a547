//! Passwords: argon2id on a bounded queue, so that a wave of log-ins neither
//! takes all cores nor all memory (19 MiB for each hash under way).

use super::{AccountError, WeakPassword};
use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use std::{
    collections::HashSet,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{sync::Semaphore, task::spawn_blocking};

pub(super) const MIN_BYTES: usize = 8;
pub(super) const MAX_BYTES: usize = 1_024;

/// Memory in KiB, passes, lanes (OWASP's second recommendation for argon2id).
const COST: (u32, u32, u32) = (19_456, 2, 1);
/// How many hashes may wait; more get "busy" at once.
const WAITING: usize = 64;

pub(super) struct Passwords {
    workers: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    /// What an unknown user's password is compared with, to take the same time.
    dummy: Arc<str>,
}

/// In lower case, as they are compared.
static COMMON: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("common_passwords.txt").lines().filter(|line| !line.starts_with("# ")).collect());

/// Refuses what is no good password before anything is spent on it. The username in it counts for nothing:
/// what is left has to be one by itself.
pub(super) fn check(password: &str, username: &str) -> Result<(), WeakPassword> {
    match password.len() {
        ..MIN_BYTES => return Err(WeakPassword::TooShort),
        MIN_BYTES..=MAX_BYTES => {}
        _ => return Err(WeakPassword::TooLong),
    }
    let folded = password.to_lowercase();
    if COMMON.contains(folded.as_str()) {
        return Err(WeakPassword::Common);
    }
    let rest = folded.replace(username, "");
    let names = rest.len() < folded.len();
    if names && (rest.len() < MIN_BYTES || COMMON.contains(rest.as_str())) {
        return Err(WeakPassword::Username);
    }
    Ok(())
}

impl Passwords {
    pub(super) fn new() -> Result<Self, AccountError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let dummy = hash("nobody's password")?.into();
        Ok(Self { workers: Arc::new(Semaphore::new(cores)), waiting: Arc::default(), dummy })
    }

    pub(super) async fn hash(&self, password: String) -> Result<String, AccountError> {
        self.run(move || hash(&password)).await?
    }

    /// Whether the password fits the hash; never, where there is none.
    pub(super) async fn verify(&self, password: String, hashed: Option<String>) -> Result<bool, AccountError> {
        if password.len() > MAX_BYTES {
            return Ok(false);
        }
        let dummy = Arc::clone(&self.dummy);
        self.run(move || {
            let known = hashed.is_some();
            let hash = PasswordHash::new(hashed.as_deref().unwrap_or(&dummy))
                .map_err(|_| AccountError::Inconsistent("a password hash"))?;
            Ok(argon2().verify_password(password.as_bytes(), &hash).is_ok() && known)
        })
        .await?
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, AccountError> {
        let waiting = Waiting::enter(&self.waiting)?;
        let permit = Arc::clone(&self.workers).acquire_owned().await.map_err(|_| AccountError::Busy)?;
        drop(waiting);
        let worked = spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        worked.await.map_err(|_| AccountError::Busy)
    }
}

/// A place in the queue, given back however the wait ends.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn enter(waiting: &Arc<AtomicUsize>) -> Result<Self, AccountError> {
        let place = Self(Arc::clone(waiting));
        if waiting.fetch_add(1, Ordering::Relaxed) < WAITING { Ok(place) } else { Err(AccountError::Busy) }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn hash(password: &str) -> Result<String, AccountError> {
    let hash = argon2().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|_| AccountError::Inconsistent("the system has no randomness"))
}

fn argon2() -> Argon2<'static> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).expect("the cost is within argon2's limits");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::{WeakPassword, check};

    #[test]
    fn a_password_is_long_enough_and_neither_common_nor_the_username() {
        for (password, outcome) in [
            ("1234567", Err(WeakPassword::TooShort)),
            ("1234567\u{e9}", Ok(())),
            (&"x".repeat(1_025), Err(WeakPassword::TooLong)),
            (&"xy".repeat(512), Ok(())),
            ("password", Err(WeakPassword::Common)),
            ("PassWord1", Err(WeakPassword::Common)),
            ("iloveyou", Err(WeakPassword::Common)),
            ("ada.lovelace", Err(WeakPassword::Username)),
            ("xX-Ada.Lovelace-Xx", Err(WeakPassword::Username)),
            ("Ada.LovelacePassword", Err(WeakPassword::Username)),
            ("ada.lovelace wrote notes", Ok(())),
            ("correct horse", Ok(())),
        ] {
            assert_eq!(check(password, "ada.lovelace"), outcome, "{password}");
        }
    }
}
