//! `directory`: who people are, whom they know, and from whom they want nothing.
//! An erased person is nobody; who blocked the reader shows a name and no more.

use crate::{
    Answer, Cursor, Error, InvalidCursor, Paged, View, Views,
    answer::as_of,
    measures::Question,
    shards::{Rows, Shard, gather},
};
use events::{AttachmentId, Timestamp, UserId};
use sqlx::{Row, postgres::PgRow};
use std::collections::HashMap;
use uuid::Uuid;

/// A person, as others see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub user_id: UserId,
    pub username: String,
    pub display_name: String,
    pub about: String,
    /// What they look like.
    pub picture: Option<AttachmentId>,
}

/// A person whom somebody keeps as a contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    pub user: User,
    pub alias: Option<String>,
}

/// A person as they see themselves: with what others may, by the words of the events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oneself {
    pub user: User,
    pub last_seen_visible_to: String,
    pub may_add_me: String,
}

const ONESELF: &str = concat!(
    as_of!("directory"),
    "SELECT vector, version, u.user_id, u.username, u.display_name, u.about, u.last_seen_visible_to, u.may_add_me, \
            (SELECT attachment_id FROM directory.pictures WHERE owner_id = u.user_id) AS picture \
     FROM as_of LEFT JOIN directory.users u \
       ON u.user_id = $1 AND u.username IS NOT NULL AND u.display_name IS NOT NULL"
);

/// What a reader (`$1`) is shown of a person `u`, whose block of the reader is `b`.
macro_rules! shown {
    () => {
        "u.user_id, u.username, CASE WHEN b.user_id IS NULL THEN u.display_name ELSE u.username END AS display_name, \
         CASE WHEN b.user_id IS NULL THEN u.about ELSE '' END AS about, \
         CASE WHEN b.user_id IS NULL THEN (SELECT attachment_id FROM directory.pictures \
                                           WHERE owner_id = u.user_id) END AS picture "
    };
}

macro_rules! block_of_reader {
    () => {
        "LEFT JOIN directory.blocks b ON b.user_id = u.user_id AND b.blocked_id = $1 "
    };
}

const BY_ID: &str = concat!(
    as_of!("directory"),
    "SELECT vector, version, p.* FROM as_of LEFT JOIN ( \
         SELECT ",
    shown!(),
    ", b.user_id IS NOT NULL AS blocks_reader FROM directory.users u ",
    block_of_reader!(),
    "WHERE u.user_id = ANY($2) AND u.username IS NOT NULL AND u.display_name IS NOT NULL) p ON true"
);

const BY_USERNAME: &str = concat!(
    as_of!("directory"),
    "SELECT vector, version, p.* FROM as_of LEFT JOIN ( \
         SELECT ",
    shown!(),
    ", b.user_id IS NOT NULL AS blocks_reader, u.created_at FROM directory.users u ",
    block_of_reader!(),
    "WHERE u.username = $2 AND u.display_name IS NOT NULL ORDER BY u.created_at, u.user_id LIMIT 1) p ON true"
);

/// Whose messages are meant, whether they want to hear of the reader or not.
const NAMED: &str = concat!(
    as_of!("directory"),
    "SELECT vector, version, p.* FROM as_of LEFT JOIN ( \
         SELECT u.user_id, u.created_at FROM directory.users u WHERE u.username = $1 \
         ORDER BY u.created_at, u.user_id LIMIT 1) p ON true"
);

const CONTACTS: &str = concat!(
    as_of!("directory"),
    "SELECT vector, version, p.* FROM as_of LEFT JOIN ( \
         SELECT c.alias, ",
    shown!(),
    "FROM directory.contacts c JOIN directory.users u ON u.user_id = c.contact_id ",
    block_of_reader!(),
    "WHERE c.user_id = $1 AND ($2::uuid IS NULL OR c.contact_id > $2) \
           AND u.username IS NOT NULL AND u.display_name IS NOT NULL \
         ORDER BY c.contact_id LIMIT $3) p ON true ORDER BY p.user_id"
);

const BLOCKS: &str = concat!(
    as_of!("directory"),
    "SELECT vector, version, p.* FROM as_of LEFT JOIN ( \
         SELECT ",
    shown!(),
    "FROM directory.blocks o JOIN directory.users u ON u.user_id = o.blocked_id ",
    block_of_reader!(),
    "WHERE o.user_id = $1 AND ($2::uuid IS NULL OR o.blocked_id > $2) \
           AND u.username IS NOT NULL AND u.display_name IS NOT NULL \
         ORDER BY o.blocked_id LIMIT $3) p ON true ORDER BY p.user_id"
);

