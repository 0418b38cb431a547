//! The open loop: tells each person when a message is due, on time whatever the
//! answers do. A thread of its own, since the runtime's timers are a
//! millisecond coarse, which is as long as what is measured takes.

use super::load::Origin;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The longest sleep, so that an end is noticed.
const NAP: Duration = Duration::from_millis(20);

/// When messages are due, in microseconds since the bench began; one receiver for each person.
pub(super) struct Pace {
    stopped: Arc<AtomicBool>,
}

impl Pace {
    /// Spreads so many messages a second evenly over time and people.
    pub(super) fn start(rate: u32, people: usize, origin: Origin) -> (Self, Vec<UnboundedReceiver<u64>>) {
        let (senders, receivers) = (0..people).map(|_| unbounded_channel()).unzip::<_, _, Vec<_>, Vec<_>>();
        let stopped = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stopped);
        thread::spawn(move || keep(rate, &senders, origin, &until));
        (Self { stopped }, receivers)
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

fn keep(rate: u32, people: &[UnboundedSender<u64>], origin: Origin, until: &AtomicBool) {
    let began = origin.micros();
    let count = u64::try_from(people.len()).expect("people are counted");
    let mut message = 0;
    while !until.load(Ordering::Relaxed) {
        let due = began + message * 1_000_000 / u64::from(rate);
        let now = origin.micros();
        if due > now {
            thread::sleep(Duration::from_micros(due - now).min(NAP));
            continue;
        }
        let person = whose_turn(message % count, count);
        // Who ended before takes none.
        people[usize::try_from(person).expect("an index")].send(due).ok();
        message += 1;
    }
}

/// The first of each conversation, then the second of each: two who write to each other are far apart in time.
fn whose_turn(turn: u64, count: u64) -> u64 {
    let pairs = count / 2;
    if turn < pairs { turn * 2 } else { (turn - pairs) * 2 + 1 }
}

#[cfg(test)]
mod tests {
    use super::whose_turn;

    #[test]
    fn everybody_has_one_turn_in_a_round() {
        let mut turns: Vec<_> = (0..10).map(|turn| whose_turn(turn, 10)).collect();
        assert_eq!(turns[..6], [0, 2, 4, 6, 8, 1]);
        turns.sort_unstable();
        assert!(turns.into_iter().eq(0..10));
    }
}
