//! A file on its way in, part by part: no more of it is in memory than one part.

use super::{
    AttachmentError, Attachments,
    record::{Record, key},
    sniff::sniff,
};
use events::{
    AttachmentId, Timestamp, UserId,
    attachment::{MAX_BYTES, MediaType},
    blobs::{PART, Part},
    log::{BucketError, Claim},
    seal::AuthorKey,
    text::FileName,
};

/// A file that is being uploaded. Dropped before it is finished, it is removed.
pub struct Upload {
    attachments: Attachments,
    id: AttachmentId,
    owner: UserId,
    key: AuthorKey,
    name: FileName,
    declared: Option<MediaType>,
    began_at: Timestamp,
    /// What is not stored yet.
    waiting: Vec<u8>,
    size: u64,
    parts: u32,
    /// Once its first part is known, and until it is finished.
    record: Option<(Record, u64)>,
}

/// A file that was uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    pub attachment_id: AttachmentId,
    pub media_type: MediaType,
    /// In bytes.
    pub size: u64,
}

impl Attachments {
    /// Begins an upload.
    ///
    /// # Errors
    /// `NoOwner`; technical ones.
    pub async fn begin(
        &self,
        owner: UserId,
        name: FileName,
        declared: Option<MediaType>,
    ) -> Result<Upload, AttachmentError> {
        let key = self.0.log.keyring().get(owner).await?.ok_or(AttachmentError::NoOwner)?;
        Ok(Upload {
            id: AttachmentId::from_uuid(self.0.ids.next()),
            began_at: self.0.clock.now(),
            attachments: self.clone(),
            owner,
            key,
            name,
            declared,
            waiting: Vec::new(),
            size: 0,
            parts: 0,
            record: None,
        })
    }
}

impl Upload {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// `TooLarge`; technical ones.
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<(), AttachmentError> {
        self.size += bytes.len() as u64;
        if self.size > MAX_BYTES {
            return Err(AttachmentError::TooLarge);
        }
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PART - self.waiting.len()));
            self.waiting.extend_from_slice(now);
            bytes = later;
            if self.waiting.len() == PART {
                self.store().await?;
            }
        }
        Ok(())
    }

    /// Has what came be a file.
    ///
    /// # Errors
    /// `Empty`; technical ones.
    pub async fn finish(mut self) -> Result<Uploaded, AttachmentError> {
        if self.size == 0 {
            return Err(AttachmentError::Empty);
        }
        if !self.waiting.is_empty() {
            self.store().await?;
        }
        let (record, revision) = self.record.clone().expect("a file that has bytes has a first part");
        let media_type = record.media_type().clone();
        let finished = record.finished(self.size).encode();
        let bucket = self.attachments.0.bucket(self.owner);
        bucket.update(&key(self.owner, self.id), finished, revision).await?;
        self.record = None;
        Ok(Uploaded { attachment_id: self.id, media_type, size: self.size })
    }

    async fn store(&mut self) -> Result<(), AttachmentError> {
        if self.record.is_none() {
            let sniffed = sniff(&self.waiting, self.declared.as_ref());
            let record = Record::new(self.id, self.owner, &self.key, &self.name, sniffed, self.began_at);
            let bucket = self.attachments.0.bucket(self.owner);
            match bucket.create(&key(self.owner, self.id), record.encode()).await? {
                Claim::Ours(revision) => self.record = Some((record, revision)),
                Claim::Theirs(_) => return Err(BucketError::Conflict.into()),
            }
        }
        let part = Part { of: self.id, index: self.parts };
        self.parts += 1;
        self.attachments.0.blobs.put(&self.key, part, std::mem::take(&mut self.waiting)).await?;
        Ok(())
    }
}

impl Drop for Upload {
    #[expect(clippy::disallowed_methods, reason = "whoever uploaded is gone; what this leaves is swept a day later")]
    fn drop(&mut self) {
        if self.record.is_some() {
            let (attachments, id) = (self.attachments.clone(), self.id);
            tokio::spawn(async move {
                // A part may still be on its way to the store: the record stays, so that what comes late is found.
                if let Err(error) = attachments.0.blobs.remove(id).await {
                    tracing::debug!(%id, %error, "what is left of an upload stays until it is a day old");
                }
            });
        }
    }
}
