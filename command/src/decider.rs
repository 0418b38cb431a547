//! What an aggregate is: pure rules over the facts of one subject. No clock,
//! no randomness, no I/O; whatever a rule needs is carried in the command.

use events::{Event, Timestamp, UserId};
use serde::{Serialize, de::DeserializeOwned};

/// The state of an aggregate and its rules. `Default`: nothing has happened yet.
pub trait Decider: Default {
    type Command;
    type Event;
    type Rejection: std::error::Error;

    /// At most one fact for a command. `None`: it is already so.
    ///
    /// # Errors
    /// When the domain refuses the command in this state.
    fn decide(&self, command: &Self::Command) -> Result<Option<Self::Event>, Self::Rejection>;

    /// Takes a fact in. Total: what is in the log has happened, whatever today's rules say.
    fn evolve(&mut self, fact: Fact<'_, Self::Event>);
}

/// An event with what its envelope says and rules need.
#[derive(Debug, Clone, Copy)]
pub struct Fact<'a, E> {
    pub sequence: u64,
    pub by: Option<UserId>,
    pub at: Timestamp,
    pub event: &'a E,
}

/// A decider that the handler can load, cache and snapshot.
pub trait Aggregate:
    Decider<Event: Into<Event> + Clone + Send + Sync, Command: Send + Sync, Rejection: Send>
    + Clone
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// The fingerprint of the state's serialized form: a snapshot of another shape is not loaded.
    const SHAPE: &'static str;

    /// The event, if it is of this kind of aggregate.
    fn own(event: &Event) -> Option<&Self::Event>;

    /// About how many bytes of memory the state takes.
    fn weight(&self) -> usize;
}
