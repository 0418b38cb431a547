//! Writes `timeline`. Large batches go in by binary COPY, small ones by one
//! prepared statement, which is faster up to about a hundred rows.

use super::{Store, array, copy::Rows};
use crate::{
    projection::{column, sequence_column},
    timeline::{Member, Message, Timeline},
};
use sqlx::PgConnection;

const COPY_FROM: usize = 100;

const ADD_MEMBERS: &str = "\
    INSERT INTO members (joined_sequence, joined_number, thread_id, user_id) \
    SELECT * FROM unnest($1::bigint[], $2::integer[], $3::uuid[], $4::uuid[])";

const ADD_MESSAGES: &str = "\
    INSERT INTO messages (sequence, sent_at, number, thread_id, sender_id, key, reply_to, body) \
    SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::integer[], $4::uuid[], $5::uuid[], $6::uuid[], \
                         $7::integer[], $8::text[])";

const COPY_MESSAGES: &str = "\
    COPY messages (sequence, sent_at, number, thread_id, sender_id, key, reply_to, body) \
    FROM STDIN (FORMAT binary)";

impl Store for Timeline {
    async fn write(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if !self.members.is_empty() {
            add_members(connection, &self.members).await?;
        }
        match self.messages.as_slice() {
            [] => Ok(()),
            few if few.len() <= COPY_FROM => add_messages(connection, few).await,
            many => copy_messages(connection, many).await,
        }
    }
}

async fn add_members(connection: &mut PgConnection, members: &[Member]) -> Result<(), sqlx::Error> {
    sqlx::query(ADD_MEMBERS)
        .bind(array(members, |member| sequence_column(member.joined_sequence)))
        .bind(array(members, |member| column(member.joined_number)))
        .bind(array(members, |member| member.thread_id.uuid()))
        .bind(array(members, |member| member.user_id.uuid()))
        .execute(connection)
        .await?;
    Ok(())
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
        .bind(array(messages, |message| message.body.as_str()))
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
        rows.text(message.body.as_str());
        if let Some(chunk) = rows.full_chunk() {
            copy.send(chunk).await?;
        }
    }
    copy.send(rows.finish()).await?;
    copy.finish().await?;
    Ok(())
}
