//! The deployment's secrets: the key that signs access tokens and the pepper
//! from which refresh tokens succeed each other. Made once, by whichever node
//! is first, and kept in a bucket.

use super::AccountError;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::SigningKey;
use events::{
    EventLog,
    log::{BucketError, Claim},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const RECORD: &str = "secrets";

#[derive(Clone)]
pub(super) struct Secrets {
    pub(super) signing_key: SigningKey,
    /// Names the signing key: the head of its public key's SHA-256.
    pub(super) key_id: String,
    pub(super) refresh_pepper: [u8; 32],
}

#[derive(Serialize, Deserialize)]
struct Record {
    signing_seed: [u8; 32],
    refresh_pepper: [u8; 32],
}

impl Secrets {
    pub(super) async fn open(log: &EventLog) -> Result<Self, AccountError> {
        let bucket = log.bucket("SIGNING").await?;
        let record = if let Some(entry) = bucket.get(RECORD).await? {
            parse(&entry.value)?
        } else {
            let fresh = Record { signing_seed: random()?, refresh_pepper: random()? };
            let value = serde_json::to_vec(&fresh).expect("secrets are plain data");
            match bucket.create(RECORD, value.into()).await? {
                Claim::Ours(_) => fresh,
                Claim::Theirs(entry) => parse(&entry.value)?,
            }
        };
        let signing_key = SigningKey::from_bytes(&record.signing_seed);
        let digest = Sha256::digest(signing_key.verifying_key().as_bytes());
        let key_id = URL_SAFE_NO_PAD.encode(&digest[..8]);
        Ok(Self { signing_key, key_id, refresh_pepper: record.refresh_pepper })
    }
}

fn parse(value: &[u8]) -> Result<Record, AccountError> {
    serde_json::from_slice(value).map_err(|_| AccountError::Inconsistent("the deployment's secrets"))
}

pub(super) fn random() -> Result<[u8; 32], AccountError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| BucketError::Unavailable(error.into()))?;
    Ok(bytes)
}
