//! Claims of usernames, keyed by what they look like, and all that a sign-up
//! needs to be finished by whoever finds it half done. Names are sealed. The
//! password and the epoch of the sessions that it opened change in one write.

use super::{AccountError, Named};
use events::{
    EventLog, SessionId, UserId,
    log::{Bucket, BucketError, Claim, Entry, Partitioned},
    name::Username,
    text::Line,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Which text of a record a seal is for; part of the nonce, so never to be reused.
const USERNAME: u64 = 0;
const DISPLAY_NAME: u64 = 1;

pub(super) struct Credentials {
    log: EventLog,
    buckets: Partitioned,
}

/// A claimed username.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Credential {
    pub(super) user_id: UserId,
    /// In PHC string format.
    pub(super) password_hash: String,
    username: String,
    /// As it was when the person signed up.
    display_name: String,
    /// How often the password was changed.
    pub(super) epoch: u32,
    /// The session that changed it last: the only earlier one that goes on.
    pub(super) keeps: Option<SessionId>,
}

/// A credential where it was found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) claim: String,
    pub(super) credential: Credential,
    revision: u64,
}

impl Credential {
    /// Whether a session that was opened in an epoch goes on.
    pub(super) fn admits(&self, session_id: SessionId, epoch: u32) -> bool {
        epoch == self.epoch || self.keeps == Some(session_id)
    }
}

impl Credentials {
    /// Nobody's claim: looked up where there is no name, to take the same time.
    pub(super) const NOBODYS: &str = "nobody";

    pub(super) async fn open(log: EventLog) -> Result<Self, AccountError> {
        let buckets = log.partitioned_bucket("CREDENTIALS", Duration::ZERO).await?;
        Ok(Self { log, buckets })
    }

    pub(super) fn buckets(&self) -> &Partitioned {
        &self.buckets
    }

    pub(super) async fn find(&self, claim: &str) -> Result<Option<Found>, AccountError> {
        let entry = self.bucket(claim).get(claim).await?;
        entry.map(|entry| found(claim, &entry)).transpose()
    }

    /// Claims the name; returns whoever's claim stands, ours or an earlier one.
    pub(super) async fn claim(
        &self,
        user_id: UserId,
        username: &Username,
        display_name: &Line,
        password_hash: String,
    ) -> Result<Found, AccountError> {
        let key = self.log.keyring().make(user_id).await?;
        let credential = Credential {
            user_id,
            password_hash,
            username: key.seal_record(user_id.uuid(), USERNAME, username.as_str()),
            display_name: key.seal_record(user_id.uuid(), DISPLAY_NAME, display_name.as_str()),
            epoch: 0,
            keeps: None,
        };
        let claim = username.claim();
        match self.bucket(&claim).create(&claim, encode(&credential)).await? {
            Claim::Ours(revision) => Ok(Found { claim, credential, revision }),
            Claim::Theirs(entry) => found(&claim, &entry),
        }
    }

    /// Sets another password, if nobody did since it was found: all sessions but one are over with that.
    pub(super) async fn change(
        &self,
        found: Found,
        password_hash: String,
        keeps: SessionId,
    ) -> Result<Credential, BucketError> {
        let Found { claim, credential, revision } = found;
        let credential = Credential { password_hash, epoch: credential.epoch + 1, keeps: Some(keeps), ..credential };
        self.bucket(&claim).update(&claim, encode(&credential), revision).await?;
        Ok(credential)
    }

    pub(super) async fn open_names(&self, credential: &Credential) -> Result<Named, AccountError> {
        let user_id = credential.user_id;
        let key = self.log.keyring().get(user_id).await?.ok_or(AccountError::BadCredentials)?;
        let open = |index, sealed| {
            key.open_record(user_id.uuid(), index, sealed).ok_or(AccountError::Inconsistent("a broken seal"))
        };
        Ok(Named {
            user_id,
            username: open(USERNAME, &credential.username)?,
            display_name: open(DISPLAY_NAME, &credential.display_name)?,
        })
    }

    fn bucket(&self, claim: &str) -> &Bucket {
        self.buckets.of(self.log.names().partition_of_record(claim))
    }
}

pub(super) fn parse(record: &[u8]) -> Result<Credential, AccountError> {
    serde_json::from_slice(record).map_err(|_| AccountError::Inconsistent("a credential"))
}

fn found(claim: &str, entry: &Entry) -> Result<Found, AccountError> {
    Ok(Found { claim: claim.to_owned(), credential: parse(&entry.value)?, revision: entry.revision })
}

fn encode(credential: &Credential) -> bytes::Bytes {
    serde_json::to_vec(credential).expect("a credential is plain data").into()
}
