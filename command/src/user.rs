//! A person's account as the log knows it: whether it exists, and which
//! sessions are open. Passwords and names are not needed to decide and not here.

use crate::decider::{Aggregate, Decider, Fact};
use events::{Event, SessionId, Text, UserEvent};
use serde::{Deserialize, Serialize};

/// One more log-in ends the oldest session.
pub const MAX_SESSIONS: usize = 64;

/// Who somebody is to the rules.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct User {
    signed_up: bool,
    /// Oldest first.
    sessions: Vec<SessionId>,
}

#[derive(Debug, Clone)]
pub enum Command {
    SignUp { username: Text, display_name: Text },
    OpenSession { session_id: SessionId, device: Option<Text> },
    RevokeSession { session_id: SessionId },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("nobody signed up under this id")]
    Unknown,
}

impl User {
    pub fn is_signed_up(&self) -> bool {
        self.signed_up
    }

    pub fn has_open(&self, session_id: SessionId) -> bool {
        self.sessions.contains(&session_id)
    }
}

impl Decider for User {
    type Command = Command;
    type Event = UserEvent;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Option<UserEvent>, Rejection> {
        match command {
            Command::SignUp { .. } if self.signed_up => Ok(None),
            Command::SignUp { username, display_name } => {
                Ok(Some(UserEvent::SignedUp { username: username.clone(), display_name: display_name.clone() }))
            }
            _ if !self.signed_up => Err(Rejection::Unknown),
            Command::OpenSession { session_id, .. } if self.has_open(*session_id) => Ok(None),
            Command::OpenSession { session_id, device } => {
                let replaces = self.sessions.first().copied().filter(|_| self.sessions.len() >= MAX_SESSIONS);
                Ok(Some(UserEvent::SessionOpened { session_id: *session_id, device: device.clone(), replaces }))
            }
            Command::RevokeSession { session_id } => {
                Ok(self.has_open(*session_id).then_some(UserEvent::SessionRevoked { session_id: *session_id }))
            }
        }
    }

    fn evolve(&mut self, fact: Fact<'_, UserEvent>) {
        match fact.event {
            UserEvent::SignedUp { .. } => self.signed_up = true,
            UserEvent::SessionOpened { session_id, replaces, .. } => {
                self.sessions.retain(|open| Some(*open) != *replaces);
                self.sessions.push(*session_id);
            }
            UserEvent::SessionRevoked { session_id } => self.sessions.retain(|open| open != session_id),
        }
    }
}

impl Aggregate for User {
    const SHAPE: &'static str = "user.1";

    fn own(event: &Event) -> Option<&UserEvent> {
        match event {
            Event::User(event) => Some(event),
            Event::Thread(_) | Event::Receipts(_) => None,
        }
    }

    fn weight(&self) -> usize {
        64 + self.sessions.len() * 16
    }
}

#[cfg(test)]
#[path = "user_tests.rs"]
mod tests;
