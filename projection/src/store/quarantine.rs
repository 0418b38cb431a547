//! The facts of a generation that could not be applied.

use super::Store;
use crate::{
    error::Error,
    projection::sequence_column,
    quarantine::{Parked, id},
};
use events::{Aggregate, Envelope, Position};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

const INSERT: &str = "\
    INSERT INTO quarantine (sequence, partition, aggregate_id, event_id, reason) VALUES ($1, $2, $3, $4, $5)";

/// Postgres' own messages may be long, and name what they do not take.
const REASON: usize = 500;

/// Sets a fact aside. What becomes of its thread from here on is not known, nor who may still see it: nobody does, as if
/// all had left there.
pub(crate) async fn insert<P: Store>(
    connection: &mut PgConnection,
    fact: &Envelope,
    reason: &str,
) -> Result<(), sqlx::Error> {
    if let (Some(table), Aggregate::Thread(thread_id)) = (P::MEMBERS, fact.aggregate) {
        let leave = format!("UPDATE {table} SET left_sequence = $1 WHERE thread_id = $2 AND left_sequence IS NULL");
        let leave = sqlx::query(AssertSqlSafe(leave)).bind(sequence_column(fact.position.sequence));
        leave.bind(thread_id.uuid()).execute(&mut *connection).await?;
    }
    let reason: String = reason.chars().filter(|letter| *letter != '\0').take(REASON).collect();
    sqlx::query(INSERT)
        .bind(sequence_column(fact.position.sequence))
        .bind(i32::from(fact.position.partition.0))
        .bind(id(fact.aggregate))
        .bind(fact.id.uuid())
        .bind(reason)
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes a fact that was set aside back: who saw its thread does again. `false`: it is no longer there.
pub(crate) async fn remove<P: Store>(
    connection: &mut PgConnection,
    position: Position,
    aggregate_id: Option<Uuid>,
) -> Result<bool, sqlx::Error> {
    let (sequence, partition) = (sequence_column(position.sequence), i32::from(position.partition.0));
    let remove = sqlx::query("DELETE FROM quarantine WHERE partition = $1 AND sequence = $2");
    if remove.bind(partition).bind(sequence).execute(&mut *connection).await?.rows_affected() == 0 {
        return Ok(false);
    }
    if let (Some(table), Some(thread_id)) = (P::MEMBERS, aggregate_id) {
        let come = format!("UPDATE {table} SET left_sequence = NULL WHERE thread_id = $1 AND left_sequence = $2");
        sqlx::query(AssertSqlSafe(come)).bind(thread_id).bind(sequence).execute(connection).await?;
    }
    Ok(true)
}

/// The aggregates of which nothing more is applied.
pub(crate) async fn load(connection: &mut PgConnection) -> Result<Parked, Error> {
    let ids = sqlx::query_scalar::<_, Uuid>("SELECT aggregate_id FROM quarantine WHERE aggregate_id IS NOT NULL");
    Ok(ids.fetch_all(connection).await?.into_iter().collect())
}
