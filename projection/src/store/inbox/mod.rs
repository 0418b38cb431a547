//! Writes `inbox`, in the order that makes a batch mean what its facts mean one
//! by one: receipts that wait for the stored last number, openings and joinings,
//! what moved, and leavings last.

mod heads;
mod members;

use super::{Store, array, pictures};
use crate::{
    inbox::{Inbox, Mentions},
    projection::column,
};
use sqlx::PgConnection;

const DROP_MENTIONS: &str = "\
    DELETE FROM mentions m USING unnest($1::uuid[], $2::integer[]) AS d(thread_id, number) \
    WHERE m.thread_id = d.thread_id AND m.number = d.number";

const ADD_MENTIONS: &str = "\
    INSERT INTO mentions (thread_id, number, user_id) SELECT * FROM unnest($1::uuid[], $2::integer[], $3::uuid[]) \
    ON CONFLICT DO NOTHING";

const SET_SETTINGS: &str = "\
    INSERT INTO settings (muted_until, user_id, thread_id, archived, pinned) \
    SELECT * FROM unnest($1::timestamptz[], $2::uuid[], $3::uuid[], $4::boolean[], $5::boolean[]) \
    ON CONFLICT (user_id, thread_id) DO UPDATE SET \
        muted_until = excluded.muted_until, archived = excluded.archived, pinned = excluded.pinned";

impl Store for Inbox {
    const MEMBERS: Option<&'static str> = Some("memberships");

    async fn write(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if !self.unsettled.is_empty() {
            members::settle(connection, &self.unsettled).await?;
        }
        heads::write(connection, &self.heads).await?;
        members::write(connection, &self.members).await?;
        if !self.mentions.is_empty() {
            mention(connection, self).await?;
        }
        let looks = self.pictures.iter().map(|(thread_id, (by, look))| (thread_id.uuid(), *by, look.as_ref()));
        pictures::write(connection, looks).await?;
        if !self.settings.is_empty() {
            set(connection, self).await?;
        }
        Ok(())
    }
}

async fn mention(connection: &mut PgConnection, inbox: &Inbox) -> Result<(), sqlx::Error> {
    let replaced: Vec<_> = inbox.mentions.iter().filter(|(_, mentions)| mentions.replace).map(|(key, _)| key).collect();
    if !replaced.is_empty() {
        sqlx::query(DROP_MENTIONS)
            .bind(array(&replaced, |(thread_id, _)| thread_id.uuid()))
            .bind(array(&replaced, |(_, number)| column(*number)))
            .execute(&mut *connection)
            .await?;
    }
    let each = |(key, mentions): (_, &Mentions)| mentions.of.iter().map(|user_id| (key, *user_id)).collect::<Vec<_>>();
    let mentioned: Vec<_> = inbox.mentions.iter().flat_map(each).collect();
    if !mentioned.is_empty() {
        sqlx::query(ADD_MENTIONS)
            .bind(array(&mentioned, |((thread_id, _), _)| thread_id.uuid()))
            .bind(array(&mentioned, |((_, number), _)| column(*number)))
            .bind(array(&mentioned, |(_, user_id)| user_id.uuid()))
            .execute(connection)
            .await?;
    }
    Ok(())
}

async fn set(connection: &mut PgConnection, inbox: &Inbox) -> Result<(), sqlx::Error> {
    sqlx::query(SET_SETTINGS)
        .bind(array(inbox.settings.values(), |settings| settings.muted_until))
        .bind(array(inbox.settings.keys(), |(user_id, _)| user_id.uuid()))
        .bind(array(inbox.settings.keys(), |(_, thread_id)| thread_id.uuid()))
        .bind(array(inbox.settings.values(), |settings| settings.archived))
        .bind(array(inbox.settings.values(), |settings| settings.pinned))
        .execute(connection)
        .await?;
    Ok(())
}
