//! Memberships, and the watermarks that belong to them: they rise only, and only
//! members have any.

use crate::{
    inbox::{Joined, Member, Unsettled},
    projection::{column, sequence_column},
    store::array,
    timeline::role_name,
};
use events::{ThreadId, UserId};
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// What becomes of a membership whose watermarks rise to those of `r`.
macro_rules! raised {
    () => {
        "delivered_at = CASE WHEN r.delivered > m.delivered_number THEN r.delivered_at ELSE m.delivered_at END, \
         read_at = CASE WHEN r.read > m.read_number THEN r.read_at ELSE m.read_at END, \
         moved_sequence = greatest( \
             m.moved_sequence, CASE WHEN r.delivered > m.delivered_number THEN r.delivered_sequence END, \
             CASE WHEN r.read > m.read_number THEN r.read_sequence END), \
         delivered_number = greatest(r.delivered, m.delivered_number), \
         read_number = greatest(r.read, m.read_number) "
    };
}

macro_rules! where_raised {
    () => {
        "WHERE m.user_id = r.user_id AND m.thread_id = r.thread_id AND m.left_sequence IS NULL \
           AND (r.delivered > m.delivered_number OR r.read > m.read_number)"
    };
}

// Of several receipts the highest counts, from the first moment on at which it was reached.
const SETTLE: &str = concat!(
    "WITH receipts AS ( \
        SELECT r.thread_id, r.user_id, \
               max(least(r.delivered, h.last_number)) AS delivered, \
               (array_agg(r.at ORDER BY least(r.delivered, h.last_number) DESC, r.place))[1] AS delivered_at, \
               (array_agg(r.sequence ORDER BY least(r.delivered, h.last_number) DESC, r.place))[1] \
                   AS delivered_sequence, \
               max(least(r.read, h.last_number)) AS read, \
               (array_agg(r.at ORDER BY least(r.read, h.last_number) DESC, r.place))[1] AS read_at, \
               (array_agg(r.sequence ORDER BY least(r.read, h.last_number) DESC, r.place))[1] AS read_sequence \
        FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::integer[], $5::timestamptz[], $6::bigint[]) \
             WITH ORDINALITY AS r(thread_id, user_id, delivered, read, at, sequence, place) \
        JOIN heads h ON h.thread_id = r.thread_id \
        GROUP BY r.thread_id, r.user_id \
     ) \
     UPDATE memberships m SET ",
    raised!(),
    "FROM receipts r ",
    where_raised!()
);

const JOIN: &str = "\
    INSERT INTO memberships (joined_sequence, moved_sequence, joined_at, joined_number, delivered_number, read_number, \
                             user_id, thread_id, role, peer_id, left_sequence, delivered_at, read_at) \
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::integer[], $5::integer[], $6::integer[], \
                         $7::uuid[], $8::uuid[], $9::text[], $10::uuid[], $11::bigint[], $12::timestamptz[], \
                         $13::timestamptz[]) \
    ON CONFLICT (user_id, thread_id) DO UPDATE SET \
        joined_sequence = excluded.joined_sequence, moved_sequence = excluded.moved_sequence, \
        joined_at = excluded.joined_at, joined_number = excluded.joined_number, \
        delivered_number = excluded.delivered_number, read_number = excluded.read_number, role = excluded.role, \
        peer_id = excluded.peer_id, left_sequence = excluded.left_sequence, delivered_at = excluded.delivered_at, \
        read_at = excluded.read_at";

const RAISE: &str = concat!(
    "UPDATE memberships m SET ",
    raised!(),
    "FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::integer[], $5::timestamptz[], $6::timestamptz[], \
                 $7::bigint[], $8::bigint[]) \
         AS r(thread_id, user_id, delivered, read, delivered_at, read_at, delivered_sequence, read_sequence) ",
    where_raised!()
);

const APPOINT: &str = "\
    UPDATE memberships m SET role = r.role FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS r(thread_id, user_id, role) \
    WHERE m.user_id = r.user_id AND m.thread_id = r.thread_id AND m.left_sequence IS NULL";

const LEAVE: &str = "\
    UPDATE memberships m SET left_sequence = l.left_sequence \
    FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS l(thread_id, user_id, left_sequence) \
    WHERE m.user_id = l.user_id AND m.thread_id = l.thread_id AND m.left_sequence IS NULL";

