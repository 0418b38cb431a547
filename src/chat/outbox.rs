//! What was typed and is not in the log yet, as a pure queue: said one by one, so
//! that order is kept, each under the key it was minted with, so that saying it
//! again sends nothing again.

use super::frame::Problem;
use serde_json::{Value, json};
use std::{collections::VecDeque, time::Duration};
use uuid::Uuid;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<Sending>,
    /// The first of them has been said and not answered.
    is_said: bool,
    is_live: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sending {
    pub(super) key: Uuid,
    pub(super) thread_id: Uuid,
    pub(super) body: String,
}

/// What became of the first.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is in the log, under that number.
    Sent(Sending, u32),
    Refused(Sending, Problem),
    /// It is to be said again after so long.
    Again(Duration),
    /// An answer to something else.
    Strange,
}

impl Outbox {
    pub(super) fn add(&mut self, sending: Sending) {
        self.waiting.push_back(sending);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// What to say now, if anything.
    pub(super) fn next(&mut self) -> Option<Value> {
        if self.is_said || !self.is_live {
            return None;
        }
        let Sending { key, thread_id, body } = self.waiting.front()?;
        self.is_said = true;
        Some(json!({ "type": "send", "id": key, "key": key, "thread_id": thread_id, "body": body }))
    }

    /// Takes an answer in.
    pub(super) fn answered(&mut self, id: Uuid, answer: Result<u32, Problem>) -> Outcome {
        let Some(first) = self.waiting.pop_front_if(|first| first.key == id) else { return Outcome::Strange };
        match answer {
            Ok(number) => {
                self.is_said = false;
                Outcome::Sent(first, number)
            }
            Err(Problem { retry_after: Some(seconds), .. }) => {
                self.waiting.push_front(first);
                Outcome::Again(Duration::from_secs(seconds))
            }
            Err(problem) => {
                self.is_said = false;
                Outcome::Refused(first, problem)
            }
        }
    }

    /// There is a connection: what was said over another one and not answered is said again.
    pub(super) fn live(&mut self) {
        (self.is_live, self.is_said) = (true, false);
    }

    pub(super) fn cut(&mut self) {
        self.is_live = false;
    }

    /// The time is over for which the first was to wait.
    pub(super) fn again(&mut self) {
        self.is_said = false;
    }
}

#[cfg(test)]
mod tests {
    use super::{Outbox, Outcome, Problem, Sending};
    use std::time::Duration;
    use uuid::Uuid;

    fn sending(key: u128) -> Sending {
        Sending { key: Uuid::from_u128(key), thread_id: Uuid::from_u128(9), body: format!("text {key}") }
    }

    fn problem(retry_after: Option<u64>) -> Problem {
        Problem { title: "No".to_owned(), detail: String::new(), retry_after }
    }

    fn said(outbox: &mut Outbox) -> Option<String> {
        Some(outbox.next()?["body"].as_str().unwrap().to_owned())
    }

    #[test]
    fn one_is_said_after_the_other_was_answered() {
        let mut outbox = Outbox::default();
        outbox.add(sending(1));
        outbox.add(sending(2));
        assert_eq!(said(&mut outbox), None, "nobody would hear it");
        outbox.live();
        assert_eq!(said(&mut outbox).as_deref(), Some("text 1"));
        assert_eq!(said(&mut outbox), None);
        assert_eq!(outbox.answered(Uuid::from_u128(2), Ok(1)), Outcome::Strange);
        assert_eq!(outbox.answered(Uuid::from_u128(1), Ok(7)), Outcome::Sent(sending(1), 7));
        assert_eq!(said(&mut outbox).as_deref(), Some("text 2"));
        let refused = Outcome::Refused(sending(2), problem(None));
        assert_eq!(outbox.answered(Uuid::from_u128(2), Err(problem(None))), refused);
        assert!(outbox.is_empty());
    }

    #[test]
    fn what_nobody_answered_is_said_again_under_the_same_key() {
        let mut outbox = Outbox::default();
        outbox.add(sending(1));
        outbox.live();
        let first = outbox.next();
        outbox.cut();
        assert_eq!(outbox.next(), None);
        outbox.live();
        assert_eq!(outbox.next(), first);
        let again = outbox.answered(Uuid::from_u128(1), Err(problem(Some(2))));
        assert_eq!(again, Outcome::Again(Duration::from_secs(2)));
        assert_eq!(outbox.next(), None, "not before the time");
        outbox.again();
        assert_eq!(outbox.next(), first);
    }
}
