//! Writes `search`. What became of messages that lie here first: their old
//! postings are told by their old text, so none is looked for. Large sets go in
//! by binary COPY, in the order of the index.

use super::{Store, array, copy::Rows, membership::move_members};
use crate::{
    projection::column,
    search::{Amended, Message, Search},
};
use events::{ThreadId, Timestamp, event::Number, words::Folded};
use sqlx::{
    PgConnection, Postgres, Row,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use std::collections::BTreeSet;
use uuid::Uuid;

const COPY_FROM: usize = 100;

const ADD_MESSAGES: &str = "\
    INSERT INTO messages (sent_at, number, thread_id, sender_id, body, folded) \
    SELECT * FROM unnest($1::timestamptz[], $2::integer[], $3::uuid[], $4::uuid[], $5::text[], $6::text[])";

const COPY_MESSAGES: &str = "\
    COPY messages (sent_at, number, thread_id, sender_id, body, folded) FROM STDIN (FORMAT binary)";

const ADD_POSTINGS: &str = "\
    INSERT INTO postings (sent_at, number, thread_id, term) \
    SELECT * FROM unnest($1::timestamptz[], $2::integer[], $3::uuid[], $4::text[])";

const COPY_POSTINGS: &str = "COPY postings (sent_at, number, thread_id, term) FROM STDIN (FORMAT binary)";

const FIND: &str = "\
    SELECT m.thread_id, m.number, m.sent_at, m.folded \
    FROM messages m JOIN unnest($1::uuid[], $2::integer[]) AS a(thread_id, number) USING (thread_id, number)";

const DROP_POSTINGS: &str = "\
    DELETE FROM postings p USING unnest($1::timestamptz[], $2::integer[], $3::uuid[], $4::text[]) \
        AS d(sent_at, number, thread_id, term) \
    WHERE p.thread_id = d.thread_id AND p.term = d.term AND p.sent_at = d.sent_at AND p.number = d.number";

const DROP_MESSAGES: &str = "\
    DELETE FROM messages m USING unnest($1::uuid[], $2::integer[]) AS d(thread_id, number) \
    WHERE m.thread_id = d.thread_id AND m.number = d.number";

const SET_TEXTS: &str = "\
    UPDATE messages m SET body = e.body, folded = e.folded \
    FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::text[]) AS e(thread_id, number, body, folded) \
    WHERE m.thread_id = e.thread_id AND m.number = e.number";

/// That a message has a term.
struct Posting<'a> {
    of: Of,
    term: &'a str,
}

/// A message that lies in the store, and what it is found by until now.
struct Old {
    of: Of,
    terms: BTreeSet<String>,
}

/// Which message, and from when.
#[derive(Clone, Copy)]
struct Of {
    thread_id: ThreadId,
    number: Number,
    sent_at: Timestamp,
}

type Added<'a> = (Of, &'a Message);

impl Store for Search {
    const MEMBERS: Option<&'static str> = Some("members");

    async fn write(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if !self.members.is_empty() {
            move_members(connection, &self.members).await?;
        }
        if !self.amended.is_empty() {
            amend(connection, self).await?;
        }
        let of = |&(thread_id, number), sent_at| Of { thread_id, number, sent_at };
        let messages = array(&self.messages, |(key, message)| (of(key, message.sent_at), message));
        match messages.as_slice() {
            [] => return Ok(()),
            few if few.len() <= COPY_FROM => add_messages(connection, few).await?,
            many => copy_messages(connection, many).await?,
        }
        let postings = messages.iter().flat_map(|(of, message)| postings(*of, &message.text.terms));
        add_postings(connection, postings.collect()).await
    }
}

