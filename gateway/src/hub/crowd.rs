//! Those whom one fact tells something together: they are woken together,
//! and not again before they may have written. What a crowd is told meanwhile
//! goes out in one write to each instead of many. It is in their outboxes at
//! once: nobody's order changes, and what few are told waits for no crowd.

use super::outbox::Outbox;
use std::{sync::Arc, time::Duration};

/// More listeners than that are a crowd.
pub(super) const CROWD: usize = 64;
/// What it takes until a socket has written and what else there is to do is done, about.
const WRITE: Duration = Duration::from_micros(20);
/// Longer than that a crowd does not wait, however large it is.
const LONGEST: Duration = Duration::from_millis(20);

/// Sockets that wait to be woken; times are since any beginning.
#[derive(Default)]
pub(super) struct Crowd {
    held: Vec<Arc<Outbox>>,
    due: Duration,
}

impl Crowd {
    pub(super) fn hold(&mut self, outboxes: Vec<Arc<Outbox>>) {
        self.held.extend(outboxes);
    }

    /// When to wake those who are held, if there are any.
    pub(super) fn due(&self) -> Option<Duration> {
        (!self.held.is_empty()).then_some(self.due)
    }

    /// Wakes all, once it is time.
    pub(super) fn wake(&mut self, now: Duration) {
        if self.due().is_none_or(|due| now < due) {
            return;
        }
        let writes = WRITE.saturating_mul(u32::try_from(self.held.len()).unwrap_or(u32::MAX));
        self.due = now + writes.min(LONGEST);
        self.held.drain(..).for_each(|outbox| outbox.wake());
    }
}

#[cfg(test)]
mod tests {
    use super::{Crowd, Outbox};
    use futures_util::FutureExt;
    use std::{sync::Arc, time::Duration};

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_crowd_is_woken_at_once_and_then_not_before_it_may_have_written() {
        let outbox = Arc::new(Outbox::default());
        let is_woken = || outbox.changed().now_or_never().is_some();
        let mut crowd = Crowd::default();
        crowd.wake(ms(100));
        assert_eq!(crowd.due(), None);

        assert!(outbox.hold("first".into()));
        assert!(!outbox.hold("second".into()), "it waits already");
        assert!(!is_woken());
        crowd.hold(vec![Arc::clone(&outbox); 500]);
        crowd.wake(ms(100));
        assert!(is_woken());
        assert_eq!((outbox.take().len(), crowd.due()), (2, None));

        crowd.hold(vec![Arc::clone(&outbox)]);
        crowd.wake(ms(109));
        assert_eq!((is_woken(), crowd.due()), (false, Some(ms(110))));
        crowd.wake(ms(110));
        assert_eq!((is_woken(), crowd.due()), (true, None));
    }

    #[test]
    fn nobody_waits_for_ever() {
        let outbox = Arc::new(Outbox::default());
        let mut crowd = Crowd::default();
        crowd.hold(vec![Arc::clone(&outbox); 100_000]);
        crowd.wake(ms(0));
        crowd.hold(vec![outbox]);
        assert_eq!(crowd.due(), Some(ms(20)));
    }

    #[test]
    fn who_does_not_read_what_a_crowd_is_told_is_cut_off_at_once() {
        let outbox = Outbox::default();
        for _ in 0..257 {
            outbox.hold("x".into());
        }
        assert!(outbox.changed().now_or_never().is_some() && outbox.ended().is_some());
    }
}
