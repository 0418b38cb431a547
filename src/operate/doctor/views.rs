//! Each view: whether it serves, of which log and version, how far it is behind,
//! what is set aside, whether its indexes are whole, and whether anybody applies.

use super::{
    PATIENCE, Told,
    finding::{Area, Finding, causes},
    postgres::connect,
};
use crate::operate::named;
use events::{Partition, Position, Share, Vector};
use projection::View;
use sqlx::{AssertSqlSafe, PgConnection, Row};
use std::collections::BTreeSet;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

/// A view that is behind is looked at again after so long: whether it comes on.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(1);
const FAR: u64 = 10_000;

const WHOLE: &str = "\
    SELECT to_regclass($1 || '.generation') IS NOT NULL AND to_regclass($1 || '.checkpoint') IS NOT NULL \
           AND to_regclass($1 || '.quarantine') IS NOT NULL";
const INDEXES: &str = "\
    SELECT c.relname AS name, i.indisvalid AS valid \
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname = $1";
const RUNNERS: &str = "\
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'herald projection ' || $1";

pub(super) async fn look(url: &str, share: Share, told: &Told) -> Vec<Finding> {
    let mut findings = Vec::new();
    for view in View::ALL {
        let name = named(view, share);
        let asked = async {
            let mut connection = connect(url).await?;
            of_view(&mut connection, view, share, told).await
        };
        match timeout(PATIENCE, asked).await {
            Ok(Ok(of_view)) => findings.extend(of_view),
            Ok(Err(error)) => findings.push(Finding::fails(Area::Views, format!("{name}: {}", causes(&error)))),
            Err(_) => {
                findings
                    .push(Finding::fails(Area::Views, format!("{name}: no answer within {} s", PATIENCE.as_secs())));
            }
        }
    }
    findings
}

async fn of_view(
    connection: &mut PgConnection,
    view: View,
    share: Share,
    told: &Told,
) -> Result<Vec<Finding>, sqlx::Error> {
    let name = named(view, share);
    let whole: bool = sqlx::query_scalar(WHOLE).bind(view.name()).fetch_one(&mut *connection).await?;
    if !whole {
        let what = format!("{name} is not there");
        return Ok(vec![
            Finding::fails(Area::Views, what).remedy("a node with the role `projection` builds it when it starts"),
        ]);
    }
    let ask = |rest: &str| AssertSqlSafe(rest.replace("VIEW", view.name()));
    let row =
        sqlx::query(ask("SELECT epoch, version, (SELECT count(*) FROM VIEW.quarantine) AS aside FROM VIEW.generation"));
    let row = row.fetch_one(&mut *connection).await?;
    let (epoch, version, aside): (Uuid, i32, i64) =
        (row.try_get("epoch")?, row.try_get("version")?, row.try_get("aside")?);
    let mut findings = Vec::new();
    if version != view.version() {
        let what = format!("{name} is of version {version}, this build's is {}", view.version());
        let remedy = "nodes of the newer build make it anew when they start; ask with the build that serves";
        findings.push(Finding::warns(Area::Views, what).remedy(remedy));
    }
    if told.log.as_ref().is_some_and(|log| log.epoch != epoch) {
        let what = format!("{name} stems from another log");
        findings.push(Finding::fails(Area::Views, what).remedy("restart the nodes: it is dropped and built anew"));
    }
    if aside > 0 {
        let what = format!("{aside} facts of {name} are set aside: their threads are not shown");
        findings.push(Finding::fails(Area::Views, what).remedy("`herald quarantine` says why, `--retry` applies them"));
    }
    let found = sqlx::query(INDEXES).bind(view.name()).fetch_all(&mut *connection).await?;
    let mut valid = BTreeSet::new();
    for row in found {
        let index: String = row.try_get("name")?;
        if row.try_get("valid")? {
            valid.insert(index);
        }
    }
    let missing: Vec<_> = view.indexes().into_iter().filter(|index| !valid.contains(index)).collect();
    if !missing.is_empty() {
        let what = format!("{name} lacks the indexes {}, or they are not valid", missing.join(", "));
        findings.push(Finding::fails(Area::Views, what).remedy(format!("`herald rebuild {view}` makes it whole")));
    }
    let runners: i64 = sqlx::query_scalar(RUNNERS).bind(view.name()).fetch_one(&mut *connection).await?;
    if runners == 0 {
        let what = format!("nobody applies facts to {name}");
        findings.push(Finding::fails(Area::Views, what).remedy("start a node with the role `projection`"));
    }
    findings.extend(lag(connection, view, share, told).await?);
    Ok(findings)
}

async fn lag(
    connection: &mut PgConnection,
    view: View,
    share: Share,
    told: &Told,
) -> Result<Option<Finding>, sqlx::Error> {
    let name = named(view, share);
    let (Some(log), Some(ends)) = (&told.log, &told.ends) else { return Ok(None) };
    let streams = view.streams(&log.names, share);
    let behind = |applied: &Vector| -> u64 {
        streams.iter().map(|stream| ends.get(*stream).saturating_sub(applied.get(*stream))).sum()
    };
    let first = behind(&applied(connection, view).await?);
    if first == 0 {
        return Ok(Some(Finding::ok(Area::Views, format!("{name} has applied all"))));
    }
    sleep(AGAIN).await;
    let then = behind(&applied(connection, view).await?);
    let what = format!("{name} was {first} facts behind, a second later {then} of them");
    Ok(Some(match then {
        0 => Finding::ok(Area::Views, what),
        then if then == first => Finding::fails(Area::Views, format!("{name} stands still, {then} facts behind"))
            .remedy("the log of a node with the role `projection` says why"),
        then if then > FAR => Finding::warns(Area::Views, what).remedy("wait, or give it a faster disk: it comes on"),
        _ => Finding::warns(Area::Views, what).remedy("wait: it comes on"),
    }))
}

async fn applied(connection: &mut PgConnection, view: View) -> Result<Vector, sqlx::Error> {
    let rows = sqlx::query(AssertSqlSafe(format!("SELECT partition, sequence FROM {view}.checkpoint")));
    let position = |row: &sqlx::postgres::PgRow| {
        let partition = Partition(u16::try_from(row.try_get::<i32, _>("partition")?).unwrap_or(u16::MAX));
        Ok(Position { partition, sequence: row.try_get::<i64, _>("sequence")?.unsigned_abs() })
    };
    rows.fetch_all(connection).await?.iter().map(position).collect()
}
