//! The files of a message as clients see them, over REST and in frames.

use crate::shapes;
use events::{Attachment, AttachmentId, Text};
use query::files;
use schemars::JsonSchema;
use serde::Serialize;
use std::borrow::Cow;
use utoipa::ToSchema;

/// A file of a message.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
pub(crate) struct Attached<'a> {
    #[schema(value_type = shapes::Id)]
    attachment_id: AttachmentId,
    /// Null once its author was erased.
    #[schema(required = true, value_type = Option<String>, example = "beach.jpg")]
    name: Option<Cow<'a, str>>,
    /// What its bytes say it is.
    #[schema(value_type = String, example = "image/jpeg")]
    media_type: Cow<'a, str>,
    /// In bytes.
    #[schema(minimum = 1, maximum = 67_108_864)]
    size: u64,
    /// Of an image, in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
}

impl<'a> From<&'a Attachment> for Attached<'a> {
    fn from(file: &'a Attachment) -> Self {
        let Attachment { attachment_id, name, media_type, size, width, height } = file;
        Self {
            attachment_id: *attachment_id,
            name: Text::as_str(name).map(Cow::Borrowed),
            media_type: media_type.as_str().into(),
            size: *size,
            width: *width,
            height: *height,
        }
    }
}

impl<'a> From<&'a files::Attachment> for Attached<'a> {
    fn from(file: &'a files::Attachment) -> Self {
        let files::Attachment { attachment_id, name, media_type, size, width, height } = file;
        Self {
            attachment_id: *attachment_id,
            name: name.as_deref().map(Cow::Borrowed),
            media_type: media_type.as_str().into(),
            size: *size,
            width: *width,
            height: *height,
        }
    }
}

impl Attached<'_> {
    pub(crate) fn into_owned(self) -> Attached<'static> {
        Attached {
            name: self.name.map(|name| name.into_owned().into()),
            media_type: self.media_type.into_owned().into(),
            ..self
        }
    }
}
