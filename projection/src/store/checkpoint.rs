//! How far a generation has come: one row for each partition, moved by
//! compare-and-set in the transaction that writes what the facts mean.

use super::array;
use crate::{error::Error, generation::Generation, place::Schema, projection::sequence_column};
use events::{EventId, Partition, Position, Vector};
use sqlx::{AssertSqlSafe, PgConnection, Row, postgres::PgRow};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The last event that a generation has applied, in each partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Checkpoint(BTreeMap<Partition, Mark>);

/// The last event of a partition that was applied; none at sequence 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) sequence: u64,
    pub(crate) event_id: Option<EventId>,
}

const LOAD: &str = "SELECT partition, sequence, event_id FROM checkpoint";

const FENCE: &str = "\
    SELECT g.id, c.partition, c.sequence, c.event_id \
    FROM generation g CROSS JOIN checkpoint c WHERE c.partition = ANY($1::integer[]) \
    ORDER BY c.partition FOR UPDATE OF c";

// Names the generation again: had the schemas changed names since the fence, this would be the one that was written to.
const ADVANCE: &str = "\
    UPDATE checkpoint c SET sequence = n.sequence, event_id = n.event_id \
    FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::uuid[]) AS n(partition, expected, sequence, event_id) \
    WHERE c.partition = n.partition AND c.sequence = n.expected AND (SELECT id FROM generation) = $5";

impl Checkpoint {
    pub(crate) fn start(partitions: impl Iterator<Item = Partition>) -> Self {
        Self(partitions.map(|partition| (partition, Mark::default())).collect())
    }

    pub(crate) fn partitions(&self) -> impl Iterator<Item = Partition> {
        self.0.keys().copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Partition, Mark)> {
        self.0.iter().map(|(&partition, &mark)| (partition, mark))
    }

    pub(crate) fn advance(&mut self, moved: &Self) {
        self.0.extend(moved.iter());
    }

    pub(crate) fn mark(&mut self, position: Position, event_id: EventId) {
        self.0.insert(position.partition, Mark { sequence: position.sequence, event_id: Some(event_id) });
    }

    /// As if it had applied all up to that sequence.
    pub(crate) fn set(&mut self, partition: Partition, sequence: u64) {
        self.0.insert(partition, Mark { sequence, event_id: None });
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn vector(&self) -> Vector {
        self.iter().map(|(partition, mark)| Position { partition, sequence: mark.sequence }).collect()
    }

    /// The part of it that is of those partitions.
    pub(crate) fn of(&self, partitions: &[Partition]) -> Self {
        Self(self.0.iter().filter(|(partition, _)| partitions.contains(partition)).map(|(&p, &m)| (p, m)).collect())
    }

    fn sequence(&self, partition: Partition) -> u64 {
        self.0.get(&partition).map_or(0, |mark| mark.sequence)
    }
}

/// Reads a generation's checkpoint.
pub(crate) async fn load(connection: &mut PgConnection) -> Result<Checkpoint, sqlx::Error> {
    let rows = sqlx::query(LOAD).fetch_all(connection).await?;
    rows.iter().map(decode).collect::<Result<_, _>>().map(Checkpoint)
}

/// Reads a generation's checkpoint, and keeps everybody from moving it until the transaction ends.
pub(crate) async fn hold(connection: &mut PgConnection, schema: Schema) -> Result<Checkpoint, sqlx::Error> {
    let hold = format!("SELECT partition, sequence, event_id FROM {schema}.checkpoint ORDER BY partition FOR UPDATE");
    let rows = sqlx::query(AssertSqlSafe(hold)).fetch_all(connection).await?;
    rows.iter().map(decode).collect::<Result<_, _>>().map(Checkpoint)
}

/// Adds the rows of a new generation.
pub(crate) async fn insert(connection: &mut PgConnection, checkpoint: &Checkpoint) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO checkpoint (partition, sequence) SELECT * FROM unnest($1::integer[], $2::bigint[])")
        .bind(array(checkpoint.partitions(), |partition| i32::from(partition.0)))
        .bind(array(checkpoint.iter(), |(_, mark)| sequence_column(mark.sequence)))
        .execute(connection)
        .await?;
    Ok(())
}

/// Holds the checkpoint until the transaction ends, if it is still this generation and where we think it is.
pub(crate) async fn fence(connection: &mut PgConnection, generation: &Generation) -> Result<(), Error> {
    let Generation { id, checkpoint: expected, parked: _ } = generation;
    let partitions = array(expected.partitions(), |partition| i32::from(partition.0));
    let rows = sqlx::query(FENCE).bind(partitions).fetch_all(connection).await?;
    let found = rows.iter().map(decode).collect::<Result<_, _>>().map(Checkpoint)?;
    let same = rows.iter().map(|row| row.try_get::<Uuid, _>("id")).all(|found| found.is_ok_and(|found| found == *id));
    if same && found == *expected { Ok(()) } else { Err(Error::Overtaken) }
}

/// Moves the checkpoint on from where it is expected.
pub(crate) async fn advance(
    connection: &mut PgConnection,
    generation: &Generation,
    moved: &Checkpoint,
) -> Result<(), Error> {
    let Generation { id, checkpoint: expected, parked: _ } = generation;
    let done = sqlx::query(ADVANCE)
        .bind(array(moved.partitions(), |partition| i32::from(partition.0)))
        .bind(array(moved.partitions(), |partition| sequence_column(expected.sequence(partition))))
        .bind(array(moved.iter(), |(_, mark)| sequence_column(mark.sequence)))
        .bind(array(moved.iter(), |(_, mark)| mark.event_id.map(EventId::uuid)))
        .bind(id)
        .execute(connection)
        .await?;
    if usize::try_from(done.rows_affected()) == Ok(moved.len()) { Ok(()) } else { Err(Error::Overtaken) }
}

fn decode(row: &PgRow) -> Result<(Partition, Mark), sqlx::Error> {
    let invalid = |error: std::num::TryFromIntError| sqlx::Error::Decode(error.into());
    let partition = u16::try_from(row.try_get::<i32, _>("partition")?).map_err(invalid)?;
    let sequence = u64::try_from(row.try_get::<i64, _>("sequence")?).map_err(invalid)?;
    let event_id = row.try_get::<Option<Uuid>, _>("event_id")?.map(EventId::from_uuid);
    Ok((Partition(partition), Mark { sequence, event_id }))
}
