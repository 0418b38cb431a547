//! `directory`: who people are. An erased person is nobody.

use crate::{
    Answer, Error, View, Views,
    answer::{self, as_of},
    measures::Question,
};
use events::UserId;
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

/// A person, as others see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub user_id: UserId,
    pub username: String,
    pub display_name: String,
    pub about: String,
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
    "SELECT vector, version, u.user_id, u.username, u.display_name, u.about, u.last_seen_visible_to, u.may_add_me \
     FROM as_of LEFT JOIN directory.users u \
       ON u.user_id = $1 AND u.username IS NOT NULL AND u.display_name IS NOT NULL"
);

const BY_ID: &str = concat!(
    as_of!("directory"),
    "SELECT vector, version, u.user_id, u.username, u.display_name, u.about \
     FROM as_of LEFT JOIN directory.users u \
       ON u.user_id = ANY($1) AND u.username IS NOT NULL AND u.display_name IS NOT NULL"
);

const BY_USERNAME: &str = concat!(
    as_of!("directory"),
    "SELECT vector, version, u.user_id, u.username, u.display_name, u.about \
     FROM as_of LEFT JOIN directory.users u ON u.username = $1 AND u.display_name IS NOT NULL \
     ORDER BY u.created_at, u.user_id LIMIT 1"
);

impl Views {
    /// A person with their settings; `None` where there is nobody.
    pub async fn oneself(&self, user_id: UserId) -> Result<Answer<Option<Oneself>>, Error> {
        let rows = self.rows(Question::Oneself, sqlx::query(ONESELF).bind(user_id.uuid())).await?;
        let as_of = answer::vector(View::Directory, &rows)?;
        let value = rows.first().map(settings).transpose()?.flatten();
        Ok(Answer { as_of, value })
    }

    /// A person; `None` where there is nobody.
    pub async fn user(&self, user_id: UserId) -> Result<Answer<Option<User>>, Error> {
        Ok(self.users(&[user_id]).await?.map(|users| users.into_iter().next()))
    }

    /// Those of the people that there are, in no order.
    pub async fn users(&self, user_ids: &[UserId]) -> Result<Answer<Vec<User>>, Error> {
        let ids: Vec<Uuid> = user_ids.iter().map(|id| id.uuid()).collect();
        people(&self.rows(Question::Users, sqlx::query(BY_ID).bind(ids)).await?)
    }

    /// The person of that name, in canonical form.
    pub async fn user_by_username(&self, username: &str) -> Result<Answer<Option<User>>, Error> {
        let rows = self.rows(Question::UserByUsername, sqlx::query(BY_USERNAME).bind(username)).await?;
        Ok(people(&rows)?.map(|users| users.into_iter().next()))
    }
}

fn people(rows: &[PgRow]) -> Result<Answer<Vec<User>>, Error> {
    let as_of = answer::vector(View::Directory, rows)?;
    let users = rows.iter().filter_map(|row| decode(row).transpose()).collect::<Result<_, _>>()?;
    Ok(Answer { as_of, value: users })
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
    }))
}
