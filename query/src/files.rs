//! Files: what is known of one, for those who may see the message that it came
//! with, or the person or group that looks like it. To anyone else it does not exist.

use crate::{
    Answer, Error, View, Views,
    answer::{self, as_of},
    measures::Question,
    shards::{Shard, gather},
};
use events::{AttachmentId, UserId, attachment::MediaType};
use serde::Deserialize;
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

/// A file, as a message shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Attachment {
    pub attachment_id: AttachmentId,
    /// `None` once its author was erased.
    pub name: Option<String>,
    pub media_type: MediaType,
    /// In bytes.
    pub size: u64,
    /// Of an image, in pixels.
    pub width: Option<u32>,
    pub height: Option<u32>,
}

/// What it takes to read a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// With whose key it is sealed.
    pub author_id: UserId,
    pub name: String,
    pub media_type: MediaType,
    /// In bytes.
    pub size: u64,
}

/// The files of the message that a thread (`$thread`) has under a number, as JSON; NULL where there are none.
macro_rules! files_of {
    ($thread:literal, $number:literal) => {
        concat!(
            "(SELECT json_agg(json_build_object('attachment_id', f.attachment_id, 'name', f.name, \
              'media_type', f.media_type, 'size', f.size, 'width', f.width, 'height', f.height) ORDER BY f.place)::text \
              FROM timeline.attachments f WHERE f.thread_id = ",
            $thread,
            " AND f.number = ",
            $number,
            ") AS files "
        )
    };
}
pub(crate) use files_of;

const OF_MESSAGE: &str = concat!(
    as_of!("timeline"),
    "SELECT vector, version, f.* FROM as_of LEFT JOIN ( \
         SELECT a.author_id, a.name, a.media_type, a.size FROM timeline.attachments a \
         JOIN timeline.members r ON r.thread_id = a.thread_id AND r.user_id = $1 AND r.left_sequence IS NULL \
         WHERE a.attachment_id = $2 AND a.sequence >= r.joined_sequence AND a.number > r.joined_number LIMIT 1) f ON true"
);

const OF_PERSON: &str = concat!(
    as_of!("directory"),
    "SELECT vector, version, f.* FROM as_of LEFT JOIN ( \
         SELECT p.author_id, p.name, p.media_type, p.size FROM directory.pictures p \
         WHERE p.attachment_id = $2 AND NOT EXISTS (SELECT FROM directory.blocks b \
                                                    WHERE b.user_id = p.owner_id AND b.blocked_id = $1) \
         LIMIT 1) f ON true"
);

const OF_GROUP: &str = concat!(
    as_of!("inbox"),
    "SELECT vector, version, f.* FROM as_of LEFT JOIN ( \
         SELECT p.author_id, p.name, p.media_type, p.size FROM inbox.pictures p \
         JOIN inbox.memberships r ON r.user_id = $1 AND r.thread_id = p.owner_id AND r.left_sequence IS NULL \
         WHERE p.attachment_id = $2 LIMIT 1) f ON true"
);

/// As what somebody may see a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    WithMessage,
    AsPerson,
    AsGroup,
}

impl Shown {
    pub const ALL: [Self; 3] = [Self::WithMessage, Self::AsPerson, Self::AsGroup];

    /// The view that knows.
    pub const fn view(self) -> View {
        match self {
            Self::WithMessage => View::Timeline,
            Self::AsPerson => View::Directory,
            Self::AsGroup => View::Inbox,
        }
    }
}

impl Views {
    /// A file; `None` where it does not exist so for the reader. Which thread or person has it, its id does not tell: each
    /// database is asked.
    pub async fn file(&self, shown: Shown, reader: UserId, id: AttachmentId) -> Result<Answer<Option<File>>, Error> {
        let shards = self.shards();
        let found = gather(shards.iter(), |shard| self.file_in(shard, shown, reader, id)).await?;
        Ok(found.map(|found| found.into_iter().flatten().next()))
    }

    async fn file_in(
        &self,
        shard: &Shard,
        shown: Shown,
        reader: UserId,
        id: AttachmentId,
    ) -> Result<Answer<Option<File>>, Error> {
        let statement = match shown {
            Shown::WithMessage => OF_MESSAGE,
            Shown::AsPerson => OF_PERSON,
            Shown::AsGroup => OF_GROUP,
        };
        let query = sqlx::query(statement).bind(reader.uuid()).bind(id.uuid());
        let rows = self.rows(shard, Question::File, query).await?;
        Answer::new(shown.view(), &rows, rows.first().map(file).transpose()?.flatten())
    }
}

fn file(row: &PgRow) -> Result<Option<File>, Error> {
    let Some(author_id) = row.try_get::<Option<Uuid>, _>("author_id")? else { return Ok(None) };
    let Some(name) = row.try_get("name")? else { return Ok(None) };
    Ok(Some(File {
        author_id: UserId::from_uuid(author_id),
        name,
        media_type: row.try_get::<&str, _>("media_type")?.parse().map_err(Error::inconsistent)?,
        size: answer::sequence(row.try_get("size")?)?,
    }))
}

/// The files of a row with `files`.
pub(crate) fn attachments(row: &PgRow) -> Result<Vec<Attachment>, Error> {
    let files = row.try_get::<Option<&str>, _>("files")?;
    files.map_or(Ok(Vec::new()), |files| serde_json::from_str(files).map_err(Error::inconsistent))
}
