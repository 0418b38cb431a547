//! Time and fresh ids as arguments, so that everything that needs them can be
//! run with a clock and ids of a test's choosing.

use crate::Timestamp;
use chrono::{SubsecRound, TimeZone, Utc};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};
use uuid::Uuid;

/// Tells the time, in whole milliseconds.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    set: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands still until it is set.
    pub fn fixed(at: Timestamp) -> Self {
        Self { set: Some(Arc::new(AtomicI64::new(at.timestamp_millis()))) }
    }

    /// Moves a fixed clock, for all who hold it. The system's clock stays as it is.
    pub fn set(&self, at: Timestamp) {
        if let Some(set) = &self.set {
            set.store(at.timestamp_millis(), Ordering::Relaxed);
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    pub fn now(&self) -> Timestamp {
        match &self.set {
            None => Utc::now().trunc_subsecs(3),
            Some(set) => millis(set.load(Ordering::Relaxed)),
        }
    }
}

/// The moment that many milliseconds after 1970; the limits of time where that is beyond them.
pub fn millis(since_1970: i64) -> Timestamp {
    let beyond = if since_1970 < 0 { Timestamp::MIN_UTC } else { Timestamp::MAX_UTC };
    Utc.timestamp_millis_opt(since_1970).single().unwrap_or(beyond)
}

/// Mints UUIDv7s: of the machine's randomness, or one after the other for tests.
#[derive(Clone, Debug, Default)]
pub struct Ids {
    counted: Option<Arc<AtomicI64>>,
}

impl Ids {
    pub fn random() -> Self {
        Self::default()
    }

    /// Ids that are the same in every run.
    pub fn counted() -> Self {
        Self { counted: Some(Arc::new(AtomicI64::new(0))) }
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that mints ids")]
    pub fn next(&self) -> Uuid {
        match &self.counted {
            None => Uuid::now_v7(),
            Some(counted) => {
                let count = counted.fetch_add(1, Ordering::Relaxed);
                let count = u128::try_from(count).expect("the count starts at zero");
                Uuid::from_u128((0x7000_u128 << 64) | (0x8000_u128 << 48) | count)
            }
        }
    }
}
