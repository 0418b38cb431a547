//! Writes `audit`.

use super::{Store, array};
use crate::{
    audit::{Audit, Resolved},
    projection::{column, sequence_column},
};
use sqlx::PgConnection;

const TELL: &str = "\
    INSERT INTO deeds (at, sequence, partition, place, aggregate_id, by_id, user_id, kind, detail) \
    SELECT * FROM unnest($1::timestamptz[], $2::bigint[], $3::integer[], $4::integer[], $5::uuid[], $6::uuid[], \
                         $7::uuid[], $8::text[], $9::text[])";

const REPORT: &str = "\
    INSERT INTO reports (at, sequence, partition, number, reporter_id, thread_id, reason, resolved_at, resolved_by, \
                         resolution) \
    SELECT * FROM unnest($1::timestamptz[], $2::bigint[], $3::integer[], $4::integer[], $5::uuid[], $6::uuid[], \
                         $7::text[], $8::timestamptz[], $9::uuid[], $10::text[])";

/// Before those of the batch are there: they were seen to with them.
const RESOLVE: &str = "\
    UPDATE reports SET resolved_at = r.at, resolved_by = r.by_id, resolution = r.resolution \
    FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::timestamptz[], $5::uuid[], $6::text[]) \
        AS r (reporter_id, thread_id, number, at, by_id, resolution) \
    WHERE reports.reporter_id = r.reporter_id AND reports.thread_id = r.thread_id AND reports.number = r.number \
      AND reports.resolved_at IS NULL";

impl Store for Audit {
    async fn write(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if !self.resolved.is_empty() {
            sqlx::query(RESOLVE)
                .bind(array(&self.resolved, |(matter, _)| matter.reporter.uuid()))
                .bind(array(&self.resolved, |(matter, _)| matter.thread_id.uuid()))
                .bind(array(&self.resolved, |(matter, _)| column(matter.number)))
                .bind(array(&self.resolved, |(_, resolved)| resolved.at))
                .bind(array(&self.resolved, |(_, resolved)| resolved.by.map(events::UserId::uuid)))
                .bind(array(&self.resolved, |(_, resolved)| resolved.resolution.as_str()))
                .execute(&mut *connection)
                .await?;
        }
        if !self.reports.is_empty() {
            let resolved = || self.reports.values().map(|report| report.resolved.as_ref());
            sqlx::query(REPORT)
                .bind(array(self.reports.values(), |report| report.at))
                .bind(array(self.reports.keys(), |(_, sequence)| sequence_column(*sequence)))
                .bind(array(self.reports.keys(), |(partition, _)| i32::from(partition.0)))
                .bind(array(self.reports.values(), |report| column(report.matter.number)))
                .bind(array(self.reports.values(), |report| report.matter.reporter.uuid()))
                .bind(array(self.reports.values(), |report| report.matter.thread_id.uuid()))
                .bind(array(self.reports.values(), |report| report.reason.as_str()))
                .bind(array(resolved(), |resolved| resolved.map(|resolved| resolved.at)))
                .bind(array(resolved(), |resolved| resolved.and_then(|resolved| resolved.by).map(events::UserId::uuid)))
                .bind(array(resolved(), |resolved: Option<&Resolved>| resolved.and_then(|it| it.resolution.as_str())))
                .execute(&mut *connection)
                .await?;
        }
        if !self.deeds.is_empty() {
            sqlx::query(TELL)
                .bind(array(&self.deeds, |deed| deed.at))
                .bind(array(&self.deeds, |deed| sequence_column(deed.sequence)))
                .bind(array(&self.deeds, |deed| i32::from(deed.partition.0)))
                .bind(array(&self.deeds, |deed| i32::try_from(deed.place).unwrap_or(i32::MAX)))
                .bind(array(&self.deeds, |deed| deed.aggregate_id))
                .bind(array(&self.deeds, |deed| deed.by.map(events::UserId::uuid)))
                .bind(array(&self.deeds, |deed| deed.user_id.map(events::UserId::uuid)))
                .bind(array(&self.deeds, |deed| deed.kind))
                .bind(array(&self.deeds, |deed| deed.detail.as_deref()))
                .execute(connection)
                .await?;
        }
        Ok(())
    }
}
