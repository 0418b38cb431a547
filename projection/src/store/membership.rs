//! Writes who is a member of a thread, in the table `members` of each view that
//! shows a thread's content.

use super::array;
use crate::{
    membership::Member,
    projection::{column, sequence_column},
};
use events::{ThreadId, UserId};
use sqlx::PgConnection;
use std::collections::BTreeMap;

const JOIN: &str = "\
    INSERT INTO members (joined_sequence, left_sequence, joined_number, thread_id, user_id) \
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::uuid[], $5::uuid[]) \
    ON CONFLICT (thread_id, user_id) DO UPDATE SET \
        joined_sequence = excluded.joined_sequence, left_sequence = excluded.left_sequence, \
        joined_number = excluded.joined_number";

const LEAVE: &str = "\
    UPDATE members m SET left_sequence = l.left_sequence \
    FROM unnest($1::bigint[], $2::uuid[], $3::uuid[]) AS l(left_sequence, thread_id, user_id) \
    WHERE m.thread_id = l.thread_id AND m.user_id = l.user_id AND m.left_sequence IS NULL";

pub(super) async fn move_members(
    connection: &mut PgConnection,
    members: &BTreeMap<(ThreadId, UserId), Member>,
) -> Result<(), sqlx::Error> {
    let mut joined = Vec::new();
    let mut left = Vec::new();
    for (key, Member { joined: joining, left_sequence }) in members {
        match (joining, left_sequence) {
            (Some(joining), _) => joined.push((key, joining, *left_sequence)),
            (None, Some(sequence)) => left.push((key, *sequence)),
            (None, None) => {}
        }
    }
    if !joined.is_empty() {
        sqlx::query(JOIN)
            .bind(array(&joined, |(_, joined, _)| sequence_column(joined.sequence)))
            .bind(array(&joined, |(.., left)| left.map(sequence_column)))
            .bind(array(&joined, |(_, joined, _)| column(joined.number)))
            .bind(array(&joined, |((thread_id, _), ..)| thread_id.uuid()))
            .bind(array(&joined, |((_, user_id), ..)| user_id.uuid()))
            .execute(&mut *connection)
            .await?;
    }
    if !left.is_empty() {
        sqlx::query(LEAVE)
            .bind(array(&left, |(_, sequence)| sequence_column(*sequence)))
            .bind(array(&left, |((thread_id, _), _)| thread_id.uuid()))
            .bind(array(&left, |((_, user_id), _)| user_id.uuid()))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
