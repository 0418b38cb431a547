//! The sessions of somebody who is in: refreshed, listed, ended. A session is
//! good while its fact says that it is open, its record lives, and its
//! credential admits it. It ends by a fact, for every node at once.

use super::{AccountError, Accounts, Identity, Tokens, session::Refreshed};
use crate::user::{self, User};
use events::{Aggregate, Position, SessionId, Timestamp, UserId};

/// One session of somebody's, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub session_id: SessionId,
    pub device: Option<String>,
    pub created_at: Timestamp,
    /// When its tokens were last renewed.
    pub last_used_at: Timestamp,
}

impl Accounts {
    /// Spends a refresh token for new tokens. The spent one again, within ten seconds and its
    /// successor unused, answers the same successor; later it reveals a theft and ends the session.
    ///
    /// # Errors
    /// `InvalidRefreshToken`; technical ones.
    #[tracing::instrument(name = "command.refresh", skip_all)]
    pub async fn refresh(&self, refresh_token: &str) -> Result<Tokens, AccountError> {
        let now = self.0.clock.now();
        let token = self.0.sessions.parse(refresh_token).ok_or(AccountError::InvalidRefreshToken)?;
        let (user_id, session_id) = (token.user_id, token.session_id);
        // The fact decides, not the record: a session that ended refreshes nothing. It is asked before the token is
        // spent, so that whoever gets no answer still holds a good one.
        let (_, open) = self.0.users.look(Aggregate::User(user_id), |user| user.has_open(session_id)).await?;
        if !open || !self.is_admitted(user_id, session_id, now).await? {
            return Err(AccountError::InvalidRefreshToken);
        }
        let successor = match self.0.sessions.refresh(&token, now).await? {
            Refreshed::Successor(refresh_token) => refresh_token,
            Refreshed::Reused => {
                tracing::warn!(%user_id, %session_id, "a spent refresh token came again: the session ends");
                self.revoke(user_id, session_id).await?;
                return Err(AccountError::InvalidRefreshToken);
            }
            Refreshed::Unknown => return Err(AccountError::InvalidRefreshToken),
        };
        Ok(self.0.issuer.issue(user_id, session_id, successor, now))
    }

    /// The caller's open sessions, oldest first, and where the log says so.
    ///
    /// # Errors
    /// Technical ones only.
    #[tracing::instrument(name = "command.sessions", skip_all)]
    pub async fn sessions(&self, user_id: UserId) -> Result<(Position, Vec<Device>), AccountError> {
        let now = self.0.clock.now();
        let (position, open) =
            self.0.users.look(Aggregate::User(user_id), |user: &User| user.sessions().to_vec()).await?;
        let mut devices = Vec::with_capacity(open.len());
        for session_id in open {
            let Some(record) = self.0.sessions.find(user_id, session_id, now).await? else { continue };
            let device = self.0.sessions.device(user_id, session_id, &record).await?;
            let (created_at, last_used_at) = (record.created_at, record.last_used_at);
            devices.push(Device { session_id, device, created_at, last_used_at });
        }
        Ok((position, devices))
    }

    /// Ends one of the caller's sessions.
    ///
    /// # Errors
    /// `NoSuchSession` where it is not open, or not the caller's; technical ones.
    #[tracing::instrument(name = "command.end_session", skip_all)]
    pub async fn end_session(&self, user_id: UserId, session_id: SessionId) -> Result<Position, AccountError> {
        let (position, ended) = self.revoke(user_id, session_id).await?;
        if ended { Ok(position) } else { Err(AccountError::NoSuchSession) }
    }

    /// Ends the caller's session: its tokens are refused on every node that hears the log.
    ///
    /// # Errors
    /// Technical ones only; ended already is as good.
    #[tracing::instrument(name = "command.log_out", skip_all)]
    pub async fn log_out(&self, identity: &Identity) -> Result<Position, AccountError> {
        self.revoke(identity.user_id, identity.session_id).await.map(|(position, _)| position)
    }

    /// Whether the session's record lives and the credential that opened it still admits it. The
    /// record may outlive the credential's change: the fact that ends it may be on its way.
    async fn is_admitted(&self, user_id: UserId, session_id: SessionId, now: Timestamp) -> Result<bool, AccountError> {
        let Some(record) = self.0.sessions.find(user_id, session_id, now).await? else { return Ok(false) };
        let found = self.0.credentials.find(&record.claim).await?;
        Ok(found.is_some_and(|found| {
            found.credential.user_id == user_id && found.credential.admits(session_id, record.epoch)
        }))
    }

    async fn revoke(&self, user_id: UserId, session_id: SessionId) -> Result<(Position, bool), AccountError> {
        let handled = self.handle(user_id, &user::Command::RevokeSession { session_id }, |_| ()).await?;
        let ended = handled.at.is_some();
        if ended {
            self.0.revoked.insert(session_id, self.0.clock.now());
        }
        self.0.sessions.remove(user_id, session_id).await?;
        Ok((handled.position, ended))
    }
}
