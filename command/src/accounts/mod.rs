//! Who somebody is: sign-up, log-in, sessions and their tokens. Credentials,
//! sessions and signing keys lie in buckets of the log, not in Postgres: wipe
//! the database and log-in still works. A session ends by a fact.

mod credentials;
mod devices;
mod error;
mod mentions;
mod oneself;
mod password;
mod revoked;
mod session;
mod signing;
mod token;

pub use devices::Device;
pub use error::{AccountError, InvalidToken, WeakPassword};
pub use oneself::ProfileChange;
pub use token::{Identity, Tokens};

use crate::{
    attachments::Attachments,
    deployment::Deployment,
    handler::{HandleError, Handled, Handler},
    user::{self, User},
};
use chrono::TimeDelta;
use credentials::{Credential, Credentials, Found};
use events::{
    Aggregate, Clock, Envelope, EventLog, Ids, Position, SessionId, Text, UserId, log::Partitioned, name::Username,
    text::Line,
};
use password::Passwords;
use revoked::Revoked;
use session::{New, Sessions};
use signing::Secrets;
use std::sync::Arc;
use token::Issuer;

/// The door to all accounts; what it does for those who are in is in `devices` and `oneself`. Cheap to clone.
#[derive(Clone)]
pub struct Accounts(Arc<Inner>);

struct Inner {
    clock: Clock,
    ids: Ids,
    users: Handler<User>,
    deployment: Handler<Deployment>,
    attachments: Attachments,
    credentials: Credentials,
    sessions: Sessions,
    passwords: Passwords,
    secrets: Secrets,
    issuer: Issuer,
    revoked: Revoked,
}

/// What somebody signs up with.
#[derive(Debug, Clone)]
pub struct SignUp {
    pub username: Username,
    pub password: String,
    pub display_name: Line,
    pub device: Option<Line>,
}

/// What somebody logs in with: the username as it was typed.
#[derive(Debug, Clone)]
pub struct LogIn {
    pub username: String,
    pub password: String,
    pub device: Option<Line>,
}

/// A person and the session that was opened for them.
#[derive(Debug, Clone)]
pub struct SignedIn {
    pub user: Named,
    pub tokens: Tokens,
    pub position: Position,
}

/// A person and what they are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub user_id: UserId,
    pub username: String,
    pub display_name: String,
}

