//! Latencies in microseconds, counted in steps that grow with them: 64 to each
//! doubling, so that what is read out is within 1.6 % of what was put in.

const BITS: u32 = 6;
const STEPS: u64 = 1 << BITS;

/// How often each latency occurred.
#[derive(Debug, Clone, Default)]
pub(super) struct Histogram {
    counts: Vec<u32>,
    total: u64,
    largest: u64,
}

impl Histogram {
    pub(super) fn record(&mut self, value: u64) {
        let step = step(value);
        if self.counts.len() <= step {
            self.counts.resize(step + 1, 0);
        }
        self.counts[step] += 1;
        self.total += 1;
        self.largest = self.largest.max(value);
    }

    pub(super) fn add(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.largest = self.largest.max(other.largest);
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn largest(&self) -> u64 {
        self.largest
    }

    /// The latency that so many of a thousand do not exceed; 0 where there is none.
    pub(super) fn per_mille(&self, share: u64) -> u64 {
        let rank = (self.total * share).div_ceil(1_000);
        let mut seen = 0;
        for (step, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= rank && seen > 0 {
                return highest(step).min(self.largest);
            }
        }
        0
    }
}

fn step(value: u64) -> usize {
    let index = if value < STEPS {
        value
    } else {
        let doublings = u64::from(value.ilog2() - BITS);
        STEPS + doublings * STEPS + (value >> doublings) - STEPS
    };
    usize::try_from(index).expect("there are fewer than 4,000 steps")
}

/// The largest latency of a step.
fn highest(step: usize) -> u64 {
    let step = u64::try_from(step).expect("there are fewer than 4,000 steps");
    if step < STEPS {
        return step;
    }
    let doublings = step / STEPS - 1;
    ((STEPS + step % STEPS + 1) << doublings) - 1
}

#[cfg(test)]
mod tests {
    use super::{Histogram, highest, step};

    #[test]
    fn a_step_holds_what_is_within_a_sixtieth_of_its_highest() {
        let mut before = 0;
        for value in (0..200_000).chain([1 << 20, (1 << 40) + 12_345, (1 << 50) - 1]) {
            let highest = highest(step(value));
            assert!(highest >= value && highest - value <= value / 60, "{value} is told as {highest}");
            assert!(highest >= before, "steps ascend");
            before = highest;
        }
    }

    #[test]
    fn ranks_are_read_out_over_all_that_was_added() {
        let mut all = Histogram::default();
        assert_eq!(all.per_mille(500), 0);
        for part in 0..10 {
            let mut some = Histogram::default();
            (1..=100).for_each(|value| some.record(part * 100 + value));
            all.add(&some);
        }
        assert_eq!((all.total(), all.largest()), (1_000, 1_000));
        for (share, value) in [(500, 500), (990, 990), (999, 999), (1_000, 1_000)] {
            let told = all.per_mille(share);
            assert!(told >= value && told - value <= value / 60, "{share}: {told}");
        }
    }
}
