//! Writes `timeline`. Large batches go in by binary COPY, small ones by one
//! prepared statement, which is faster up to about a hundred rows. Messages
//! first, then what became of them.

use super::{Store, array, copy::Rows, membership::move_members};
use crate::{
    projection::{column, sequence_column, size_column},
    timeline::{Amended, Attached, Change, Message, Timeline},
};
use events::{Text, ThreadId, UserId, event::Number};
use sqlx::PgConnection;
use uuid::Uuid;

const COPY_FROM: usize = 100;

const ADD_MESSAGES: &str = "\
    INSERT INTO messages (sequence, sent_at, number, thread_id, sender_id, key, reply_to, body) \
    SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::integer[], $4::uuid[], $5::uuid[], $6::uuid[], \
                         $7::integer[], $8::text[])";

const COPY_MESSAGES: &str = "\
    COPY messages (sequence, sent_at, number, thread_id, sender_id, key, reply_to, body) \
    FROM STDIN (FORMAT binary)";

/// Of a message that is deleted, now or before, no text is left.
const SET_BODIES: &str = "\
    UPDATE messages m SET body = a.body \
    FROM unnest($1::uuid[], $2::integer[], $3::text[]) AS a(thread_id, number, body) \
    WHERE m.thread_id = a.thread_id AND m.number = a.number \
      AND NOT EXISTS (SELECT FROM details d \
                      WHERE d.thread_id = a.thread_id AND d.number = a.number AND d.deleted_at IS NOT NULL)";

/// Arrays in an array would have to be of one length: mentions come as texts.
const SET_DETAILS: &str = "\
    INSERT INTO details (edited_at, deleted_at, number, thread_id, mentions) \
    SELECT edited_at, deleted_at, number, thread_id, mentions::uuid[] \
    FROM unnest($1::timestamptz[], $2::timestamptz[], $3::integer[], $4::uuid[], $5::text[]) \
         AS n(edited_at, deleted_at, number, thread_id, mentions) \
    ON CONFLICT (thread_id, number) DO UPDATE SET \
        edited_at = coalesce(excluded.edited_at, details.edited_at), deleted_at = excluded.deleted_at, \
        mentions = excluded.mentions \
    WHERE details.deleted_at IS NULL";

const ADD_ATTACHMENTS: &str = "\
    INSERT INTO attachments (sequence, size, number, place, thread_id, attachment_id, author_id, width, height, \
                             media_type, name) \
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::integer[], $5::uuid[], $6::uuid[], \
                         $7::uuid[], $8::integer[], $9::integer[], $10::text[], $11::text[])";

const DROP_ATTACHMENTS: &str = "\
    DELETE FROM attachments a USING unnest($1::uuid[], $2::integer[]) AS d(thread_id, number) \
    WHERE a.thread_id = d.thread_id AND a.number = d.number";

const DROP_REACTIONS: &str = "\
    DELETE FROM reactions r USING unnest($1::uuid[], $2::integer[]) AS d(thread_id, number) \
    WHERE r.thread_id = d.thread_id AND r.number = d.number";

const REMOVE_REACTIONS: &str = "\
    DELETE FROM reactions r USING unnest($1::uuid[], $2::integer[], $3::uuid[], $4::text[]) \
        AS d(thread_id, number, user_id, emoji) \
    WHERE r.thread_id = d.thread_id AND r.number = d.number AND r.user_id = d.user_id AND r.emoji = d.emoji";

const ADD_REACTIONS: &str = "\
    INSERT INTO reactions (sequence, number, thread_id, user_id, emoji) \
    SELECT sequence, number, thread_id, user_id, emoji \
    FROM unnest($1::bigint[], $2::integer[], $3::uuid[], $4::uuid[], $5::text[]) \
         AS n(sequence, number, thread_id, user_id, emoji) \
    WHERE NOT EXISTS (SELECT FROM details d \
                      WHERE d.thread_id = n.thread_id AND d.number = n.number AND d.deleted_at IS NOT NULL) \
    ON CONFLICT DO NOTHING";

