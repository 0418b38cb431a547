//! From stored messages to unsealed envelopes: a batch's keys are fetched
//! together, each event is decoded and unsealed once.

use super::{EventLog, LogError};
use crate::{
    Envelope, Position, UserId,
    envelope::{DecodeError, SealedEnvelope},
    seal::AuthorKey,
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

impl EventLog {
    pub(super) async fn decode(&self, batch: &[Stored]) -> Result<Vec<Arc<Envelope>>, LogError> {
        let mut sealed = Vec::with_capacity(batch.len());
        let mut authors = HashSet::new();
        for stored in batch {
            let (position, author, envelope) = self.decode_sealed(stored)?;
            authors.extend(author);
            sealed.push((position, author, envelope));
        }
        let keys = self.keys(authors).await?;
        sealed
            .into_iter()
            .map(|(position, author, envelope)| {
                let key = author.and_then(|author| keys.get(&author)).and_then(Option::as_ref);
                envelope.unseal(key).map(Arc::new).map_err(|source| LogError::Unreadable { position, source })
            })
            .collect()
    }

    fn decode_sealed(&self, stored: &Stored) -> Result<(Position, Option<UserId>, SealedEnvelope), LogError> {
        let Stored { subject, position, payload } = stored;
        let unknown = || LogError::UnknownSubject(subject.to_string());
        let aggregate = self.names().parse(subject).ok_or_else(unknown)?;
        let unreadable = |source: DecodeError| LogError::Unreadable { position: *position, source };
        let mut envelope = SealedEnvelope::decode(*position, aggregate, payload).map_err(unreadable)?;
        let author = envelope.author().map_err(unreadable)?;
        Ok((*position, author, envelope))
    }

    async fn keys(&self, authors: HashSet<UserId>) -> Result<HashMap<UserId, Option<AuthorKey>>, LogError> {
        let found =
            authors.into_iter().map(async |author| Ok::<_, LogError>((author, self.keyring().get(author).await?)));
        Ok(try_join_all(found).await?.into_iter().collect())
    }
}
