//! What accounts refuse, and what can go wrong around them.

use super::password::{MAX_BYTES, MIN_BYTES};
use crate::picture::NoPicture;
use events::log::{BucketError, LogError};

#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("the username, or one that looks like it, is taken")]
    UsernameTaken,
    #[error("nobody can sign up at the moment")]
    SignUpClosed,
    /// Told only to who has shown the password.
    #[error("the account is suspended")]
    Suspended,
    #[error("unknown username or wrong password")]
    BadCredentials,
    #[error(transparent)]
    WeakPassword(#[from] WeakPassword),
    #[error("the refresh token is not valid")]
    InvalidRefreshToken,
    /// The caller's own, which may have been ended by another device.
    #[error("the session has ended")]
    SessionEnded,
    #[error("the caller has no such session")]
    NoSuchSession,
    #[error(transparent)]
    NoPicture(NoPicture),
    /// Too many passwords wait to be hashed, or too many changes hit one account.
    #[error("busy")]
    Busy,
    #[error("the outcome is unknown")]
    OutcomeUnknown(#[source] LogError),
    #[error(transparent)]
    Unavailable(#[from] LogError),
    /// A record of ours that cannot be: somebody else wrote to our buckets.
    #[error("a stored record of accounts is broken: {0}")]
    Inconsistent(&'static str),
}

/// Why a password will not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    #[error("must have at least {MIN_BYTES} bytes")]
    TooShort,
    #[error("must have at most {MAX_BYTES} bytes")]
    TooLong,
    #[error("is among the most common passwords")]
    Common,
    #[error("is little more than the username")]
    Username,
}

impl From<BucketError> for AccountError {
    fn from(error: BucketError) -> Self {
        match error {
            BucketError::Conflict => Self::Busy,
            BucketError::Unavailable(_) => Self::Unavailable(error.into()),
        }
    }
}

/// Why an access token is refused. The edge tells its bearer nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    #[error("not an access token of this deployment")]
    Malformed,
    #[error("the token is over")]
    Expired,
    #[error("the session has ended")]
    Revoked,
}
