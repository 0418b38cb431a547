//! Files beside the log: what a fact says of one. Its bytes lie in the blobs,
//! sealed with its author's key like the name that it has here.

use crate::{AttachmentId, Text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Bytes that one file may have.
pub const MAX_BYTES: u64 = 64 << 20;

/// A file as the facts tell it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    pub attachment_id: AttachmentId,
    pub name: Text,
    pub media_type: MediaType,
    /// In bytes.
    pub size: u64,
    /// Of an image, in pixels, as its head says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
}

/// What kind of content a file has, `type/subtype` in lower case (RFC 6838), without parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MediaType(String);

/// A text that names no media type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is no media type")]
pub struct InvalidMediaType;

impl MediaType {
    /// RFC 6838, section 4.2: of each of both names.
    const MAX_BYTES: usize = 127;

    /// Bytes of which nothing else is known.
    pub fn unknown() -> Self {
        Self("application/octet-stream".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MediaType {
    type Err = InvalidMediaType;

    /// Parses a media type; parameters are left out.
    fn from_str(text: &str) -> Result<Self, InvalidMediaType> {
        let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_name = |name: &str| {
            let fits = (1..=Self::MAX_BYTES).contains(&name.len());
            fits && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
        };
        match essence.split_once('/') {
            Some((kind, of_kind)) if is_name(kind) && is_name(of_kind) => Ok(Self(essence)),
            Some(_) | None => Err(InvalidMediaType),
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
