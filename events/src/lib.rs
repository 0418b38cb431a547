//! What can happen, and the log that keeps it: ids, value types, events,
//! envelopes, subjects, positions; append, load and tail on NATS JetStream.
//!
//! The truth of Herald lives here. This crate imports no other room of ours,
//! and it is the only one that names async-nats.

pub mod attachment;
pub mod blobs;
pub mod clock;
pub mod cloudevent;
pub mod emoji;
pub mod envelope;
pub mod event;
pub mod id;
pub mod log;
pub mod name;
pub mod position;
pub mod schema;
pub mod seal;
pub mod shard;
pub mod subject;
pub mod text;
pub mod trace;
pub mod words;

pub use attachment::Attachment;
pub use blobs::Blobs;
pub use clock::{Clock, Ids};
pub use cloudevent::CloudEvent;
pub use emoji::Emoji;
pub use envelope::Envelope;
pub use event::{DeploymentEvent, Event, PresenceEvent, ThreadEvent, UserEvent};
pub use id::{AttachmentId, EventId, GatewayId, MessageKey, SessionId, ThreadId, UserId};
pub use log::EventLog;
pub use position::{Partition, Position, Vector};
pub use shard::Share;
pub use subject::Aggregate;
pub use text::Text;
pub use trace::Trace;

/// A moment in UTC. Events keep milliseconds.
pub type Timestamp = chrono::DateTime<chrono::Utc>;

#[cfg(test)]
mod cloudevent_tests;
#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod released_tests;
#[cfg(test)]
mod schema_tests;
#[cfg(test)]
mod value_tests;
