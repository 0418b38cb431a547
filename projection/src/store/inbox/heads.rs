//! The heads of threads: one row each, rewritten with every message.

use crate::{
    inbox::{Amended, Head, Last, Opened},
    projection::{column, sequence_column},
    store::array,
};
use events::{Text, ThreadId, event::Number};
use sqlx::PgConnection;
use std::collections::BTreeMap;

const OPEN: &str = "\
    INSERT INTO heads (updated_at, last_sequence, last_sent_at, last_deleted_at, last_number, member_count, thread_id, \
                       kind, last_sender_id, title, last_body) \
    SELECT updated_at, last_sequence, last_sent_at, last_deleted_at, last_number, member_count, thread_id, \
           CASE WHEN is_group THEN 'group' ELSE 'direct' END, last_sender_id, title, last_body \
    FROM unnest($1::timestamptz[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::integer[], $6::integer[], \
                $7::uuid[], $8::boolean[], $9::uuid[], $10::text[], $11::text[]) \
         AS n(updated_at, last_sequence, last_sent_at, last_deleted_at, last_number, member_count, thread_id, is_group, \
              last_sender_id, title, last_body)";

/// A deletion is final.
const AMEND: &str = "\
    UPDATE heads h SET last_body = n.body, last_deleted_at = n.deleted_at \
    FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::timestamptz[]) AS n(thread_id, number, body, deleted_at) \
    WHERE h.thread_id = n.thread_id AND h.last_number = n.number AND h.last_deleted_at IS NULL";

const MOVE: &str = "\
    UPDATE heads h SET \
        updated_at = n.sent_at, last_sequence = n.sequence, last_sent_at = n.sent_at, last_deleted_at = n.deleted_at, \
        last_number = n.number, last_sender_id = n.sender_id, last_body = n.body \
    FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::integer[], $6::uuid[], $7::text[]) \
         AS n(thread_id, sequence, sent_at, deleted_at, number, sender_id, body) \
    WHERE h.thread_id = n.thread_id";

const CHANGE: &str = "\
    UPDATE heads h SET \
        member_count = h.member_count + n.joined, title = CASE WHEN n.renamed THEN n.title ELSE h.title END \
    FROM unnest($1::uuid[], $2::integer[], $3::boolean[], $4::text[]) AS n(thread_id, joined, renamed, title) \
    WHERE h.thread_id = n.thread_id";

pub(super) async fn write(connection: &mut PgConnection, heads: &BTreeMap<ThreadId, Head>) -> Result<(), sqlx::Error> {
    let mut opened = Vec::new();
    let mut amended = Vec::new();
    let mut moved = Vec::new();
    let mut changed = Vec::new();
    for (&thread_id, head) in heads {
        if let Some(open) = &head.opened {
            opened.push((thread_id, open, head));
            continue;
        }
        amended.extend(head.amended.iter().map(|(number, now)| (thread_id, *number, now)));
        moved.extend(head.last.as_ref().map(|last| (thread_id, last)));
        if head.joined != 0 || head.title.is_some() {
            changed.push((thread_id, head));
        }
    }
    if !opened.is_empty() {
        open(connection, &opened).await?;
    }
    if !amended.is_empty() {
        amend(connection, &amended).await?;
    }
    if !moved.is_empty() {
        advance(connection, &moved).await?;
    }
    if !changed.is_empty() {
        change(connection, &changed).await?;
    }
    Ok(())
}

async fn open(connection: &mut PgConnection, heads: &[(ThreadId, &Opened, &Head)]) -> Result<(), sqlx::Error> {
    let last = |head: &Head| head.last.as_ref().map(|last| (last.sequence, last.sent_at, last.number));
    sqlx::query(OPEN)
        .bind(array(heads, |(_, opened, head)| last(head).map_or(opened.at, |(_, sent_at, _)| sent_at)))
        .bind(array(heads, |(_, opened, head)| {
            sequence_column(last(head).map_or(opened.sequence, |(sequence, ..)| sequence))
        }))
        .bind(array(heads, |(.., head)| last(head).map(|(_, sent_at, _)| sent_at)))
        .bind(array(heads, |(.., head)| head.last.as_ref().and_then(|last| last.now.deleted_at)))
        .bind(array(heads, |(.., head)| last(head).map_or(0, |(.., number)| column(number))))
        .bind(array(heads, |(.., head)| head.joined))
        .bind(array(heads, |(thread_id, ..)| thread_id.uuid()))
        .bind(array(heads, |(_, opened, _)| opened.is_group))
        .bind(array(heads, |(.., head)| head.last.as_ref().map(|last| last.sender_id.uuid())))
        .bind(array(heads, |(.., head)| head.title.as_ref().and_then(Text::as_str)))
        .bind(array(heads, |(.., head)| head.last.as_ref().and_then(|last| body(&last.now))))
        .execute(connection)
        .await?;
    Ok(())
}

async fn amend(connection: &mut PgConnection, heads: &[(ThreadId, Number, &Amended)]) -> Result<(), sqlx::Error> {
    sqlx::query(AMEND)
        .bind(array(heads, |(thread_id, ..)| thread_id.uuid()))
        .bind(array(heads, |(_, number, _)| column(*number)))
        .bind(array(heads, |(.., now)| body(now)))
        .bind(array(heads, |(.., now)| now.deleted_at))
        .execute(connection)
        .await?;
    Ok(())
}

async fn advance(connection: &mut PgConnection, heads: &[(ThreadId, &Last)]) -> Result<(), sqlx::Error> {
    sqlx::query(MOVE)
        .bind(array(heads, |(thread_id, _)| thread_id.uuid()))
        .bind(array(heads, |(_, last)| sequence_column(last.sequence)))
        .bind(array(heads, |(_, last)| last.sent_at))
        .bind(array(heads, |(_, last)| last.now.deleted_at))
        .bind(array(heads, |(_, last)| column(last.number)))
        .bind(array(heads, |(_, last)| last.sender_id.uuid()))
        .bind(array(heads, |(_, last)| body(&last.now)))
        .execute(connection)
        .await?;
    Ok(())
}

async fn change(connection: &mut PgConnection, heads: &[(ThreadId, &Head)]) -> Result<(), sqlx::Error> {
    sqlx::query(CHANGE)
        .bind(array(heads, |(thread_id, _)| thread_id.uuid()))
        .bind(array(heads, |(_, head)| head.joined))
        .bind(array(heads, |(_, head)| head.title.is_some()))
        .bind(array(heads, |(_, head)| head.title.as_ref().and_then(Text::as_str)))
        .execute(connection)
        .await?;
    Ok(())
}

fn body(now: &Amended) -> Option<&str> {
    now.body.as_ref().and_then(Text::as_str)
}
