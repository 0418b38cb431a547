//! `timeline`: what was written in a thread, to those who may see it: members,
//! from their newest joining on. To anyone else the thread does not exist.

use crate::{
    Answer, Error, View, Views,
    answer::{self, as_of},
    files::{self, Attachment, files_of},
    measures::Question,
    shards::Rows,
};
use events::{
    AttachmentId, MessageKey, ThreadId, Timestamp, UserId,
    event::{Number, Role},
};
use sqlx::{Row, postgres::PgRow};
use std::collections::BTreeMap;
use uuid::Uuid;

/// What history shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    Message(Message),
    Notice(Notice),
}

/// A message as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub number: Number,
    /// Where it lies in the thread's partition.
    pub sequence: u64,
    pub key: MessageKey,
    pub sender_id: UserId,
    /// `None` once it was deleted, or its author erased.
    pub body: Option<String>,
    pub reply_to: Option<Number>,
    pub sent_at: Timestamp,
    pub edited_at: Option<Timestamp>,
    pub deleted_at: Option<Timestamp>,
    pub mentions: Vec<UserId>,
    pub attachments: Vec<Attachment>,
    /// Who reacted, by emoji, in the order of reacting.
    pub reactions: BTreeMap<String, Vec<UserId>>,
}

/// What happened to a thread after the message of that number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub number: Number,
    pub sequence: u64,
    pub by: UserId,
    pub at: Timestamp,
    pub change: Change,
}

/// What a notice tells. A title is `None` once its author was erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Created { title: Option<String> },
    Renamed { title: Option<String> },
    MemberAdded { user_id: UserId, role: Role },
    MemberRemoved { user_id: UserId },
    MemberLeft,
    RoleChanged { user_id: UserId, role: Role },
    PictureChanged { picture: Option<AttachmentId> },
}

/// Where an entry stands in history: a message at its number and 0, a notice at the number of the message that it
/// follows and its own sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub number: Number,
    pub sequence: u64,
}

impl Entry {
    /// Where it stands.
    pub fn place(&self) -> Place {
        match self {
            Self::Message(message) => Place { number: message.number, sequence: 0 },
            Self::Notice(notice) => Place { number: notice.number, sequence: notice.sequence },
        }
    }
}

/// Which part of a thread's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// The newest, newest first.
    Latest,
    /// Before that place, newest first.
    Before(Place),
    /// After that place, oldest first.
    After(Place),
}

/// A message that was sent, as a late retry finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub number: Number,
    pub sequence: u64,
    pub reply_to: Option<Number>,
    pub sent_at: Timestamp,
    /// What was sent; `None` where that is not known any more: it was edited or deleted, or its author erased.
    pub body: Option<String>,
    /// None once it was deleted.
    pub attachments: Vec<AttachmentId>,
}

/// `reader` is who asks: no row where the thread does not exist for them. A member sees what has a sequence of at
/// least that of their joining; its number is only where a scan by number may end.
macro_rules! reader {
    () => {
        concat!(
            as_of!("timeline"),
            ", reader AS (SELECT joined_sequence, joined_number FROM timeline.members \
             WHERE thread_id = $1 AND user_id = $2 AND left_sequence IS NULL) "
        )
    };
}

/// What few messages have, for those of `m`.
macro_rules! with_details {
    () => {
        concat!(
            "d.edited_at, d.deleted_at, d.mentions, ",
            files_of!("$1", "CASE WHEN m.place = 0 THEN m.number END"),
            ", CASE WHEN m.place = 0 THEN ARRAY(SELECT emoji FROM timeline.reactions r \
              WHERE r.thread_id = $1 AND r.number = m.number ORDER BY r.sequence) END AS emojis, \
         CASE WHEN m.place = 0 THEN ARRAY(SELECT user_id FROM timeline.reactions r \
              WHERE r.thread_id = $1 AND r.number = m.number ORDER BY r.sequence) END AS reacting "
        )
    };
}

macro_rules! details_of_m {
    () => {
        " LEFT JOIN timeline.details d ON d.thread_id = $1 AND d.number = m.number AND m.place = 0 "
    };
}

/// A page of messages and notices: those of each kind, and of both together as many as asked for.
macro_rules! history {
    ($messages:literal, $notices:literal, $order:literal) => {
        concat!(
            reader!(),
            "SELECT vector, version, reader.joined_sequence IS NOT NULL AS is_member, m.*, ",
            with_details!(),
            "FROM as_of LEFT JOIN reader ON true LEFT JOIN LATERAL ( \
                 (SELECT number, 0::bigint AS place, sequence, sent_at, key, sender_id, body, reply_to, \
                         NULL::uuid AS user_id, NULL::text AS kind, NULL::text AS detail FROM timeline.messages \
                  WHERE thread_id = $1 AND number > reader.joined_number AND sequence >= reader.joined_sequence AND ",
            $messages,
            " ORDER BY number ",
            $order,
            " LIMIT $6) UNION ALL \
                 (SELECT number, sequence, sequence, at, NULL, by_id, NULL, NULL, user_id, kind, detail \
                  FROM timeline.changes \
                  WHERE thread_id = $1 AND notice AND sequence >= reader.joined_sequence AND ",
            $notices,
            " ORDER BY number ",
            $order,
            ", sequence ",
            $order,
            " LIMIT $6) ORDER BY number ",
            $order,
            ", place ",
            $order,
            " LIMIT $6) m ON true",
            details_of_m!(),
            "ORDER BY m.number ",
            $order,
            ", m.place ",
            $order
        )
    };
}

