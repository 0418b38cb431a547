//! How much a client may say over one socket: bursts that fill up again (GCRA),
//! with time as an argument. Requests beyond what somebody may do are refused
//! where they are carried out; who goes on all the same is cut off by this.

use std::time::Duration;

/// What one socket may say before it is a flood.
#[derive(Debug)]
pub(crate) struct Flood {
    requests: Allowance,
    frames: Allowance,
}

/// So many at once, and how long one of them takes to come back.
#[derive(Debug)]
struct Allowance {
    most: Duration,
    one: Duration,
    /// When all of it is there again.
    full: Duration,
}

impl Flood {
    /// Requests, and frames of whatever kind: so many at once, and how long one takes to come back.
    pub(crate) fn beyond(requests: (u32, Duration), frames: (u32, Duration)) -> Self {
        Self { requests: Allowance::of(requests), frames: Allowance::of(frames) }
    }

    /// One more frame; whether that is no flood.
    pub(super) fn takes_frame(&mut self, now: Duration) -> bool {
        self.frames.take(now)
    }

    /// One more request; whether that is no flood.
    pub(super) fn takes_request(&mut self, now: Duration) -> bool {
        self.requests.take(now)
    }
}

impl Allowance {
    fn of((burst, one): (u32, Duration)) -> Self {
        Self { most: one * burst, one, full: Duration::ZERO }
    }

    fn take(&mut self, now: Duration) -> bool {
        let full = self.full.max(now) + self.one;
        let is_there = full <= now + self.most;
        if is_there {
            self.full = full;
        }
        is_there
    }
}
