//! `given` facts, `when` a command, `then` an event: how deciders are tested.

use crate::decider::{Decider, Fact};
use events::{UserId, clock::millis};
use std::fmt::Debug;

/// A state after facts, whose sequences count from 1.
pub(crate) struct Given<D: Decider> {
    pub(crate) state: D,
    facts: u64,
}

pub(crate) struct When<D: Decider> {
    given: Given<D>,
    outcome: Result<Option<D::Event>, D::Rejection>,
}

pub(crate) fn given<D: Decider>(facts: impl IntoIterator<Item = (UserId, D::Event)>) -> Given<D> {
    let mut given = Given { state: D::default(), facts: 0 };
    for (by, event) in facts {
        given.happens(by, &event);
    }
    given
}

impl<D: Decider> Given<D> {
    pub(crate) fn happens(&mut self, by: UserId, event: &D::Event) {
        self.facts += 1;
        let at = millis(i64::try_from(self.facts).unwrap() * 1_000);
        self.state.evolve(Fact { sequence: self.facts, by: Some(by), at, event });
    }

    pub(crate) fn when(self, command: &D::Command) -> When<D> {
        let outcome = self.state.decide(command);
        When { given: self, outcome }
    }

    /// Decides, and takes the fact in as the handler would.
    pub(crate) fn handle(&mut self, by: UserId, command: &D::Command) -> Result<Option<D::Event>, D::Rejection> {
        let event = self.state.decide(command)?;
        if let Some(event) = &event {
            self.happens(by, event);
        }
        Ok(event)
    }
}

impl<D: Decider<Event: Debug + PartialEq, Rejection: Debug + PartialEq>> When<D> {
    #[track_caller]
    pub(crate) fn then(mut self, by: UserId, event: D::Event) -> Given<D> {
        assert_eq!(self.outcome, Ok(Some(event)));
        if let Ok(Some(event)) = self.outcome {
            self.given.happens(by, &event);
        }
        self.given
    }

    #[track_caller]
    pub(crate) fn then_nothing(self) -> Given<D> {
        assert_eq!(self.outcome, Ok(None));
        self.given
    }

    #[track_caller]
    pub(crate) fn then_rejected(self, rejection: D::Rejection) -> Given<D> {
        assert_eq!(self.outcome, Err(rejection));
        self.given
    }
}
