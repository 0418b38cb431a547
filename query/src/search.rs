//! `search`: messages by their words, newest first, of the reader's own threads
//! and since their latest joining. A thread costs a seek for each term that is
//! looked up, and only those that can have one of the newest hits are read on.

mod snippet;
mod wording;

use crate::{
    Answer, Cursor, Error, InvalidCursor, Paged, View, Views,
    answer::as_of,
    measures::Question,
    shards::{Shard, gather},
    timeline::{number_of, user},
};
use events::{ThreadId, Timestamp, UserId, clock::millis, event::Number};
use sqlx::{Row, postgres::PgRow};
use std::cmp::Reverse;
use uuid::Uuid;

pub use wording::{InvalidWording, Wording};

/// A message that was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    pub thread_id: ThreadId,
    pub number: Number,
    pub sender_id: UserId,
    pub sent_at: Timestamp,
    pub snippet: String,
}

/// What is looked for, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    pub wording: Wording,
    pub thread_id: Option<ThreadId>,
    /// Whose messages alone.
    pub sender_id: Option<UserId>,
}

/// Postings of one term of a thread, newest first, from the cursor and the time limits on.
macro_rules! postings {
    ($of:literal, $limit:literal, $checked:literal) => {
        concat!(
            "SELECT p.sent_at, p.number FROM search.postings p ",
            $checked,
            " WHERE p.thread_id = ",
            $of,
            ".thread_id AND p.term = ",
            $of,
            ".term AND p.number > ",
            $of,
            ".joined_number AND p.sent_at >= $5 AND p.sent_at < $6 AND p.sent_at <= $7 \
               AND (p.sent_at, p.thread_id, p.number) < ($7, $8, $9) \
             ORDER BY p.sent_at DESC, p.number DESC LIMIT ",
            $limit
        )
    };
}

/// `mine`: the reader's threads that have every word, and the sender. `spelled`: their terms from the first to the last
/// one that is meant, each found by a seek. `newest`: the newest hit of each. The newest hits of all are of those terms
/// whose own newest is no older than the last of as many different ones, `least`.
macro_rules! search {
    ($checked:literal) => {
        concat!(
            as_of!("search"),
            "SELECT vector, version, \
                    $2::uuid IS NULL OR EXISTS (SELECT FROM search.members m WHERE m.user_id = $1 AND m.thread_id = $2 \
                                                AND m.left_sequence IS NULL) AS is_member, \
                    h.thread_id, h.number, h.sent_at, h.sender_id, h.body \
             FROM as_of LEFT JOIN ( \
                 WITH RECURSIVE mine AS MATERIALIZED ( \
                     SELECT m.thread_id, m.joined_number FROM search.members m \
                     WHERE m.user_id = $1 AND m.left_sequence IS NULL AND ($2::uuid IS NULL OR m.thread_id = $2) \
                       AND ($12::uuid IS NULL OR EXISTS ( \
                           SELECT FROM search.members s WHERE s.user_id = $12 AND s.thread_id = m.thread_id)) \
                       AND NOT EXISTS ( \
                           SELECT FROM unnest($11::text[]) AS w(term) WHERE NOT EXISTS ( \
                               SELECT FROM search.postings p WHERE p.thread_id = m.thread_id AND p.term = w.term))), \
                 spelled (thread_id, joined_number, term) AS ( \
                     SELECT m.thread_id, m.joined_number, ( \
                         SELECT p.term FROM search.postings p \
                         WHERE p.thread_id = m.thread_id AND p.term >= $3 ORDER BY p.term LIMIT 1) FROM mine m \
                     UNION ALL \
                     SELECT s.thread_id, s.joined_number, ( \
                         SELECT p.term FROM search.postings p \
                         WHERE p.thread_id = s.thread_id AND p.term > s.term ORDER BY p.term LIMIT 1) \
                     FROM spelled s WHERE s.term < $4), \
                 newest AS MATERIALIZED ( \
                     SELECT s.thread_id, s.joined_number, s.term, p.sent_at, p.number \
                     FROM spelled s CROSS JOIN LATERAL (",
            postings!("s", "1", $checked),
            ") p WHERE s.term <= $4), \
                 least AS ( \
                     SELECT d.sent_at, d.thread_id, d.number FROM ( \
                         SELECT DISTINCT sent_at, thread_id, number FROM newest \
                         ORDER BY sent_at DESC, thread_id DESC, number DESC LIMIT $10) d \
                     ORDER BY d.sent_at, d.thread_id, d.number LIMIT 1), \
                 hits AS ( \
                     SELECT DISTINCT p.sent_at, n.thread_id, p.number \
                     FROM newest n JOIN least l \
                       ON (n.sent_at, n.thread_id, n.number) >= (l.sent_at, l.thread_id, l.number) \
                     CROSS JOIN LATERAL (",
            postings!("n", "$10", $checked),
            ") p ORDER BY p.sent_at DESC, n.thread_id DESC, p.number DESC LIMIT $10) \
                 SELECT h.sent_at, h.thread_id, h.number, m.sender_id, m.body \
                 FROM hits h JOIN search.messages m ON m.thread_id = h.thread_id AND m.number = h.number \
             ) h ON true ORDER BY h.sent_at DESC, h.thread_id DESC, h.number DESC"
        )
    };
}