/// Whom somebody keeps as a contact, or has blocked, where those people lie elsewhere.
macro_rules! listed {
    ($table:literal, $other:literal, $alias:literal) => {
        concat!(
            as_of!("directory"),
            "SELECT vector, version, l.* FROM as_of LEFT JOIN ( \
                 SELECT ",
            $other,
            " AS user_id, ",
            $alias,
            " AS alias FROM ",
            $table,
            " WHERE user_id = $1 AND ($2::uuid IS NULL OR ",
            $other,
            " > $2) ORDER BY ",
            $other,
            " LIMIT $3) l ON true ORDER BY l.user_id"
        )
    };
}

const CONTACT_IDS: &str = listed!("directory.contacts", "contact_id", "alias");
const BLOCK_IDS: &str = listed!("directory.blocks", "blocked_id", "NULL::text");

impl Views {
    /// A person with their settings; `None` where there is nobody.
    pub async fn oneself(&self, user_id: UserId) -> Result<Answer<Option<Oneself>>, Error> {
        let (shards, query) = (self.shards(), sqlx::query(ONESELF).bind(user_id.uuid()));
        let rows = self.rows(shards.of(user_id.uuid()), Question::Oneself, query).await?;
        Answer::new(View::Directory, &rows, rows.first().map(settings).transpose()?.flatten())
    }

    /// A person; `None` where there is nobody for the reader: those who blocked them are not there.
    pub async fn user(&self, reader: UserId, user_id: UserId) -> Result<Answer<Option<User>>, Error> {
        let query = sqlx::query(BY_ID).bind(reader.uuid()).bind(vec![user_id.uuid()]);
        let shards = self.shards();
        let rows = self.rows(shards.of(user_id.uuid()), Question::Users, query).await?;
        Answer::new(View::Directory, &rows, rows.first().map(unless_blocking).transpose()?.flatten())
    }

    /// Those of the people that there are, in no order.
    pub async fn users(&self, reader: UserId, user_ids: &[UserId]) -> Result<Answer<Vec<User>>, Error> {
        let shards = self.shards();
        let found =
            gather(shards.group(user_ids, |id| id.uuid()), |(shard, ids)| self.users_in(shard, reader, ids)).await;
        Ok(found?.map(|found| found.into_iter().flatten().collect()))
    }

    async fn users_in(&self, shard: &Shard, reader: UserId, ids: Vec<UserId>) -> Result<Answer<Vec<User>>, Error> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
        people(&self.rows(shard, Question::Users, sqlx::query(BY_ID).bind(reader.uuid()).bind(ids)).await?, decode)
    }

    /// The person of that name, in canonical form; `None` where there is nobody for the reader. Where somebody lies, their
    /// name does not tell: each database is asked.
    pub async fn user_by_username(&self, reader: UserId, username: &str) -> Result<Answer<Option<User>>, Error> {
        let query = || sqlx::query(BY_USERNAME).bind(reader.uuid()).bind(username);
        let shards = self.shards();
        let ask = async |shard| oldest(&self.rows(shard, Question::UserByUsername, query()).await?, unless_blocking);
        Ok(gather(shards.iter(), ask).await?.map(|found| found.into_iter().flatten().min_by_key(age)?.2))
    }

    /// Who bears a name, in canonical form; nothing else of them.
    pub async fn named(&self, username: &str) -> Result<Answer<Option<UserId>>, Error> {
        let query = || sqlx::query(NAMED).bind(username);
        let shards = self.shards();
        let ask = async |shard| oldest(&self.rows(shard, Question::Named, query()).await?, |_| Ok(()));
        let found = gather(shards.iter(), ask).await?;
        Ok(found.map(|found| {
            found.into_iter().flatten().min_by_key(age).map(|(_, user_id, ())| UserId::from_uuid(user_id))
        }))
    }

    /// A page of whom somebody keeps as a contact.
    pub async fn contacts(
        &self,
        reader: UserId,
        after: Option<Cursor>,
        limit: u16,
    ) -> Result<Answer<Paged<Contact>>, Error> {
        let after = match after {
            None => None,
            Some(Cursor::Contact { user_id }) => Some(user_id.uuid()),
            Some(_) => return Err(InvalidCursor.into()),
        };
        let cursor = |user_id| Cursor::Contact { user_id };
        let shards = self.shards();
        if let Some(shard) = shards.only() {
            let query = sqlx::query(CONTACTS).bind(reader.uuid()).bind(after).bind(i64::from(limit) + 1);
            let found = people(&self.rows(shard, Question::Contacts, query).await?, contact)?;
            return Ok(found.map(|found| Paged::new(found, limit, |last| cursor(last.user.user_id))));
        }
        let query = sqlx::query(CONTACT_IDS).bind(reader.uuid()).bind(after).bind(i64::from(limit) + 1);
        let listed = listed(&self.rows(shards.of(reader.uuid()), Question::Contacts, query).await?)?;
        self.look_up(reader, listed, limit, cursor, |user, alias| Contact { user, alias }).await
    }

    /// A page of those from whom somebody wants nothing.
    pub async fn blocks(
        &self,
        reader: UserId,
        after: Option<Cursor>,
        limit: u16,
    ) -> Result<Answer<Paged<User>>, Error> {
        let after = match after {
            None => None,
            Some(Cursor::Block { user_id }) => Some(user_id.uuid()),
            Some(_) => return Err(InvalidCursor.into()),
        };
        let cursor = |user_id| Cursor::Block { user_id };
        let shards = self.shards();
        if let Some(shard) = shards.only() {
            let query = sqlx::query(BLOCKS).bind(reader.uuid()).bind(after).bind(i64::from(limit) + 1);
            let found = people(&self.rows(shard, Question::Blocks, query).await?, decode)?;
            return Ok(found.map(|found| Paged::new(found, limit, |last| cursor(last.user_id))));
        }
        let query = sqlx::query(BLOCK_IDS).bind(reader.uuid()).bind(after).bind(i64::from(limit) + 1);
        let listed = listed(&self.rows(shards.of(reader.uuid()), Question::Blocks, query).await?)?;
        self.look_up(reader, listed, limit, cursor, |user, _| user).await
    }

    /// The people of a list, each from where they lie. Who is not there any more is left out: such a page is shorter.
    async fn look_up<T>(
        &self,
        reader: UserId,
        listed: Answer<Vec<Listed>>,
        limit: u16,
        cursor: impl Fn(UserId) -> Cursor,
        item: impl Fn(User, Option<String>) -> T,
    ) -> Result<Answer<Paged<T>>, Error> {
        let page = listed.map(|listed| Paged::new(listed, limit, |(last, _)| cursor(*last)));
        let ids: Vec<_> = page.value.items.iter().map(|(user_id, _)| *user_id).collect();
        let people = self.users(reader, &ids).await?;
        Ok(page.with(people).map(|(page, people)| {
            let mut people: HashMap<_, _> = people.into_iter().map(|user| (user.user_id, user)).collect();
            let found = |(user_id, alias)| Some(item(people.remove(&user_id)?, alias));
            Paged { items: page.items.into_iter().filter_map(found).collect(), next: page.next }
        }))
    }
}

