//! `timeline`: what was written in a thread, to those who may see it: members,
//! from their newest joining on. To anyone else the thread does not exist.

use crate::{
    Answer, Error, View, Views,
    answer::{self, as_of},
    measures::Question,
};
use events::{MessageKey, ThreadId, Timestamp, UserId, event::Number};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

/// A message as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub number: Number,
    /// Where it lies in the thread's partition.
    pub sequence: u64,
    pub key: MessageKey,
    pub sender_id: UserId,
    /// `None` once its author was erased.
    pub body: Option<String>,
    pub reply_to: Option<Number>,
    pub sent_at: Timestamp,
}

/// Which part of a thread's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// The newest, newest first.
    Latest,
    /// Below that number, newest first.
    Before(Number),
    /// Above that number, oldest first.
    After(Number),
}

/// `reader` is who asks: no row where the thread does not exist for them. A member sees what has a sequence of at
/// least that of their joining; its number is only where a scan by number may end.
macro_rules! of_reader {
    () => {
        concat!(
            as_of!("timeline"),
            ", reader AS (SELECT joined_sequence, joined_number FROM timeline.members \
             WHERE thread_id = $1 AND user_id = $2 AND left_sequence IS NULL) \
             SELECT vector, version, reader.joined_sequence IS NOT NULL AS is_member, \
                    m.number, m.sequence, m.key, m.sender_id, m.body, m.reply_to, m.sent_at \
             FROM as_of LEFT JOIN reader ON true LEFT JOIN LATERAL ( \
                 SELECT number, sequence, key, sender_id, body, reply_to, sent_at FROM timeline.messages \
                 WHERE thread_id = $1 AND number > reader.joined_number AND sequence >= reader.joined_sequence "
        )
    };
}

const BEFORE: &str =
    concat!(of_reader!(), "AND number < $3 ORDER BY number DESC LIMIT $4) m ON true ORDER BY m.number DESC");
const AFTER: &str = concat!(of_reader!(), "AND number > $3 ORDER BY number LIMIT $4) m ON true ORDER BY m.number");
const ONE: &str = concat!(of_reader!(), "AND number = $3) m ON true");

const BY_KEY: &str = concat!(
    as_of!("timeline"),
    "SELECT vector, version, m.number, m.sequence, m.key, m.sender_id, m.body, m.reply_to, m.sent_at \
     FROM as_of LEFT JOIN timeline.messages m ON m.key = $3 AND m.thread_id = $1 AND m.sender_id = $2"
);

impl Views {
    /// A page of a thread's messages; `None` where the thread does not exist for the reader.
    pub async fn history(
        &self,
        reader: UserId,
        thread_id: ThreadId,
        page: Page,
        limit: u16,
    ) -> Result<Answer<Option<Vec<Message>>>, Error> {
        let (statement, number) = match page {
            Page::Latest => (BEFORE, i32::MAX),
            Page::Before(number) => (BEFORE, saturating(number)),
            Page::After(number) => (AFTER, saturating(number)),
        };
        let query = sqlx::query(statement).bind(thread_id.uuid()).bind(reader.uuid()).bind(number);
        visible(&self.rows(Question::History, query.bind(i64::from(limit))).await?)
    }

    /// One message; `None` where it, or the thread, does not exist for the reader.
    pub async fn message(
        &self,
        reader: UserId,
        thread_id: ThreadId,
        number: Number,
    ) -> Result<Answer<Option<Message>>, Error> {
        let query = sqlx::query(ONE).bind(thread_id.uuid()).bind(reader.uuid()).bind(saturating(number));
        let found = visible(&self.rows(Question::Message, query).await?)?;
        Ok(found.map(|messages| messages.and_then(|messages| messages.into_iter().next())))
    }

    /// What a sender has written under a key, member or not: how a late retry finds the first answer.
    pub async fn find_key(
        &self,
        thread_id: ThreadId,
        sender_id: UserId,
        key: MessageKey,
    ) -> Result<Answer<Option<Message>>, Error> {
        let query = sqlx::query(BY_KEY).bind(thread_id.uuid()).bind(sender_id.uuid()).bind(key.uuid());
        let rows = self.rows(Question::FindKey, query).await?;
        let as_of = answer::vector(View::Timeline, &rows)?;
        Ok(Answer { as_of, value: rows.first().map(decode).transpose()?.flatten() })
    }
}

fn visible(rows: &[PgRow]) -> Result<Answer<Option<Vec<Message>>>, Error> {
    let as_of = answer::vector(View::Timeline, rows)?;
    let is_member = rows.first().map(|row| row.try_get("is_member")).transpose()?.unwrap_or(false);
    if !is_member {
        return Ok(Answer { as_of, value: None });
    }
    let messages = rows.iter().filter_map(|row| decode(row).transpose()).collect::<Result<_, _>>()?;
    Ok(Answer { as_of, value: Some(messages) })
}

fn decode(row: &PgRow) -> Result<Option<Message>, Error> {
    let Some(number) = row.try_get::<Option<i32>, _>("number")? else { return Ok(None) };
    let number_of = |value: i32| Number::try_from(value).map_err(Error::inconsistent);
    Ok(Some(Message {
        number: number_of(number)?,
        sequence: u64::try_from(row.try_get::<i64, _>("sequence")?).map_err(Error::inconsistent)?,
        key: MessageKey::from_uuid(row.try_get::<Uuid, _>("key")?),
        sender_id: UserId::from_uuid(row.try_get::<Uuid, _>("sender_id")?),
        body: row.try_get("body")?,
        reply_to: row.try_get::<Option<i32>, _>("reply_to")?.map(number_of).transpose()?,
        sent_at: row.try_get("sent_at")?,
    }))
}

/// No number is as high as a client may claim one to be.
fn saturating(number: Number) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
