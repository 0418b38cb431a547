//! Postgres: whether it answers, is new enough and keeps what it commits, and
//! how near it is to its limits.

use super::{
    PATIENCE,
    finding::{Area, Finding, bytes, causes},
};
use events::{Clock, Timestamp};
use sqlx::{ConnectOptions, PgConnection, Row, postgres::PgConnectOptions, postgres::PgRow};
use tokio::time::timeout;

const OLDEST: i32 = 150_000;
/// Of the connections that it takes.
const CONNECTIONS_WARN: i64 = 80;

const SETTINGS: &str = "\
    SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS version, \
           current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes, \
           current_setting('synchronous_commit') AS synchronous_commit, \
           current_setting('data_checksums') AS data_checksums, current_setting('autovacuum') AS autovacuum, \
           current_setting('max_connections')::bigint AS most, \
           (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections, \
           pg_database_size(current_database()) AS size, pg_is_in_recovery() AS standby, clock_timestamp() AS now";

/// Findings, and its clock with ours.
pub(super) async fn look(url: &str) -> (Vec<Finding>, Option<(Timestamp, Timestamp)>) {
    let asked = async {
        let mut connection = connect(url).await?;
        sqlx::query(SETTINGS).fetch_one(&mut connection).await
    };
    let row = match timeout(PATIENCE, asked).await {
        Ok(Ok(row)) => row,
        Ok(Err(error)) => return (vec![away(&causes(&error))], None),
        Err(_) => return (vec![away(&format!("no answer within {} s", PATIENCE.as_secs()))], None),
    };
    let clock = row.try_get("now").ok().map(|now| (now, Clock::system().now()));
    match judge(&row) {
        Ok(findings) => (findings, clock),
        Err(error) => (vec![away(&causes(&error))], clock),
    }
}

pub(super) async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    url.parse::<PgConnectOptions>()?.application_name("herald doctor").connect().await
}

fn away(why: &str) -> Finding {
    Finding::fails(Area::Postgres, why)
        .remedy("start it, or correct --database-url; messages are sent and received without it, history waits")
}

fn judge(row: &PgRow) -> Result<Vec<Finding>, sqlx::Error> {
    let (version, size): (String, i64) = (row.try_get("version")?, row.try_get("size")?);
    let what = format!("version {version}, the views take {}", bytes(size.unsigned_abs()));
    let mut findings = vec![if row.try_get::<i32, _>("number")? < OLDEST {
        Finding::fails(Area::Postgres, what).remedy("herald needs 15 or newer")
    } else {
        Finding::ok(Area::Postgres, what)
    }];
    for (setting, why) in [
        ("fsync", "a power cut may break the views, which are then rebuilt from the log for hours"),
        ("full_page_writes", "a power cut may break the views, which are then rebuilt from the log for hours"),
        ("data_checksums", "a disk that lies is not noticed: `pg_checksums --enable` while it is stopped"),
        ("autovacuum", "tables grow without end"),
    ] {
        if row.try_get::<String, _>(setting)? == "off" {
            findings.push(Finding::warns(Area::Postgres, format!("{setting} is off")).remedy(why));
        }
    }
    // Runners ask for it themselves.
    if row.try_get::<String, _>("synchronous_commit")? == "off" {
        findings
            .push(Finding::ok(Area::Postgres, "synchronous_commit is off for others; views are committed with it on"));
    }
    if row.try_get("standby")? {
        findings.push(Finding::fails(Area::Postgres, "it is a standby").remedy("give the address of the primary"));
    }
    let (most, connections): (i64, i64) = (row.try_get("most")?, row.try_get("connections")?);
    let what = format!("{connections} of {most} connections");
    findings.push(if connections * 100 >= most * CONNECTIONS_WARN {
        Finding::warns(Area::Postgres, what).remedy("raise max_connections: a node takes some 30")
    } else {
        Finding::ok(Area::Postgres, what)
    });
    Ok(findings)
}
