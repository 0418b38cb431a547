//! Who somebody is: sign-up, log-in, sessions and their tokens. Credentials,
//! sessions and signing keys lie in buckets of the log, not in Postgres: wipe
//! the database and log-in still works. A session ends by a fact.

mod credentials;
mod error;
mod password;
mod revoked;
mod session;
mod signing;
mod token;

pub use error::{AccountError, InvalidToken};
pub use token::{Identity, Tokens};

use crate::{
    handler::{HandleError, Handler},
    user::{self, User},
};
use chrono::TimeDelta;
use credentials::{Credential, Credentials};
use events::{
    Aggregate, Clock, Envelope, EventLog, Ids, Position, SessionId, Text, Timestamp, UserId, name::Username, text::Line,
};
use password::Passwords;
use revoked::Revoked;
use session::{Refreshed, Sessions};
use std::sync::Arc;
use token::Issuer;

/// The door to all accounts. Cheap to clone.
#[derive(Clone)]
pub struct Accounts(Arc<Inner>);

struct Inner {
    clock: Clock,
    ids: Ids,
    users: Handler<User>,
    credentials: Credentials,
    sessions: Sessions,
    passwords: Passwords,
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
    pub async fn open(log: EventLog, clock: Clock, ids: Ids, users: Handler<User>) -> Result<Self, AccountError> {
        let secrets = signing::Secrets::open(&log).await?;
        Ok(Self(Arc::new(Inner {
            credentials: Credentials::open(log.clone()).await?,
            sessions: Sessions::open(log, &secrets).await?,
            passwords: Passwords::new(),
            issuer: Issuer::new(&secrets),
            revoked: Revoked::default(),
            clock,
            ids,
            users,
        })))
    }

    /// Claims a username, makes the person, and opens their first session.
    ///
    /// # Errors
    /// `UsernameTaken`, a password that will not do, `Busy`; technical ones.
    #[tracing::instrument(name = "command.sign_up", skip_all)]
    pub async fn sign_up(&self, request: SignUp) -> Result<SignedIn, AccountError> {
        let SignUp { username, password, display_name, device } = request;
        password::check(&password)?;
        if let Some(theirs) = self.0.credentials.find(&username).await? {
            // Whoever claimed the name may have been cut off before the fact was written.
            self.roll_forward(&theirs).await?;
            return Err(AccountError::UsernameTaken);
        }
        let hash = self.0.passwords.hash(password).await?;
        let user_id = UserId::from_uuid(self.0.ids.next());
        let claimed = self.0.credentials.claim(user_id, &username, &display_name, hash).await?;
        self.roll_forward(&claimed).await?;
        if claimed.user_id != user_id {
            return Err(AccountError::UsernameTaken);
        }
        self.sign_in(claimed, device).await
    }

    /// Opens a session for whoever knows the password. An unknown name and a wrong password
    /// cost the same time and get the same answer.
    ///
    /// # Errors
    /// `BadCredentials`, `Busy`; technical ones.
    #[tracing::instrument(name = "command.log_in", skip_all)]
    pub async fn log_in(&self, request: LogIn) -> Result<SignedIn, AccountError> {
        let LogIn { username, password, device } = request;
        let credential = match Username::parse(&username) {
            Ok(username) => self.0.credentials.find(&username).await?,
            Err(_) => None,
        };
        let hash = credential.as_ref().map(|credential| credential.password_hash.clone());
        let matches = self.0.passwords.verify(password, hash).await?;
        let credential = credential.filter(|_| matches).ok_or(AccountError::BadCredentials)?;
        self.roll_forward(&credential).await?;
        self.sign_in(credential, device).await
    }