type Key = (ThreadId, UserId);

pub(super) async fn write(connection: &mut PgConnection, members: &BTreeMap<Key, Member>) -> Result<(), sqlx::Error> {
    let mut joined = Vec::new();
    let mut raised = Vec::new();
    let mut appointed = Vec::new();
    let mut left = Vec::new();
    for (&key, member) in members {
        if let Some(joining) = &member.joined {
            joined.push((key, joining, member));
            continue;
        }
        if member.delivered.number > 0 || member.read.number > 0 {
            raised.push((key, member));
        }
        appointed.extend(member.role.map(|role| (key, role)));
        left.extend(member.left_sequence.map(|sequence| (key, sequence)));
    }
    if !joined.is_empty() {
        join(connection, &joined).await?;
    }
    if !raised.is_empty() {
        raise(connection, &raised).await?;
    }
    if !appointed.is_empty() {
        sqlx::query(APPOINT)
            .bind(array(&appointed, |((thread_id, _), _)| thread_id.uuid()))
            .bind(array(&appointed, |((_, user_id), _)| user_id.uuid()))
            .bind(array(&appointed, |(_, role)| role_name(*role)))
            .execute(&mut *connection)
            .await?;
    }
    if !left.is_empty() {
        sqlx::query(LEAVE)
            .bind(array(&left, |((thread_id, _), _)| thread_id.uuid()))
            .bind(array(&left, |((_, user_id), _)| user_id.uuid()))
            .bind(array(&left, |(_, sequence)| sequence_column(*sequence)))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

pub(super) async fn settle(connection: &mut PgConnection, unsettled: &[Unsettled]) -> Result<(), sqlx::Error> {
    sqlx::query(SETTLE)
        .bind(array(unsettled, |one| one.receipt.thread_id.uuid()))
        .bind(array(unsettled, |one| one.receipt.user_id.uuid()))
        .bind(array(unsettled, |one| saturating(one.receipt.delivered)))
        .bind(array(unsettled, |one| saturating(one.receipt.read)))
        .bind(array(unsettled, |one| one.at))
        .bind(array(unsettled, |one| sequence_column(one.sequence)))
        .execute(connection)
        .await?;
    Ok(())
}

async fn join(connection: &mut PgConnection, members: &[(Key, &Joined, &Member)]) -> Result<(), sqlx::Error> {
    sqlx::query(JOIN)
        .bind(array(members, |(_, joined, _)| sequence_column(joined.sequence)))
        .bind(array(members, |(.., member)| sequence_column(member.delivered.sequence.max(member.read.sequence))))
        .bind(array(members, |(_, joined, _)| joined.at))
        .bind(array(members, |(_, joined, _)| column(joined.number)))
        .bind(array(members, |(.., member)| column(member.delivered.number)))
        .bind(array(members, |(.., member)| column(member.read.number)))
        .bind(array(members, |((_, user_id), ..)| user_id.uuid()))
        .bind(array(members, |((thread_id, _), ..)| thread_id.uuid()))
        .bind(array(members, |(.., member)| role_name(member.role.unwrap_or_default())))
        .bind(array(members, |(_, joined, _)| joined.peer_id.map(UserId::uuid)))
        .bind(array(members, |(.., member)| member.left_sequence.map(sequence_column)))
        .bind(array(members, |(.., member)| member.delivered.at))
        .bind(array(members, |(.., member)| member.read.at))
        .execute(connection)
        .await?;
    Ok(())
}

async fn raise(connection: &mut PgConnection, members: &[(Key, &Member)]) -> Result<(), sqlx::Error> {
    sqlx::query(RAISE)
        .bind(array(members, |((thread_id, _), _)| thread_id.uuid()))
        .bind(array(members, |((_, user_id), _)| user_id.uuid()))
        .bind(array(members, |(_, member)| column(member.delivered.number)))
        .bind(array(members, |(_, member)| column(member.read.number)))
        .bind(array(members, |(_, member)| member.delivered.at))
        .bind(array(members, |(_, member)| member.read.at))
        .bind(array(members, |(_, member)| sequence_column(member.delivered.sequence)))
        .bind(array(members, |(_, member)| sequence_column(member.read.sequence)))
        .execute(connection)
        .await?;
    Ok(())
}

/// A receipt may claim any number; the thread's last one limits it.
fn saturating(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
