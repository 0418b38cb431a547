//! Sessions' records and refresh tokens. A token is stored as its hash only;
//! its successor is derived from it with the deployment's pepper, so a repeated
//! refresh can answer the same successor without anything readable being kept.

use super::{
    AccountError,
    signing::{Secrets, random},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use events::{
    EventLog, SessionId, Timestamp, UserId,
    log::{Bucket, BucketError, Partitioned},
};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A spent token again within this time is a lost answer, not a theft.
const GRACE: TimeDelta = TimeDelta::seconds(10);
const IDLE: TimeDelta = TimeDelta::days(30);
const ABSOLUTE: TimeDelta = TimeDelta::days(90);

type Secret = [u8; 32];

pub(super) struct Sessions {
    log: EventLog,
    buckets: Partitioned,
    pepper: [u8; 32],
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Record {
    created_at: Timestamp,
    last_used_at: Timestamp,
    /// Hashes of the token that is good and of the one it succeeded.
    current: [u8; 32],
    previous: Option<[u8; 32]>,
}

pub(super) enum Refreshed {
    Successor { user_id: UserId, session_id: SessionId, refresh_token: String },
    Reused { user_id: UserId, session_id: SessionId },
    Unknown,
}

impl Sessions {
    pub(super) async fn open(log: EventLog, secrets: &Secrets) -> Result<Self, AccountError> {
        let buckets = log.partitioned_bucket("SESSIONS", IDLE.to_std().unwrap_or_default()).await?;
        Ok(Self { log, buckets, pepper: secrets.refresh_pepper })
    }

    /// Makes a session's record and its first refresh token.
    pub(super) async fn create(
        &self,
        user_id: UserId,
        session_id: SessionId,
        now: Timestamp,
    ) -> Result<String, AccountError> {
        let secret = random()?;
        let record = Record { created_at: now, last_used_at: now, current: hash(&secret), previous: None };
        self.bucket(user_id).put(&session_id.to_string(), encode(&record)).await?;
        Ok(format_token(user_id, session_id, &secret))
    }

    pub(super) async fn refresh(&self, token: &str, now: Timestamp) -> Result<Refreshed, AccountError> {
        let Some((user_id, session_id, secret)) = parse_token(token) else { return Ok(Refreshed::Unknown) };
        let (bucket, key) = (self.bucket(user_id), session_id.to_string());
        let successor = self.successor(&secret);
        let refresh_token = format_token(user_id, session_id, &successor);
        loop {
            let Some(entry) = bucket.get(&key).await? else { return Ok(Refreshed::Unknown) };
            let record: Record =
                serde_json::from_slice(&entry.value).map_err(|_| AccountError::Inconsistent("a session"))?;
            let since_use = now.signed_duration_since(record.last_used_at);
            if since_use > IDLE || now.signed_duration_since(record.created_at) > ABSOLUTE {
                return Ok(Refreshed::Unknown);
            }
            if record.previous == Some(hash(&secret)) && since_use <= GRACE {
                return Ok(Refreshed::Successor { user_id, session_id, refresh_token });
            }
            if record.current != hash(&secret) {
                return Ok(Refreshed::Reused { user_id, session_id });
            }
            let next =
                Record { last_used_at: now, current: hash(&successor), previous: Some(record.current), ..record };
            match bucket.update(&key, encode(&next), entry.revision).await {
                Ok(_) => return Ok(Refreshed::Successor { user_id, session_id, refresh_token }),
                Err(BucketError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(super) async fn remove(&self, user_id: UserId, session_id: SessionId) -> Result<(), AccountError> {
        Ok(self.bucket(user_id).purge(&session_id.to_string()).await?)
    }

    fn successor(&self, secret: &Secret) -> Secret {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.pepper).expect("HMAC takes a key of any length");
        mac.update(secret);
        mac.finalize().into_bytes().into()
    }

    fn bucket(&self, user_id: UserId) -> &Bucket {
        self.buckets.of(self.log.names().partition(user_id.uuid()))
    }
}

fn encode(record: &Record) -> bytes::Bytes {
    serde_json::to_vec(record).expect("a session is plain data").into()
}

fn hash(secret: &Secret) -> [u8; 32] {
    Sha256::digest(secret).into()
}

fn format_token(user_id: UserId, session_id: SessionId, secret: &Secret) -> String {
    let bytes = [user_id.uuid().as_bytes(), session_id.uuid().as_bytes(), secret.as_slice()].concat();
    URL_SAFE_NO_PAD.encode(bytes)
}

fn parse_token(token: &str) -> Option<(UserId, SessionId, Secret)> {
    let bytes: [u8; 64] = URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok()?;
    let id = |at: usize| Uuid::from_slice(&bytes[at..at + 16]).ok();
    let secret = bytes[32..].try_into().ok()?;
    Some((UserId::from_uuid(id(0)?), SessionId::from_uuid(id(16)?), secret))
}
