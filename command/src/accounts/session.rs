//! Sessions' records and refresh tokens. A token is stored as its hash only;
//! its successor is derived from it with the deployment's pepper, so a repeated
//! refresh can answer the same successor without anything readable being kept.

use super::{AccountError, signing::random};
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

/// A token's bytes: the ids of the user and the session, the secret, and the mark that it is ours.
const BODY: usize = 64;
const MAC: usize = 16;
/// What a MAC is for.
const TOKEN: &[u8] = b"token";
const SUCCESSOR: &[u8] = b"successor";
/// Which text of a record a seal is for; part of the nonce.
const DEVICE: u64 = 0;

type Secret = [u8; 32];

pub(super) struct Sessions {
    log: EventLog,
    buckets: Partitioned,
    pepper: [u8; 32],
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) created_at: Timestamp,
    pub(super) last_used_at: Timestamp,
    /// Under which claim the credential lies that opened it, and in which epoch.
    pub(super) claim: String,
    pub(super) epoch: u32,
    /// Sealed.
    device: Option<String>,
    /// Hashes of the token that is good and of the one it succeeded.
    current: [u8; 32],
    previous: Option<[u8; 32]>,
}

/// A session to be made.
pub(super) struct New<'a> {
    pub(super) user_id: UserId,
    pub(super) session_id: SessionId,
    pub(super) claim: &'a str,
    pub(super) epoch: u32,
    pub(super) device: Option<&'a str>,
}

/// A refresh token that was ours, taken apart.
pub(super) struct Presented {
    pub(super) user_id: UserId,
    pub(super) session_id: SessionId,
    secret: Secret,
}

pub(super) enum Refreshed {
    Successor(String),
    Reused,
    Unknown,
}

impl Record {
    fn is_over(&self, now: Timestamp) -> bool {
        let since = |moment| now.signed_duration_since(moment);
        since(self.last_used_at) > IDLE || since(self.created_at) > ABSOLUTE
    }
}

impl Sessions {
    pub(super) async fn open(log: EventLog, refresh_pepper: [u8; 32]) -> Result<Self, AccountError> {
        let buckets = log.partitioned_bucket("SESSIONS", IDLE.to_std().unwrap_or_default()).await?;
        Ok(Self { log, buckets, pepper: refresh_pepper })
    }

    /// Makes a session's record and its first refresh token.
    pub(super) async fn create(&self, new: New<'_>, now: Timestamp) -> Result<String, AccountError> {
        let New { user_id, session_id, claim, epoch, device } = new;
        let device = match device {
            Some(device) => {
                let key = self.log.keyring().get(user_id).await?.ok_or(AccountError::BadCredentials)?;
                Some(key.seal_record(session_id.uuid(), DEVICE, device))
            }
            None => None,
        };
        let secret = random()?;
        let record = Record {
            created_at: now,
            last_used_at: now,
            claim: claim.to_owned(),
            epoch,
            device,
            current: hash(&secret),
            previous: None,
        };
        self.bucket(user_id).put(&session_id.to_string(), encode(&record)).await?;
        Ok(self.token(user_id, session_id, &secret))
    }

    /// A session's record; `None` where it has ended, or is over.
    pub(super) async fn find(
        &self,
        user_id: UserId,
        session_id: SessionId,
        now: Timestamp,
    ) -> Result<Option<Record>, AccountError> {
        let found = self.read(user_id, session_id).await?;
        Ok(found.map(|(record, _)| record).filter(|record| !record.is_over(now)))
    }

    /// What the session's owner called its device.
    pub(super) async fn device(
        &self,
        user_id: UserId,
        session_id: SessionId,
        record: &Record,
    ) -> Result<Option<String>, AccountError> {
        let Some(sealed) = &record.device else { return Ok(None) };
        let Some(key) = self.log.keyring().get(user_id).await? else { return Ok(None) };
        let device = key.open_record(session_id.uuid(), DEVICE, sealed);
        device.map(Some).ok_or(AccountError::Inconsistent("a broken seal"))
    }

    /// Spends a token. The successor is good only once the caller has seen that the session is.
    pub(super) async fn refresh(&self, token: &Presented, now: Timestamp) -> Result<Refreshed, AccountError> {
        let &Presented { user_id, session_id, secret } = token;
        let successor = self.successor(&secret);
        let refresh_token = self.token(user_id, session_id, &successor);
        loop {
            let Some((record, revision)) = self.read(user_id, session_id).await? else {
                return Ok(Refreshed::Unknown);
            };
            if record.is_over(now) {
                return Ok(Refreshed::Unknown);
            }
            let since_use = now.signed_duration_since(record.last_used_at);
            if record.previous == Some(hash(&secret)) && since_use <= GRACE {
                return Ok(Refreshed::Successor(refresh_token));
            }
            if record.current != hash(&secret) {
                return Ok(Refreshed::Reused);
            }
            let next =
                Record { last_used_at: now, current: hash(&successor), previous: Some(record.current), ..record };
            match self.bucket(user_id).update(&session_id.to_string(), encode(&next), revision).await {
                Ok(_) => return Ok(Refreshed::Successor(refresh_token)),
                Err(BucketError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(super) async fn remove(&self, user_id: UserId, session_id: SessionId) -> Result<(), AccountError> {
        Ok(self.bucket(user_id).purge(&session_id.to_string()).await?)
    }

    /// Takes a refresh token apart; `None` where it was never ours.
    pub(super) fn parse(&self, token: &str) -> Option<Presented> {
        let bytes: [u8; BODY + MAC] = URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok()?;
        let (body, tag) = bytes.split_at(BODY);
        self.mac(TOKEN, body).verify_truncated_left(tag).ok()?;
        let id = |at: usize| Uuid::from_slice(&body[at..at + 16]).ok();
        Some(Presented {
            user_id: UserId::from_uuid(id(0)?),
            session_id: SessionId::from_uuid(id(16)?),
            secret: body[32..].try_into().ok()?,
        })
    }

    async fn read(&self, user_id: UserId, session_id: SessionId) -> Result<Option<(Record, u64)>, AccountError> {
        let Some(entry) = self.bucket(user_id).get(&session_id.to_string()).await? else { return Ok(None) };
        let record = serde_json::from_slice(&entry.value).map_err(|_| AccountError::Inconsistent("a session"))?;
        Ok(Some((record, entry.revision)))
    }

    fn successor(&self, secret: &Secret) -> Secret {
        self.mac(SUCCESSOR, secret).finalize().into_bytes().into()
    }

    /// A token proves that it was ours: who makes one up neither spends nor ends anything.
    fn token(&self, user_id: UserId, session_id: SessionId, secret: &Secret) -> String {
        let body = [user_id.uuid().as_bytes(), session_id.uuid().as_bytes(), secret.as_slice()].concat();
        let tag = self.mac(TOKEN, &body).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode([&body, &tag[..MAC]].concat())
    }

    fn mac(&self, purpose: &[u8], message: &[u8]) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.pepper).expect("HMAC takes a key of any length");
        mac.chain_update(purpose).chain_update(message)
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
