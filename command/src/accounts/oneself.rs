//! What somebody changes of themselves: the password, and how others meet them.
//! The password and the end of all earlier sessions are one write; the fact that
//! tells it may come late, and comes: by whoever finds the write without it.

use super::{
    AccountError, Accounts, Identity,
    credentials::{Credential, Found},
    password,
};
use crate::{
    attachments::Use,
    decider::Decider,
    user::{self, Profile, User},
};
use events::{
    Aggregate, AttachmentId, Position, SessionId, Text,
    event::{Adders, Viewers},
    log::BucketError,
    text::{About, Line},
};

/// How often a password is changed anew because another device was faster.
const ATTEMPTS: u32 = 3;

/// What is to be changed of a profile.
#[derive(Debug, Clone, Default)]
pub struct ProfileChange {
    pub display_name: Option<Line>,
    pub about: Option<About>,
    pub last_seen_visible_to: Option<Viewers>,
    pub may_add_me: Option<Adders>,
}

impl Accounts {
    /// Sets another password, and ends all the caller's sessions but this one. Asked again after a
    /// lost answer, it answers as if it had just been done.
    ///
    /// # Errors
    /// A new password that will not do, `BadCredentials` for a wrong one, `SessionEnded`, `Busy`; technical ones.
    #[tracing::instrument(name = "command.change_password", skip_all)]
    pub async fn change_password(
        &self,
        identity: &Identity,
        current: String,
        new: String,
    ) -> Result<Position, AccountError> {
        let &Identity { user_id, session_id, .. } = identity;
        let open = |user: &User| user.has_open(session_id);
        let record = self.0.sessions.find(user_id, session_id, self.0.clock.now()).await?;
        let record = record.ok_or(AccountError::SessionEnded)?;
        for _ in 0..ATTEMPTS {
            if !self.0.users.look(Aggregate::User(user_id), open).await?.1 {
                return Err(AccountError::SessionEnded);
            }
            let found = self.0.credentials.find(&record.claim).await?;
            let found = found.filter(|found| found.credential.user_id == user_id).ok_or(AccountError::SessionEnded)?;
            if !found.credential.admits(session_id, record.epoch) {
                return Err(AccountError::SessionEnded);
            }
            let username = self.0.credentials.open_names(&found.credential).await?.username;
            password::check(&new, &username)?;
            if !self.verify(&found, current.clone()).await? {
                let repeated = found.credential.keeps == Some(session_id) && self.verify(&found, new).await?;
                return if repeated {
                    self.announce(&found.credential).await
                } else {
                    Err(AccountError::BadCredentials)
                };
            }
            let hash = self.0.passwords.hash(new.clone()).await?;
            match self.0.credentials.change(found, hash, session_id).await {
                Ok(credential) => return self.announce(&credential).await,
                Err(BucketError::Conflict) => {}
                Err(error @ BucketError::Unavailable(_)) => return Err(AccountError::OutcomeUnknown(error.into())),
            }
        }
        Err(AccountError::Busy)
    }

    /// Changes how others meet the caller.
    ///
    /// # Errors
    /// Technical ones only.
    #[tracing::instrument(name = "command.change_profile", skip_all)]
    pub async fn change_profile(&self, identity: &Identity, change: ProfileChange) -> Result<Position, AccountError> {
        let ProfileChange { display_name, about, last_seen_visible_to, may_add_me } = change;
        let profile = Profile {
            display_name: display_name.as_ref().map(Text::from),
            about: about.as_ref().map(Text::from),
            last_seen_visible_to,
            may_add_me,
        };
        self.user(identity.user_id, &user::Command::ChangeProfile(profile)).await
    }

    /// Says that the caller is given all that is held about them.
    ///
    /// # Errors
    /// Technical ones only.
    #[tracing::instrument(name = "command.note_export", skip_all)]
    pub async fn note_export(&self, identity: &Identity) -> Result<Position, AccountError> {
        self.user(identity.user_id, &user::Command::NoteExport).await
    }

    /// Has the caller look like an upload of theirs, or like nothing.
    ///
    /// # Errors
    /// `NoPicture`; technical ones.
    #[tracing::instrument(name = "command.set_picture", skip_all)]
    pub async fn set_picture(
        &self,
        identity: &Identity,
        upload: Option<AttachmentId>,
    ) -> Result<Position, AccountError> {
        let user_id = identity.user_id;
        let picture = match upload {
            Some(upload) => {
                let would_do = async |picture| {
                    let asked = user::Command::SetPicture(Some(picture));
                    self.0.users.glance(Aggregate::User(user_id), |user| user.decide(&asked).is_ok()).await
                };
                Some(self.0.attachments.picture(user_id, upload, Use::Portrait { user_id }, would_do).await?)
            }
            None => None,
        };
        self.user(user_id, &user::Command::SetPicture(picture)).await
    }

    /// Writes the fact that a changed password promises, where there was a change and it is not told yet.
    pub(super) async fn end_earlier_sessions(&self, credential: &Credential) -> Result<Option<Position>, AccountError> {
        let Some(keeps) = credential.keeps else { return Ok(None) };
        let command = user::Command::ChangePassword { epoch: credential.epoch, keeps };
        self.user(credential.user_id, &command).await.map(Some)
    }

    /// Tells of the change, and tidies up after the sessions that it ended: their records are dead already.
    async fn announce(&self, credential: &Credential) -> Result<Position, AccountError> {
        let id = Aggregate::User(credential.user_id);
        let before = self.0.users.look(id, |user: &User| user.sessions().to_vec()).await?.1;
        let position = self.end_earlier_sessions(credential).await?;
        let (now_at, after) = self.0.users.look(id, |user: &User| user.sessions().to_vec()).await?;
        for ended in before.into_iter().filter(|session_id| !after.contains(session_id)) {
            self.forget(credential, ended).await;
        }
        Ok(position.unwrap_or(now_at))
    }

    async fn forget(&self, credential: &Credential, ended: SessionId) {
        self.0.revoked.insert(ended, self.0.clock.now());
        if let Err(error) = self.0.sessions.remove(credential.user_id, ended).await {
            tracing::debug!(%error, "a dead session's record stays until it is old");
        }
    }

    async fn verify(&self, found: &Found, password: String) -> Result<bool, AccountError> {
        self.0.passwords.verify(password, Some(found.credential.password_hash.clone())).await
    }
}
