//! Writes `directory`.

use super::{Store, array, pictures};
use crate::directory::{Change, Contact, Directory};
use events::{
    Text, UserId,
    event::{Adders, Viewers},
};
use sqlx::PgConnection;

const ADD_USERS: &str = "\
    INSERT INTO users (created_at, user_id, username, display_name) \
    SELECT * FROM unnest($1::timestamptz[], $2::uuid[], $3::text[], $4::text[])";

/// A text that is told and NULL was erased.
const CHANGE_USERS: &str = "\
    UPDATE users SET \
        display_name = CASE WHEN change.named THEN change.display_name ELSE users.display_name END, \
        about = CASE WHEN change.described THEN coalesce(change.about, '') ELSE users.about END, \
        last_seen_visible_to = coalesce(change.last_seen_visible_to, users.last_seen_visible_to), \
        may_add_me = coalesce(change.may_add_me, users.may_add_me) \
    FROM unnest($1::uuid[], $2::bool[], $3::text[], $4::bool[], $5::text[], $6::text[], $7::text[]) \
        AS change (user_id, named, display_name, described, about, last_seen_visible_to, may_add_me) \
    WHERE users.user_id = change.user_id";

const SAVE_CONTACTS: &str = "\
    INSERT INTO contacts (user_id, contact_id, alias) SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[]) \
    ON CONFLICT (user_id, contact_id) DO UPDATE SET alias = excluded.alias";

const REMOVE_CONTACTS: &str = "\
    DELETE FROM contacts c USING unnest($1::uuid[], $2::uuid[]) AS r(user_id, contact_id) \
    WHERE c.user_id = r.user_id AND c.contact_id = r.contact_id";

const BLOCK: &str = "\
    INSERT INTO blocks (user_id, blocked_id) SELECT * FROM unnest($1::uuid[], $2::uuid[]) ON CONFLICT DO NOTHING";

const UNBLOCK: &str = "\
    DELETE FROM blocks b USING unnest($1::uuid[], $2::uuid[]) AS r(user_id, blocked_id) \
    WHERE b.user_id = r.user_id AND b.blocked_id = r.blocked_id";

impl Store for Directory {
    async fn write(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if !self.users.is_empty() {
            self.add(connection).await?;
        }
        if !self.changes.is_empty() {
            self.change(connection).await?;
        }
        if !self.contacts.is_empty() {
            self.keep_contacts(connection).await?;
        }
        pictures::write(connection, self.pictures.iter().map(|(id, look)| (id.uuid(), *id, look.as_ref()))).await?;
        if !self.blocks.is_empty() {
            self.keep_blocks(connection).await?;
        }
        Ok(())
    }
}

impl Directory {
    async fn add(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query(ADD_USERS)
            .bind(array(&self.users, |user| user.created_at))
            .bind(array(&self.users, |user| user.user_id.uuid()))
            .bind(array(&self.users, |user| user.username.as_str()))
            .bind(array(&self.users, |user| user.display_name.as_str()))
            .execute(connection)
            .await?;
        Ok(())
    }

    async fn keep_contacts(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let (mut saved, mut removed) = (Vec::new(), Vec::new());
        for (pair, contact) in &self.contacts {
            match contact {
                Contact::Saved { alias } => saved.push((pair, alias)),
                Contact::Removed => removed.push(pair),
            }
        }
        if !saved.is_empty() {
            sqlx::query(SAVE_CONTACTS)
                .bind(array(&saved, |((user_id, _), _)| user_id.uuid()))
                .bind(array(&saved, |((_, contact), _)| contact.uuid()))
                .bind(array(&saved, |(_, alias)| alias.as_ref().and_then(Text::as_str)))
                .execute(&mut *connection)
                .await?;
        }
        if !removed.is_empty() {
            execute_pairs(connection, REMOVE_CONTACTS, &removed).await?;
        }
        Ok(())
    }

    async fn keep_blocks(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        for (statement, wanted) in [(BLOCK, true), (UNBLOCK, false)] {
            let pairs: Vec<_> = self.blocks.iter().filter(|(_, is)| **is == wanted).map(|(pair, _)| pair).collect();
            if !pairs.is_empty() {
                execute_pairs(connection, statement, &pairs).await?;
            }
        }
        Ok(())
    }

    async fn change(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let changes = || self.changes.values();
        sqlx::query(CHANGE_USERS)
            .bind(array(self.changes.keys(), |user_id| user_id.uuid()))
            .bind(array(changes(), |change: &Change| change.display_name.is_some()))
            .bind(array(changes(), |change: &Change| change.display_name.as_ref().and_then(Text::as_str)))
            .bind(array(changes(), |change: &Change| change.about.is_some()))
            .bind(array(changes(), |change: &Change| change.about.as_ref().and_then(Text::as_str)))
            .bind(array(changes(), |change: &Change| change.last_seen_visible_to.map(viewers)))
            .bind(array(changes(), |change: &Change| change.may_add_me.map(adders)))
            .execute(connection)
            .await?;
        Ok(())
    }
}

async fn execute_pairs(
    connection: &mut PgConnection,
    statement: &'static str,
    pairs: &[&(UserId, UserId)],
) -> Result<(), sqlx::Error> {
    sqlx::query(statement)
        .bind(array(pairs, |(user_id, _)| user_id.uuid()))
        .bind(array(pairs, |(_, other)| other.uuid()))
        .execute(connection)
        .await?;
    Ok(())
}

fn viewers(viewers: Viewers) -> &'static str {
    match viewers {
        Viewers::Everyone => "everyone",
        Viewers::Contacts => "contacts",
        Viewers::Nobody => "nobody",
    }
}

fn adders(adders: Adders) -> &'static str {
    match adders {
        Adders::Everyone => "everyone",
        Adders::Contacts => "contacts",
    }
}
