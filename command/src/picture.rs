//! How a person or a group looks: the rule that both share.

use events::{Attachment, AttachmentId};

/// Bytes that a picture may have.
pub const MAX_BYTES: u64 = 8 << 20;

/// What a browser shows as an image.
const SHOWN: [&str; 4] = ["image/gif", "image/jpeg", "image/png", "image/webp"];

/// An upload to look like.
#[derive(Debug, Clone)]
pub struct Picture {
    pub attachment_id: AttachmentId,
    /// `None`: it is not there, not the person's, or used for something else.
    pub found: Option<Attachment>,
}

/// What a fact will tell.
#[derive(Debug, PartialEq)]
pub(crate) struct Changed {
    pub(crate) picture: Option<Attachment>,
    pub(crate) replaces: Option<AttachmentId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPicture {
    #[error("there is no such upload of this person's")]
    NoSuchUpload,
    #[error("is no image that all can show, or has more than {} MiB", MAX_BYTES >> 20)]
    NotShown,
}

impl Picture {
    /// The same for who has not claimed it: nothing is appended with it, whatever else is said of it.
    pub(crate) fn unclaimed(self) -> Self {
        let found = self.found.filter(|picture| !is_shown(picture));
        Self { found, ..self }
    }

    /// What changes where one looks like `before`; `None`: it is so already.
    pub(crate) fn change(before: Option<AttachmentId>, picture: Option<&Self>) -> Result<Option<Changed>, NoPicture> {
        if picture.map(|picture| picture.attachment_id) == before {
            return Ok(None);
        }
        let picture = match picture {
            Some(picture) => Some(picture.found.clone().ok_or(NoPicture::NoSuchUpload)?),
            None => None,
        };
        if picture.as_ref().is_some_and(|picture| !is_shown(picture)) {
            return Err(NoPicture::NotShown);
        }
        Ok(Some(Changed { picture, replaces: before }))
    }
}

fn is_shown(picture: &Attachment) -> bool {
    picture.size <= MAX_BYTES && SHOWN.contains(&picture.media_type.as_str())
}

#[cfg(test)]
mod tests {
    use super::{Changed, MAX_BYTES, NoPicture, Picture};
    use events::{Attachment, AttachmentId, Text};
    use uuid::Uuid;

    const OLD: AttachmentId = AttachmentId::from_uuid(Uuid::from_u128(1));
    const NEW: AttachmentId = AttachmentId::from_uuid(Uuid::from_u128(2));

    fn upload(media_type: &str, size: u64) -> Picture {
        let (name, media_type) = (Text::new("me"), media_type.parse().unwrap());
        let found = Attachment { attachment_id: NEW, name, media_type, size, width: None, height: None };
        Picture { attachment_id: NEW, found: Some(found) }
    }

    #[test]
    fn a_picture_replaces_the_one_before_and_is_told_once() {
        let new = upload("image/png", MAX_BYTES);
        let changed = |picture, replaces| Ok(Some(Changed { picture, replaces }));
        assert_eq!(Picture::change(None, None), Ok(None));
        assert_eq!(Picture::change(None, Some(&new)), changed(new.found.clone(), None));
        assert_eq!(Picture::change(Some(OLD), Some(&new)), changed(new.found.clone(), Some(OLD)));
        assert_eq!(Picture::change(Some(OLD), None), changed(None, Some(OLD)));
        let used_up = Picture { found: None, ..new };
        assert_eq!(Picture::change(Some(NEW), Some(&used_up)), Ok(None), "it is that one");
        assert_eq!(Picture::change(Some(OLD), Some(&used_up)), Err(NoPicture::NoSuchUpload));
    }

    #[test]
    fn only_an_image_that_all_can_show_is_a_picture() {
        for (media_type, size) in [("image/png", MAX_BYTES + 1), ("video/mp4", 1), ("image/svg+xml", 1)] {
            assert_eq!(
                Picture::change(None, Some(&upload(media_type, size))),
                Err(NoPicture::NotShown),
                "{media_type}"
            );
        }
    }
}
