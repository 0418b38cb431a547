//! What is held about a person beside what their threads show: where they are and
//! were, how they keep it, and what they wrote and did there, also in threads that
//! do not exist for them any more. Their own only: nothing of others.

use crate::{
    Answer, Error, View, Views,
    answer::{self, as_of},
    files::files_of,
    measures::Question,
    settings,
    shards::{Rows, gather},
    timeline::{self, Message},
};
use events::{ThreadId, Timestamp, UserId, event::Number};
use sqlx::{Row, postgres::PgRow};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A person's place in a thread, and how they keep it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub thread_id: ThreadId,
    pub is_member: bool,
    /// `None`: never a member, and kept all the same.
    pub joined_at: Option<Timestamp>,
    pub delivered: Option<Number>,
    pub delivered_at: Option<Timestamp>,
    pub read: Option<Number>,
    pub read_at: Option<Timestamp>,
    pub muted_until: Option<Timestamp>,
    pub archived: bool,
    pub pinned: bool,
}

/// What somebody did in a thread, beside writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    pub sequence: u64,
    pub at: Timestamp,
    /// The message that it concerns, or follows.
    pub number: Number,
    /// As `changes` has it.
    pub kind: String,
    pub user_id: Option<UserId>,
    /// A title, a role, an emoji or a picture's id.
    pub detail: Option<String>,
}

/// `$4`: with how threads are kept, which lies with the person.
const KEPT: &str = concat!(
    as_of!("inbox"),
    "SELECT vector, version, k.* FROM as_of LEFT JOIN ( \
         SELECT coalesce(m.thread_id, s.thread_id) AS thread_id, \
                coalesce(m.left_sequence IS NULL AND m.thread_id IS NOT NULL, false) AS is_member, m.joined_at, \
                nullif(m.delivered_number, 0) AS delivered, m.delivered_at, nullif(m.read_number, 0) AS read, m.read_at, \
                s.muted_until, coalesce(s.archived, false) AS archived, coalesce(s.pinned, false) AS pinned \
         FROM (SELECT * FROM inbox.memberships WHERE user_id = $1 AND ($2::uuid IS NULL OR thread_id > $2)) m \
         FULL JOIN (SELECT * FROM inbox.settings WHERE $4 AND user_id = $1 AND ($2::uuid IS NULL OR thread_id > $2)) s \
           ON s.thread_id = m.thread_id \
         ORDER BY 1 LIMIT $3) k ON true ORDER BY k.thread_id"
);

/// How others reacted is not the writer's own. Who wrote is in no index: a stretch of the thread is looked through, and
/// where that ends is told.
const OWN_MESSAGES: &str = concat!(
    as_of!("timeline"),
    ", stretch AS (SELECT number, sender_id FROM timeline.messages WHERE thread_id = $1 AND number > $3 \
                   ORDER BY number LIMIT $5), \
     own AS (SELECT number FROM stretch WHERE sender_id = $2 ORDER BY number LIMIT $4) \
     SELECT vector, version, (SELECT max(number)::bigint FROM stretch) AS looked, m.*, d.edited_at, d.deleted_at, \
            d.mentions, NULL::text AS kind, ARRAY[]::text[] AS emojis, ARRAY[]::uuid[] AS reacting, ",
    files_of!("$1", "m.number"),
    "FROM as_of LEFT JOIN ( \
         SELECT number, sequence, sent_at, key, sender_id, body, reply_to FROM timeline.messages \
         JOIN own USING (number) WHERE thread_id = $1) m ON true \
     LEFT JOIN timeline.details d ON d.thread_id = $1 AND d.number = m.number ORDER BY m.number"
);

const DEEDS: &str = concat!(
    as_of!("timeline"),
    ", stretch AS (SELECT sequence, at, number, kind, user_id, detail, by_id FROM timeline.changes \
                   WHERE thread_id = $1 AND sequence > $3 ORDER BY sequence LIMIT $5) \
     SELECT vector, version, (SELECT max(sequence) FROM stretch) AS looked, c.* FROM as_of LEFT JOIN ( \
         SELECT sequence, at, number, kind, user_id, detail FROM stretch \
         WHERE by_id = $2 ORDER BY sequence LIMIT $4) c ON true ORDER BY c.sequence"
);

/// Rows of a thread that are looked through at once.
const STRETCH: i64 = 20_000;

/// What was found in a stretch of a thread, and where to go on; `None` at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch<T> {
    pub items: Vec<T>,
    pub looked: Option<u64>,
}

impl Kept {
    /// As somebody keeps a thread who was never in it.
    fn never_in(thread_id: ThreadId) -> Self {
        let (delivered, read) = (None, None);
        let (joined_at, delivered_at, read_at) = (None, None, None);
        let (muted_until, archived, pinned) = (None, false, false);
        let is_member = false;
        Self { thread_id, is_member, joined_at, delivered, delivered_at, read, read_at, muted_until, archived, pinned }
    }
}