const ADD_CHANGES: &str = "\
    INSERT INTO changes (sequence, at, number, thread_id, by_id, user_id, kind, detail, notice) \
    SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::integer[], $4::uuid[], $5::uuid[], $6::uuid[], \
                         $7::text[], $8::text[], $9::boolean[])";

impl Store for Timeline {
    const MEMBERS: Option<&'static str> = Some("members");

    async fn write(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if !self.members.is_empty() {
            move_members(connection, &self.members).await?;
        }
        match self.messages.as_slice() {
            [] => {}
            few if few.len() <= COPY_FROM => add_messages(connection, few).await?,
            many => copy_messages(connection, many).await?,
        }
        if !self.attachments.is_empty() {
            attach(connection, &self.attachments).await?;
        }
        if !self.amended.is_empty() {
            amend(connection, self).await?;
        }
        if !self.reactions.is_empty() {
            react(connection, self).await?;
        }
        if !self.changes.is_empty() {
            add_changes(connection, &self.changes).await?;
        }
        Ok(())
    }
}

async fn add_messages(connection: &mut PgConnection, messages: &[Message]) -> Result<(), sqlx::Error> {
    sqlx::query(ADD_MESSAGES)
        .bind(array(messages, |message| sequence_column(message.sequence)))
        .bind(array(messages, |message| message.sent_at))
        .bind(array(messages, |message| column(message.number)))
        .bind(array(messages, |message| message.thread_id.uuid()))
        .bind(array(messages, |message| message.sender_id.uuid()))
        .bind(array(messages, |message| message.key.uuid()))
        .bind(array(messages, |message| message.reply_to.map(column)))
        .bind(array(messages, |message| text(message.body.as_ref())))
        .execute(connection)
        .await?;
    Ok(())
}

async fn copy_messages(connection: &mut PgConnection, messages: &[Message]) -> Result<(), sqlx::Error> {
    let mut copy = connection.copy_in_raw(COPY_MESSAGES).await?;
    let mut rows = Rows::new();
    for message in messages {
        rows.begin(8);
        rows.bigint(sequence_column(message.sequence));
        rows.timestamp(message.sent_at);
        rows.integer(Some(column(message.number)));
        rows.uuid(message.thread_id.uuid());
        rows.uuid(message.sender_id.uuid());
        rows.uuid(message.key.uuid());
        rows.integer(message.reply_to.map(column));
        rows.text(text(message.body.as_ref()));
        if let Some(chunk) = rows.full_chunk() {
            copy.send(chunk).await?;
        }
    }
    copy.send(rows.finish()).await?;
    copy.finish().await?;
    Ok(())
}

async fn attach(connection: &mut PgConnection, attachments: &[Attached]) -> Result<(), sqlx::Error> {
    let pixels = |pixels: Option<u32>| pixels.map(|pixels| i32::try_from(pixels).unwrap_or(i32::MAX));
    sqlx::query(ADD_ATTACHMENTS)
        .bind(array(attachments, |attached| sequence_column(attached.sequence)))
        .bind(array(attachments, |attached| size_column(attached.file.size)))
        .bind(array(attachments, |attached| column(attached.number)))
        .bind(array(attachments, |attached| i32::try_from(attached.place).unwrap_or(i32::MAX)))
        .bind(array(attachments, |attached| attached.thread_id.uuid()))
        .bind(array(attachments, |attached| attached.file.attachment_id.uuid()))
        .bind(array(attachments, |attached| attached.author_id.uuid()))
        .bind(array(attachments, |attached| pixels(attached.file.width)))
        .bind(array(attachments, |attached| pixels(attached.file.height)))
        .bind(array(attachments, |attached| attached.file.media_type.as_str()))
        .bind(array(attachments, |attached| attached.file.name.as_str()))
        .execute(connection)
        .await?;
    Ok(())
}

