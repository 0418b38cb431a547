//! What takes long and holds memory, as many at once as there are places: for a
//! node, and for each person.

use crate::problem::{Kind, Problem};
use events::UserId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

/// How long a place is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// When somebody who holds all of their places may ask again.
const AGAIN: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(crate) struct Places {
    for_all: usize,
    for_each: usize,
    taken: Arc<Mutex<Taken>>,
    freed: Arc<Notify>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by: HashMap<UserId, usize>,
}

/// A place, taken until this is dropped.
#[must_use = "dropped, it is free again"]
pub(crate) struct Place {
    places: Places,
    by: UserId,
}

impl Places {
    pub(crate) fn new(for_all: usize, for_each: usize) -> Self {
        Self { for_all, for_each, taken: Arc::default(), freed: Arc::default() }
    }

    /// A place for somebody.
    ///
    /// # Errors
    /// 429 where they hold as many as one may, 503 where the node has no more.
    pub(crate) fn take(&self, by: UserId) -> Result<Place, Problem> {
        let mut taken = self.taken.lock().expect("nobody panics with it");
        let theirs = taken.by.get(&by).copied().unwrap_or(0);
        if theirs >= self.for_each {
            return Err(Problem::too_many(AGAIN));
        }
        if taken.all >= self.for_all {
            return Err(Problem::new(Kind::Busy, "too many at once, try again"));
        }
        taken.all += 1;
        taken.by.insert(by, theirs + 1);
        Ok(Place { places: self.clone(), by })
    }

    /// A place for somebody as soon as they have one.
    ///
    /// # Errors
    /// 503 where that takes too long, or the node has no more.
    pub(crate) async fn wait(&self, by: UserId) -> Result<Place, Problem> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let freed = self.freed.notified();
            match self.take(by) {
                Err(problem) if problem.kind() == Kind::TooManyRequests => {
                    let busy = |_| Problem::unavailable("too much at once, try again");
                    timeout_at(deadline, freed).await.map_err(busy)?;
                }
                taken => return taken,
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().expect("nobody panics with it");
        taken.all -= 1;
        let theirs = taken.by.remove(&self.by).unwrap_or(0);
        if theirs > 1 {
            taken.by.insert(self.by, theirs - 1);
        }
        self.places.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Places};
    use events::UserId;
    use uuid::Uuid;

    #[test]
    fn a_place_that_is_left_is_free() {
        let (ada, bob) = (UserId::from_uuid(Uuid::from_u128(1)), UserId::from_uuid(Uuid::from_u128(2)));
        let places = Places::new(3, 2);
        let first = places.take(ada);
        let second = places.take(ada);
        assert!(
            first.is_ok()
                && second.is_ok()
                && places.take(ada).is_err_and(|problem| problem.kind() == Kind::TooManyRequests),
            "two each"
        );
        let third = places.take(bob);
        assert!(third.is_ok() && places.take(bob).is_err_and(|problem| problem.kind() == Kind::Busy), "three for all");
        drop(first);
        assert!(places.take(bob).is_ok());
        drop((second, third));
        assert!(places.taken.lock().unwrap().by.is_empty());
    }
}
