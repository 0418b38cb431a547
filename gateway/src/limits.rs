//! How often somebody may do something, on this node: bursts that fill up again
//! (GCRA). Memory is bounded: whoever was not seen for long is forgotten first.

use crate::{address::Client, problem::Problem, session::Flood};
use events::{UserId, name::Username};
use governor::{
    Quota, RateLimiter,
    clock::Clock,
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed, StateStore},
};
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};
use std::{
    convert::Infallible,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

/// The people or places that one limit remembers: about 100 bytes each.
const REMEMBERED: usize = 100_000;

/// A burst, and how long one of it takes to come back.
type Rate = (u32, Duration);

const SIGN_UPS: Rate = (6, Duration::from_secs(30));
const LOG_INS: Rate = (5, Duration::from_mins(5));
const SENDS: Rate = (60, Duration::from_millis(50));
const LOOK_UPS: Rate = (100, Duration::from_secs(1));
/// About a thousand files a day, and 4 GiB.
const UPLOADS: Rate = (200, Duration::from_secs(108));
const UPLOADED_MEBIBYTES: Rate = (1_024, Duration::from_secs(28));
const SEARCHES: Rate = (30, Duration::from_millis(200));
const SYNCS: Rate = (60, Duration::from_millis(500));
const REPORTS: Rate = (20, Duration::from_mins(1));
const RECEIPTS: Rate = (300, Duration::from_millis(10));
/// Frames of whatever kind over one socket.
const FRAMES: Rate = (600, Duration::from_millis(5));
/// Who asks over a socket for that many times what is done for them is cut off.
const FLOOD: u32 = 3;

/// The limits of a node; none where the operator turned them off.
pub(crate) struct Limits(Option<Box<Inner>>);

struct Inner {
    sign_ups: Limit<IpAddr>,
    log_ins_from: Limit<IpAddr>,
    log_ins_to: Limit<Account>,
    sends: Limit<UserId>,
    look_ups: Limit<UserId>,
    searches: Limit<UserId>,
    syncs: Limit<UserId>,
    uploads: Limit<UserId>,
    uploaded_mebibytes: Limit<UserId>,
    reports: Limit<UserId>,
    receipts: Limit<UserId>,
}

/// Whose password is tried: a digest, as names may be of any length, and nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Account([u8; 16]);

/// A try that counts unless it is given back.
#[must_use = "a try that succeeds is given back"]
pub(crate) struct Try<'a> {
    limits: Option<&'a Inner>,
    address: IpAddr,
    account: Option<Account>,
}

impl Limits {
    pub(crate) fn new(on: bool) -> Self {
        Self(on.then(|| {
            Box::new(Inner {
                sign_ups: Limit::new(SIGN_UPS),
                log_ins_from: Limit::new(LOG_INS),
                log_ins_to: Limit::new(LOG_INS),
                sends: Limit::new(SENDS),
                look_ups: Limit::new(LOOK_UPS),
                searches: Limit::new(SEARCHES),
                syncs: Limit::new(SYNCS),
                uploads: Limit::new(UPLOADS),
                uploaded_mebibytes: Limit::new(UPLOADED_MEBIBYTES),
                reports: Limit::new(REPORTS),
                receipts: Limit::new(RECEIPTS),
            })
        }))
    }

