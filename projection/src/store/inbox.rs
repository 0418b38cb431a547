//! Writes `inbox`, in the order that makes a batch mean what its facts mean one
//! by one: receipts that wait for the stored last number, openings, then what
//! moved. Watermarks only rise, and only members have any.

use super::{Store, array};
use crate::{
    inbox::{Head, Inbox, Joined, Last, Member, Opened, Unsettled},
    projection::{column, sequence_column},
};
use events::{ThreadId, UserId};
use sqlx::PgConnection;

// Of several receipts the highest counts, from the first moment on at which it was reached.
const SETTLE: &str = "\
    WITH receipts AS ( \
        SELECT r.thread_id, r.user_id, \
               max(least(r.delivered, h.last_number)) AS delivered, \
               (array_agg(r.at ORDER BY least(r.delivered, h.last_number) DESC, r.place))[1] AS delivered_at, \
               max(least(r.read, h.last_number)) AS read, \
               (array_agg(r.at ORDER BY least(r.read, h.last_number) DESC, r.place))[1] AS read_at \
        FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::integer[], $5::timestamptz[]) \
             WITH ORDINALITY AS r(thread_id, user_id, delivered, read, at, place) \
        JOIN heads h ON h.thread_id = r.thread_id \
        GROUP BY r.thread_id, r.user_id \
    ) \
    UPDATE memberships m SET \
        delivered_at = CASE WHEN r.delivered > m.delivered_number THEN r.delivered_at ELSE m.delivered_at END, \
        delivered_number = greatest(r.delivered, m.delivered_number), \
        read_at = CASE WHEN r.read > m.read_number THEN r.read_at ELSE m.read_at END, \
        read_number = greatest(r.read, m.read_number) \
    FROM receipts r \
    WHERE m.user_id = r.user_id AND m.thread_id = r.thread_id AND m.left_sequence IS NULL \
      AND (r.delivered > m.delivered_number OR r.read > m.read_number)";

const OPEN_HEADS: &str = "\
    INSERT INTO heads (updated_at, last_sequence, last_sent_at, last_number, member_count, thread_id, kind, \
                       last_sender_id, last_body) \
    SELECT updated_at, last_sequence, last_sent_at, last_number, 2, thread_id, 'direct', last_sender_id, last_body \
    FROM unnest($1::timestamptz[], $2::bigint[], $3::timestamptz[], $4::integer[], $5::uuid[], $6::uuid[], $7::text[]) \
         AS n(updated_at, last_sequence, last_sent_at, last_number, thread_id, last_sender_id, last_body)";

const JOIN: &str = "\
    INSERT INTO memberships (joined_sequence, joined_at, joined_number, delivered_number, read_number, user_id, \
                             thread_id, role, peer_id, delivered_at, read_at) \
    SELECT joined_sequence, joined_at, 0, delivered, read, user_id, thread_id, 'member', peer_id, delivered_at, read_at \
    FROM unnest($1::bigint[], $2::timestamptz[], $3::integer[], $4::integer[], $5::uuid[], $6::uuid[], $7::uuid[], \
                $8::timestamptz[], $9::timestamptz[]) \
         AS n(joined_sequence, joined_at, delivered, read, user_id, thread_id, peer_id, delivered_at, read_at)";

const MOVE_HEADS: &str = "\
    UPDATE heads h SET \
        updated_at = n.sent_at, last_sequence = n.sequence, last_sent_at = n.sent_at, last_number = n.number, \
        last_sender_id = n.sender_id, last_body = n.body \
    FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::integer[], $5::uuid[], $6::text[]) \
         AS n(thread_id, sequence, sent_at, number, sender_id, body) \
    WHERE h.thread_id = n.thread_id";

const RAISE: &str = "\
    UPDATE memberships m SET \
        delivered_at = CASE WHEN r.delivered > m.delivered_number THEN r.delivered_at ELSE m.delivered_at END, \
        delivered_number = greatest(r.delivered, m.delivered_number), \
        read_at = CASE WHEN r.read > m.read_number THEN r.read_at ELSE m.read_at END, \
        read_number = greatest(r.read, m.read_number) \
    FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::integer[], $5::timestamptz[], $6::timestamptz[]) \
         AS r(thread_id, user_id, delivered, read, delivered_at, read_at) \
    WHERE m.user_id = r.user_id AND m.thread_id = r.thread_id AND m.left_sequence IS NULL \
      AND (r.delivered > m.delivered_number OR r.read > m.read_number)";

