//! What a person missed while they were away, from `timeline` and `inbox`: what a
//! socket would have told them, as it stands now. Of a thread they have left, up
//! to their leaving.

use crate::{
    Answer, Error, View, Views,
    answer::{self, as_of},
    files::{self, Attachment, files_of},
    measures::Question,
    shards::{Shard, gather},
    timeline::{self, Change},
};
use events::{MessageKey, ThreadId, Timestamp, UserId, event::Number};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

/// A part of a thread's partition: `after` < sequence ≤ `upto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub thread_id: ThreadId,
    pub after: u64,
    pub upto: u64,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    pub thread_id: ThreadId,
    pub sequence: u64,
    pub by: UserId,
    pub at: Timestamp,
    pub what: What,
}

/// Texts are as they are now: `None` once the message was deleted, or its author erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    Message {
        number: Number,
        key: MessageKey,
        body: Option<String>,
        reply_to: Option<Number>,
        mentions: Vec<UserId>,
        attachments: Vec<Attachment>,
    },
    Edited {
        number: Number,
        body: Option<String>,
        mentions: Vec<UserId>,
    },
    Deleted {
        number: Number,
    },
    Reaction {
        number: Number,
        emoji: String,
        removed: bool,
    },
    DirectOpened {
        peer: UserId,
    },
    Notice(Change),
    /// Of the reader's own, wherever it lies.
    Block {
        peer: UserId,
        removed: bool,
    },
}

/// How far a member has got and read, since a fact in a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedReceipt {
    pub thread_id: ThreadId,
    pub user_id: UserId,
    pub delivered: Option<Number>,
    pub read: Option<Number>,
    pub at: Timestamp,
}

/// Receipts are told to others in threads of at most that many members.
const SMALL: i32 = 32;
const MOST_RECEIPTS: usize = 10_000;
/// Bytes of texts that are told one by one.
const MOST_BYTES: i64 = 16 << 20;

/// What becomes of a message is told to who sees that; what a text became after somebody left, not to them. Messages have
/// no index on their sequence. They lie by number, and sequences rise with it: from the newest on, steps that double find
/// a number before the span.
const MISSED: &str = concat!(
    as_of!("timeline"),
    ", span AS ( \
        SELECT s.thread_id, m.joined_number, m.left_sequence, greatest(s.after, m.joined_sequence - 1) AS after, \
               least(s.upto, m.left_sequence) AS upto \
        FROM unnest($2::uuid[], $3::bigint[], $4::bigint[]) AS s(thread_id, after, upto) \
        JOIN timeline.members m ON m.thread_id = s.thread_id AND m.user_id = $1 \
     ), moved AS ( \
        SELECT span.*, newest.number AS newest FROM span CROSS JOIN LATERAL ( \
            SELECT number, sequence FROM timeline.messages \
            WHERE thread_id = span.thread_id ORDER BY number DESC LIMIT 1) newest \
        WHERE newest.sequence > span.after \
     ), bounded AS ( \
        SELECT moved.*, coalesce(( \
            SELECT b.number FROM generate_series(0, 30) AS k CROSS JOIN LATERAL ( \
                SELECT number, sequence FROM timeline.messages \
                WHERE thread_id = moved.thread_id AND number = moved.newest - (1 << k)) b \
            WHERE b.sequence <= moved.after ORDER BY k LIMIT 1), moved.joined_number) AS low FROM moved \
     ), missed AS ( \
        (SELECT m.thread_id, m.sequence, m.sender_id AS by_id, m.sent_at AS at, 'message' AS kind, m.number, m.key, \
                m.body, m.reply_to, NULL::uuid AS user_id, NULL::text AS detail, b.left_sequence \
         FROM bounded b CROSS JOIN LATERAL ( \
             SELECT * FROM timeline.messages WHERE thread_id = b.thread_id AND number > b.low ORDER BY number) m \
         WHERE m.sequence > b.after AND m.sequence <= b.upto LIMIT $5) \
        UNION ALL \
        (SELECT c.thread_id, c.sequence, c.by_id, c.at, c.kind, c.number, NULL, m.body, NULL, c.user_id, c.detail, \
                span.left_sequence \
         FROM span CROSS JOIN LATERAL ( \
             SELECT * FROM timeline.changes \
             WHERE thread_id = span.thread_id AND sequence > span.after AND sequence <= span.upto \
               AND (notice OR kind = 'opened' OR kind NOT IN ('blocked', 'unblocked') AND number > span.joined_number) \
             ) c \
         LEFT JOIN timeline.messages m ON c.kind = 'edited' AND m.thread_id = c.thread_id AND m.number = c.number \
         LIMIT $5) \
        UNION ALL \
        (SELECT thread_id, sequence, by_id, at, kind, number, NULL, NULL, NULL, user_id, detail, NULL \
         FROM timeline.changes WHERE by_id = $1 AND kind IN ('blocked', 'unblocked') \
         ORDER BY sequence DESC LIMIT $5) \
     ), size AS (SELECT coalesce(sum(octet_length(body)), 0)::bigint AS bytes FROM missed), \
     aside AS (SELECT EXISTS ( \
         SELECT FROM unnest($2::uuid[], $4::bigint[]) AS s(thread_id, upto) \
         JOIN timeline.quarantine q ON q.aggregate_id = s.thread_id AND q.sequence <= s.upto) AS set_aside) \
     SELECT vector, version, bytes, set_aside, n.thread_id, n.sequence, n.by_id, n.at, n.kind, n.number, n.key, n.reply_to, \
            n.user_id, n.detail, CASE WHEN l.hidden THEN NULL ELSE n.body END AS body, \
            CASE WHEN l.hidden THEN NULL ELSE d.mentions END AS mentions, ",
    files_of!("n.thread_id", "CASE WHEN n.kind = 'message' THEN n.number END"),
    "FROM as_of CROSS JOIN size CROSS JOIN aside LEFT JOIN missed n ON size.bytes <= $6 AND NOT set_aside \
     LEFT JOIN timeline.details d ON d.thread_id = n.thread_id AND d.number = n.number \
                                 AND n.kind IN ('message', 'edited') \
     CROSS JOIN LATERAL (SELECT n.left_sequence IS NOT NULL AND d.edited_at IS NOT NULL AND EXISTS ( \
         SELECT FROM timeline.changes x \
         WHERE x.thread_id = n.thread_id AND x.sequence > n.left_sequence AND x.number = n.number \
           AND x.kind = 'edited') AS hidden) l \
     ORDER BY n.thread_id, n.sequence"
);

