//! What can go wrong between the log and NATS, in the log's own terms.

use crate::{Position, UserId, envelope::DecodeError};
use async_nats::jetstream;

/// A technical failure of the log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("the log does not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the event at {position} cannot be read")]
    Unreadable { position: Position, source: DecodeError },
    #[error("an event that cannot be stored")]
    Unstorable(#[source] DecodeError),
    #[error("a subject of an unknown shape: {0}")]
    UnknownSubject(String),
    #[error("user {0} has no key, not even a destroyed one")]
    KeyMissing(UserId),
    #[error("partition {0} has a gap after sequence {1}")]
    Gap(crate::Partition, u64),
    /// The log was cut short, and may have grown again, or it is another one.
    #[error("the log does not hold the event that was read at {0}")]
    Foreign(Position),
    /// Again and again: somebody cuts the log while it is read.
    #[error("an aggregate's history changes while it is read")]
    Unstable,
}

macro_rules! unavailable {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for LogError {
            fn from(error: $error) -> Self {
                Self::Unavailable(error.into())
            }
        }
    )*};
}

unavailable!(
    async_nats::SubscribeError,
    async_nats::PublishError,
    async_nats::jetstream::consumer::pull::MessagesError,
    jetstream::consumer::StreamError,
    jetstream::stream::ConsumerCreateStrictError,
    jetstream::stream::ConsumerError,
    jetstream::stream::InfoError,
    jetstream::stream::LastRawMessageError,
    super::BucketError,
);
