//! What a gateway knows of who is connected, and what it has told of it: pure,
//! time is an argument. A person is here while one of their connections is, and
//! for a short grace after it: who comes back within that was never away.

use events::UserId;
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

/// How long somebody whose last connection has ended is still taken to be here.
pub(super) const GRACE: Duration = Duration::from_secs(3);
/// How often those who stay are told again: well before the facts that say they came are too old to be kept.
pub(super) const AGAIN: Duration = Duration::from_hours(12);
/// The most people in one fact: 100 KiB.
pub(super) const MOST: usize = 2_500;

/// Who is here. Times are durations since the beginning.
#[derive(Debug, Default)]
pub(super) struct Present {
    people: HashMap<UserId, Person>,
    /// Those who are here and whom nothing says so of yet, or not lately.
    came: BTreeSet<UserId>,
    /// Those of whom it was said, by when their last connection ended.
    went: BTreeSet<(Duration, UserId)>,
    /// When all who are here are told again; `None`: nothing was told yet.
    again: Option<Duration>,
}

#[derive(Debug, Default)]
struct Person {
    connections: u32,
    /// Whether the log was told that they are here.
    told: bool,
    left: Duration,
}

/// What is to be told at once. Nobody, both ways: that the gateway is still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) came: Vec<UserId>,
    pub(super) went: Vec<UserId>,
}

impl Change {
    /// Whether there may be more to tell at once.
    pub(super) fn is_full(&self) -> bool {
        self.came.len() + self.went.len() >= MOST
    }
}

impl Present {
    pub(super) fn enter(&mut self, user_id: UserId) {
        let person = self.people.entry(user_id).or_default();
        person.connections += 1;
        if !person.told {
            self.came.insert(user_id);
        }
        self.went.remove(&(person.left, user_id));
    }

    pub(super) fn leave(&mut self, user_id: UserId, now: Duration) {
        let Some(person) = self.people.get_mut(&user_id) else { return };
        person.connections = person.connections.saturating_sub(1);
        if person.connections > 0 {
            return;
        }
        self.came.remove(&user_id);
        if person.told {
            person.left = now;
            self.went.insert((now, user_id));
        } else {
            self.people.remove(&user_id);
        }
    }

    /// From when on there is something to tell; `None`: nothing until somebody comes or goes.
    pub(super) fn due(&self) -> Option<Duration> {
        if !self.came.is_empty() {
            return Some(Duration::ZERO);
        }
        let gone = self.went.first().map(|(left, _)| *left + GRACE);
        gone.into_iter().chain(self.again).min()
    }

    /// What is to be told by now. Whoever takes it tells it, and nothing else until that is done.
    pub(super) fn take(&mut self, now: Duration) -> Change {
        if self.again.is_none_or(|again| again <= now) {
            self.came.extend(self.people.iter().filter(|(_, person)| person.connections > 0).map(|(&id, _)| id));
            self.again = Some(now + AGAIN);
        }
        let mut change = Change { came: Vec::new(), went: Vec::new() };
        while change.came.len() < MOST
            && let Some(user_id) = self.came.pop_first()
        {
            self.people.entry(user_id).or_default().told = true;
            change.came.push(user_id);
        }
        while change.came.len() + change.went.len() < MOST
            && let Some(&(left, user_id)) = self.went.first()
            && left + GRACE <= now
        {
            self.went.pop_first();
            self.people.remove(&user_id);
            change.went.push(user_id);
        }
        change
    }

