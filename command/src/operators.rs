//! Who operates a deployment, and what they may: suspend people and let them in
//! again, close sign-up, see to reports. Each has a token of their own, kept as
//! its hash, and an id and a key as people have; each act is a fact of theirs.

use crate::{
    deployment::{self, Deployment},
    handler::{HandleError, Handler},
    user::{self, User},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use events::{
    Aggregate, Clock, EventLog, Ids, Position, Text, ThreadId, UserId,
    event::Number,
    log::{Bucket, BucketError, Claim, LogError},
    text::{About, Line},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What every operator's token begins with, for who looks for lost secrets.
const PREFIX: &str = "herald_operator_";
/// Which text of a record its seal is for; part of the nonce.
const NAME: u64 = 0;

/// The door for operators. Cheap to clone.
#[derive(Clone)]
pub struct Operators {
    log: EventLog,
    ids: Ids,
    bucket: Bucket,
    users: Handler<User>,
    deployment: Handler<Deployment>,
}

/// Somebody who operates the deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    pub operator_id: UserId,
    pub name: String,
}

/// How an account is, to an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub suspended: bool,
    /// How many sessions are open.
    pub sessions: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    #[error("there is no such person or operator")]
    NotFound,
    #[error("there is an operator of that name")]
    NameTaken,
    #[error("this is changing too fast")]
    Conflict,
    #[error("the outcome is unknown")]
    OutcomeUnknown(#[source] LogError),
    #[error(transparent)]
    Unavailable(#[from] LogError),
}

/// An operator, under the hash of their token.
#[derive(Serialize, Deserialize)]
struct Record {
    operator_id: UserId,
    /// Sealed.
    name: String,
}

impl Operators {
    /// # Errors
    /// When NATS does not answer.
    pub async fn open(log: EventLog, clock: Clock, ids: Ids, users: Handler<User>) -> Result<Self, BucketError> {
        let bucket = log.bucket("OPERATORS").await?;
        let deployment = Handler::new(log.clone(), clock, ids.clone(), Deployment::CACHE);
        Ok(Self { log, ids, bucket, users, deployment })
    }

    /// Makes somebody an operator; the token is told this once.
    ///
    /// # Errors
    /// `NameTaken`; technical ones.
    pub async fn add(&self, name: &Line) -> Result<(Operator, String), OperatorError> {
        if self.all().await?.iter().any(|(_, operator)| operator.name == name.as_str()) {
            return Err(OperatorError::NameTaken);
        }
        let operator_id = UserId::from_uuid(self.ids.next());
        let key = self.log.keyring().make(operator_id).await?;
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| BucketError::Unavailable(error.into()))?;
        let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(secret));
        let record = Record { operator_id, name: key.seal_record(operator_id.uuid(), NAME, name.as_str()) };
        let record = serde_json::to_vec(&record).expect("an operator is plain data").into();
        self.decide(operator_id, &deployment::Command::AddOperator { name: Text::from(name) }).await?;
        match self.bucket.create(&hash(&token), record).await? {
            Claim::Ours(_) => Ok((Operator { operator_id, name: name.as_str().to_owned() }, token)),
            Claim::Theirs(_) => unreachable!("nobody else has drawn the same 32 bytes"),
        }
    }

    /// The token of that operator is good for nothing any more.
    ///
    /// # Errors
    /// `NotFound`; technical ones.
    pub async fn remove(&self, name: &str) -> Result<Position, OperatorError> {
        let all = self.all().await?;
        let (key, operator) = all.iter().find(|(_, operator)| operator.name == name).ok_or(OperatorError::NotFound)?;
        let position = self.decide(operator.operator_id, &deployment::Command::RemoveOperator).await?;
        self.bucket.purge(key).await?;
        Ok(position)
    }

    /// All operators.
    ///
    /// # Errors
    /// Technical ones only.
    pub async fn list(&self) -> Result<Vec<Operator>, OperatorError> {
        Ok(self.all().await?.into_iter().map(|(_, operator)| operator).collect())
    }

    /// Whose token it is; `None`: nobody's.
    ///
    /// # Errors
    /// Technical ones only.
    pub async fn authenticate(&self, token: &str) -> Result<Option<Operator>, OperatorError> {
        match self.bucket.get(&hash(token)).await? {
            Some(entry) => self.operator(&entry.value).await,
            None => Ok(None),
        }
    }

    /// How a person's account is.
    ///
    /// # Errors
    /// `NotFound`; technical ones.
    pub async fn standing(&self, user_id: UserId) -> Result<Standing, OperatorError> {
        let see = |user: &User| {
            let standing = Standing { suspended: user.is_suspended(), sessions: user.sessions().len() };
            user.is_signed_up().then_some(standing)
        };
        self.users.look(Aggregate::User(user_id), see).await?.1.ok_or(OperatorError::NotFound)
    }

    /// Lets a person in no more: all their sessions end, everywhere. So already is as good.
    ///
    /// # Errors
    /// `NotFound`; technical ones.
    pub async fn suspend(&self, by: UserId, user_id: UserId, reason: &About) -> Result<Position, OperatorError> {
        self.user(by, user_id, &user::Command::Suspend { reason: Text::from(reason) }).await
    }

    /// Lets a person in again.
    ///
    /// # Errors
    /// `NotFound`; technical ones.
    pub async fn restore(&self, by: UserId, user_id: UserId, reason: &About) -> Result<Position, OperatorError> {
        self.user(by, user_id, &user::Command::Restore { reason: Text::from(reason) }).await
    }

    /// Has seen to what a person reported.
    ///
    /// # Errors
    /// `NotFound`; technical ones.
    pub async fn resolve(
        &self,
        by: UserId,
        reporter: UserId,
        (thread_id, number): (ThreadId, Number),
        reason: &About,
    ) -> Result<Position, OperatorError> {
        let command = user::Command::ResolveReport { thread_id, number, reason: Text::from(reason) };
        self.user(by, reporter, &command).await
    }

    /// Whether people can sign up.
    ///
    /// # Errors
    /// Technical ones only.
    pub async fn is_sign_up_open(&self) -> Result<bool, OperatorError> {
        Ok(!self.deployment.look(Aggregate::Deployment, Deployment::is_sign_up_closed).await?.1)
    }

    /// Lets people sign up, or nobody any more.
    ///
    /// # Errors
    /// Technical ones only.
    pub async fn set_sign_up(&self, by: UserId, open: bool, reason: &About) -> Result<Position, OperatorError> {
        let reason = Text::from(reason);
        let command =
            if open { deployment::Command::OpenSignUp { reason } } else { deployment::Command::CloseSignUp { reason } };
        self.decide(by, &command).await
    }

    /// Says that an operator reads what a person did and what was done to them: before they do.
    ///
    /// # Errors
    /// Technical ones only.
    pub async fn audit_user(&self, by: UserId, user_id: UserId) -> Result<Position, OperatorError> {
        self.decide(by, &deployment::Command::AuditUser { user_id }).await
    }

    /// Says that an operator reads what was done in a thread: before they do.
    ///
    /// # Errors
    /// Technical ones only.
    pub async fn audit_thread(&self, by: UserId, thread_id: ThreadId) -> Result<Position, OperatorError> {
        self.decide(by, &deployment::Command::AuditThread { thread_id }).await
    }

    async fn all(&self) -> Result<Vec<(String, Operator)>, OperatorError> {
        let (mut all, mut after) = (Vec::new(), 0);
        while let Some((key, entry)) = self.bucket.next(after).await? {
            after = entry.revision;
            all.extend(self.operator(&entry.value).await?.map(|operator| (key, operator)));
        }
        Ok(all)
    }

    async fn operator(&self, record: &[u8]) -> Result<Option<Operator>, OperatorError> {
        let Ok(Record { operator_id, name }) = serde_json::from_slice(record) else { return Ok(None) };
        let Some(key) = self.log.keyring().get(operator_id).await? else { return Ok(None) };
        let name = key.open_record(operator_id.uuid(), NAME, &name);
        Ok(name.map(|name| Operator { operator_id, name }))
    }

    async fn user(&self, by: UserId, user_id: UserId, command: &user::Command) -> Result<Position, OperatorError> {
        Ok(self.users.handle(Aggregate::User(user_id), by, command, |_| ()).await.map_err(failed)?.position)
    }

    async fn decide(&self, by: UserId, command: &deployment::Command) -> Result<Position, OperatorError> {
        Ok(self.deployment.handle(Aggregate::Deployment, by, command, |_| ()).await.map_err(failed)?.position)
    }
}

impl From<BucketError> for OperatorError {
    fn from(error: BucketError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Of all that an aggregate refuses, only that it is nobody's can be reached from here.
fn failed<R>(error: HandleError<R>) -> OperatorError {
    match error {
        HandleError::Rejected(_) => OperatorError::NotFound,
        HandleError::Conflict => OperatorError::Conflict,
        HandleError::OutcomeUnknown(source) => OperatorError::OutcomeUnknown(source),
        HandleError::Log(error) => OperatorError::Unavailable(error),
    }
}

/// A token of so much chance needs no slow hash.
fn hash(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(token))
}