async fn amend(connection: &mut PgConnection, search: &Search) -> Result<(), sqlx::Error> {
    let rows = sqlx::query(FIND)
        .bind(array(search.amended.keys(), |(thread_id, _)| thread_id.uuid()))
        .bind(array(search.amended.keys(), |(_, number)| column(*number)))
        .fetch_all(&mut *connection)
        .await?;
    let found: Vec<Old> = rows.iter().map(old).collect::<Result<_, _>>()?;
    let dropped: Vec<_> = found.iter().flat_map(|old| postings(old.of, &old.terms)).collect();
    if !dropped.is_empty() {
        bind(DROP_POSTINGS, &dropped).execute(&mut *connection).await?;
    }
    let (mut edited, mut deleted) = (Vec::new(), Vec::new());
    for Old { of, .. } in &found {
        match &search.amended[&(of.thread_id, of.number)] {
            Amended::Edited(text) => edited.push((*of, text)),
            Amended::Deleted => deleted.push(*of),
        }
    }
    if !deleted.is_empty() {
        sqlx::query(DROP_MESSAGES)
            .bind(array(&deleted, |of| of.thread_id.uuid()))
            .bind(array(&deleted, |of| column(of.number)))
            .execute(&mut *connection)
            .await?;
    }
    if !edited.is_empty() {
        sqlx::query(SET_TEXTS)
            .bind(array(&edited, |(of, _)| of.thread_id.uuid()))
            .bind(array(&edited, |(of, _)| column(of.number)))
            .bind(array(&edited, |(_, text)| text.body()))
            .bind(array(&edited, |(_, text)| text.folded()))
            .execute(&mut *connection)
            .await?;
        let postings = edited.iter().flat_map(|(of, text)| postings(*of, &text.terms));
        add_postings(connection, postings.collect()).await?;
    }
    Ok(())
}

async fn add_messages(connection: &mut PgConnection, messages: &[Added<'_>]) -> Result<(), sqlx::Error> {
    sqlx::query(ADD_MESSAGES)
        .bind(array(messages, |(of, _)| of.sent_at))
        .bind(array(messages, |(of, _)| column(of.number)))
        .bind(array(messages, |(of, _)| of.thread_id.uuid()))
        .bind(array(messages, |(_, message)| message.sender_id.uuid()))
        .bind(array(messages, |(_, message)| message.text.body()))
        .bind(array(messages, |(_, message)| message.text.folded()))
        .execute(connection)
        .await?;
    Ok(())
}

async fn copy_messages(connection: &mut PgConnection, messages: &[Added<'_>]) -> Result<(), sqlx::Error> {
    let mut copy = connection.copy_in_raw(COPY_MESSAGES).await?;
    let mut rows = Rows::new();
    for (of, message) in messages {
        rows.begin(6);
        rows.timestamp(of.sent_at);
        rows.integer(Some(column(of.number)));
        rows.uuid(of.thread_id.uuid());
        rows.uuid(message.sender_id.uuid());
        rows.text(message.text.body());
        rows.text(message.text.folded());
        if let Some(chunk) = rows.full_chunk() {
            copy.send(chunk).await?;
        }
    }
    copy.send(rows.finish()).await?;
    copy.finish().await?;
    Ok(())
}

async fn add_postings(connection: &mut PgConnection, mut postings: Vec<Posting<'_>>) -> Result<(), sqlx::Error> {
    if postings.len() <= COPY_FROM {
        if !postings.is_empty() {
            bind(ADD_POSTINGS, &postings).execute(connection).await?;
        }
        return Ok(());
    }
    postings.sort_unstable_by_key(|Posting { of, term }| (of.thread_id, *term, of.sent_at, of.number));
    let mut copy = connection.copy_in_raw(COPY_POSTINGS).await?;
    let mut rows = Rows::new();
    for Posting { of, term } in postings {
        rows.begin(4);
        rows.timestamp(of.sent_at);
        rows.integer(Some(column(of.number)));
        rows.uuid(of.thread_id.uuid());
        rows.text(Some(term));
        if let Some(chunk) = rows.full_chunk() {
            copy.send(chunk).await?;
        }
    }
    copy.send(rows.finish()).await?;
    copy.finish().await?;
    Ok(())
}

fn bind<'q>(statement: &'static str, postings: &'q [Posting<'q>]) -> Query<'q, Postgres, PgArguments> {
    sqlx::query(statement)
        .bind(array(postings, |posting| posting.of.sent_at))
        .bind(array(postings, |posting| column(posting.of.number)))
        .bind(array(postings, |posting| posting.of.thread_id.uuid()))
        .bind(array(postings, |posting| posting.term))
}

fn postings(of: Of, terms: &BTreeSet<String>) -> impl Iterator<Item = Posting<'_>> {
    terms.iter().map(move |term| Posting { of, term })
}

fn old(row: &PgRow) -> Result<Old, sqlx::Error> {
    let number = u32::try_from(row.try_get::<i32, _>("number")?).map_err(|error| sqlx::Error::Decode(error.into()))?;
    let thread_id = ThreadId::from_uuid(row.try_get::<Uuid, _>("thread_id")?);
    let folded = row.try_get::<Option<String>, _>("folded")?.unwrap_or_default();
    Ok(Old { of: Of { thread_id, number, sent_at: row.try_get("sent_at")? }, terms: Folded::stored(folded).terms() })
}
