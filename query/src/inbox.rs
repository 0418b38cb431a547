//! `inbox`: a person's threads, who is in them, and how far they have got and
//! read. Answers of one thread go to its members; to anyone else it does not exist.

use crate::{
    Answer, Cursor, Error, InvalidCursor, Paged, View, Views,
    answer::{self, as_of},
    measures::Question,
    settings::Settings,
    shards::{Rows, Shard, gather},
};
use events::{
    AttachmentId, ThreadId, Timestamp, UserId,
    event::{Number, Role},
};
use sqlx::{Row, postgres::PgRow};
use std::cmp::Reverse;
use uuid::Uuid;

/// A thread as one of its members sees it in their inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    pub thread_id: ThreadId,
    pub kind: Kind,
    pub title: Option<String>,
    /// What a group looks like.
    pub picture: Option<AttachmentId>,
    /// The other of a direct thread.
    pub peer_id: Option<UserId>,
    pub role: Role,
    pub member_count: u32,
    pub last_number: Number,
    /// `None` where nothing was written since the reader joined.
    pub last_message: Option<LastMessage>,
    pub updated_at: Timestamp,
    pub unread: u32,
    /// Those of the unread that mention the reader.
    pub mentions_unread: u32,
    pub read_number: Number,
    pub muted_until: Option<Timestamp>,
    pub archived: bool,
    pub pinned: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Direct,
    Group,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastMessage {
    pub number: Number,
    pub sender_id: UserId,
    /// `None` once it was deleted, or its author erased.
    pub body: Option<String>,
    pub sent_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
}

/// One who is in a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub user_id: UserId,
    pub role: Role,
    pub joined_at: Timestamp,
}

/// How far a member has got and read: up to and including those numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub user_id: UserId,
    pub delivered: Option<Mark>,
    pub read: Option<Mark>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub number: Number,
    pub at: Timestamp,
}

/// A thread that a person is in, or has left, as a socket needs to know it: their newest time there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    pub thread_id: ThreadId,
    pub joined_sequence: u64,
    /// The thread's last number then.
    pub joined_number: Number,
    pub left_sequence: Option<u64>,
    pub member_count: u32,
    /// They have left there only because the view has set the thread aside: whether they are in it, it does not know.
    pub set_aside: bool,
}

/// A member's threads, each as `t` with what its member may see of it. How they keep threads lies with them: where that is
/// another database, it is given from `$2` to `$5`.
macro_rules! threads_of_reader {
    ($condition:literal) => {
        concat!(
            as_of!("inbox"),
            "SELECT vector, version, t.* FROM as_of LEFT JOIN ( \
                 SELECT h.thread_id, h.kind, h.title, m.peer_id, m.role, h.member_count, h.last_number, \
                        greatest(h.updated_at, m.joined_at) AS updated_at, \
                        greatest(0, h.last_number - greatest(m.read_number, m.joined_number)) AS unread, \
                        (SELECT count(*)::integer FROM inbox.mentions x \
                         WHERE x.thread_id = m.thread_id AND x.user_id = $1 \
                           AND x.number > greatest(m.read_number, m.joined_number)) AS mentions_unread, \
                        m.read_number, s.muted_until, coalesce(s.archived, false) AS archived, \
                        coalesce(s.pinned, false) AS pinned, p.attachment_id AS picture, \
                        CASE WHEN h.last_number > m.joined_number THEN h.last_deleted_at END AS last_deleted_at, \
                        CASE WHEN h.last_number > m.joined_number THEN h.last_sender_id END AS last_sender_id, \
                        CASE WHEN h.last_number > m.joined_number THEN h.last_body END AS last_body, \
                        CASE WHEN h.last_number > m.joined_number THEN h.last_sent_at END AS last_sent_at \
                 FROM inbox.memberships m JOIN inbox.heads h ON h.thread_id = m.thread_id \
                 LEFT JOIN ( \
                     SELECT thread_id, muted_until, archived, pinned FROM inbox.settings WHERE user_id = $1 \
                     UNION ALL \
                     SELECT * FROM unnest($2::uuid[], $3::timestamptz[], $4::boolean[], $5::boolean[]) \
                 ) s ON s.thread_id = m.thread_id \
                 LEFT JOIN inbox.pictures p ON p.owner_id = m.thread_id \
                 WHERE m.user_id = $1 AND m.left_sequence IS NULL ",
            $condition,
            ") t ON true"
        )
    };
}