impl Views {
    /// The next of a person's places, by thread.
    pub async fn kept(&self, user_id: UserId, after: Option<ThreadId>, limit: u16) -> Result<Answer<Vec<Kept>>, Error> {
        let shards = self.shards();
        let settings = self.settings_of(&shards, user_id, None).await?;
        let with_settings = shards.only().is_some();
        let ask = async |shard| {
            let query = sqlx::query(KEPT).bind(user_id.uuid()).bind(after.map(ThreadId::uuid)).bind(i64::from(limit));
            decoded(View::Inbox, &self.rows(shard, Question::Kept, query.bind(with_settings)).await?, kept)
        };
        let found = settings.with(gather(shards.iter(), ask).await?);
        Ok(found.map(|(settings, found)| {
            let mut places: BTreeMap<_, _> =
                found.into_iter().flatten().map(|kept| (kept.thread_id.uuid(), kept)).collect();
            let later =
                settings.kept.iter().filter(|kept| after.is_none_or(|after| kept.thread_id.uuid() > after.uuid()));
            for kept in later {
                let place = places.entry(kept.thread_id.uuid()).or_insert_with(|| Kept::never_in(kept.thread_id));
                let settings::Kept { muted_until, archived, pinned, thread_id: _ } = *kept;
                *place = Kept { muted_until, archived, pinned, ..place.clone() };
            }
            places.into_values().take(limit.into()).collect()
        }))
    }

    /// The next of the messages that a person wrote in a thread, member or not, without how others reacted to them.
    pub async fn own_messages(
        &self,
        user_id: UserId,
        thread_id: ThreadId,
        after: Number,
        limit: u16,
    ) -> Result<Answer<Stretch<Message>>, Error> {
        let query = sqlx::query(OWN_MESSAGES).bind(thread_id.uuid()).bind(user_id.uuid());
        let query = query.bind(timeline::saturating(after)).bind(i64::from(limit)).bind(STRETCH);
        let (shards, place) = (self.shards(), |message: &Message| message.number.into());
        let rows = self.rows(shards.of(thread_id.uuid()), Question::OwnMessages, query).await?;
        stretch(&rows, limit, timeline::message, place)
    }

    /// The next of what a person did in a thread beside writing, member or not.
    pub async fn deeds(
        &self,
        user_id: UserId,
        thread_id: ThreadId,
        after: u64,
        limit: u16,
    ) -> Result<Answer<Stretch<Deed>>, Error> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let query = sqlx::query(DEEDS).bind(thread_id.uuid()).bind(user_id.uuid()).bind(after);
        let query = query.bind(i64::from(limit)).bind(STRETCH);
        let shards = self.shards();
        let rows = self.rows(shards.of(thread_id.uuid()), Question::Deeds, query).await?;
        stretch(&rows, limit, deed, |deed| deed.sequence)
    }
}

fn decoded<T>(
    view: View,
    rows: &Rows,
    decode: impl Fn(&PgRow) -> Result<Option<T>, Error>,
) -> Result<Answer<Vec<T>>, Error> {
    Answer::new(view, rows, rows.iter().filter_map(|row| decode(row).transpose()).collect::<Result<_, _>>()?)
}

/// Goes on after the last of a full page, else after what was looked through.
fn stretch<T>(
    rows: &Rows,
    limit: u16,
    decode: impl Fn(&PgRow) -> Result<Option<T>, Error>,
    place: impl Fn(&T) -> u64,
) -> Result<Answer<Stretch<T>>, Error> {
    let answer = decoded(View::Timeline, rows, decode)?;
    let looked = rows.first().map(|row| row.try_get::<Option<i64>, _>("looked")).transpose()?.flatten();
    let looked = looked.map(answer::sequence).transpose()?;
    Ok(answer.map(|items| {
        let full = items.last().filter(|_| items.len() >= usize::from(limit)).map(place);
        Stretch { looked: full.or(looked), items }
    }))
}

fn kept(row: &PgRow) -> Result<Option<Kept>, Error> {
    let Some(thread_id) = row.try_get::<Option<Uuid>, _>("thread_id")? else { return Ok(None) };
    let number = |column| row.try_get::<Option<i32>, _>(column)?.map(timeline::number_of).transpose();
    Ok(Some(Kept {
        thread_id: ThreadId::from_uuid(thread_id),
        is_member: row.try_get("is_member")?,
        joined_at: row.try_get("joined_at")?,
        delivered: number("delivered")?,
        delivered_at: row.try_get("delivered_at")?,
        read: number("read")?,
        read_at: row.try_get("read_at")?,
        muted_until: row.try_get("muted_until")?,
        archived: row.try_get("archived")?,
        pinned: row.try_get("pinned")?,
    }))
}

fn deed(row: &PgRow) -> Result<Option<Deed>, Error> {
    let Some(sequence) = row.try_get::<Option<i64>, _>("sequence")? else { return Ok(None) };
    Ok(Some(Deed {
        sequence: answer::sequence(sequence)?,
        at: row.try_get("at")?,
        number: timeline::number_of(row.try_get("number")?)?,
        kind: row.try_get("kind")?,
        user_id: row.try_get::<Option<Uuid>, _>("user_id")?.map(UserId::from_uuid),
        detail: row.try_get("detail")?,
    }))
}
