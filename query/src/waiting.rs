//! `inbox`: who still waits for messages that no device of theirs has got, for
//! those who push. One snapshot tells who is a member and what they may see; of
//! those who lie in the same database, and else one of theirs, whether they have
//! muted the thread, blocked the other or are connected.

use crate::{
    Answer, Error, View, Views,
    answer::{self, as_of},
    inbox::Kind,
    measures::Question,
    shards::{Rows, Shard, Shards, gather},
};
use events::{ThreadId, Timestamp, UserId, event::Number};
use sqlx::{Row, postgres::PgRow};
use std::collections::{BTreeSet, HashMap, HashSet};
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
                 SELECT m.user_id, m.thread_id, m.peer_id, ",
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

/// Of members of threads that lie elsewhere: who wants to be told, and whether they are connected.
const WILLING: &str = concat!(
    as_of!("inbox"),
    "SELECT vector, version, w.* FROM as_of LEFT JOIN ( \
         SELECT q.user_id, q.thread_id, \
                EXISTS (SELECT FROM presence.connections c WHERE c.user_id = q.user_id) AS online \
         FROM unnest($2::uuid[], $3::uuid[], $4::uuid[]) AS q(user_id, thread_id, peer_id) \
         LEFT JOIN inbox.settings s ON s.user_id = q.user_id AND s.thread_id = q.thread_id \
         WHERE (s.muted_until IS NULL OR s.muted_until <= $1) \
           AND NOT EXISTS (SELECT FROM directory.blocks b \
                           WHERE b.user_id = q.user_id AND b.blocked_id = q.peer_id)) w ON true"
);

const NAMES: &str = concat!(
    as_of!("directory"),
    "SELECT vector, version, u.user_id, u.display_name \
     FROM as_of LEFT JOIN directory.users u ON u.user_id = ANY($1)"
);

/// Somebody who waits, as far as the thread's database knows, and the other of a direct thread.
struct Candidate<T> {
    user_id: UserId,
    thread_id: ThreadId,
    peer_id: Option<UserId>,
    waits: T,
}

