//! The deployment's secrets, kept in a bucket: the keys that sign access tokens
//! and the pepper of refresh tokens. Whichever node finds it due makes the next
//! key. It is published for a day before it signs, and for a day after its last.

use super::AccountError;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use ed25519_dalek::SigningKey;
use events::{
    EventLog, Timestamp,
    clock::millis,
    log::{Bucket, BucketError, Claim},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const RECORD: &str = "secrets";

/// After so long a key has its successor.
const TURN: TimeDelta = TimeDelta::days(30);
/// How long a key is published before it signs and after it signed: longer than any node takes to read it and any
/// two clocks are apart, and than the last token lives.
const AROUND: TimeDelta = TimeDelta::days(1);

/// Where the secrets lie.
pub(super) struct Secrets {
    bucket: Bucket,
    pub(super) refresh_pepper: [u8; 32],
}

/// The signing keys, oldest first.
#[derive(Clone)]
pub(super) struct Keys(Vec<Key>);

#[derive(Clone)]
pub(super) struct Key {
    /// The head of the public key's SHA-256.
    pub(super) id: String,
    pub(super) secret: SigningKey,
    created_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Record {
    keys: Vec<Stored>,
    refresh_pepper: [u8; 32],
}

#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    seed: [u8; 32],
    /// Milliseconds after 1970.
    created_at: i64,
}

impl Secrets {
    pub(super) async fn open(log: &EventLog, now: Timestamp) -> Result<Self, AccountError> {
        let bucket = log.bucket("SIGNING").await?;
        let record = if let Some(entry) = bucket.get(RECORD).await? {
            parse(&entry.value)?
        } else {
            let fresh = Record { keys: vec![Stored::new(now)?], refresh_pepper: random()? };
            match bucket.create(RECORD, encode(&fresh)).await? {
                Claim::Ours(_) => fresh,
                Claim::Theirs(entry) => parse(&entry.value)?,
            }
        };
        Ok(Self { bucket, refresh_pepper: record.refresh_pepper })
    }

    /// The keys as they are, with a new one where it is time for it.
    pub(super) async fn keys(&self, now: Timestamp) -> Result<Keys, AccountError> {
        loop {
            let entry = self.bucket.get(RECORD).await?.ok_or(AccountError::Inconsistent("the secrets are gone"))?;
            let mut record = parse(&entry.value)?;
            let keys = Keys::new(&record.keys);
            if !keys.is_due(now) {
                return Ok(keys);
            }
            record.keys = keys.published(now).map(Stored::from).chain([Stored::new(now)?]).collect();
            match self.bucket.update(RECORD, encode(&record), entry.revision).await {
                Ok(_) => {
                    tracing::info!("access tokens have another signing key from tomorrow on");
                    return Ok(Keys::new(&record.keys));
                }
                Err(BucketError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Keys {
    /// The key that signs.
    pub(super) fn signer(&self, now: Timestamp) -> &Key {
        let begun = self.0.iter().rev().find(|key| key.created_at + AROUND <= now);
        begun.or(self.0.first()).expect("a deployment has a signing key")
    }

    /// The keys whose tokens may still be about, or will be.
    pub(super) fn published(&self, now: Timestamp) -> impl Iterator<Item = &Key> {
        let successors = self.0.iter().skip(1).map(Some).chain([None]);
        let over = move |successor: &Key| successor.created_at + AROUND + AROUND <= now;
        self.0.iter().zip(successors).filter(move |(_, successor)| !successor.is_some_and(over)).map(|(key, _)| key)
    }

    fn new(stored: &[Stored]) -> Self {
        Self(stored.iter().map(Key::from).collect())
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.0.last().is_none_or(|newest| newest.created_at + TURN <= now)
    }
}

impl From<&Stored> for Key {
    fn from(stored: &Stored) -> Self {
        let secret = SigningKey::from_bytes(&stored.seed);
        let digest = Sha256::digest(secret.verifying_key().as_bytes());
        Self { id: URL_SAFE_NO_PAD.encode(&digest[..8]), secret, created_at: millis(stored.created_at) }
    }
}

impl From<&Key> for Stored {
    fn from(key: &Key) -> Self {
        Self { seed: key.secret.to_bytes(), created_at: key.created_at.timestamp_millis() }
    }
}

impl Stored {
    fn new(now: Timestamp) -> Result<Self, AccountError> {
        Ok(Self { seed: random()?, created_at: now.timestamp_millis() })
    }
}

fn encode(record: &Record) -> bytes::Bytes {
    serde_json::to_vec(record).expect("secrets are plain data").into()
}

fn parse(value: &[u8]) -> Result<Record, AccountError> {
    serde_json::from_slice(value).map_err(|_| AccountError::Inconsistent("the deployment's secrets"))
}

pub(super) fn random() -> Result<[u8; 32], AccountError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| BucketError::Unavailable(error.into()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Keys, Stored};
    use chrono::TimeDelta;
    use events::clock::millis;

    #[test]
    fn a_key_is_published_a_day_before_it_signs_and_a_day_after() {
        let born = millis(1_795_000_000_000);
        let stored = |index: u8, days: i64| Stored {
            seed: [index; 32],
            created_at: (born + TimeDelta::days(days)).timestamp_millis(),
        };
        let ids = Keys::new(&[stored(1, 0), stored(2, 30)]);
        let [first, second] = [0, 1].map(|index: usize| ids.0[index].id.as_str());
        let alone = Keys::new(&[stored(1, 0)]);
        assert_eq!(alone.signer(born).id, first, "there was none before it");
        assert!(!alone.is_due(born + TimeDelta::days(29)) && alone.is_due(born + TimeDelta::days(30)));
        let both: &[&str] = &[first, second];
        for (hours, signer, published) in [
            (30 * 24, first, both),
            (31 * 24 - 1, first, both),
            (31 * 24, second, both),
            (32 * 24 - 1, second, both),
            (32 * 24, second, &[second]),
        ] {
            let now = born + TimeDelta::hours(hours);
            assert_eq!(ids.signer(now).id, signer, "after {hours} hours");
            assert_eq!(ids.published(now).map(|key| key.id.as_str()).collect::<Vec<_>>(), published, "{hours}");
        }
    }
}
