//! From stored messages to unsealed envelopes: a batch's keys are fetched
//! together, each event is decoded and unsealed once.

use super::{EventLog, LogError, keyring::Keyring};
use crate::{
    Envelope, EventId, Position, UserId,
    envelope::{DecodeError, SealedEnvelope},
    seal::AuthorKey,
    subject::Names,
};
use futures_util::future::try_join_all;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// A message of a partition's stream, as it lies there.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) subject: async_nats::Subject,
    pub(super) position: Position,
    pub(super) payload: bytes::Bytes,
}

impl Stored {
    /// The event's id, whatever else there is to it.
    pub(super) fn id(&self) -> Result<EventId, LogError> {
        let unreadable = |source| LogError::Unreadable { position: self.position, source };
        SealedEnvelope::id(&self.payload).map_err(unreadable)
    }

    /// The fact with its texts sealed, and whose they are.
    pub(super) fn sealed(&self, names: &Names) -> Result<(SealedEnvelope, Option<UserId>), LogError> {
        let Self { subject, position, payload } = self;
        let unknown = || LogError::UnknownSubject(subject.to_string());
        let aggregate = names.parse(subject).ok_or_else(unknown)?;
        let unreadable = |source: DecodeError| LogError::Unreadable { position: *position, source };
        let mut envelope = SealedEnvelope::decode(*position, aggregate, payload).map_err(unreadable)?;
        let author = envelope.author().map_err(unreadable)?;
        Ok((envelope, author))
    }
}

impl EventLog {
    /// Decodes a batch whole.
    pub(super) async fn decode(&self, batch: &[Stored]) -> Result<Vec<Arc<Envelope>>, LogError> {
        let mut envelopes = Vec::with_capacity(batch.len());
        while envelopes.len() < batch.len() {
            envelopes.extend(self.decode_prefix(&batch[envelopes.len()..]).await?);
        }
        Ok(envelopes)
    }

    /// Decodes a batch up to the first event that cannot be read; an error where that is the first of all.
    pub(super) async fn decode_prefix(&self, batch: &[Stored]) -> Result<Vec<Arc<Envelope>>, LogError> {
        let mut sealed = Vec::with_capacity(batch.len());
        let mut authors = HashSet::new();
        let mut unreadable = None;
        for stored in batch {
            match stored.sealed(self.names()) {
                Ok((envelope, author)) => {
                    authors.extend(author);
                    sealed.push((stored.position, author, envelope));
                }
                Err(error) => {
                    unreadable = Some(error);
                    break;
                }
            }
        }
        let keys = keys(self.keyring(), authors).await?;
        let mut envelopes = Vec::with_capacity(sealed.len());
        for (position, author, envelope) in sealed {
            match unseal(position, author, envelope, &keys) {
                Ok(envelope) => envelopes.push(Arc::new(envelope)),
                Err(error) => {
                    unreadable = Some(error);
                    break;
                }
            }
        }
        match unreadable {
            Some(error) if envelopes.is_empty() => Err(error),
            Some(_) | None => Ok(envelopes),
        }
    }
}

/// The authors' keys: `None` where one was destroyed.
pub(super) type Keys = HashMap<UserId, Option<AuthorKey>>;

/// The keys that there are or were. That one is missing fails the events it seals and no other.
pub(super) async fn keys(keyring: &Keyring, authors: HashSet<UserId>) -> Result<Keys, LogError> {
    let found = authors.into_iter().map(async |author| match keyring.get(author).await {
        Ok(key) => Ok(Some((author, key))),
        Err(LogError::KeyMissing(_)) => Ok(None),
        Err(error) => Err(error),
    });
    Ok(try_join_all(found).await?.into_iter().flatten().collect())
}

fn unseal(
    position: Position,
    author: Option<UserId>,
    envelope: SealedEnvelope,
    keys: &Keys,
) -> Result<Envelope, LogError> {
    let key = match author {
        Some(author) => keys.get(&author).ok_or(LogError::KeyMissing(author))?.as_ref(),
        None => None,
    };
    envelope.unseal(key).map_err(|source| LogError::Unreadable { position, source })
}
