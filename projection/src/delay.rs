//! For how long a view has been behind: what was the log's end at one look, and
//! when that was seen, against how far the view has come since. Pure.

use std::{collections::VecDeque, time::Duration};

/// Beyond so many, every other one is let go: the oldest stays.
const MOST: usize = 256;

/// The ends of one partition that a view has not reached yet, and when each was first seen.
#[derive(Debug, Clone, Default)]
pub struct Delay(VecDeque<(u64, Duration)>);

impl Delay {
    /// How long ago the oldest was seen that the view has still to reach. Times are since any one moment.
    pub fn seen(&mut self, now: Duration, end: u64, applied: u64) -> Duration {
        while self.0.front().is_some_and(|(sequence, _)| *sequence <= applied) {
            self.0.pop_front();
        }
        if end > applied && self.0.back().is_none_or(|(sequence, _)| *sequence < end) {
            self.0.push_back((end, now));
        }
        if self.0.len() > MOST {
            let mut keep = false;
            self.0.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.0.front().map_or(Duration::ZERO, |(_, seen)| now.saturating_sub(*seen))
    }
}

#[cfg(test)]
mod tests {
    use super::{Delay, MOST};
    use std::time::Duration;

    #[test]
    fn a_view_is_as_late_as_the_oldest_end_that_it_has_not_reached() {
        let mut delay = Delay::default();
        let mut look = |second, end, applied| delay.seen(Duration::from_secs(second), end, applied).as_secs();
        assert_eq!(look(0, 5, 5), 0);
        assert_eq!(look(10, 9, 5), 0);
        assert_eq!(look(20, 12, 8), 10);
        assert_eq!(look(30, 12, 9), 10);
        assert_eq!(look(40, 12, 12), 0);
        assert_eq!(look(1_000, 13, 12), 0);
    }

    #[test]
    fn it_remembers_the_oldest_however_long_it_lasts() {
        let mut delay = Delay::default();
        for second in 0..10 * MOST as u64 {
            assert_eq!(delay.seen(Duration::from_secs(second), second + 1, 0).as_secs(), second);
        }
        assert!(delay.0.len() <= MOST);
    }
}