const BEFORE: &str = history!("number < $3", "(number, sequence) < ($4, $5)", "DESC");
const AFTER: &str = history!("number > $3", "(number, sequence) > ($4, $5)", "ASC");
const ONE: &str = concat!(
    reader!(),
    "SELECT vector, version, reader.joined_sequence IS NOT NULL AS is_member, m.*, ",
    with_details!(),
    "FROM as_of LEFT JOIN reader ON true LEFT JOIN LATERAL ( \
         SELECT number, 0::bigint AS place, sequence, sent_at, key, sender_id, body, reply_to, NULL::text AS kind \
         FROM timeline.messages WHERE thread_id = $1 AND number > reader.joined_number \
           AND sequence >= reader.joined_sequence AND number = $3) m ON true",
    details_of_m!()
);

const BY_KEY: &str = concat!(
    as_of!("timeline"),
    "SELECT vector, version, m.number, m.sequence, m.reply_to, m.sent_at, \
            CASE WHEN d.edited_at IS NULL THEN m.body END AS body, \
            EXISTS (SELECT FROM timeline.quarantine WHERE aggregate_id = $1) AS is_aside, ",
    files_of!("m.thread_id", "m.number"),
    "FROM as_of LEFT JOIN timeline.messages m ON m.key = $3 AND m.thread_id = $1 AND m.sender_id = $2 \
     LEFT JOIN timeline.details d ON d.thread_id = m.thread_id AND d.number = m.number"
);

impl Views {
    /// A page of a thread's history; `None` where the thread does not exist for the reader.
    pub async fn history(
        &self,
        reader: UserId,
        thread_id: ThreadId,
        page: Page,
        limit: u16,
    ) -> Result<Answer<Option<Vec<Entry>>>, Error> {
        let end = Place { number: Number::MAX, sequence: 0 };
        let (statement, place) = match page {
            Page::Latest => (BEFORE, end),
            Page::Before(place) => (BEFORE, place),
            Page::After(place) => (AFTER, place),
        };
        // The message of the place's own number stands before its notices.
        let reaches_it = statement == BEFORE && place.sequence > 0;
        let number = saturating(place.number);
        let query = sqlx::query(statement)
            .bind(thread_id.uuid())
            .bind(reader.uuid())
            .bind(number.saturating_add(i32::from(reaches_it)))
            .bind(number)
            .bind(i64::try_from(place.sequence).unwrap_or(i64::MAX))
            .bind(i64::from(limit));
        let shards = self.shards();
        let found = visible(&self.rows(shards.of(thread_id.uuid()), Question::History, query).await?)?;
        self.unless_set_aside(reader, thread_id, View::Timeline, found).await
    }

    /// One message; `None` where it, or the thread, does not exist for the reader.
    pub async fn message(
        &self,
        reader: UserId,
        thread_id: ThreadId,
        number: Number,
    ) -> Result<Answer<Option<Message>>, Error> {
        let query = sqlx::query(ONE).bind(thread_id.uuid()).bind(reader.uuid()).bind(saturating(number));
        let shards = self.shards();
        let found = visible(&self.rows(shards.of(thread_id.uuid()), Question::Message, query).await?)?;
        let found = self.unless_set_aside(reader, thread_id, View::Timeline, found).await?;
        Ok(found.map(|entries| match entries?.pop()? {
            Entry::Message(message) => Some(message),
            Entry::Notice(_) => None,
        }))
    }

    /// What a sender has written under a key, member or not: how a late retry finds the first answer.
    pub async fn find_key(
        &self,
        thread_id: ThreadId,
        sender_id: UserId,
        key: MessageKey,
    ) -> Result<Answer<Option<Sent>>, Error> {
        let query = sqlx::query(BY_KEY).bind(thread_id.uuid()).bind(sender_id.uuid()).bind(key.uuid());
        let shards = self.shards();
        let rows = self.rows(shards.of(thread_id.uuid()), Question::FindKey, query).await?;
        let found = Answer::new(View::Timeline, &rows, ())?;
        // That it is not found would be no proof.
        if rows.first().map(|row| row.try_get("is_aside")).transpose()?.unwrap_or(false) {
            return Err(Error::SetAside);
        }
        let sent = rows.first().map(sent).transpose()?.flatten();
        Ok(found.map(|()| sent))
    }
}

