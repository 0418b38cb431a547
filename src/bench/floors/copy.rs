//! The projector's transaction, bare: rows by binary COPY into a table of the
//! same shape as the timeline's, their heads and a checkpoint moved with them.
//! The tables are made for it and dropped after.

use super::super::Options;
use anyhow::Context;
use events::Ids;
use sqlx::{Connection, Executor, PgConnection};
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

const BATCH: usize = 2_000;
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

// Of the same shape because they are made from the views' own.
const MAKE: [&str; 5] = [
    "DROP SCHEMA IF EXISTS bench_floor CASCADE",
    "CREATE SCHEMA bench_floor",
    "CREATE TABLE bench_floor.messages (LIKE timeline.messages INCLUDING ALL)",
    "CREATE TABLE bench_floor.heads (LIKE inbox.heads INCLUDING ALL) WITH (fillfactor = 75)",
    "CREATE TABLE bench_floor.checkpoint (LIKE timeline.checkpoint INCLUDING ALL)",
];
const FIRST_HEADS: &str = "\
    INSERT INTO bench_floor.heads (updated_at, last_sequence, last_number, member_count, thread_id, kind) \
    SELECT now(), 0, 0, 2, thread_id, 'direct' FROM unnest($1::uuid[]) AS n(thread_id)";
const FIRST_CHECKPOINT: &str = "INSERT INTO bench_floor.checkpoint (sequence, partition) VALUES (0, 0)";
const COPY: &str = "\
    COPY bench_floor.messages (sequence, sent_at, number, thread_id, sender_id, key, reply_to, body) \
    FROM STDIN (FORMAT binary)";
const MOVE_HEADS: &str = "\
    UPDATE bench_floor.heads h SET updated_at = now(), last_sequence = n.number, last_sent_at = now(), \
        last_number = n.number, last_sender_id = h.thread_id, last_body = n.body \
    FROM unnest($1::uuid[], $2::integer[], $3::text[]) AS n(thread_id, number, body) \
    WHERE h.thread_id = n.thread_id";
const ADVANCE: &str = "UPDATE bench_floor.checkpoint SET sequence = sequence + $1 WHERE partition = 0";

/// The number of rows that were written meanwhile.
pub(super) async fn measure(url: &str, options: &Options, lasting: Duration) -> anyhow::Result<u64> {
    let mut connection = PgConnection::connect(url).await?;
    let ids = Ids::random();
    let threads: Vec<Uuid> = (0..options.users.div_ceil(2)).map(|_| ids.next()).collect();
    let body = "x".repeat(usize::from(options.body));
    for statement in MAKE {
        connection.execute(statement).await.context("the tables of the floor are not made")?;
    }
    sqlx::query(FIRST_HEADS).bind(&threads).execute(&mut connection).await?;
    sqlx::query(FIRST_CHECKPOINT).execute(&mut connection).await?;

    let began = Instant::now();
    let (mut rows, mut number) = (0, 0);
    while began.elapsed() < lasting {
        let mut transaction = connection.begin().await?;
        let mut copy = transaction.copy_in_raw(COPY).await?;
        let mut bytes = SIGNATURE.to_vec();
        for thread_id in threads.iter().cycle().take(BATCH) {
            // Above all before it in its thread.
            number += 1;
            row(number, *thread_id, ids.next(), &body, &mut bytes);
        }
        bytes.extend_from_slice(&(-1_i16).to_be_bytes());
        copy.send(bytes).await?;
        copy.finish().await?;
        let moved = &threads[..threads.len().min(BATCH)];
        sqlx::query(MOVE_HEADS)
            .bind(moved)
            .bind(vec![number; moved.len()])
            .bind(vec![body.as_str(); moved.len()])
            .execute(&mut *transaction)
            .await?;
        sqlx::query(ADVANCE).bind(i64::try_from(BATCH)?).execute(&mut *transaction).await?;
        transaction.commit().await?;
        rows += u64::try_from(BATCH)?;
    }
    connection.execute("DROP SCHEMA bench_floor CASCADE").await?;
    connection.close().await?;
    Ok(rows)
}

/// Appends a row as COPY's binary format has it: each field its length and bytes, big-endian.
fn row(number: i32, thread_id: Uuid, key: Uuid, body: &str, out: &mut Vec<u8>) {
    let field = |out: &mut Vec<u8>, bytes: &[u8]| {
        out.extend_from_slice(&i32::try_from(bytes.len()).expect("a field is short").to_be_bytes());
        out.extend_from_slice(bytes);
    };
    out.extend_from_slice(&8_i16.to_be_bytes());
    // The sequence does for a time as well.
    let sequence = i64::from(number).to_be_bytes();
    let (thread_id, number) = (thread_id.as_bytes(), number.to_be_bytes());
    for bytes in [&sequence[..], &sequence, &number, thread_id, thread_id, key.as_bytes()] {
        field(out, bytes);
    }
    // No reply.
    out.extend_from_slice(&(-1_i32).to_be_bytes());
    field(out, body.as_bytes());
}