    /// Spends a refresh token for new tokens. The spent one again, within ten seconds and its
    /// successor unused, answers the same successor; later it reveals a theft and ends the session.
    ///
    /// # Errors
    /// `InvalidRefreshToken`; technical ones.
    #[tracing::instrument(name = "command.refresh", skip_all)]
    pub async fn refresh(&self, refresh_token: &str) -> Result<Tokens, AccountError> {
        let now = self.0.clock.now();
        let (user_id, session_id, successor) = match self.0.sessions.refresh(refresh_token, now).await? {
            Refreshed::Successor { user_id, session_id, refresh_token } => (user_id, session_id, refresh_token),
            Refreshed::Reused { user_id, session_id } => {
                tracing::warn!(%user_id, %session_id, "a spent refresh token came again: the session ends");
                self.revoke(user_id, session_id).await?;
                return Err(AccountError::InvalidRefreshToken);
            }
            Refreshed::Unknown => return Err(AccountError::InvalidRefreshToken),
        };
        // The fact decides, not the record: a session that ended refreshes nothing.
        let (_, open) = self.0.users.look(Aggregate::User(user_id), |user| user.has_open(session_id)).await?;
        if !open {
            return Err(AccountError::InvalidRefreshToken);
        }
        Ok(self.0.issuer.issue(user_id, session_id, successor, now))
    }

    /// Ends the caller's session: its tokens are refused on every node that hears the log.
    ///
    /// # Errors
    /// Technical ones only; ended already is as good.
    #[tracing::instrument(name = "command.log_out", skip_all)]
    pub async fn log_out(&self, identity: &Identity) -> Result<Position, AccountError> {
        self.revoke(identity.user_id, identity.session_id).await
    }

    /// Who bears an access token, as far as this node has heard of revocations.
    ///
    /// # Errors
    /// When the token is not ours, not an access token, over, or its session was revoked.
    pub fn authenticate(&self, access_token: &str) -> Result<Identity, InvalidToken> {
        let identity = self.0.issuer.verify(access_token, self.0.clock.now())?;
        if self.0.revoked.contains(identity.session_id) { Err(InvalidToken::Revoked) } else { Ok(identity) }
    }

    /// Since when a node must have followed the log to know every revocation that still matters:
    /// before that, all access tokens are over. A minute is added for NATS' own clock.
    pub fn revocations_since(&self) -> Timestamp {
        self.0.clock.now() - token::LIFETIME - token::LEEWAY - TimeDelta::minutes(1)
    }

    /// Takes in what the log says of sessions that ended.
    pub fn observe(&self, envelope: &Envelope) {
        self.0.revoked.observe(envelope, self.0.clock.now());
    }

    /// The public keys of access tokens (RFC 7517).
    pub fn jwks(&self) -> serde_json::Value {
        self.0.issuer.jwks()
    }

    async fn revoke(&self, user_id: UserId, session_id: SessionId) -> Result<Position, AccountError> {
        let position = self.user(user_id, &user::Command::RevokeSession { session_id }).await?;
        self.0.revoked.insert(session_id, self.0.clock.now());
        self.0.sessions.remove(user_id, session_id).await?;
        Ok(position)
    }

    /// Writes the fact that a claim promises, if it is not there yet.
    async fn roll_forward(&self, credential: &Credential) -> Result<(), AccountError> {
        let Named { user_id, username, display_name } = self.0.credentials.open_names(credential).await?;
        let command = user::Command::SignUp { username: Text::new(&username), display_name: Text::new(&display_name) };
        self.user(user_id, &command).await.map(drop)
    }

    async fn sign_in(&self, credential: Credential, device: Option<Line>) -> Result<SignedIn, AccountError> {
        let (user_id, session_id) = (credential.user_id, SessionId::from_uuid(self.0.ids.next()));
        let now = self.0.clock.now();
        let refresh_token = self.0.sessions.create(user_id, session_id, now).await?;
        let device = device.as_ref().map(Text::from);
        let position = self.user(user_id, &user::Command::OpenSession { session_id, device }).await?;
        Ok(SignedIn {
            user: self.0.credentials.open_names(&credential).await?,
            tokens: self.0.issuer.issue(user_id, session_id, refresh_token, now),
            position,
        })
    }

    async fn user(&self, user_id: UserId, command: &user::Command) -> Result<Position, AccountError> {
        match self.0.users.handle(Aggregate::User(user_id), user_id, command, |_| ()).await {
            Ok(handled) => Ok(handled.position),
            Err(HandleError::Rejected(user::Rejection::Unknown)) => Err(AccountError::BadCredentials),
            Err(HandleError::Conflict) => Err(AccountError::Busy),
            Err(HandleError::OutcomeUnknown(source)) => Err(AccountError::OutcomeUnknown(source)),
            Err(HandleError::Log(error)) => Err(AccountError::Unavailable(error)),
        }
    }
}