    /// # Errors
    /// 429 where too many signed up from there.
    pub(crate) fn sign_up(&self, client: Client) -> Result<Try<'_>, Problem> {
        let address = site(client);
        let limits = self.0.as_deref();
        limits.map_or(Ok(()), |limits| limits.sign_ups.take(&address))?;
        Ok(Try { limits, address, account: None })
    }

    /// # Errors
    /// 429 where too many passwords failed from there, or for that account.
    pub(crate) fn log_in(&self, client: Client, account: Account) -> Result<Try<'_>, Problem> {
        let address = site(client);
        let limits = self.0.as_deref();
        if let Some(limits) = limits {
            limits.log_ins_from.take(&address)?;
            limits.log_ins_to.take(&account)?;
        }
        Ok(Try { limits, address, account: Some(account) })
    }

    /// # Errors
    /// 429 where somebody writes too fast.
    pub(crate) fn send(&self, by: UserId) -> Result<(), Problem> {
        self.0.as_deref().map_or(Ok(()), |limits| limits.sends.take(&by))
    }

    /// # Errors
    /// 429 where somebody tries too many usernames.
    pub(crate) fn look_up(&self, by: UserId) -> Result<(), Problem> {
        self.0.as_deref().map_or(Ok(()), |limits| limits.look_ups.take(&by))
    }

    /// # Errors
    /// 429 where somebody searches too often.
    pub(crate) fn search(&self, by: UserId) -> Result<(), Problem> {
        self.0.as_deref().map_or(Ok(()), |limits| limits.searches.take(&by))
    }

    /// # Errors
    /// 429 where somebody polls too often.
    pub(crate) fn sync(&self, by: UserId) -> Result<(), Problem> {
        self.0.as_deref().map_or(Ok(()), |limits| limits.syncs.take(&by))
    }

    /// # Errors
    /// 429 where somebody uploads too many files.
    pub(crate) fn upload(&self, by: UserId) -> Result<(), Problem> {
        self.0.as_deref().map_or(Ok(()), |limits| limits.uploads.take(&by))
    }

    /// # Errors
    /// 429 where somebody uploads too much.
    pub(crate) fn upload_mebibytes(&self, by: UserId, count: u32) -> Result<(), Problem> {
        let Some(limits) = self.0.as_deref() else { return Ok(()) };
        (0..count).try_for_each(|_| limits.uploaded_mebibytes.take(&by))
    }

    /// # Errors
    /// 429 where somebody reports too much.
    pub(crate) fn report(&self, by: UserId) -> Result<(), Problem> {
        self.0.as_deref().map_or(Ok(()), |limits| limits.reports.take(&by))
    }

    /// # Errors
    /// 429 where somebody says too often how far they have read.
    pub(crate) fn receipt(&self, by: UserId) -> Result<(), Problem> {
        self.0.as_deref().map_or(Ok(()), |limits| limits.receipts.take(&by))
    }

    /// What is a flood over one socket.
    pub(crate) fn flood(&self) -> Option<Flood> {
        let (sends, one) = SENDS;
        self.0.as_ref().map(|_| Flood::beyond((sends * FLOOD, one / FLOOD), FRAMES))
    }
}

impl Account {
    /// The account of a username as it was typed.
    pub(crate) fn named(username: &str) -> Self {
        let claim = Username::parse(username).map_or_else(|_| username.to_owned(), |name| name.claim());
        Self::digest(b"name", claim.as_bytes())
    }

    /// The account of somebody who is in.
    pub(crate) fn of(user_id: UserId) -> Self {
        Self::digest(b"user", user_id.uuid().as_bytes())
    }

    fn digest(kind: &[u8], name: &[u8]) -> Self {
        let digest = Sha256::new().chain_update(kind).chain_update(name).finalize();
        Self(digest[..16].try_into().expect("SHA-256 has 32 bytes"))
    }
}

impl Try<'_> {
    /// It was none that counts.
    pub(crate) fn give_back(self) {
        let Self { limits: Some(limits), address, account } = self else { return };
        match account {
            None => limits.sign_ups.give_back(&address),
            Some(account) => {
                limits.log_ins_from.give_back(&address);
                limits.log_ins_to.give_back(&account);
            }
        }
    }
}

/// Who has an IPv6 address has the 2⁶⁴ of its network.
fn site(client: Client) -> IpAddr {
    match client.0 {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

struct Limit<K: Hash + Eq + Clone> {
    limiter: RateLimiter<K, States<K>, Uptime, NoOpMiddleware<Duration>>,
    states: States<K>,
    one: Duration,
}

#[derive(Clone)]
struct States<K>(Arc<Cache<K, Arc<InMemoryState>>>);

/// Time since the limit began.
struct Uptime(Instant);

impl<K: Hash + Eq + Clone> Limit<K> {
    fn new((burst, one): Rate) -> Self {
        let burst = NonZeroU32::new(burst).expect("a burst is more than nothing");
        let quota = Quota::with_period(one).expect("a rate has a period").allow_burst(burst);
        let states = States(Arc::new(Cache::new(REMEMBERED)));
        Self { limiter: RateLimiter::new(quota, states.clone(), Uptime(Instant::now())), states, one }
    }

    fn take(&self, key: &K) -> Result<(), Problem> {
        let taken = self.limiter.check_key(key);
        taken.map_err(|until| Problem::too_many(until.wait_time_from(self.limiter.clock().now())))
    }

    fn give_back(&self, key: &K) {
        let less = |at: Option<Nanos>| Ok(((), at.unwrap_or_default().saturating_sub(self.one.into())));
        let Ok(()) = self.states.measure_and_replace::<(), _, Infallible>(key, less);
    }
}

impl<K: Hash + Eq + Clone> StateStore for States<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let Ok(state) = self.0.get_or_insert_with::<K, Infallible>(key, || Ok(Arc::default()));
        state.measure_and_replace(&NotKeyed::NonKey, decide)
    }
}

impl Clock for Uptime {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
