//! Claims of usernames, keyed by what they look like, and all that a sign-up
//! needs to be finished by whoever finds it half done. Names are sealed.

use super::{AccountError, Named};
use events::{EventLog, UserId, log::Claim, log::Partitioned, name::Username, text::Line};
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
    display_name: String,
}

impl Credentials {
    pub(super) async fn open(log: EventLog) -> Result<Self, AccountError> {
        let buckets = log.partitioned_bucket("CREDENTIALS", Duration::ZERO).await?;
        Ok(Self { log, buckets })
    }

    pub(super) async fn find(&self, username: &Username) -> Result<Option<Credential>, AccountError> {
        let claim = username.claim();
        let entry = self.buckets.of(self.log.names().partition_of_record(&claim)).get(&claim).await?;
        entry.map(|entry| parse(&entry.value)).transpose()
    }

    /// Claims the name; returns whoever's claim stands, ours or an earlier one.
    pub(super) async fn claim(
        &self,
        user_id: UserId,
        username: &Username,
        display_name: &Line,
        password_hash: String,
    ) -> Result<Credential, AccountError> {
        let key = self.log.keyring().make(user_id).await?;
        let credential = Credential {
            user_id,
            password_hash,
            username: key.seal_record(user_id, USERNAME, username.as_str()),
            display_name: key.seal_record(user_id, DISPLAY_NAME, display_name.as_str()),
        };
        let record = serde_json::to_vec(&credential).expect("a credential is plain data");
        let claim = username.claim();
        match self.buckets.of(self.log.names().partition_of_record(&claim)).create(&claim, record.into()).await? {
            Claim::Ours(_) => Ok(credential),
            Claim::Theirs(entry) => parse(&entry.value),
        }
    }

    pub(super) async fn open_names(&self, credential: &Credential) -> Result<Named, AccountError> {
        let user_id = credential.user_id;
        let key = self.log.keyring().get(user_id).await?.ok_or(AccountError::BadCredentials)?;
        let open = |record, sealed| {
            key.open_record(user_id, record, sealed).ok_or(AccountError::Inconsistent("a broken seal"))
        };
        Ok(Named {
            user_id,
            username: open(USERNAME, &credential.username)?,
            display_name: open(DISPLAY_NAME, &credential.display_name)?,
        })
    }
}

fn parse(record: &[u8]) -> Result<Credential, AccountError> {
    serde_json::from_slice(record).map_err(|_| AccountError::Inconsistent("a credential"))
}