/// What is known of a thread's members, each as `m`, for one of them: no row where the reader is none.
macro_rules! members_for_reader {
    ($condition:literal) => {
        concat!(
            as_of!("inbox"),
            ", reader AS (SELECT thread_id FROM inbox.memberships \
             WHERE user_id = $2 AND thread_id = $1 AND left_sequence IS NULL) \
             SELECT vector, version, reader.thread_id IS NOT NULL AS is_member, m.user_id, m.role, m.joined_at, \
                    m.delivered_number, m.delivered_at, m.read_number, m.read_at \
             FROM as_of LEFT JOIN reader ON true LEFT JOIN LATERAL ( \
                 SELECT user_id, role, joined_at, delivered_number, delivered_at, read_number, read_at \
                 FROM inbox.memberships WHERE thread_id = reader.thread_id AND left_sequence IS NULL ",
            $condition,
            ") m ON true ORDER BY m.user_id"
        )
    };
}

const THREADS: &str = concat!(
    threads_of_reader!(
        "AND coalesce(s.archived, false) = $6 \
         AND ($7::timestamptz IS NULL OR (greatest(h.updated_at, m.joined_at), h.thread_id) < ($7, $8::uuid)) \
         ORDER BY greatest(h.updated_at, m.joined_at) DESC, h.thread_id DESC LIMIT $9"
    ),
    " ORDER BY t.updated_at DESC, t.thread_id DESC"
);
const THREAD: &str = threads_of_reader!("AND m.thread_id = $6");
const MEMBERSHIPS: &str = concat!(
    as_of!("inbox"),
    "SELECT vector, version, m.thread_id, m.joined_sequence, m.joined_number, m.left_sequence, h.member_count, \
            q.sequence IS NOT NULL AS set_aside \
     FROM as_of LEFT JOIN (inbox.memberships m JOIN inbox.heads h ON h.thread_id = m.thread_id \
         LEFT JOIN inbox.quarantine q ON q.aggregate_id = m.thread_id AND q.sequence = m.left_sequence) \
     ON m.user_id = $1 ORDER BY m.thread_id"
);
const MEMBERS: &str = members_for_reader!("AND ($3::uuid IS NULL OR user_id > $3) ORDER BY user_id LIMIT $4");
const RECEIPTS: &str = members_for_reader!("");

impl Views {
    /// A page of a person's inbox, of what is archived or of the rest, newest activity first.
    pub async fn threads(
        &self,
        reader: UserId,
        archived: bool,
        after: Option<Cursor>,
        limit: u16,
    ) -> Result<Answer<Paged<Thread>>, Error> {
        let after = match after {
            None => None,
            Some(Cursor::Thread { updated_at, thread_id }) => Some((updated_at, thread_id.uuid())),
            Some(_) => return Err(InvalidCursor.into()),
        };
        let shards = self.shards();
        let settings = self.settings_of(&shards, reader, None).await?;
        let ask = |shard| self.threads_in(shard, reader, settings.value.of(shard), archived, after, limit);
        let found = gather(shards.iter(), ask).await?;
        Ok(settings.with(found).map(|(_, found)| {
            let mut threads: Vec<_> = found.into_iter().flatten().collect();
            threads.sort_by_key(|thread| Reverse((thread.updated_at, thread.thread_id.uuid())));
            Paged::new(threads, limit, |last| Cursor::Thread { updated_at: last.updated_at, thread_id: last.thread_id })
        }))
    }

