//! What the rooms behind the edge refuse, as problems: once, and exhaustively,
//! so that a new refusal does not compile until somebody decides how it is told.

use crate::problem::{Kind, Problem};
use command::{
    accounts::AccountError, attachments::AttachmentError, operators::OperatorError, people::PersonError,
    picture::NoPicture, threads::ThreadError,
};
use events::{UserId, blobs::BlobError};

const BUSY: &str = "too much at once, try again";

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match &error {
            AccountError::UsernameTaken => {
                Self::new(Kind::UsernameTaken, error.to_string()).with_field("username", "is taken")
            }
            AccountError::BadCredentials => Self::new(Kind::BadCredentials, error.to_string()),
            AccountError::SignUpClosed => Self::new(Kind::SignUpClosed, error.to_string()),
            AccountError::Suspended => Self::new(Kind::Suspended, error.to_string()),
            AccountError::InvalidRefreshToken | AccountError::SessionEnded => {
                Self::new(Kind::Unauthorized, error.to_string())
            }
            AccountError::NoPicture(NoPicture::NoSuchUpload) => no_such_upload("attachment_id"),
            AccountError::NoPicture(error @ NoPicture::NotShown) => Self::invalid("attachment_id", error),
            AccountError::WeakPassword(weak) => Self::invalid("password", weak),
            AccountError::NoSuchSession => Self::not_found(),
            AccountError::Busy => Self::new(Kind::Busy, BUSY),
            AccountError::OutcomeUnknown(_) => Self::outcome_unknown().caused_by(&error),
            AccountError::Unavailable(_) => Self::out_of_reach(&error),
            AccountError::Inconsistent(_) => Self::internal(&error),
        }
    }
}

impl From<ThreadError> for Problem {
    fn from(error: ThreadError) -> Self {
        match &error {
            ThreadError::NotFound => Self::not_found(),
            ThreadError::KeyReused => {
                Self::new(Kind::KeyReused, error.to_string()).with_field("key", "was used for another message")
            }
            ThreadError::NoSuchPerson(who) => {
                naming(Self::new(Kind::NotFound, error.to_string()), who, "is nobody's id")
            }
            ThreadError::NoSuchUpload => no_such_upload("attachments"),
            ThreadError::NoPicture(error) => Self::invalid("attachment_id", error),
            ThreadError::Blocked => Self::new(Kind::Blocked, error.to_string()),
            ThreadError::Forbidden => Self::new(Kind::Forbidden, error.to_string()),
            ThreadError::MayNotAdd(who) => {
                naming(Self::new(Kind::MayNotAdd, error.to_string()), who, "does not let the caller add them")
            }
            ThreadError::LastOwner => Self::new(Kind::LastOwner, error.to_string()),
            ThreadError::Full => Self::new(Kind::GroupFull, error.to_string()),
            ThreadError::IdTaken => {
                Self::new(Kind::IdTaken, error.to_string()).with_field("thread_id", "is of another thread")
            }
            ThreadError::Deleted => Self::new(Kind::MessageDeleted, error.to_string()),
            ThreadError::OneselfOnly | ThreadError::NotAGroup | ThreadError::TooManyReactions => {
                Self::new(Kind::Validation, error.to_string())
            }
            ThreadError::NumberBeyondLast { last } => {
                Self::new(Kind::Validation, format!("the thread's last number is {last}"))
            }
            ThreadError::Conflict => Self::new(Kind::Busy, BUSY),
            ThreadError::KeyUnknown { .. } | ThreadError::NotShown { .. } | ThreadError::OutcomeUnknown(_) => {
                Self::outcome_unknown().caused_by(&error)
            }
            ThreadError::Unavailable(_) => Self::out_of_reach(&error),
        }
    }
}

impl From<PersonError> for Problem {
    fn from(error: PersonError) -> Self {
        match &error {
            PersonError::NotFound => Self::not_found(),
            PersonError::Oneself | PersonError::TooMany => Self::new(Kind::Validation, error.to_string()),
            PersonError::Conflict => Self::new(Kind::Busy, BUSY),
            PersonError::OutcomeUnknown(_) => Self::outcome_unknown().caused_by(&error),
            PersonError::Unavailable(_) => Self::out_of_reach(&error),
        }
    }
}

impl From<OperatorError> for Problem {
    fn from(error: OperatorError) -> Self {
        match &error {
            OperatorError::NotFound => Self::not_found(),
            OperatorError::NameTaken => Self::new(Kind::Validation, error.to_string()),
            OperatorError::Conflict => Self::new(Kind::Busy, BUSY),
            OperatorError::OutcomeUnknown(_) => Self::outcome_unknown().caused_by(&error),
            OperatorError::Unavailable(_) => Self::out_of_reach(&error),
        }
    }
}

impl From<AttachmentError> for Problem {
    fn from(error: AttachmentError) -> Self {
        match &error {
            AttachmentError::Empty => Self::new(Kind::Validation, error.to_string()),
            AttachmentError::TooLarge => Self::new(Kind::TooLarge, error.to_string()),
            AttachmentError::NoOwner => Self::not_found(),
            // It went with its message, or it is not what it was: there is nothing to show.
            AttachmentError::Store(BlobError::Broken(_)) => Self::not_found().caused_by(&error),
            AttachmentError::Store(_) | AttachmentError::Log(_) => Self::out_of_reach(&error),
        }
    }
}

/// 404: not there any more, another's, or used for something else; which of these, is not told.
fn no_such_upload(field: &str) -> Problem {
    Problem::not_found().with_field(field, "names no upload of the caller's that waits for its use")
}

/// Says of whom it is true.
fn naming(problem: Problem, who: &[UserId], detail: &str) -> Problem {
    who.iter().fold(problem, |problem, user_id| problem.with_field(&user_id.to_string(), detail))
}

impl From<query::Error> for Problem {
    fn from(error: query::Error) -> Self {
        match &error {
            query::Error::Unavailable(_) | query::Error::Moved => Self::out_of_reach(&error),
            query::Error::TooDear(_) => {
                Self::unavailable("this takes too long: ask for less, or more precisely").caused_by(&error)
            }
            query::Error::Behind(behind) => Self::view_behind(behind),
            query::Error::SetAside => Self::new(Kind::SetAside, "this thread cannot be shown until it is repaired"),
            query::Error::Cursor(_) => Self::invalid_cursor(),
            query::Error::Inconsistent(_) => Self::internal(&error),
        }
    }
}

#[cfg(test)]
#[path = "refusals_tests.rs"]
mod tests;
