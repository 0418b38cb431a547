//! The record of an upload: whose it is, what was found out about it, and for
//! what it is used. Its name is sealed.

use super::Use;
use bytes::Bytes;
use chrono::TimeDelta;
use events::{
    Attachment, AttachmentId, Text, Timestamp, UserId, attachment::MediaType, seal::AuthorKey, text::FileName,
};
use serde::{Deserialize, Serialize};

/// How long an upload may wait for its use.
pub(crate) const USABLE_FOR: TimeDelta = TimeDelta::hours(24);

/// The name's place among what is sealed under an upload's id: its parts have the low ones.
const NAME: u64 = u64::MAX;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) owner: UserId,
    name: String,
    media_type: MediaType,
    /// In bytes; `None` while they are still coming.
    size: Option<u64>,
    width: Option<u32>,
    height: Option<u32>,
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub(crate) began_at: Timestamp,
    pub(crate) used: Option<Use>,
}

/// What the first bytes tell of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sniffed {
    pub(crate) media_type: MediaType,
    pub(crate) width: Option<u32>,
    pub(crate) height: Option<u32>,
}

impl Record {
    pub(super) fn new(
        id: AttachmentId,
        owner: UserId,
        key: &AuthorKey,
        name: &FileName,
        sniffed: Sniffed,
        began_at: Timestamp,
    ) -> Self {
        let name = key.seal_record(id.uuid(), NAME, name.as_str());
        let Sniffed { media_type, width, height } = sniffed;
        Self { owner, name, media_type, size: None, width, height, began_at, used: None }
    }

    /// Of a file that should be gone, so that it is found.
    pub(super) fn leftover(owner: UserId) -> Self {
        let (name, media_type, began_at) = (String::new(), MediaType::unknown(), Timestamp::UNIX_EPOCH);
        Self { owner, name, media_type, size: None, width: None, height: None, began_at, used: None }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.size.is_some()
    }

    pub(super) fn finished(self, size: u64) -> Self {
        Self { size: Some(size), ..self }
    }

    pub(super) fn claimed(self, used: Use) -> Self {
        Self { used: Some(used), ..self }
    }

    pub(super) fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// Whether it is somebody's, whole, and of the last day.
    pub(super) fn is_ready(&self, owner: UserId, now: Timestamp) -> bool {
        self.owner == owner && self.size.is_some() && now - self.began_at < USABLE_FOR
    }

    pub(super) fn told(&self, attachment_id: AttachmentId, key: &AuthorKey) -> Option<Attachment> {
        let name = Text::new(&key.open_record(attachment_id.uuid(), NAME, &self.name)?);
        let (size, media_type) = (self.size.unwrap_or(0), self.media_type.clone());
        Some(Attachment { attachment_id, name, media_type, size, width: self.width, height: self.height })
    }

    pub(super) fn encode(&self) -> Bytes {
        serde_json::to_vec(self).expect("a record is plain data").into()
    }
}

/// The key of a record: a person's lie together.
pub(super) fn key(owner: UserId, id: AttachmentId) -> String {
    format!("{owner}.{id}")
}

/// A record under its key, if it is one of ours.
pub(crate) fn parse(key: &str, value: &[u8]) -> Option<(AttachmentId, Record)> {
    let (_, id) = key.split_once('.')?;
    Some((id.parse().ok()?, serde_json::from_slice(value).ok()?))
}
