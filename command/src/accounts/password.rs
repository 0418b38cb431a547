//! Passwords: argon2id on a bounded queue, so that a wave of log-ins neither
//! takes all cores nor all memory (19 MiB for each hash under way).

use super::AccountError;
use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
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
    dummy: Arc<OnceLock<String>>,
}

/// Refuses what is no password before anything is spent on it.
pub(super) fn check(password: &str) -> Result<(), AccountError> {
    match password.len() {
        ..MIN_BYTES => Err(AccountError::PasswordTooShort),
        MIN_BYTES..=MAX_BYTES => Ok(()),
        _ => Err(AccountError::PasswordTooLong),
    }
}

impl Passwords {
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { workers: Arc::new(Semaphore::new(cores)), waiting: Arc::default(), dummy: Arc::default() }
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
            let against = match hashed {
                Some(hashed) => hashed,
                None => match dummy.get() {
                    Some(dummy) => dummy.clone(),
                    None => dummy.get_or_init(|| hash("nobody's password").unwrap_or_default()).clone(),
                },
            };
            let hash = PasswordHash::new(&against).map_err(|_| AccountError::Inconsistent("a password hash"))?;
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
