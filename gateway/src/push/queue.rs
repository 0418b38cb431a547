//! Which letters are to be posted when: pure, time is an argument. What failed is
//! tried again, ever more rarely; what a receiver asks for holds for all letters.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};
use uuid::Uuid;

/// The pause after the first failure; it doubles with each further one.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(5);
/// The longest that a receiver may ask to be left alone.
const SILENCE: Duration = Duration::from_hours(1);
/// Letters that are due before no more are made: a receiver that is away costs so many, and no more.
const MOST_DUE: usize = 256;
/// All letters, those for later included: a key each.
const MOST: usize = 8_192;

/// Letters by when they are due. Times are durations since some beginning.
#[derive(Debug, Default)]
pub(super) struct Queue {
    due: BTreeSet<(Duration, Uuid)>,
    /// Letters that are being posted.
    flying: usize,
    failures: HashMap<Uuid, u32>,
    /// Until when the receiver wants to hear nothing.
    quiet_until: Duration,
}

impl Queue {
    pub(super) fn add(&mut self, id: Uuid, due: Duration) {
        self.due.insert((due, id));
    }

    /// Takes the next that is due.
    pub(super) fn take(&mut self, now: Duration) -> Option<Uuid> {
        let (due, id) = self.due.first().copied()?;
        if due.max(self.quiet_until) > now {
            return None;
        }
        self.due.pop_first();
        self.flying += 1;
        Some(id)
    }

    /// From when on there is something to take.
    pub(super) fn next(&self) -> Option<Duration> {
        self.due.first().map(|(due, _)| (*due).max(self.quiet_until))
    }

    /// A letter that was taken is done with.
    pub(super) fn done(&mut self, id: Uuid) {
        self.flying -= 1;
        self.failures.remove(&id);
    }

    /// A letter that was taken could not be made: that says nothing of the receiver.
    pub(super) fn put_back(&mut self, id: Uuid, due: Duration) {
        self.flying -= 1;
        self.add(id, due);
    }

    /// A letter that was taken was not accepted; `asked`: how long the receiver wants to be left alone.
    pub(super) fn failed(&mut self, id: Uuid, now: Duration, asked: Option<Duration>) {
        self.flying -= 1;
        let failures = self.failures.entry(id).or_default();
        let pause = pause(id, *failures);
        *failures += 1;
        if let Some(asked) = asked {
            self.quiet_until = self.quiet_until.max(now + asked.min(SILENCE));
        }
        self.add(id, now + pause);
    }

    /// Whether more letters may be made.
    pub(super) fn has_room(&self, now: Duration) -> bool {
        let waits = |(due, id): &&(Duration, Uuid)| *due <= now || self.failures.contains_key(id);
        let all = self.due.len() + self.flying;
        all < MOST && self.flying + self.due.iter().filter(waits).count() < MOST_DUE
    }

    pub(super) fn len(&self) -> usize {
        self.due.len() + self.flying
    }
}

/// How long to wait after so many failures before: half of it is the letter's own chance, which its id brings along.
fn pause(id: Uuid, failures: u32) -> Duration {
    let longest = (FIRST * 2_u32.saturating_pow(failures.min(16))).min(LONGEST);
    let (_, low) = id.as_u64_pair();
    let chance = low.rotate_left(failures) % 1_000;
    let chance = u32::try_from(chance).expect("less than a thousand");
    longest / 2 + longest / 2 * chance / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    #[test]
    fn what_is_due_is_taken_once_and_what_is_not_is_not() {
        let mut queue = Queue::default();
        queue.add(id(2), at(5));
        queue.add(id(1), at(0));
        assert_eq!([queue.take(at(0)), queue.take(at(0))], [Some(id(1)), None]);
        assert_eq!(queue.next(), Some(at(5)));
        assert_eq!([queue.take(at(5)), queue.take(at(5))], [Some(id(2)), None]);
        queue.done(id(1));
        queue.done(id(2));
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn pauses_grow_and_end_growing_and_differ() {
        let pauses = |letter| (0..40).map(move |failures| pause(id(letter), failures));
        for (failures, pause) in pauses(u128::MAX / 7).enumerate() {
            let longest = FIRST.as_secs_f64() * 2_f64.powi(i32::try_from(failures).unwrap());
            let longest = longest.min(LONGEST.as_secs_f64());
            assert!((longest / 2.0..=longest).contains(&pause.as_secs_f64()), "{failures}: {pause:?}");
        }
        assert!(pauses(1).zip(pauses(2)).any(|(one, other)| one != other));
    }

    #[test]
    fn who_asks_for_silence_gets_it_from_all_letters() {
        let mut queue = Queue::default();
        queue.add(id(1), at(0));
        queue.add(id(2), at(0));
        queue.take(at(0));
        queue.failed(id(1), at(0), Some(at(60)));
        assert_eq!([queue.take(at(59)), queue.take(at(60))], [None, Some(id(2))]);
        // And not for ever.
        queue.failed(id(2), at(60), Some(at(1_000_000)));
        assert!(queue.take(at(60) + SILENCE).is_some());
    }

    #[test]
    fn a_receiver_that_is_away_costs_a_bounded_number_of_letters() {
        let mut queue = Queue::default();
        let mut made = 0;
        while queue.has_room(at(0)) {
            made += 1;
            queue.add(id(made), at(0));
            let taken = queue.take(at(0)).unwrap();
            queue.failed(taken, at(0), None);
        }
        assert_eq!(made, MOST_DUE as u128);
        // Those for later do not count before they are due.
        let mut queue = Queue::default();
        (0..MOST_DUE as u128).for_each(|letter| queue.add(id(letter), at(90)));
        assert!(queue.has_room(at(89)) && !queue.has_room(at(90)));
    }
}
