//! What accounts refuse, and what can go wrong around them.

use events::log::{BucketError, LogError};

#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("the username, or one that looks like it, is taken")]
    UsernameTaken,
    #[error("unknown username or wrong password")]
    BadCredentials,
    #[error("a password has at least {} bytes", super::password::MIN_BYTES)]
    PasswordTooShort,
    #[error("a password has at most {} bytes", super::password::MAX_BYTES)]
    PasswordTooLong,
    #[error("the refresh token is not valid")]
    InvalidRefreshToken,
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
