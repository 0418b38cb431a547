//! The facts of a generation that could not be applied.

use crate::{
    error::Error,
    projection::sequence_column,
    quarantine::{Parked, id},
};
use events::Envelope;
use sqlx::PgConnection;
use uuid::Uuid;

const INSERT: &str = "\
    INSERT INTO quarantine (sequence, partition, aggregate_id, event_id, reason) VALUES ($1, $2, $3, $4, $5)";

/// Postgres' own messages may be long, and name what they do not take.
const REASON: usize = 500;

pub(crate) async fn insert(connection: &mut PgConnection, fact: &Envelope, reason: &str) -> Result<(), sqlx::Error> {
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

/// The aggregates of which nothing more is applied.
pub(crate) async fn load(connection: &mut PgConnection) -> Result<Parked, Error> {
    let ids = sqlx::query_scalar::<_, Uuid>("SELECT aggregate_id FROM quarantine WHERE aggregate_id IS NOT NULL");
    Ok(ids.fetch_all(connection).await?.into_iter().collect())
}
