//! Those whom one fact tells something together: they are woken some at a time
//! and not faster than they write. What a crowd is told meanwhile goes out in one
//! write to each instead of many. It is in their outboxes at once: nobody's order
//! changes, and what few are told waits behind no crowd.

use super::outbox::Outbox;
use std::{collections::VecDeque, sync::Arc, time::Duration};

/// More listeners than that are a crowd.
pub(super) const CROWD: usize = 64;
/// What each that is woken is given, for its write and for all else that there is to do.
const WRITE: Duration = Duration::from_micros(20);
/// So many are woken at once: they are what others wait behind.
const AT_ONCE: u32 = 128;
/// Timers are no finer.
const TICK: Duration = Duration::from_millis(1);

/// Sockets that wait to be woken, in the order in which they were told something; times are since any beginning.
#[derive(Default)]
pub(super) struct Crowd {
    held: VecDeque<Arc<Outbox>>,
    /// Until when those who were woken have been given time.
    given: Duration,
}

impl Crowd {
    pub(super) fn hold(&mut self, outboxes: Vec<Arc<Outbox>>) {
        self.held.extend(outboxes);
    }

    /// When to wake the next of those who are held, if there are any.
    pub(super) fn due(&self) -> Option<Duration> {
        (!self.held.is_empty()).then(|| (self.given + TICK).saturating_sub(WRITE * AT_ONCE))
    }

    /// Wakes those whose turn has come.
    pub(super) fn wake(&mut self, now: Duration) {
        self.given = self.given.max(now);
        while self.given + WRITE <= now + WRITE * AT_ONCE
            && let Some(next) = self.held.pop_front()
        {
            next.wake();
            self.given += WRITE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Crowd, Outbox};
    use futures_util::FutureExt;
    use std::{sync::Arc, time::Duration};

    fn is_woken(outbox: &Outbox) -> bool {
        outbox.changed().now_or_never().is_some()
    }

    #[test]
    fn a_crowd_is_woken_some_at_a_time_and_each_is_given_time_to_write() {
        let outboxes: Vec<_> = (0..500).map(|_| Arc::new(Outbox::default())).collect();
        let mut crowd = Crowd::default();
        let mut now = Duration::from_secs(1);
        crowd.wake(now);
        assert_eq!(crowd.due(), None);

        crowd.hold(outboxes.clone());
        let mut woken = Vec::new();
        loop {
            crowd.wake(now);
            woken.push(outboxes.iter().filter(|outbox| is_woken(outbox)).count());
            let Some(due) = crowd.due() else { break };
            assert_eq!(due, now + Duration::from_millis(1));
            now = due;
        }
        assert_eq!(woken, [128, 50, 50, 50, 50, 50, 50, 50, 22]);
        crowd.hold(outboxes);
        crowd.wake(now + Duration::from_secs(1));
        assert_eq!(crowd.held.len(), 500 - 128, "time that passed is not saved up");
    }

    #[test]
    fn who_has_much_waiting_is_woken_at_once_and_cut_off_with_too_much() {
        let outbox = Outbox::default();
        assert!(outbox.hold("x".into()), "it is the first");
        assert!((1..63).all(|_| !outbox.hold("x".into())), "it waits already");
        assert!(!is_woken(&outbox));
        outbox.hold("x".into());
        assert!(is_woken(&outbox));
        for _ in 64..=256 {
            outbox.hold("x".into());
        }
        assert!(is_woken(&outbox) && outbox.ended().is_some());
    }
}