fn visible(rows: &Rows) -> Result<Answer<Option<Vec<Entry>>>, Error> {
    let found = Answer::new(View::Timeline, rows, None)?;
    let is_member = rows.first().map(|row| row.try_get("is_member")).transpose()?.unwrap_or(false);
    if !is_member {
        return Ok(found);
    }
    let entries = rows.iter().filter_map(|row| entry(row).transpose()).collect::<Result<_, _>>()?;
    Ok(found.map(|_: Option<Vec<Entry>>| Some(entries)))
}

fn entry(row: &PgRow) -> Result<Option<Entry>, Error> {
    let Some(number) = row.try_get::<Option<i32>, _>("number")? else { return Ok(None) };
    let number = number_of(number)?;
    let sequence = answer::sequence(row.try_get("sequence")?)?;
    let (by, at) = (user(row, "sender_id")?, row.try_get("sent_at")?);
    if let Some(kind) = row.try_get::<Option<&str>, _>("kind")? {
        let change = change(kind, row)?;
        return Ok(Some(Entry::Notice(Notice { number, sequence, by, at, change })));
    }
    Ok(message(row)?.map(Entry::Message))
}

/// The message of a row with all that one has.
pub(crate) fn message(row: &PgRow) -> Result<Option<Message>, Error> {
    let Some(number) = row.try_get::<Option<i32>, _>("number")? else { return Ok(None) };
    let emojis: Vec<String> = row.try_get("emojis")?;
    let reacting: Vec<Uuid> = row.try_get("reacting")?;
    let mut reactions: BTreeMap<String, Vec<UserId>> = BTreeMap::new();
    for (emoji, user_id) in emojis.into_iter().zip(reacting) {
        reactions.entry(emoji).or_default().push(UserId::from_uuid(user_id));
    }
    Ok(Some(Message {
        number: number_of(number)?,
        sequence: answer::sequence(row.try_get("sequence")?)?,
        key: MessageKey::from_uuid(row.try_get::<Uuid, _>("key")?),
        sender_id: user(row, "sender_id")?,
        body: row.try_get("body")?,
        reply_to: row.try_get::<Option<i32>, _>("reply_to")?.map(number_of).transpose()?,
        sent_at: row.try_get("sent_at")?,
        edited_at: row.try_get("edited_at")?,
        deleted_at: row.try_get("deleted_at")?,
        mentions: mentions(row)?,
        attachments: files::attachments(row)?,
        reactions,
    }))
}

/// The notice of a row with `kind`, `user_id` and `detail`.
pub(crate) fn change(kind: &str, row: &PgRow) -> Result<Change, Error> {
    let detail = || row.try_get::<Option<String>, _>("detail");
    let role = || answer::role(&detail()?.unwrap_or_default());
    Ok(match kind {
        "created" => Change::Created { title: detail()? },
        "renamed" => Change::Renamed { title: detail()? },
        "member_added" => Change::MemberAdded { user_id: user(row, "user_id")?, role: role()? },
        "member_removed" => Change::MemberRemoved { user_id: user(row, "user_id")? },
        "member_left" => Change::MemberLeft,
        "role_changed" => Change::RoleChanged { user_id: user(row, "user_id")?, role: role()? },
        "picture_changed" => {
            let id = detail()?.map(|id| id.parse().map_err(Error::inconsistent)).transpose()?;
            Change::PictureChanged { picture: id }
        }
        other => return Err(Error::Inconsistent(format!("a notice of kind {other}").into())),
    })
}

pub(crate) fn user(row: &PgRow, column: &str) -> Result<UserId, Error> {
    Ok(UserId::from_uuid(row.try_get::<Uuid, _>(column)?))
}

pub(crate) fn mentions(row: &PgRow) -> Result<Vec<UserId>, Error> {
    let mentions = row.try_get::<Option<Vec<Uuid>>, _>("mentions")?.unwrap_or_default();
    Ok(mentions.into_iter().map(UserId::from_uuid).collect())
}

pub(crate) fn number_of(column: i32) -> Result<Number, Error> {
    Number::try_from(column).map_err(Error::inconsistent)
}

fn sent(row: &PgRow) -> Result<Option<Sent>, Error> {
    let Some(number) = row.try_get::<Option<i32>, _>("number")? else { return Ok(None) };
    Ok(Some(Sent {
        number: number_of(number)?,
        sequence: answer::sequence(row.try_get("sequence")?)?,
        reply_to: row.try_get::<Option<i32>, _>("reply_to")?.map(number_of).transpose()?,
        sent_at: row.try_get("sent_at")?,
        body: row.try_get("body")?,
        attachments: files::attachments(row)?.into_iter().map(|file| file.attachment_id).collect(),
    }))
}

/// No number is as high as a client may claim one to be.
pub(crate) fn saturating(number: Number) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