type Key = (ThreadId, UserId);

impl Store for Inbox {
    async fn write(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let mut opened = Vec::new();
        let mut moved = Vec::new();
        for (&thread_id, head) in &self.heads {
            match head {
                Head { opened: Some(open), last } => opened.push((thread_id, open, last.as_ref())),
                Head { opened: None, last: Some(last) } => moved.push((thread_id, last)),
                Head { opened: None, last: None } => {}
            }
        }
        let mut joined = Vec::new();
        let mut raised = Vec::new();
        for (&key, member) in &self.members {
            match &member.joined {
                Some(join) => joined.push((key, join, member)),
                None => raised.push((key, member)),
            }
        }
        if !self.unsettled.is_empty() {
            settle(connection, &self.unsettled).await?;
        }
        if !opened.is_empty() {
            open_heads(connection, &opened).await?;
        }
        if !joined.is_empty() {
            join(connection, &joined).await?;
        }
        if !moved.is_empty() {
            move_heads(connection, &moved).await?;
        }
        if !raised.is_empty() {
            raise(connection, &raised).await?;
        }
        Ok(())
    }
}

async fn settle(connection: &mut PgConnection, unsettled: &[Unsettled]) -> Result<(), sqlx::Error> {
    sqlx::query(SETTLE)
        .bind(array(unsettled, |one| one.receipt.thread_id.uuid()))
        .bind(array(unsettled, |one| one.receipt.user_id.uuid()))
        .bind(array(unsettled, |one| saturating(one.receipt.delivered)))
        .bind(array(unsettled, |one| saturating(one.receipt.read)))
        .bind(array(unsettled, |one| one.at))
        .execute(connection)
        .await?;
    Ok(())
}

async fn open_heads(
    connection: &mut PgConnection,
    heads: &[(ThreadId, &Opened, Option<&Last>)],
) -> Result<(), sqlx::Error> {
    sqlx::query(OPEN_HEADS)
        .bind(array(heads, |(_, opened, last)| last.map_or(opened.at, |last| last.sent_at)))
        .bind(array(heads, |(_, opened, last)| sequence_column(last.map_or(opened.sequence, |last| last.sequence))))
        .bind(array(heads, |(_, _, last)| last.map(|last| last.sent_at)))
        .bind(array(heads, |(_, _, last)| last.map_or(0, |last| column(last.number))))
        .bind(array(heads, |(thread_id, _, _)| thread_id.uuid()))
        .bind(array(heads, |(_, _, last)| last.map(|last| last.sender_id.uuid())))
        .bind(array(heads, |(_, _, last)| last.and_then(|last| last.body.as_str())))
        .execute(connection)
        .await?;
    Ok(())
}

async fn join(connection: &mut PgConnection, members: &[(Key, &Joined, &Member)]) -> Result<(), sqlx::Error> {
    sqlx::query(JOIN)
        .bind(array(members, |(_, joined, _)| sequence_column(joined.sequence)))
        .bind(array(members, |(_, joined, _)| joined.at))
        .bind(array(members, |(_, _, member)| column(member.delivered.number)))
        .bind(array(members, |(_, _, member)| column(member.read.number)))
        .bind(array(members, |((_, user_id), _, _)| user_id.uuid()))
        .bind(array(members, |((thread_id, _), _, _)| thread_id.uuid()))
        .bind(array(members, |(_, joined, _)| joined.peer_id.uuid()))
        .bind(array(members, |(_, _, member)| member.delivered.at))
        .bind(array(members, |(_, _, member)| member.read.at))
        .execute(connection)
        .await?;
    Ok(())
}

async fn move_heads(connection: &mut PgConnection, heads: &[(ThreadId, &Last)]) -> Result<(), sqlx::Error> {
    sqlx::query(MOVE_HEADS)
        .bind(array(heads, |(thread_id, _)| thread_id.uuid()))
        .bind(array(heads, |(_, last)| sequence_column(last.sequence)))
        .bind(array(heads, |(_, last)| last.sent_at))
        .bind(array(heads, |(_, last)| column(last.number)))
        .bind(array(heads, |(_, last)| last.sender_id.uuid()))
        .bind(array(heads, |(_, last)| last.body.as_str()))
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
        .execute(connection)
        .await?;
    Ok(())
}

/// A receipt may claim any number; the thread's last one limits it.
fn saturating(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
