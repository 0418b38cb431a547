//! `directory`: who people are, whom they know, and from whom they want nothing.
//! An erased person is nobody; who blocked the reader shows a name and no more.

use crate::{
    Answer, Cursor, Error, InvalidCursor, Paged, View, Views,
    answer::{self, as_of},
    measures::Question,
};
use events::{AttachmentId, UserId};
use sqlx::{Row, postgres::PgRow};
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
    ", b.user_id IS NOT NULL AS blocks_reader FROM directory.users u ",
    block_of_reader!(),
    "WHERE u.username = $2 AND u.display_name IS NOT NULL ORDER BY u.created_at, u.user_id LIMIT 1) p ON true"
);

/// Whose messages are meant, whether they want to hear of the reader or not.
const NAMED: &str = concat!(
    as_of!("directory"),
    "SELECT vector, version, (SELECT u.user_id FROM directory.users u WHERE u.username = $1 \
                              ORDER BY u.created_at, u.user_id LIMIT 1) AS user_id FROM as_of"
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

impl Views {
    /// A person with their settings; `None` where there is nobody.
    pub async fn oneself(&self, user_id: UserId) -> Result<Answer<Option<Oneself>>, Error> {
        let rows = self.rows(Question::Oneself, sqlx::query(ONESELF).bind(user_id.uuid())).await?;
        let as_of = answer::vector(View::Directory, &rows)?;
        let value = rows.first().map(settings).transpose()?.flatten();
        Ok(Answer { as_of, value })
    }

    /// A person; `None` where there is nobody for the reader: those who blocked them are not there.
    pub async fn user(&self, reader: UserId, user_id: UserId) -> Result<Answer<Option<User>>, Error> {
        let query = sqlx::query(BY_ID).bind(reader.uuid()).bind(vec![user_id.uuid()]);
        one(&self.rows(Question::Users, query).await?)
    }

    /// Those of the people that there are, in no order.
    pub async fn users(&self, reader: UserId, user_ids: &[UserId]) -> Result<Answer<Vec<User>>, Error> {
        let ids: Vec<Uuid> = user_ids.iter().map(|id| id.uuid()).collect();
        let rows = self.rows(Question::Users, sqlx::query(BY_ID).bind(reader.uuid()).bind(ids)).await?;
        people(&rows, decode)
    }

    /// The person of that name, in canonical form; `None` where there is nobody for the reader.
    pub async fn user_by_username(&self, reader: UserId, username: &str) -> Result<Answer<Option<User>>, Error> {
        let query = sqlx::query(BY_USERNAME).bind(reader.uuid()).bind(username);
        one(&self.rows(Question::UserByUsername, query).await?)
    }

    /// Who bears a name, in canonical form; nothing else of them.
    pub async fn named(&self, username: &str) -> Result<Answer<Option<UserId>>, Error> {
        let rows = self.rows(Question::Named, sqlx::query(NAMED).bind(username)).await?;
        let as_of = answer::vector(View::Directory, &rows)?;
        let found = rows.first().map(|row| row.try_get::<Option<Uuid>, _>("user_id")).transpose()?.flatten();
        Ok(Answer { as_of, value: found.map(UserId::from_uuid) })
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
        let query = sqlx::query(CONTACTS).bind(reader.uuid()).bind(after).bind(i64::from(limit) + 1);
        let found = people(&self.rows(Question::Contacts, query).await?, contact)?;
        Ok(found.map(|found| Paged::new(found, limit, |last| Cursor::Contact { user_id: last.user.user_id })))
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
        let query = sqlx::query(BLOCKS).bind(reader.uuid()).bind(after).bind(i64::from(limit) + 1);
        let found = people(&self.rows(Question::Blocks, query).await?, decode)?;
        Ok(found.map(|found| Paged::new(found, limit, |last| Cursor::Block { user_id: last.user_id })))
    }
}

fn people<T>(
    rows: &[PgRow],
    decode: impl Fn(&PgRow) -> Result<Option<T>, sqlx::Error>,
) -> Result<Answer<Vec<T>>, Error> {
    let as_of = answer::vector(View::Directory, rows)?;
    let people = rows.iter().filter_map(|row| decode(row).transpose()).collect::<Result<_, _>>()?;
    Ok(Answer { as_of, value: people })
}

fn one(rows: &[PgRow]) -> Result<Answer<Option<User>>, Error> {
    let not_blocking = |row: &PgRow| match row.try_get::<Option<bool>, _>("blocks_reader")? {
        Some(false) => decode(row),
        Some(true) | None => Ok(None),
    };
    Ok(people(rows, not_blocking)?.map(|users| users.into_iter().next()))
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
