//! Whether the views keep up: what was the log's end at one look must be applied
//! within some seconds, however many facts that was.

use events::{Share, Timestamp, Vector};
use query::View;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// How long a view may take to reach what was the log's end.
const PATIENCE: chrono::TimeDelta = chrono::TimeDelta::seconds(10);

/// The next milestone of each view in each database. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Progress(Arc<Mutex<HashMap<(View, Share), Milestone>>>);

struct Milestone {
    end: Vector,
    set_at: Timestamp,
}

impl Progress {
    /// Looks at a view: whether it is on its way to the last milestone in time. A reached one is replaced.
    pub(crate) fn keeps_up(&self, of: (View, Share), applied: &Vector, end: Vector, now: Timestamp) -> bool {
        let mut milestones = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(milestone) = milestones.get(&of)
            && !applied.covers(&milestone.end)
        {
            return now - milestone.set_at <= PATIENCE;
        }
        milestones.insert(of, Milestone { end, set_at: now });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Progress;
    use events::{Share, Vector, clock::millis};
    use query::View;

    #[test]
    fn a_view_that_stands_still_below_the_log_is_found_out() {
        let progress = Progress::default();
        let vector = |text: &str| -> Vector { text.parse().expect("a vector") };
        let look = |applied, end, second: i64| {
            progress.keeps_up((View::Inbox, Share::WHOLE), &vector(applied), vector(end), millis(second * 1000))
        };
        assert!(look("0:5", "0:9", 0));
        assert!(look("0:5", "0:12", 10));
        assert!(!look("0:8", "0:12", 11));
        assert!(look("0:9", "0:12", 12));
        assert!(look("0:11", "0:12", 20));
        assert!(!look("0:11", "0:12", 23));
        assert!(look("0:12", "0:12", 30));
        assert!(look("0:12", "0:12", 90));
    }
}