    /// What one database has of a page: no less than that many.
    async fn threads_in(
        &self,
        shard: &Shard,
        reader: UserId,
        settings: Settings,
        archived: bool,
        after: Option<(Timestamp, Uuid)>,
        limit: u16,
    ) -> Result<Answer<Vec<Thread>>, Error> {
        let query = settings
            .bind_to(sqlx::query(THREADS).bind(reader.uuid()))
            .bind(archived)
            .bind(after.map(|(updated_at, _)| updated_at))
            .bind(after.map(|(_, thread_id)| thread_id))
            .bind(i64::from(limit) + 1);
        let rows = self.rows(shard, Question::Threads, query).await?;
        Answer::new(View::Inbox, &rows, decode_all(&rows, thread, "thread_id")?)
    }

    /// One thread; `None` where it does not exist for the reader.
    pub async fn thread(&self, reader: UserId, thread_id: ThreadId) -> Result<Answer<Option<Thread>>, Error> {
        let shards = self.shards();
        let shard = shards.of(thread_id.uuid());
        let settings = self.settings_of(&shards, reader, Some(thread_id)).await?;
        let query = settings.value.of(shard).bind_to(sqlx::query(THREAD).bind(reader.uuid())).bind(thread_id.uuid());
        let rows = self.rows(shard, Question::Thread, query).await?;
        let found = Answer::new(View::Inbox, &rows, decode_all(&rows, thread, "thread_id")?.pop())?;
        self.unless_set_aside(reader, thread_id, View::Inbox, settings.with(found).map(|(_, found)| found)).await
    }

    /// All threads that a person is or was in.
    pub async fn memberships(&self, user_id: UserId) -> Result<Answer<Vec<Membership>>, Error> {
        let shards = self.shards();
        let ask = async |shard| {
            let query = sqlx::query(MEMBERSHIPS).bind(user_id.uuid());
            let rows = self.rows(shard, Question::Memberships, query).await?;
            Answer::new(View::Inbox, &rows, decode_all(&rows, membership, "thread_id")?)
        };
        Ok(gather(shards.iter(), ask).await?.map(|found| found.into_iter().flatten().collect()))
    }

    /// A page of a thread's members; `None` where the thread does not exist for the reader.
    pub async fn members(
        &self,
        reader: UserId,
        thread_id: ThreadId,
        after: Option<Cursor>,
        limit: u16,
    ) -> Result<Answer<Option<Paged<Member>>>, Error> {
        let after = match after {
            None => None,
            Some(Cursor::Member { user_id }) => Some(user_id.uuid()),
            Some(_) => return Err(InvalidCursor.into()),
        };
        let query = sqlx::query(MEMBERS).bind(thread_id.uuid()).bind(reader.uuid()).bind(after);
        let shards = self.shards();
        let query = query.bind(i64::from(limit) + 1);
        let rows = self.rows(shards.of(thread_id.uuid()), Question::Members, query).await?;
        let members = of_thread(&rows, member)?;
        let members = self.unless_set_aside(reader, thread_id, View::Inbox, members).await?;
        Ok(members.map(|members| {
            members.map(|members| Paged::new(members, limit, |last| Cursor::Member { user_id: last.user_id }))
        }))
    }

    /// How far each member has got and read; `None` where the thread does not exist for the reader.
    pub async fn receipts(&self, reader: UserId, thread_id: ThreadId) -> Result<Answer<Option<Vec<Receipt>>>, Error> {
        let (shards, query) = (self.shards(), sqlx::query(RECEIPTS).bind(thread_id.uuid()).bind(reader.uuid()));
        let rows = self.rows(shards.of(thread_id.uuid()), Question::Receipts, query).await?;
        self.unless_set_aside(reader, thread_id, View::Inbox, of_thread(&rows, receipt)?).await
    }
}