/// Somebody in a list, and under what alias.
type Listed = (UserId, Option<String>);

fn listed(rows: &Rows) -> Result<Answer<Vec<Listed>>, Error> {
    people(rows, |row| {
        let Some(user_id) = row.try_get::<Option<Uuid>, _>("user_id")? else { return Ok(None) };
        Ok(Some((UserId::from_uuid(user_id), row.try_get("alias")?)))
    })
}

/// The oldest person of a database that was found by name, and since when they are there.
fn oldest<T>(rows: &Rows, decode: impl Fn(&PgRow) -> Result<T, sqlx::Error>) -> Result<Answer<Option<Aged<T>>>, Error> {
    let found = match rows.first() {
        Some(row) => match row.try_get::<Option<Uuid>, _>("user_id")? {
            Some(user_id) => Some((row.try_get("created_at")?, user_id, decode(row)?)),
            None => None,
        },
        None => None,
    };
    Answer::new(View::Directory, rows, found)
}

/// Somebody, and since when they are there.
type Aged<T> = (Timestamp, Uuid, T);

fn age<T>((created_at, user_id, _): &Aged<T>) -> (Timestamp, Uuid) {
    (*created_at, *user_id)
}

fn people<T>(rows: &Rows, decode: impl Fn(&PgRow) -> Result<Option<T>, sqlx::Error>) -> Result<Answer<Vec<T>>, Error> {
    let people = rows.iter().filter_map(|row| decode(row).transpose()).collect::<Result<_, _>>()?;
    Answer::new(View::Directory, rows, people)
}

fn unless_blocking(row: &PgRow) -> Result<Option<User>, sqlx::Error> {
    match row.try_get::<Option<bool>, _>("blocks_reader")? {
        Some(false) => decode(row),
        Some(true) | None => Ok(None),
    }
}

fn contact(row: &PgRow) -> Result<Option<Contact>, sqlx::Error> {
    let Some(user) = decode(row)? else { return Ok(None) };
    Ok(Some(Contact { user, alias: row.try_get("alias")? }))
}

fn settings(row: &PgRow) -> Result<Option<Oneself>, sqlx::Error> {
    let Some(user) = decode(row)? else { return Ok(None) };
    let (last_seen_visible_to, may_add_me) = (row.try_get("last_seen_visible_to")?, row.try_get("may_add_me")?);
    Ok(Some(Oneself { user, last_seen_visible_to, may_add_me }))
}

fn decode(row: &PgRow) -> Result<Option<User>, sqlx::Error> {
    let Some(user_id) = row.try_get::<Option<Uuid>, _>("user_id")? else { return Ok(None) };
    Ok(Some(User {
        user_id: UserId::from_uuid(user_id),
        username: row.try_get("username")?,
        display_name: row.try_get("display_name")?,
        about: row.try_get("about")?,
        picture: row.try_get::<Option<Uuid>, _>("picture")?.map(AttachmentId::from_uuid),
    }))
}