const MOVED_RECEIPTS: &str = concat!(
    as_of!("inbox"),
    "SELECT vector, version, r.* FROM as_of LEFT JOIN ( \
        SELECT m.thread_id, m.user_id, m.delivered_number, m.read_number, greatest(m.delivered_at, m.read_at) AS at \
        FROM unnest($2::uuid[], $3::bigint[], $4::bigint[]) AS s(thread_id, after, upto) \
        JOIN inbox.memberships me ON me.user_id = $1 AND me.thread_id = s.thread_id AND me.left_sequence IS NULL \
        JOIN inbox.heads h ON h.thread_id = s.thread_id \
        JOIN inbox.memberships m ON m.thread_id = s.thread_id AND m.left_sequence IS NULL \
                                AND (h.member_count <= $5 OR m.user_id = $1) \
        WHERE m.moved_sequence > s.after \
        ORDER BY m.thread_id, m.user_id LIMIT $6 \
     ) r ON true"
);

impl Views {
    /// What lies in those spans for the reader, by thread and sequence, and all their blocks and unblockings,
    /// wherever those lie; `None` where it is more than `limit`, or than 16 MiB of text, or a thread is set aside.
    pub async fn missed(
        &self,
        reader: UserId,
        spans: &[Span],
        limit: u16,
    ) -> Result<Answer<Option<Vec<Missed>>>, Error> {
        let shards = self.shards();
        // A person's own blocks lie with their threads: each database is asked.
        let of_shard = |shard: &Shard| spans.iter().filter(|span| shard.has(span.thread_id.uuid())).copied().collect();
        let ask = |shard| self.missed_in(shard, reader, of_shard(shard), limit);
        let found = gather(shards.iter(), ask).await?;
        Ok(found.map(|found| {
            let found = found.into_iter().collect::<Option<Vec<_>>>()?;
            let bytes: i64 = found.iter().map(|(bytes, _)| bytes).sum();
            let mut missed: Vec<_> = found.into_iter().flat_map(|(_, missed)| missed).collect();
            missed.sort_by_key(|missed| (missed.thread_id.uuid(), missed.sequence));
            (bytes <= MOST_BYTES && missed.len() <= usize::from(limit)).then_some(missed)
        }))
    }

    /// What one database has of it, and how many bytes of text that would be: too many are not read. `None`: one of the
    /// threads is set aside.
    async fn missed_in(
        &self,
        shard: &Shard,
        reader: UserId,
        spans: Vec<Span>,
        limit: u16,
    ) -> Result<Answer<Option<(i64, Vec<Missed>)>>, Error> {
        let (thread_ids, after, upto) = columns(&spans);
        let query = sqlx::query(MISSED).bind(reader.uuid()).bind(thread_ids).bind(after).bind(upto);
        let query = query.bind(i64::from(limit) + 1).bind(MOST_BYTES);
        let rows = self.rows(shard, Question::Missed, query).await?;
        let told = rows.first().map(|row| Ok::<_, Error>((row.try_get("bytes")?, row.try_get("set_aside")?)));
        let (bytes, set_aside) = told.transpose()?.unwrap_or((0, false));
        let missed = rows.iter().filter_map(|row| missed(row).transpose()).collect::<Result<_, _>>()?;
        Answer::new(View::Timeline, &rows, (!set_aside).then_some((bytes, missed)))
    }

