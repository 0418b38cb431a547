//! The identifiers of the domain: UUIDs, each kind a type of its own.
//! Ids that a client mints are UUIDv7; a direct thread's id is UUIDv5 of its
//! two people and is never taken from a client.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    #[error("is not a UUID in lower-case hyphenated form")]
    NotAUuid,
    #[error("is not a UUIDv7")]
    NotVersion7,
}

fn parse(text: &str) -> Result<Uuid, InvalidId> {
    let hyphenated = text.len() == 36 && !text.bytes().any(|b| b.is_ascii_uppercase());
    Uuid::try_parse(text).ok().filter(|_| hyphenated).ok_or(InvalidId::NotAUuid)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            pub const fn uuid(self) -> Uuid {
                self.0
            }

            /// Parses an id that a client minted.
            ///
            /// # Errors
            /// When the text is no UUID in lower-case hyphenated form, or not of version 7.
            pub fn parse_minted(text: &str) -> Result<Self, InvalidId> {
                let uuid = parse(text)?;
                if uuid.get_version_num() == 7 { Ok(Self(uuid)) } else { Err(InvalidId::NotVersion7) }
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

id!(
    /// A person.
    UserId
);
id!(
    /// A conversation, direct or group.
    ThreadId
);
id!(
    /// One log-in of one device.
    SessionId
);
id!(
    /// One lease of a gateway: who lost it takes another.
    GatewayId
);
id!(
    /// One fact in the log.
    EventId
);
id!(
    /// A file that somebody uploaded.
    AttachmentId
);
id!(
    /// What a sender mints to make a send idempotent.
    MessageKey
);

/// The name space of direct threads' ids (RFC 9562, section 6.5); part of the storage format.
const DIRECT_THREADS: Uuid = Uuid::from_u128(0x6c1d_6f0e_52e7_5c0b_9a3e_0f2a_7d10_44b1);

impl ThreadId {
    /// The one direct thread of two people, whoever of them asks.
    pub fn direct(one: UserId, other: UserId) -> Self {
        let (low, high) = if one <= other { (one, other) } else { (other, one) };
        let mut name = [0; 32];
        name[..16].copy_from_slice(low.0.as_bytes());
        name[16..].copy_from_slice(high.0.as_bytes());
        Self(Uuid::new_v5(&DIRECT_THREADS, &name))
    }
}