impl Accounts {
    /// Opens the buckets; the first node of a deployment makes its signing key.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn open(
        log: EventLog,
        clock: Clock,
        ids: Ids,
        users: Handler<User>,
        attachments: Attachments,
    ) -> Result<Self, AccountError> {
        let secrets = Secrets::open(&log, clock.now()).await?;
        Ok(Self(Arc::new(Inner {
            deployment: Handler::new(log.clone(), clock.clone(), ids.clone(), Deployment::CACHE),
            credentials: Credentials::open(log.clone()).await?,
            sessions: Sessions::open(log, secrets.refresh_pepper).await?,
            passwords: Passwords::new()?,
            issuer: Issuer::new(secrets.keys(clock.now()).await?),
            secrets,
            revoked: Revoked::default(),
            clock,
            ids,
            users,
            attachments,
        })))
    }

    /// Claims a username, makes the person, and opens their first session.
    ///
    /// # Errors
    /// `SignUpClosed`, `UsernameTaken`, a password that will not do, `Busy`; technical ones.
    #[tracing::instrument(name = "command.sign_up", skip_all)]
    pub async fn sign_up(&self, request: SignUp) -> Result<SignedIn, AccountError> {
        let SignUp { username, password, display_name, device } = request;
        if self.0.deployment.look(Aggregate::Deployment, Deployment::is_sign_up_closed).await?.1 {
            return Err(AccountError::SignUpClosed);
        }
        password::check(&password, username.as_str())?;
        if let Some(theirs) = self.0.credentials.find(&username.claim()).await? {
            // Whoever claimed the name may have been cut off before the fact was written.
            self.roll_forward(&theirs.credential).await?;
            return Err(AccountError::UsernameTaken);
        }
        let hash = self.0.passwords.hash(password).await?;
        let user_id = UserId::from_uuid(self.0.ids.next());
        let claimed = self.0.credentials.claim(user_id, &username, &display_name, hash).await?;
        if claimed.credential.user_id != user_id {
            self.roll_forward(&claimed.credential).await?;
            return Err(AccountError::UsernameTaken);
        }
        self.sign_in(claimed, device).await
    }

    /// Opens a session for whoever knows the password. An unknown name and a wrong password
    /// cost the same time and get the same answer.
    ///
    /// # Errors
    /// `BadCredentials`, `Suspended`, `Busy`; technical ones.
    #[tracing::instrument(name = "command.log_in", skip_all)]
    pub async fn log_in(&self, request: LogIn) -> Result<SignedIn, AccountError> {
        let LogIn { username, password, device } = request;
        let claim = Username::parse(&username).map_or(Credentials::NOBODYS.to_owned(), |name| name.claim());
        let found = self.0.credentials.find(&claim).await?;
        let hash = found.as_ref().map(|found| found.credential.password_hash.clone());
        let matches = self.0.passwords.verify(password, hash).await?;
        let found = found.filter(|_| matches).ok_or(AccountError::BadCredentials)?;
        self.sign_in(found, device).await
    }

    /// Who bears an access token, as far as this node has heard of revocations.
    ///
    /// # Errors
    /// When the token is not ours, not an access token, over, or its session was revoked.
    pub fn authenticate(&self, access_token: &str) -> Result<Identity, InvalidToken> {
        let identity = self.0.issuer.verify(access_token, self.0.clock.now())?;
        if self.0.revoked.contains(identity.session_id) { Err(InvalidToken::Revoked) } else { Ok(identity) }
    }

    /// Whether a session is known to have ended.
    pub fn has_ended(&self, session_id: SessionId) -> bool {
        self.0.revoked.contains(session_id)
    }

    /// How far back a node must know the log to know every revocation that still matters: of sessions that
    /// ended before, all access tokens are over.
    pub fn revocations_matter_for(&self) -> TimeDelta {
        token::LIFETIME + token::LEEWAY * 2
    }

    /// Takes in what the log says of sessions that ended.
    pub fn observe(&self, envelope: &Envelope) {
        self.0.revoked.observe(envelope, self.0.clock.now());
    }

    /// The public keys of access tokens (RFC 7517).
    pub fn jwks(&self) -> serde_json::Value {
        self.0.issuer.jwks(self.0.clock.now())
    }

    /// Goes on with the signing keys as they are now, and makes the next one where it is due: to be
    /// done every now and then, as no other node tells.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn turn_keys(&self) -> Result<(), AccountError> {
        let keys = self.0.secrets.keys(self.0.clock.now()).await?;
        self.0.issuer.take(keys);
        Ok(())
    }

    /// The claims, each a promise of facts.
    pub(crate) fn claims(&self) -> &Partitioned {
        self.0.credentials.buckets()
    }

    /// Keeps what a claim promises.
    pub(crate) async fn keep_promise(&self, claim: &[u8]) -> Result<(), AccountError> {
        self.roll_forward(&credentials::parse(claim)?).await
    }

    /// Writes the facts that a claim promises, as far as they are not there yet: that somebody
    /// signed up, and which sessions their newest password ended.
    async fn roll_forward(&self, credential: &Credential) -> Result<(), AccountError> {
        let Named { user_id, username, display_name } = self.0.credentials.open_names(credential).await?;
        let command = user::Command::SignUp { username: Text::new(&username), display_name: Text::new(&display_name) };
        self.user(user_id, &command).await?;
        self.end_earlier_sessions(credential).await.map(drop)
    }

    /// Opens a session for who has shown the password. No session of an epoch is opened before the fact that begins
    /// it, so that this fact ends none of its own, however late it is written.
    async fn sign_in(&self, found: Found, device: Option<Line>) -> Result<SignedIn, AccountError> {
        let Found { claim, credential, .. } = found;
        self.roll_forward(&credential).await?;
        let (user_id, session_id) = (credential.user_id, SessionId::from_uuid(self.0.ids.next()));
        let now = self.0.clock.now();
        let (epoch, called) = (credential.epoch, device.as_ref().map(Line::as_str));
        let new = New { user_id, session_id, claim: &claim, epoch, device: called };
        let refresh_token = self.0.sessions.create(new, now).await?;
        let device = device.as_ref().map(Text::from);
        let position = self.user(user_id, &user::Command::OpenSession { session_id, device, epoch }).await?;
        Ok(SignedIn {
            user: self.0.credentials.open_names(&credential).await?,
            tokens: self.0.issuer.issue(user_id, session_id, refresh_token, now),
            position,
        })
    }

    async fn user(&self, user_id: UserId, command: &user::Command) -> Result<Position, AccountError> {
        self.handle(user_id, command, |_| ()).await.map(|handled| handled.position)
    }

    async fn handle<T>(
        &self,
        user_id: UserId,
        command: &user::Command,
        see: impl Fn(&User) -> T,
    ) -> Result<Handled<T>, AccountError> {
        self.0.users.handle(Aggregate::User(user_id), user_id, command, see).await.map_err(|error| match error {
            HandleError::Rejected(user::Rejection::Unknown | user::Rejection::PasswordChanged) => {
                AccountError::BadCredentials
            }
            HandleError::Rejected(user::Rejection::Suspended) => AccountError::Suspended,
            HandleError::Rejected(user::Rejection::NoPicture(error)) => AccountError::NoPicture(error),
            HandleError::Rejected(user::Rejection::TooMany) => AccountError::Inconsistent("an account keeps nothing"),
            HandleError::Conflict => AccountError::Busy,
            HandleError::OutcomeUnknown(source) => AccountError::OutcomeUnknown(source),
            HandleError::Log(error) => AccountError::Unavailable(error),
        })
    }
}