async fn amend(connection: &mut PgConnection, timeline: &Timeline) -> Result<(), sqlx::Error> {
    let rewritten: Vec<_> =
        timeline.amended.iter().filter(|(_, one)| one.body.is_some() || one.deleted_at.is_some()).collect();
    if !rewritten.is_empty() {
        sqlx::query(SET_BODIES)
            .bind(array(&rewritten, |((thread_id, _), _)| thread_id.uuid()))
            .bind(array(&rewritten, |((_, number), _)| column(*number)))
            .bind(array(&rewritten, |(_, amended)| text(amended.body.as_ref())))
            .execute(&mut *connection)
            .await?;
    }
    let amended = || timeline.amended.values();
    sqlx::query(SET_DETAILS)
        .bind(array(amended(), |amended: &Amended| amended.edited_at))
        .bind(array(amended(), |amended: &Amended| amended.deleted_at))
        .bind(array(timeline.amended.keys(), |(_, number)| column(*number)))
        .bind(array(timeline.amended.keys(), |(thread_id, _)| thread_id.uuid()))
        .bind(array(amended(), |amended: &Amended| uuids(&amended.mentions)))
        .execute(&mut *connection)
        .await?;
    let deleted: Vec<_> = timeline.amended.iter().filter(|(_, amended)| amended.deleted_at.is_some()).collect();
    if !deleted.is_empty() {
        for statement in [DROP_REACTIONS, DROP_ATTACHMENTS] {
            sqlx::query(statement)
                .bind(array(&deleted, |((thread_id, _), _)| thread_id.uuid()))
                .bind(array(&deleted, |((_, number), _)| column(*number)))
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(())
}

async fn react(connection: &mut PgConnection, timeline: &Timeline) -> Result<(), sqlx::Error> {
    let removed: Vec<_> = timeline.reactions.iter().filter(|(_, reaction)| reaction.removed).collect();
    if !removed.is_empty() {
        sqlx::query(REMOVE_REACTIONS)
            .bind(array(&removed, |((thread_id, ..), _)| thread_id.uuid()))
            .bind(array(&removed, |((_, number, ..), _)| column(*number)))
            .bind(array(&removed, |((_, _, user_id, _), _)| user_id.uuid()))
            .bind(array(&removed, |((.., emoji), _)| emoji.as_str()))
            .execute(&mut *connection)
            .await?;
    }
    let added = |(key, reaction): (_, &crate::timeline::Reaction)| reaction.added.map(|sequence| (key, sequence));
    let added: Vec<(&(ThreadId, Number, UserId, _), u64)> = timeline.reactions.iter().filter_map(added).collect();
    if !added.is_empty() {
        sqlx::query(ADD_REACTIONS)
            .bind(array(&added, |(_, sequence)| sequence_column(*sequence)))
            .bind(array(&added, |((_, number, ..), _)| column(*number)))
            .bind(array(&added, |((thread_id, ..), _)| thread_id.uuid()))
            .bind(array(&added, |((_, _, user_id, _), _)| user_id.uuid()))
            .bind(array(&added, |((.., emoji), _)| emoji.as_str()))
            .execute(connection)
            .await?;
    }
    Ok(())
}

async fn add_changes(connection: &mut PgConnection, changes: &[Change]) -> Result<(), sqlx::Error> {
    sqlx::query(ADD_CHANGES)
        .bind(array(changes, |change| sequence_column(change.sequence)))
        .bind(array(changes, |change| change.at))
        .bind(array(changes, |change| column(change.number)))
        .bind(array(changes, |change| change.thread_id.uuid()))
        .bind(array(changes, |change| change.by.uuid()))
        .bind(array(changes, |change| change.user_id.map(UserId::uuid)))
        .bind(array(changes, |change| change.kind.name()))
        .bind(array(changes, |change| text(change.detail.as_ref())))
        .bind(array(changes, |change| change.kind.is_notice()))
        .execute(connection)
        .await?;
    Ok(())
}

fn text(text: Option<&Text>) -> Option<&str> {
    text.and_then(Text::as_str)
}

/// An array as Postgres writes it.
fn uuids(ids: &[UserId]) -> String {
    let ids: Vec<String> = ids.iter().map(|id| Uuid::to_string(&id.uuid())).collect();
    format!("{{{}}}", ids.join(","))
}