    /// The receipts that a fact in those spans moved, and that the reader is told of; `None` where they are more than
    /// are told one by one.
    pub async fn moved_receipts(
        &self,
        reader: UserId,
        spans: &[Span],
    ) -> Result<Answer<Option<Vec<MovedReceipt>>>, Error> {
        let shards = self.shards();
        let groups = shards.group(spans, |span| span.thread_id.uuid());
        let found = gather(groups, |(shard, spans)| self.moved_receipts_in(shard, reader, spans)).await?;
        Ok(found.map(|found| {
            let moved: Vec<_> = found.into_iter().flatten().collect();
            (moved.len() <= MOST_RECEIPTS).then_some(moved)
        }))
    }

    async fn moved_receipts_in(
        &self,
        shard: &Shard,
        reader: UserId,
        spans: Vec<Span>,
    ) -> Result<Answer<Vec<MovedReceipt>>, Error> {
        let (thread_ids, after, upto) = columns(&spans);
        let query = sqlx::query(MOVED_RECEIPTS).bind(reader.uuid()).bind(thread_ids).bind(after).bind(upto);
        let limit = i64::try_from(MOST_RECEIPTS + 1).unwrap_or(i64::MAX);
        let rows = self.rows(shard, Question::MovedReceipts, query.bind(SMALL).bind(limit)).await?;
        let moved = rows.iter().filter_map(|row| moved(row).transpose()).collect::<Result<_, _>>()?;
        Answer::new(View::Inbox, &rows, moved)
    }
}

fn columns(spans: &[Span]) -> (Vec<Uuid>, Vec<i64>, Vec<i64>) {
    let sequence = |sequence: u64| i64::try_from(sequence).unwrap_or(i64::MAX);
    let thread_ids = spans.iter().map(|span| span.thread_id.uuid()).collect();
    let after = spans.iter().map(|span| sequence(span.after)).collect();
    (thread_ids, after, spans.iter().map(|span| sequence(span.upto)).collect())
}

fn missed(row: &PgRow) -> Result<Option<Missed>, Error> {
    let Some(thread_id) = row.try_get::<Option<Uuid>, _>("thread_id")? else { return Ok(None) };
    let number = timeline::number_of(row.try_get("number")?)?;
    let peer = || timeline::user(row, "user_id");
    let reaction = |removed| Ok::<_, Error>(What::Reaction { number, emoji: row.try_get("detail")?, removed });
    let what = match row.try_get("kind")? {
        "message" => What::Message {
            number,
            key: MessageKey::from_uuid(row.try_get::<Uuid, _>("key")?),
            body: row.try_get("body")?,
            reply_to: row.try_get::<Option<i32>, _>("reply_to")?.map(timeline::number_of).transpose()?,
            mentions: timeline::mentions(row)?,
            attachments: files::attachments(row)?,
        },
        "edited" => What::Edited { number, body: row.try_get("body")?, mentions: timeline::mentions(row)? },
        "deleted" => What::Deleted { number },
        "reacted" => reaction(false)?,
        "unreacted" => reaction(true)?,
        "opened" => What::DirectOpened { peer: peer()? },
        "blocked" => What::Block { peer: peer()?, removed: false },
        "unblocked" => What::Block { peer: peer()?, removed: true },
        kind => What::Notice(timeline::change(kind, row)?),
    };
    Ok(Some(Missed {
        thread_id: ThreadId::from_uuid(thread_id),
        sequence: answer::sequence(row.try_get("sequence")?)?,
        by: timeline::user(row, "by_id")?,
        at: row.try_get("at")?,
        what,
    }))
}

fn moved(row: &PgRow) -> Result<Option<MovedReceipt>, Error> {
    let Some(thread_id) = row.try_get::<Option<Uuid>, _>("thread_id")? else { return Ok(None) };
    let number = |column| -> Result<Option<Number>, Error> {
        Ok(Some(timeline::number_of(row.try_get(column)?)?).filter(|number| *number > 0))
    };
    Ok(Some(MovedReceipt {
        thread_id: ThreadId::from_uuid(thread_id),
        user_id: timeline::user(row, "user_id")?,
        delivered: number("delivered_number")?,
        read: number("read_number")?,
        at: row.try_get("at")?,
    }))
}
