//! How much of the log is read a second.

use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};
use tokio::time::{Instant, sleep_until};

/// In so many portions a second: small ones, which come evenly.
const PORTIONS: u32 = 100;
const LARGEST_PORTION: u32 = 500;

/// So much a second, or as much as can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit(Option<NonZeroU32>);

/// Facts and bytes that were read, and when more may be.
pub(super) struct Pace {
    facts: Limit,
    bytes: Limit,
    next: std::cell::Cell<Instant>,
}

impl Pace {
    pub(super) fn new(facts: Limit, bytes: Limit) -> Self {
        Self { facts, bytes, next: std::cell::Cell::new(Instant::now()) }
    }

    /// How many facts are read at once.
    pub(super) fn portion(&self) -> usize {
        let portion = self.facts.0.map_or(LARGEST_PORTION, |facts| facts.get() / PORTIONS);
        portion.clamp(1, LARGEST_PORTION) as usize
    }

    /// Waits until more may be read than so many facts of so many bytes.
    pub(super) async fn take(&self, facts: usize, bytes: usize) {
        let lasts = self.facts.lasts(facts).max(self.bytes.lasts(bytes));
        if lasts.is_zero() {
            return;
        }
        let next = self.next.get().max(Instant::now()) + lasts;
        self.next.set(next);
        sleep_until(next).await;
    }
}

impl Limit {
    /// How long so much takes.
    fn lasts(self, much: usize) -> Duration {
        let Some(limit) = self.0 else { return Duration::ZERO };
        Duration::from_secs(1) * u32::try_from(much).unwrap_or(u32::MAX) / limit.get()
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self(None)),
            number => number
                .parse()
                .map(|limit| Self(Some(limit)))
                .map_err(|_| "must be a number above 0, or `off`".to_owned()),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(limit) => limit.fmt(f),
            None => f.write_str("off"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Limit, Pace};
    use std::time::Duration;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn neither_facts_nor_bytes_are_more_a_second_than_their_limit() {
        for (facts, bytes, seconds) in [("100", "off", 10), ("off", "1000", 20), ("100", "1000", 20), ("off", "off", 0)]
        {
            let pace = Pace::new(facts.parse().unwrap(), bytes.parse().unwrap());
            let began = Instant::now();
            for _ in 0..100 {
                pace.take(10, 200).await;
            }
            assert_eq!(began.elapsed().as_secs(), seconds, "{facts} {bytes}");
        }
    }

    #[test]
    fn portions_are_small_where_it_is_slow() {
        for (facts, portion) in [("1", 1), ("100", 1), ("5000", 50), ("off", 500)] {
            assert_eq!(Pace::new(facts.parse().unwrap(), "off".parse().unwrap()).portion(), portion, "{facts}");
        }
        assert!("0".parse::<Limit>().is_err() && "-1".parse::<Limit>().is_err());
        assert_eq!("4294967295".parse::<Limit>().unwrap().lasts(usize::MAX), Duration::from_secs(1));
    }
}
