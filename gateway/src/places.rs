//! What takes long and holds memory, as many at once as there are places: for a
//! node, and for each person.

use events::UserId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

#[derive(Clone)]
pub(crate) struct Places {
    for_all: usize,
    for_each: usize,
    taken: Arc<Mutex<Taken>>,
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
        Self { for_all, for_each, taken: Arc::default() }
    }

    /// A place for somebody, if there is one.
    pub(crate) fn take(&self, by: UserId) -> Option<Place> {
        let mut taken = self.taken.lock().expect("nobody panics with it");
        let theirs = taken.by.get(&by).copied().unwrap_or(0);
        if taken.all >= self.for_all || theirs >= self.for_each {
            return None;
        }
        taken.all += 1;
        taken.by.insert(by, theirs + 1);
        Some(Place { places: self.clone(), by })
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
    }
}

#[cfg(test)]
mod tests {
    use super::Places;
    use events::UserId;
    use uuid::Uuid;

    #[test]
    fn a_place_that_is_left_is_free() {
        let (ada, bob) = (UserId::from_uuid(Uuid::from_u128(1)), UserId::from_uuid(Uuid::from_u128(2)));
        let places = Places::new(3, 2);
        let first = places.take(ada);
        let second = places.take(ada);
        assert!(first.is_some() && second.is_some() && places.take(ada).is_none(), "two each");
        let third = places.take(bob);
        assert!(third.is_some() && places.take(bob).is_none(), "three for all");
        drop(first);
        assert!(places.take(bob).is_some());
        drop((second, third));
        assert!(places.taken.lock().unwrap().by.is_empty());
    }
}
