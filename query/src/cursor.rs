//! Page tokens. Opaque to clients: base64url over what the page ended with and
//! a checksum that ties it to one kind of list. It grants nothing: each page is
//! authorised anew.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use events::{ThreadId, Timestamp, UserId, clock::millis, event::Number};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// Where the next page of a list begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// After that thread in the inbox, which was last active then.
    Thread { updated_at: Timestamp, thread_id: ThreadId },
    /// After that member of a thread.
    Member { user_id: UserId },
    /// After that contact.
    Contact { user_id: UserId },
    /// After that person in the list of blocks.
    Block { user_id: UserId },
    /// After that message in what was found.
    Hit { sent_at: Timestamp, thread_id: ThreadId, number: Number },
}

/// Why a text is no cursor of the list that it was given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a cursor of this list")]
pub struct InvalidCursor;

const THREAD: u8 = 1;
const MEMBER: u8 = 2;
const CONTACT: u8 = 3;
const BLOCK: u8 = 4;
const HIT: u8 = 5;
const CHECKSUM: usize = 6;
/// From 1970 to 9999, in milliseconds.
const TIMES: std::ops::Range<i64> = 0..253_402_300_800_000;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = match self {
            Self::Thread { updated_at, thread_id } => {
                [&[THREAD], &updated_at.timestamp_millis().to_be_bytes()[..], thread_id.uuid().as_bytes()].concat()
            }
            Self::Member { user_id } => person(MEMBER, *user_id),
            Self::Contact { user_id } => person(CONTACT, *user_id),
            Self::Block { user_id } => person(BLOCK, *user_id),
            Self::Hit { sent_at, thread_id, number } => [
                &[HIT],
                &sent_at.timestamp_millis().to_be_bytes()[..],
                &number.to_be_bytes(),
                thread_id.uuid().as_bytes(),
            ]
            .concat(),
        };
        bytes.extend_from_slice(&checksum(&bytes));
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
        let (content, sum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(InvalidCursor)?;
        if checksum(content) != *sum {
            return Err(InvalidCursor);
        }
        match content.split_first().ok_or(InvalidCursor)? {
            (&THREAD, rest) => {
                let (updated_at, id) = time(rest)?;
                Ok(Self::Thread { updated_at, thread_id: ThreadId::from_uuid(uuid(id)?) })
            }
            (&MEMBER, id) => Ok(Self::Member { user_id: UserId::from_uuid(uuid(id)?) }),
            (&CONTACT, id) => Ok(Self::Contact { user_id: UserId::from_uuid(uuid(id)?) }),
            (&BLOCK, id) => Ok(Self::Block { user_id: UserId::from_uuid(uuid(id)?) }),
            (&HIT, rest) => {
                let (sent_at, rest) = time(rest)?;
                let (number, id) = rest.split_first_chunk::<4>().ok_or(InvalidCursor)?;
                let number = Number::from_be_bytes(*number);
                Ok(Self::Hit { sent_at, thread_id: ThreadId::from_uuid(uuid(id)?), number })
            }
            _ => Err(InvalidCursor),
        }
    }
}

fn person(kind: u8, user_id: UserId) -> Vec<u8> {
    [&[kind], &user_id.uuid().as_bytes()[..]].concat()
}

fn time(bytes: &[u8]) -> Result<(Timestamp, &[u8]), InvalidCursor> {
    let (time, rest) = bytes.split_first_chunk::<8>().ok_or(InvalidCursor)?;
    let time = i64::from_be_bytes(*time);
    // Postgres knows no time that far away.
    Ok((Some(time).filter(|time| TIMES.contains(time)).map(millis).ok_or(InvalidCursor)?, rest))
}

fn uuid(bytes: &[u8]) -> Result<Uuid, InvalidCursor> {
    Uuid::from_slice(bytes).map_err(|_| InvalidCursor)
}

fn checksum(content: &[u8]) -> [u8; CHECKSUM] {
    let digest = Sha256::new().chain_update(b"herald cursor").chain_update(content).finalize();
    *digest.first_chunk().expect("SHA-256 has 32 bytes")
}