fn of_thread<T>(rows: &Rows, decode: impl Fn(&PgRow) -> Result<T, Error>) -> Result<Answer<Option<Vec<T>>>, Error> {
    let is_member = rows.first().map(|row| row.try_get("is_member")).transpose()?.unwrap_or(false);
    Answer::new(View::Inbox, rows, if is_member { Some(decode_all(rows, decode, "user_id")?) } else { None })
}

/// Leaves out the row that only tells the checkpoint: it is there where nothing was found.
fn decode_all<T>(rows: &[PgRow], decode: impl Fn(&PgRow) -> Result<T, Error>, key: &str) -> Result<Vec<T>, Error> {
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        if row.try_get::<Option<Uuid>, _>(key)?.is_some() {
            found.push(decode(row)?);
        }
    }
    Ok(found)
}

fn thread(row: &PgRow) -> Result<Thread, Error> {
    let last_number = number(row, "last_number")?;
    let sender_id = row.try_get::<Option<Uuid>, _>("last_sender_id")?.map(UserId::from_uuid);
    let last_message = match sender_id {
        None => None,
        Some(sender_id) => Some(LastMessage {
            number: last_number,
            sender_id,
            body: row.try_get("last_body")?,
            sent_at: row.try_get("last_sent_at")?,
            deleted_at: row.try_get("last_deleted_at")?,
        }),
    };
    Ok(Thread {
        thread_id: ThreadId::from_uuid(row.try_get("thread_id")?),
        kind: answer::kind(row.try_get("kind")?)?,
        title: row.try_get("title")?,
        picture: row.try_get::<Option<Uuid>, _>("picture")?.map(AttachmentId::from_uuid),
        peer_id: row.try_get::<Option<Uuid>, _>("peer_id")?.map(UserId::from_uuid),
        role: role(row)?,
        member_count: number(row, "member_count")?,
        last_number,
        last_message,
        updated_at: row.try_get("updated_at")?,
        unread: number(row, "unread")?,
        mentions_unread: number(row, "mentions_unread")?,
        read_number: number(row, "read_number")?,
        muted_until: row.try_get("muted_until")?,
        archived: row.try_get("archived")?,
        pinned: row.try_get("pinned")?,
    })
}

fn membership(row: &PgRow) -> Result<Membership, Error> {
    Ok(Membership {
        thread_id: ThreadId::from_uuid(row.try_get("thread_id")?),
        joined_sequence: answer::sequence(row.try_get("joined_sequence")?)?,
        joined_number: number(row, "joined_number")?,
        left_sequence: row.try_get::<Option<i64>, _>("left_sequence")?.map(answer::sequence).transpose()?,
        member_count: number(row, "member_count")?,
        set_aside: row.try_get("set_aside")?,
    })
}

fn member(row: &PgRow) -> Result<Member, Error> {
    Ok(Member {
        user_id: UserId::from_uuid(row.try_get("user_id")?),
        role: role(row)?,
        joined_at: row.try_get("joined_at")?,
    })
}

fn receipt(row: &PgRow) -> Result<Receipt, Error> {
    let mark = |number_column, at_column| -> Result<Option<Mark>, Error> {
        let (number, at) = (number(row, number_column)?, row.try_get::<Option<Timestamp>, _>(at_column)?);
        Ok(at.map(|at| Mark { number, at }))
    };
    Ok(Receipt {
        user_id: UserId::from_uuid(row.try_get("user_id")?),
        delivered: mark("delivered_number", "delivered_at")?,
        read: mark("read_number", "read_at")?,
    })
}

fn number(row: &PgRow, column: &str) -> Result<u32, Error> {
    u32::try_from(row.try_get::<i32, _>(column)?).map_err(Error::inconsistent)
}

fn role(row: &PgRow) -> Result<Role, Error> {
    answer::role(row.try_get("role")?)
}
