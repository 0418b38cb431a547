//! What operators decide for all: whether people can sign up. What they read and
//! who they are is told here too, and decides nothing.

use crate::decider::{Aggregate, Decider, Fact};
use events::{DeploymentEvent, Event, Text, ThreadId, UserId};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;

/// The state of the deployment as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    sign_up_closed: bool,
}

#[derive(Debug, Clone)]
pub enum Command {
    AddOperator { name: Text },
    RemoveOperator,
    CloseSignUp { reason: Text },
    OpenSignUp { reason: Text },
    AuditUser { user_id: UserId },
    AuditThread { thread_id: ThreadId },
}

impl Deployment {
    /// Memory for the one state that there is, in bytes.
    pub(crate) const CACHE: u64 = 1 << 10;

    pub fn is_sign_up_closed(&self) -> bool {
        self.sign_up_closed
    }
}

impl Decider for Deployment {
    type Command = Command;
    type Event = DeploymentEvent;
    type Rejection = Infallible;

    fn decide(&self, command: &Command) -> Result<Option<DeploymentEvent>, Infallible> {
        Ok(match command.clone() {
            Command::AddOperator { name } => Some(DeploymentEvent::OperatorAdded { name }),
            Command::RemoveOperator => Some(DeploymentEvent::OperatorRemoved {}),
            Command::CloseSignUp { reason } => {
                (!self.sign_up_closed).then_some(DeploymentEvent::SignUpClosed { reason })
            }
            Command::OpenSignUp { reason } => self.sign_up_closed.then_some(DeploymentEvent::SignUpOpened { reason }),
            Command::AuditUser { user_id } => Some(DeploymentEvent::UserAudited { user_id }),
            Command::AuditThread { thread_id } => Some(DeploymentEvent::ThreadAudited { thread_id }),
        })
    }

    fn evolve(&mut self, fact: Fact<'_, DeploymentEvent>) {
        match fact.event {
            DeploymentEvent::SignUpClosed { .. } => self.sign_up_closed = true,
            DeploymentEvent::SignUpOpened { .. } => self.sign_up_closed = false,
            DeploymentEvent::OperatorAdded { .. }
            | DeploymentEvent::OperatorRemoved {}
            | DeploymentEvent::UserAudited { .. }
            | DeploymentEvent::ThreadAudited { .. } => {}
        }
    }
}

impl Aggregate for Deployment {
    const SHAPE: &'static str = "deployment.1";

    fn own(event: &Event) -> Option<&DeploymentEvent> {
        match event {
            Event::Deployment(event) => Some(event),
            Event::User(_) | Event::Thread(_) | Event::Receipts(_) | Event::Presence(_) => None,
        }
    }

    fn weight(&self) -> usize {
        128
    }
}

#[cfg(test)]
mod tests {
    use super::{Command, Deployment};
    use crate::spec::given;
    use events::{DeploymentEvent, Text, UserId};
    use uuid::Uuid;

    const EVE: UserId = UserId::from_uuid(Uuid::from_u128(1));

    #[test]
    fn sign_up_is_closed_once_and_opened_once() {
        let reason = || Text::new("a flood of accounts");
        given::<Deployment>([]).when(&Command::OpenSignUp { reason: reason() }).then_nothing();
        let closed = given::<Deployment>([])
            .when(&Command::CloseSignUp { reason: reason() })
            .then(EVE, DeploymentEvent::SignUpClosed { reason: reason() })
            .when(&Command::CloseSignUp { reason: reason() })
            .then_nothing();
        assert!(closed.state.is_sign_up_closed());
        let opened = closed
            .when(&Command::OpenSignUp { reason: reason() })
            .then(EVE, DeploymentEvent::SignUpOpened { reason: reason() });
        assert!(!opened.state.is_sign_up_closed());
    }
}
