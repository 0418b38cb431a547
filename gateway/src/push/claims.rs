//! What people were told lately, and what is on its way to them: after an outage
//! many letters may be about the same, and one of them is enough. Whoever leaves
//! something to another letter may forget it: that one is tried until it is dead.

use events::{ThreadId, UserId, event::Number};
use query::waiting::Undelivered;
use quick_cache::sync::Cache;
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// People in threads of whom is remembered what they were told: some 20 MiB.
const REMEMBERED: usize = 200_000;

type Pair = (UserId, ThreadId);

/// Up to which numbers people were told of threads, or are being told.
pub(super) struct Claims {
    told: Cache<Pair, Number>,
    flying: Mutex<HashMap<Pair, Number>>,
}

/// What one letter tells, given back when it is dropped.
pub(super) struct Claim<'a> {
    claims: &'a Claims,
    pairs: Vec<(Pair, Number)>,
}

impl Claims {
    pub(super) fn new() -> Self {
        Self { told: Cache::new(REMEMBERED), flying: Mutex::default() }
    }

    /// What of it is news to people, for one letter to tell.
    pub(super) fn claim(&self, found: Vec<Undelivered>) -> (Vec<Undelivered>, Claim<'_>) {
        let mut flying = self.flying();
        let mut pairs = Vec::new();
        let is_news = |one: &Undelivered| {
            let (pair, number) = ((one.user_id, one.thread_id), one.last_number);
            let known = flying.get(&pair).copied().max(self.told.get(&pair));
            let is_news = known.is_none_or(|known| known < number);
            if is_news {
                flying.insert(pair, number);
                pairs.push((pair, number));
            }
            is_news
        };
        let found = found.into_iter().filter(is_news).collect();
        (found, Claim { claims: self, pairs })
    }

    fn flying(&self) -> MutexGuard<'_, HashMap<Pair, Number>> {
        self.flying.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim<'_> {
    pub(super) fn people(&self) -> usize {
        self.pairs.iter().map(|((user_id, _), _)| user_id).collect::<BTreeSet<_>>().len()
    }

    /// They were told.
    pub(super) fn told(self) {
        for (pair, number) in &self.pairs {
            self.claims.told.insert(*pair, *number);
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut flying = self.claims.flying();
        for (pair, number) in &self.pairs {
            // A letter with a newer message may have claimed it since.
            if flying.get(pair) == Some(number) {
                flying.remove(pair);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use query::inbox::Kind;
    use uuid::Uuid;

    fn up_to(last_number: Number) -> Vec<Undelivered> {
        let (user_id, thread_id) = (UserId::from_uuid(Uuid::nil()), ThreadId::from_uuid(Uuid::nil()));
        let (kind, mentioned, preview) = (Kind::Direct, false, None);
        vec![Undelivered { user_id, thread_id, kind, last_number, count: 1, unread: 1, mentioned, preview }]
    }

    fn is_news(claims: &Claims, number: Number) -> bool {
        !claims.claim(up_to(number)).0.is_empty()
    }

    #[test]
    fn what_was_told_or_is_on_its_way_is_no_news() {
        let claims = Claims::new();
        let (found, older) = claims.claim(up_to(1));
        assert_eq!((found.len(), older.people()), (1, 1));
        assert!(!is_news(&claims, 1));
        let (found, newer) = claims.claim(up_to(2));
        assert_eq!(found.len(), 1);
        // What is given back by one does not take from the other.
        drop(older);
        assert!(!is_news(&claims, 2));
        newer.told();
        assert!(!is_news(&claims, 2) && is_news(&claims, 3));
        assert!(claims.flying().is_empty());
    }

    #[test]
    fn what_was_not_taken_is_news_again() {
        let claims = Claims::new();
        drop(claims.claim(up_to(1)));
        assert!(is_news(&claims, 1));
    }
}