const BY_TERM: &str = search!("");
/// Looks at the text of each message that has the term.
const BY_TEXT: &str = search!(
    "JOIN search.messages t ON t.thread_id = p.thread_id AND t.number = p.number \
         AND ' ' || t.folded || ' ' LIKE ALL ($13::text[]) AND ($12::uuid IS NULL OR t.sender_id = $12)"
);

impl Views {
    /// A page of what was found; `None` where the thread that is named does not exist for the reader.
    pub async fn search(
        &self,
        reader: UserId,
        search: &Search,
        after: Option<Cursor>,
        limit: u16,
    ) -> Result<Answer<Option<Paged<Hit>>>, Error> {
        let before = match after {
            None => (last_moment(), Uuid::max(), i32::MAX),
            Some(Cursor::Hit { sent_at, thread_id, number }) => {
                (sent_at, thread_id.uuid(), i32::try_from(number).unwrap_or(i32::MAX))
            }
            Some(_) => return Err(InvalidCursor.into()),
        };
        let shards = self.shards();
        let within = search.thread_id.map(|thread_id| shards.of(thread_id.uuid()));
        let asked = shards.iter().filter(|shard| within.is_none_or(|within| within.share() == shard.share()));
        let found = gather(asked, |shard| self.search_in(shard, reader, search, before, limit)).await?;
        Ok(found.map(|found| {
            let found: Option<Vec<_>> = found.into_iter().collect();
            let mut hits: Vec<_> = found?.into_iter().flatten().collect();
            hits.sort_by_key(|hit| Reverse((hit.sent_at, hit.thread_id.uuid(), hit.number)));
            let cursor =
                |last: &Hit| Cursor::Hit { sent_at: last.sent_at, thread_id: last.thread_id, number: last.number };
            Some(Paged::new(hits, limit, cursor))
        }))
    }

    /// What one database has: no less than a page of it.
    async fn search_in(
        &self,
        shard: &Shard,
        reader: UserId,
        search: &Search,
        (sent_at, thread_id, number): (Timestamp, Uuid, i32),
        limit: u16,
    ) -> Result<Answer<Option<Vec<Hit>>>, Error> {
        let Search { wording, thread_id: within, sender_id } = search;
        let is_one_term = wording.is_one_term() && sender_id.is_none();
        let terms = wording.terms();
        let query = sqlx::query(if is_one_term { BY_TERM } else { BY_TEXT })
            .bind(reader.uuid())
            .bind(within.map(ThreadId::uuid))
            .bind(terms.first.clone())
            .bind(terms.last.clone())
            .bind(wording.since.unwrap_or_else(first_moment))
            .bind(wording.until.unwrap_or_else(last_moment))
            .bind(sent_at)
            .bind(thread_id)
            .bind(number)
            .bind(i64::from(limit) + 1)
            .bind(wording.others(&terms))
            .bind(sender_id.map(UserId::uuid));
        let query = if is_one_term { query } else { query.bind(wording.patterns()) };
        let rows = self.rows(shard, Question::Search, query).await?;
        if !rows.first().map(|row| row.try_get("is_member")).transpose()?.unwrap_or(false) {
            return Answer::new(View::Search, &rows, None);
        }
        let hits = rows.iter().filter_map(|row| hit(row, wording).transpose()).collect::<Result<_, _>>()?;
        Answer::new(View::Search, &rows, Some(hits))
    }
}

fn hit(row: &PgRow, wording: &Wording) -> Result<Option<Hit>, Error> {
    let Some(thread_id) = row.try_get::<Option<Uuid>, _>("thread_id")? else { return Ok(None) };
    Ok(Some(Hit {
        thread_id: ThreadId::from_uuid(thread_id),
        number: number_of(row.try_get("number")?)?,
        sender_id: user(row, "sender_id")?,
        sent_at: row.try_get("sent_at")?,
        snippet: snippet::snippet(row.try_get::<Option<&str>, _>("body")?.unwrap_or_default(), wording),
    }))
}

/// Before the first message, in any year that a date can name.
fn first_moment() -> Timestamp {
    millis(-62_135_596_800_000)
}

/// After the last one.
fn last_moment() -> Timestamp {
    millis(253_402_300_799_999)
}
