//! `inbox`: who still waits for messages that no device of theirs has got, for
//! those who push. Each answer is one snapshot: who is a member, what they may see,
//! whether they have muted the thread, blocked the other or are connected.

use crate::{
    Answer, Error, View, Views,
    answer::{self, as_of},
    inbox::Kind,
    measures::Question,
};
use events::{ThreadId, Timestamp, UserId, event::Number};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

/// A member whom a message has not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    pub user_id: UserId,
    pub thread_id: ThreadId,
    /// They are connected: it may be on its way.
    pub online: bool,
}

/// What a member whom messages have not reached is to be told of a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    pub user_id: UserId,
    pub thread_id: ThreadId,
    pub kind: Kind,
    pub last_number: Number,
    /// Messages that no device of theirs has got.
    pub count: u32,
    /// Messages that they have not read.
    pub unread: u32,
    /// Whether one of those that they have not got mentions them.
    pub mentioned: bool,
    /// Of the last message, where it was asked for.
    pub preview: Option<Preview>,
}

/// What a thread's last message looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// Of a group.
    pub title: Option<String>,
    pub sender_id: UserId,
    pub sender_name: Option<String>,
    /// `None` once it was deleted, or its author erased.
    pub body: Option<String>,
    pub sent_at: Timestamp,
}

/// A statement on those who wait in a thread, each as `m`, and the checkpoint that it is true at; `$1` is the time.
macro_rules! who_waits {
    ($columns:literal, $asked:literal, $condition:literal) => {
        concat!(
            as_of!("inbox"),
            "SELECT vector, version, w.* FROM as_of LEFT JOIN ( \
                 SELECT m.user_id, m.thread_id, ",
            $columns,
            " FROM ",
            $asked,
            " JOIN inbox.heads h ON h.thread_id = m.thread_id \
              LEFT JOIN inbox.settings s ON s.user_id = m.user_id AND s.thread_id = m.thread_id \
              WHERE m.left_sequence IS NULL AND (s.muted_until IS NULL OR s.muted_until <= $1) \
                AND h.last_number > greatest(m.read_number, m.delivered_number, m.joined_number) \
                AND NOT EXISTS (SELECT FROM directory.blocks b \
                                WHERE b.user_id = m.user_id AND b.blocked_id = m.peer_id) \
                AND ",
            $condition,
            ") w ON true"
        )
    };
}

/// `$4`: what is followed by newer messages is left to them.
const WAITING: &str = who_waits!(
    "EXISTS (SELECT FROM presence.connections c WHERE c.user_id = m.user_id) AS online",
    "unnest($2::uuid[], $3::integer[]) AS q(thread_id, number) \
     JOIN inbox.memberships m ON m.thread_id = q.thread_id",
    "q.number > greatest(m.read_number, m.delivered_number, m.joined_number) AND (NOT $4 OR h.last_number <= q.number)"
);

/// `$4`: whether texts and names are told.
const UNDELIVERED: &str = who_waits!(
    "h.kind, h.last_number, h.last_number - greatest(m.read_number, m.delivered_number, m.joined_number) AS count, \
     h.last_number - greatest(m.read_number, m.joined_number) AS unread, \
     EXISTS (SELECT FROM inbox.mentions x WHERE x.thread_id = m.thread_id AND x.user_id = m.user_id \
             AND x.number > greatest(m.read_number, m.delivered_number, m.joined_number)) AS mentioned, \
     CASE WHEN $4 THEN h.title END AS title, CASE WHEN $4 THEN h.last_sender_id END AS last_sender_id, \
     CASE WHEN $4 THEN h.last_body END AS last_body, CASE WHEN $4 THEN h.last_sent_at END AS last_sent_at, \
     CASE WHEN $4 THEN (SELECT u.display_name FROM directory.users u WHERE u.user_id = h.last_sender_id) END \
     AS sender_name",
    "unnest($2::uuid[], $3::uuid[]) AS q(user_id, thread_id) \
     JOIN inbox.memberships m ON m.user_id = q.user_id AND m.thread_id = q.thread_id",
    "NOT EXISTS (SELECT FROM presence.connections c WHERE c.user_id = m.user_id)"
);

impl Views {
    /// Whom the messages up to those numbers have not reached. Those of threads that have newer messages yet are left
    /// out where `newest_only`.
    ///
    /// # Errors
    /// When a view cannot be read.
    pub async fn waiting(
        &self,
        threads: &[(ThreadId, Number)],
        at: Timestamp,
        newest_only: bool,
    ) -> Result<Answer<Vec<Waiting>>, Error> {
        let ids: Vec<Uuid> = threads.iter().map(|(thread_id, _)| thread_id.uuid()).collect();
        let numbers: Result<Vec<i32>, _> = threads.iter().map(|(_, number)| i32::try_from(*number)).collect();
        let numbers = numbers.map_err(Error::inconsistent)?;
        let query = sqlx::query(WAITING).bind(at).bind(ids).bind(numbers).bind(newest_only);
        let rows = self.rows(Question::Waiting, query).await?;
        found(&rows, |row, user_id, thread_id| Ok(Waiting { user_id, thread_id, online: row.try_get("online")? }))
    }

    /// What those of some people who still wait, and are not connected, are to be told of some threads.
    ///
    /// # Errors
    /// When a view cannot be read.
    pub async fn undelivered(
        &self,
        pairs: &[(UserId, ThreadId)],
        at: Timestamp,
        with_preview: bool,
    ) -> Result<Answer<Vec<Undelivered>>, Error> {
        let people: Vec<Uuid> = pairs.iter().map(|(user_id, _)| user_id.uuid()).collect();
        let threads: Vec<Uuid> = pairs.iter().map(|(_, thread_id)| thread_id.uuid()).collect();
        let query = sqlx::query(UNDELIVERED).bind(at).bind(people).bind(threads).bind(with_preview);
        found(&self.rows(Question::Undelivered, query).await?, undelivered)
    }
}

fn found<T>(
    rows: &[PgRow],
    decode: impl Fn(&PgRow, UserId, ThreadId) -> Result<T, Error>,
) -> Result<Answer<Vec<T>>, Error> {
    let as_of = answer::vector(View::Inbox, rows)?;
    let mut value = Vec::with_capacity(rows.len());
    for row in rows {
        // The row that only tells the checkpoint is there where nobody waits.
        let Some(user_id) = row.try_get::<Option<Uuid>, _>("user_id")? else { continue };
        value.push(decode(row, UserId::from_uuid(user_id), ThreadId::from_uuid(row.try_get("thread_id")?))?);
    }
    Ok(Answer { as_of, value })
}

fn undelivered(row: &PgRow, user_id: UserId, thread_id: ThreadId) -> Result<Undelivered, Error> {
    let number = |column| u32::try_from(row.try_get::<i32, _>(column)?).map_err(Error::inconsistent);
    let preview = match row.try_get::<Option<Uuid>, _>("last_sender_id")? {
        None => None,
        Some(sender_id) => Some(Preview {
            title: row.try_get("title")?,
            sender_id: UserId::from_uuid(sender_id),
            sender_name: row.try_get("sender_name")?,
            body: row.try_get("last_body")?,
            sent_at: row.try_get("last_sent_at")?,
        }),
    };
    Ok(Undelivered {
        user_id,
        thread_id,
        kind: answer::kind(row.try_get("kind")?)?,
        last_number: number("last_number")?,
        count: number("count")?,
        unread: number("unread")?,
        mentioned: row.try_get("mentioned")?,
        preview,
    })
}
