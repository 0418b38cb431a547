//! Writes `figures`: a few rows, however many facts there were. Sketches are read,
//! merged and written where that changes them; the fence of the checkpoint keeps
//! others from doing so at once.

use super::{Store, array};
use crate::{
    figures::{Figures, Group, Kind},
    sketch::Sketch,
};
use chrono::NaiveDate;
use sqlx::{PgConnection, Row};
use std::collections::BTreeMap;

const COUNT: &str = "\
    INSERT INTO days (messages, signed_up, day) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::date[]) \
    ON CONFLICT (day) DO UPDATE \
    SET messages = days.messages + excluded.messages, signed_up = days.signed_up + excluded.signed_up";

const FIND_SKETCHES: &str = "\
    SELECT n.place, s.registers \
    FROM unnest($1::text[], $2::date[], $3::smallint[]) WITH ORDINALITY AS n(kind, day, weeks, place) \
    JOIN sketches s USING (kind, day, weeks)";

const KEEP_SKETCHES: &str = "\
    INSERT INTO sketches (kind, day, weeks, registers) \
    SELECT * FROM unnest($1::text[], $2::date[], $3::smallint[], $4::bytea[]) \
    ON CONFLICT (kind, day, weeks) DO UPDATE SET registers = excluded.registers";

/// What each group has come to; a group that was there had so many fewer before.
const RESIZE: &str = "\
    INSERT INTO groups (thread_id, size) SELECT * FROM unnest($1::uuid[], $2::integer[]) \
    ON CONFLICT (thread_id) DO UPDATE SET size = groups.size + excluded.size \
    RETURNING thread_id, size";

const MOVE_SIZES: &str = "\
    INSERT INTO group_sizes (groups, size) SELECT * FROM unnest($1::bigint[], $2::integer[]) \
    ON CONFLICT (size) DO UPDATE SET groups = group_sizes.groups + excluded.groups";

/// So that the rows do not tell how facts were batched.
const DROP_SIZES: &str = "DELETE FROM group_sizes WHERE groups = 0";

impl Store for Figures {
    async fn write(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if !self.days.is_empty() {
            sqlx::query(COUNT)
                .bind(array(self.days.values(), |day| day.messages))
                .bind(array(self.days.values(), |day| day.signed_up))
                .bind(array(self.days.keys(), |day| *day))
                .execute(&mut *connection)
                .await?;
        }
        if !self.people.is_empty() {
            merge(connection, &self.people).await?;
        }
        if !self.groups.is_empty() {
            self.resize(connection).await?;
        }
        Ok(())
    }
}

async fn merge(connection: &mut PgConnection, people: &BTreeMap<(Kind, NaiveDate), Sketch>) -> Result<(), sqlx::Error> {
    let mut sketches: Vec<_> = people.iter().map(|(key, sketch)| (*key, sketch.clone(), true)).collect();
    let found = sqlx::query(FIND_SKETCHES)
        .bind(array(&sketches, |((kind, _), ..)| kind.name()))
        .bind(array(&sketches, |((_, day), ..)| *day))
        .bind(array(&sketches, |((kind, _), ..)| kind.weeks()))
        .fetch_all(&mut *connection)
        .await?;
    for row in found {
        let place = usize::try_from(row.try_get::<i64, _>("place")? - 1).expect("ordinals begin with 1");
        let (_, sketch, changes) = &mut sketches[place];
        let stored = row.try_get::<&[u8], _>("registers")?;
        sketch.merge(stored);
        *changes = sketch.registers() != stored;
    }
    sketches.retain(|(_, _, changes)| *changes);
    if sketches.is_empty() {
        return Ok(());
    }
    sqlx::query(KEEP_SKETCHES)
        .bind(array(&sketches, |((kind, _), ..)| kind.name()))
        .bind(array(&sketches, |((_, day), ..)| *day))
        .bind(array(&sketches, |((kind, _), ..)| kind.weeks()))
        .bind(array(&sketches, |(_, sketch, _)| sketch.registers()))
        .execute(connection)
        .await?;
    Ok(())
}

impl Figures {
    async fn resize(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let resized = sqlx::query(RESIZE)
            .bind(array(self.groups.keys(), |thread_id| thread_id.uuid()))
            .bind(array(self.groups.values(), |group| group.step))
            .fetch_all(&mut *connection)
            .await?;
        let mut steps = BTreeMap::<i32, i64>::new();
        for row in resized {
            let (thread_id, size): (uuid::Uuid, i32) = (row.try_get("thread_id")?, row.try_get("size")?);
            let Group { created, step } = &self.groups[&events::ThreadId::from_uuid(thread_id)];
            *steps.entry(size).or_default() += 1;
            if !created {
                *steps.entry(size - step).or_default() -= 1;
            }
        }
        sqlx::query(MOVE_SIZES)
            .bind(array(steps.values(), |groups| *groups))
            .bind(array(steps.keys(), |size| *size))
            .execute(&mut *connection)
            .await?;
        sqlx::query(DROP_SIZES).execute(connection).await?;
        Ok(())
    }
}
