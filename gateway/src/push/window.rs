//! What was written since the last look, thread by thread: however many messages,
//! each thread is asked for once. Pure.

use events::{Aggregate, Envelope, Event, ThreadEvent, ThreadId, Timestamp, Vector, event::Number};
use std::collections::BTreeMap;

/// Threads of one look: a few MiB.
const MOST: usize = 50_000;

/// Facts that were read and not yet seen to.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Window {
    threads: BTreeMap<ThreadId, Number>,
    /// Up to where the facts were read.
    pub(super) reached: Vector,
    /// When the oldest of the messages was written.
    pub(super) since: Option<Timestamp>,
}

impl Window {
    /// One in which nothing is after that.
    pub(super) fn after(reached: Vector) -> Self {
        Self { reached, ..Self::default() }
    }

    /// Takes a fact; a message that is older than `oldest` is not pushed any more.
    pub(super) fn take(&mut self, envelope: &Envelope, oldest: Timestamp) {
        self.reached.raise(envelope.position);
        if envelope.at < oldest {
            return;
        }
        if let (Aggregate::Thread(thread_id), Event::Thread(ThreadEvent::MessageSent { number, .. })) =
            (envelope.aggregate, &envelope.event)
        {
            // No view shows a message of a number that no table holds.
            if i32::try_from(*number).is_err() {
                return;
            }
            // Numbers of a thread rise.
            self.threads.insert(thread_id, *number);
            self.since = Some(self.since.map_or(envelope.at, |since| since.min(envelope.at)));
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.threads.len() >= MOST
    }

    /// Where something was written, up to which number.
    pub(super) fn threads(&self) -> Vec<(ThreadId, Number)> {
        self.threads.iter().map(|(thread_id, number)| (*thread_id, *number)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::{EventId, MessageKey, Partition, Position, Text, UserId, clock::millis};
    use uuid::Uuid;

    fn fact(sequence: u64, thread: u128, event: ThreadEvent) -> Envelope {
        Envelope {
            position: Position { partition: Partition(1), sequence },
            aggregate: Aggregate::Thread(ThreadId::from_uuid(Uuid::from_u128(thread))),
            id: EventId::from_uuid(Uuid::nil()),
            by: Some(UserId::from_uuid(Uuid::nil())),
            at: millis(i64::try_from(sequence).unwrap()),
            trace: None,
            event: event.into(),
        }
    }

    fn sent(number: Number) -> ThreadEvent {
        ThreadEvent::MessageSent {
            number,
            key: MessageKey::from_uuid(Uuid::nil()),
            body: Text::new("hi"),
            reply_to: None,
            opens: None,
            mentions: Vec::new(),
            attachments: Vec::new(),
        }
    }

    #[test]
    fn a_thread_is_asked_for_once_however_much_is_written() {
        let mut window = Window::default();
        let renamed = ThreadEvent::Renamed { title: Text::new("t"), number: 3 };
        // Thread 3 was written in too long ago.
        let facts = [(4, 3, sent(9)), (5, 1, renamed), (6, 1, sent(3)), (7, 2, sent(1)), (8, 1, sent(4))];
        for (sequence, thread, event) in facts {
            window.take(&fact(sequence, thread, event), millis(6));
        }
        let thread = |thread| ThreadId::from_uuid(Uuid::from_u128(thread));
        assert_eq!(window.threads(), [(thread(1), 4), (thread(2), 1)]);
        assert_eq!((window.since, window.reached.get(Partition(1))), (Some(millis(6)), 8));
        let next = Window::after(window.reached);
        assert_eq!((next.threads().len(), next.since, next.reached.get(Partition(1))), (0, None, 8));
    }
}