    /// Nothing that was told counts any more: those who are here have to be told anew.
    pub(super) fn begin_anew(&mut self) {
        self.people.retain(|_, person| person.connections > 0);
        self.people.values_mut().for_each(|person| person.told = false);
        self.came = self.people.keys().copied().collect();
        self.went.clear();
        self.again = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const ADA: UserId = UserId::from_uuid(Uuid::from_u128(1));
    const BOB: UserId = UserId::from_uuid(Uuid::from_u128(2));

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn change(came: &[UserId], went: &[UserId]) -> Change {
        Change { came: came.to_vec(), went: went.to_vec() }
    }

    fn with_ada() -> Present {
        let mut present = Present::default();
        present.enter(ADA);
        assert_eq!(present.take(at(0)), change(&[ADA], &[]));
        present
    }

    #[test]
    fn who_comes_is_told_at_once_and_once() {
        let mut present = with_ada();
        present.enter(BOB);
        assert_eq!(present.due(), Some(Duration::ZERO));
        assert_eq!(present.take(at(1)), change(&[BOB], &[]));
        assert_eq!(present.due(), Some(AGAIN));
    }

    #[test]
    fn who_has_another_device_here_has_not_gone() {
        let mut present = with_ada();
        present.enter(ADA);
        present.leave(ADA, at(1));
        assert_eq!(present.due(), Some(AGAIN));
        present.leave(ADA, at(2));
        assert_eq!(present.due(), Some(at(2) + GRACE));
        assert_eq!(present.take(at(2) + GRACE), change(&[], &[ADA]));
        assert_eq!(present.due(), Some(AGAIN));
    }

    #[test]
    fn coming_back_within_the_grace_is_no_fact() {
        let mut present = with_ada();
        for second in 1..20 {
            present.leave(ADA, at(second));
            present.enter(ADA);
        }
        assert_eq!(present.due(), Some(AGAIN));
        // And the grace begins at the last leaving.
        present.leave(ADA, at(20));
        assert_eq!(present.due(), Some(at(20) + GRACE));
    }

    #[test]
    fn who_was_here_too_shortly_to_be_told_never_was() {
        let mut present = Present::default();
        present.enter(ADA);
        present.leave(ADA, at(0));
        assert_eq!(present.due(), None);
        assert!(present.people.is_empty());
    }

    #[test]
    fn who_comes_again_after_the_grace_is_told_again() {
        let mut present = with_ada();
        present.leave(ADA, at(1));
        assert_eq!(present.take(at(10)), change(&[], &[ADA]));
        present.enter(ADA);
        assert_eq!(present.take(at(11)), change(&[ADA], &[]));
    }

    #[test]
    fn those_who_stay_are_told_again_and_nobody_too() {
        let mut present = with_ada();
        assert_eq!(present.take(AGAIN), change(&[ADA], &[]));
        present.leave(ADA, AGAIN);
        assert_eq!(present.take(AGAIN + GRACE), change(&[], &[ADA]));
        assert_eq!(present.due(), Some(2 * AGAIN));
        assert_eq!(present.take(2 * AGAIN), change(&[], &[]));
    }

    #[test]
    fn who_leaves_while_told_again_goes_all_the_same() {
        let mut present = with_ada();
        for user in 0..MOST as u128 {
            present.enter(UserId::from_uuid(Uuid::from_u128(100 + user)));
        }
        present.take(at(1));
        present.take(AGAIN);
        let last = UserId::from_uuid(Uuid::from_u128(99 + MOST as u128));
        assert!(present.came.contains(&last));
        present.leave(last, AGAIN);
        assert_eq!(present.take(AGAIN + GRACE), change(&[], &[last]));
    }

    #[test]
    fn a_crowd_comes_in_facts_of_a_bounded_size() {
        let mut present = Present::default();
        for user in 0..=MOST as u128 {
            present.enter(UserId::from_uuid(Uuid::from_u128(user)));
        }
        let first = present.take(at(0));
        assert!(first.is_full() && first.came.len() == MOST);
        assert_eq!(present.take(at(1)).came.len(), 1);
    }

    #[test]
    fn after_a_loss_those_who_are_still_here_come_and_nobody_goes() {
        let mut present = with_ada();
        present.enter(BOB);
        present.take(at(1));
        present.leave(ADA, at(2));
        present.begin_anew();
        assert_eq!(present.take(at(10)), change(&[BOB], &[]));
    }
}
