//! `presence`: who is connected, and when they were last seen, as far as they let
//! the reader see it. What they let is read from `directory`, in the same statement.

use crate::{
    Answer, Error, View, Views,
    answer::{self, as_of},
    measures::Question,
    shards::{Shard, gather},
};
use events::{Timestamp, UserId, Vector};
use sqlx::Row;
use std::collections::HashMap;
use uuid::Uuid;

/// How somebody is, to one who may see it; the default to all others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Shown {
    pub online: bool,
    /// When they last came or went, as far as that is known.
    pub last_seen: Option<Timestamp>,
}

/// Who looks at whom, and what they see; where nothing is said, they may see nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presences {
    /// How far the view of presence has come; the answer's own vector is that of `directory`.
    pub present_as_of: Vector,
    shown: HashMap<(UserId, UserId), Shown>,
}

/// Readers and whom each looks at, pair by pair. Of who is set aside it is not known what they let others see.
const SHOWN: &str = concat!(
    as_of!("directory"),
    ", present AS (SELECT string_agg(partition || ':' || sequence, ',') AS present_vector, \
                          (SELECT version || ' ' || share FROM presence.generation) AS present_version FROM presence.checkpoint) \
     SELECT vector, version, present_vector, present_version, p.* FROM as_of CROSS JOIN present LEFT JOIN ( \
         SELECT q.reader, u.user_id, \
                EXISTS (SELECT FROM presence.connections c WHERE c.user_id = u.user_id) AS online, \
                (SELECT s.at FROM presence.seen s WHERE s.user_id = u.user_id) AS last_seen \
         FROM unnest($1::uuid[], $2::uuid[]) AS q(reader, user_id) JOIN directory.users u ON u.user_id = q.user_id \
         WHERE u.username IS NOT NULL \
           AND NOT EXISTS (SELECT FROM directory.quarantine x WHERE x.aggregate_id = u.user_id) \
           AND (u.user_id = q.reader OR u.last_seen_visible_to = 'everyone' \
                OR (u.last_seen_visible_to = 'contacts' \
                    AND EXISTS (SELECT FROM directory.contacts k \
                                WHERE k.user_id = u.user_id AND k.contact_id = q.reader))) \
           AND NOT EXISTS (SELECT FROM directory.blocks b \
                           WHERE b.user_id = u.user_id AND b.blocked_id = q.reader)) p ON true"
);

impl Presences {
    /// What a reader sees of somebody.
    pub fn shown(&self, reader: UserId, user_id: UserId) -> Shown {
        self.shown.get(&(reader, user_id)).copied().unwrap_or_default()
    }
}

impl Views {
    /// What readers see of those they look at.
    ///
    /// # Errors
    /// When a view cannot be read.
    pub async fn presence(&self, pairs: &[(UserId, UserId)]) -> Result<Answer<Presences>, Error> {
        let shards = self.shards();
        let groups = shards.group(pairs, |(_, user_id)| user_id.uuid());
        let found = gather(groups, |(shard, pairs)| self.presence_in(shard, pairs)).await?;
        Ok(found.map(|found| {
            let none = Presences { present_as_of: Vector::default(), shown: HashMap::new() };
            found.into_iter().fold(none, |mut all, of_shard| {
                all.shown.extend(of_shard.shown);
                Presences { present_as_of: all.present_as_of.with_lower(&of_shard.present_as_of), ..all }
            })
        }))
    }

    /// Of people who lie in one database.
    async fn presence_in(&self, shard: &Shard, pairs: Vec<(UserId, UserId)>) -> Result<Answer<Presences>, Error> {
        let readers: Vec<Uuid> = pairs.iter().map(|(reader, _)| reader.uuid()).collect();
        let people: Vec<Uuid> = pairs.iter().map(|(_, user_id)| user_id.uuid()).collect();
        let rows = self.rows(shard, Question::Presence, sqlx::query(SHOWN).bind(readers).bind(people)).await?;
        let present_as_of = answer::vector_of(View::Presence, &rows, "present_vector", "present_version")?;
        let mut shown = HashMap::new();
        for row in rows.iter() {
            let Some(reader) = row.try_get::<Option<Uuid>, _>("reader")? else { continue };
            let pair = (UserId::from_uuid(reader), UserId::from_uuid(row.try_get("user_id")?));
            shown.insert(pair, Shown { online: row.try_get("online")?, last_seen: row.try_get("last_seen")? });
        }
        Answer::new(View::Directory, &rows, Presences { present_as_of, shown })
    }
}