/// Who is asked about, and the other of a direct thread.
type Asked = (UserId, ThreadId, Option<UserId>);

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
        let shards = self.shards();
        let groups = shards.group(threads, |(thread_id, _)| thread_id.uuid());
        let found = gather(groups, |(shard, threads)| self.waiting_in(shard, threads, at, newest_only)).await?;
        let willing = self.willing(&shards, at, &found.value).await?;
        Ok(found.with(willing).map(|(found, willing)| {
            let waiting = found.into_iter().flatten().map(|one| one.waits);
            let told =
                |one: Waiting| Some(Waiting { online: willing.online(one.user_id, one.thread_id, one.online)?, ..one });
            waiting.filter_map(told).collect()
        }))
    }

    async fn waiting_in(
        &self,
        shard: &Shard,
        threads: Vec<(ThreadId, Number)>,
        at: Timestamp,
        newest_only: bool,
    ) -> Result<Answer<Vec<Candidate<Waiting>>>, Error> {
        let ids: Vec<Uuid> = threads.iter().map(|(thread_id, _)| thread_id.uuid()).collect();
        let numbers: Result<Vec<i32>, _> = threads.iter().map(|(_, number)| i32::try_from(*number)).collect();
        let numbers = numbers.map_err(Error::inconsistent)?;
        let query = sqlx::query(WAITING).bind(at).bind(ids).bind(numbers).bind(newest_only);
        let rows = self.rows(shard, Question::Waiting, query).await?;
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
        let shards = self.shards();
        let groups = shards.group(pairs, |(_, thread_id)| thread_id.uuid());
        let found = gather(groups, |(shard, pairs)| self.undelivered_in(shard, pairs, at, with_preview)).await?;
        let willing = self.willing(&shards, at, &found.value).await?;
        let found = found.with(willing).map(|(found, willing)| {
            let undelivered = found.into_iter().flatten().map(|one| one.waits);
            // Who is connected in the thread's database is not among them.
            undelivered.filter(|one| willing.online(one.user_id, one.thread_id, false) == Some(false)).collect()
        });
        if shards.only().is_some() { Ok(found) } else { self.with_names(&shards, found).await }
    }

    async fn undelivered_in(
        &self,
        shard: &Shard,
        pairs: Vec<(UserId, ThreadId)>,
        at: Timestamp,
        with_preview: bool,
    ) -> Result<Answer<Vec<Candidate<Undelivered>>>, Error> {
        let people: Vec<Uuid> = pairs.iter().map(|(user_id, _)| user_id.uuid()).collect();
        let threads: Vec<Uuid> = pairs.iter().map(|(_, thread_id)| thread_id.uuid()).collect();
        let query = sqlx::query(UNDELIVERED).bind(at).bind(people).bind(threads).bind(with_preview);
        found(&self.rows(shard, Question::Undelivered, query).await?, undelivered)
    }

    /// What the databases of the members say who do not lie with their threads.
    async fn willing<W>(
        &self,
        shards: &Shards,
        at: Timestamp,
        found: &[Vec<Candidate<W>>],
    ) -> Result<Answer<Willing>, Error> {
        let elsewhere: Vec<Asked> = found
            .iter()
            .flatten()
            .filter(|one| !shards.of(one.thread_id.uuid()).has(one.user_id.uuid()))
            .map(|one| (one.user_id, one.thread_id, one.peer_id))
            .collect();
        let groups =
            if elsewhere.is_empty() { Vec::new() } else { shards.group(&elsewhere, |(user_id, ..)| user_id.uuid()) };
        let ask = async |(shard, group): (&Shard, Vec<Asked>)| {
            let people: Vec<Uuid> = group.iter().map(|(user_id, ..)| user_id.uuid()).collect();
            let threads: Vec<Uuid> = group.iter().map(|(_, thread_id, _)| thread_id.uuid()).collect();
            let peers: Vec<Option<Uuid>> = group.iter().map(|(.., peer_id)| peer_id.map(UserId::uuid)).collect();
            let query = sqlx::query(WILLING).bind(at).bind(people).bind(threads).bind(peers);
            let rows = self.rows(shard, Question::Waiting, query).await?;
            let mut willing = HashMap::new();
            for row in rows.iter() {
                let Some(user_id) = row.try_get::<Option<Uuid>, _>("user_id")? else { continue };
                let pair = (UserId::from_uuid(user_id), ThreadId::from_uuid(row.try_get("thread_id")?));
                willing.insert(pair, row.try_get("online")?);
            }
            Answer::new(View::Inbox, &rows, willing)
        };
        let answers = gather(groups, ask).await?;
        Ok(answers.map(|answers| Willing {
            asked: elsewhere.iter().map(|(user_id, thread_id, _)| (*user_id, *thread_id)).collect(),
            willing: answers.into_iter().flatten().collect(),
        }))
    }

    /// Who wrote last is called as their own database says.
    async fn with_names(
        &self,
        shards: &Shards,
        mut found: Answer<Vec<Undelivered>>,
    ) -> Result<Answer<Vec<Undelivered>>, Error> {
        let previews = || found.value.iter().filter_map(|one| one.preview.as_ref());
        let senders: BTreeSet<_> = previews().map(|preview| preview.sender_id).collect();
        let senders: Vec<_> = senders.into_iter().collect();
        let ask = async |(shard, ids): (&Shard, Vec<UserId>)| {
            let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
            let rows = self.rows(shard, Question::Users, sqlx::query(NAMES).bind(ids)).await?;
            let mut names: HashMap<Uuid, Option<String>> = HashMap::new();
            for row in rows.iter() {
                if let Some(user_id) = row.try_get("user_id")? {
                    names.insert(user_id, row.try_get("display_name")?);
                }
            }
            Answer::new(View::Directory, &rows, names)
        };
        let names = gather(shards.group(&senders, |id| id.uuid()), ask).await?;
        let names: HashMap<_, _> = names.value.into_iter().flatten().collect();
        for preview in found.value.iter_mut().filter_map(|one| one.preview.as_mut()) {
            preview.sender_name = names.get(&preview.sender_id.uuid()).cloned().flatten();
        }
        Ok(found)
    }
}

/// Which of the members who were asked for elsewhere want to be told, and whether they are connected.
struct Willing {
    asked: HashSet<(UserId, ThreadId)>,
    willing: HashMap<(UserId, ThreadId), bool>,
}

impl Willing {
    /// Whether somebody is connected who wants to be told; `known` to the thread's database, where they lie there too.
    fn online(&self, user_id: UserId, thread_id: ThreadId, known: bool) -> Option<bool> {
        let pair = (user_id, thread_id);
        if self.asked.contains(&pair) { self.willing.get(&pair).copied() } else { Some(known) }
    }
}

fn found<T>(
    rows: &Rows,
    decode: impl Fn(&PgRow, UserId, ThreadId) -> Result<T, Error>,
) -> Result<Answer<Vec<Candidate<T>>>, Error> {
    let mut value = Vec::with_capacity(rows.len());
    for row in rows.iter() {
        // The row that only tells the checkpoint is there where nobody waits.
        let Some(user_id) = row.try_get::<Option<Uuid>, _>("user_id")? else { continue };
        let (user_id, thread_id) = (UserId::from_uuid(user_id), ThreadId::from_uuid(row.try_get("thread_id")?));
        let peer_id = row.try_get::<Option<Uuid>, _>("peer_id")?.map(UserId::from_uuid);
        value.push(Candidate { user_id, thread_id, peer_id, waits: decode(row, user_id, thread_id)? });
    }
    Answer::new(View::Inbox, rows, value)
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
