//! What must hold when all is well again: the ledger, the log, every member's
//! history and what their devices saw are the same; the views are what a
//! rebuild from nothing makes of the log.

use super::{
    ledger::{Counts, Ledger},
    load::Load,
    rig::Rig,
    watcher::Watcher,
};
use crate::whole::{history, logged};
use futures_util::future::join_all;
use query::View;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use std::collections::BTreeMap;

/// Checks all pairs' threads, and the devices that watched them.
pub(super) async fn threads(rig: &Rig, load: &Load, watchers: Vec<Watcher>) -> Counts {
    rig.settled().await;
    let log = rig.log().await;
    let (mut counts, mut histories) = (Counts::default(), Vec::new());
    let ledger: &Ledger = &load.ledger;
    for (index, pair) in load.pairs.iter().enumerate() {
        let logged = logged(&log, &pair.thread_id).await;
        counts += ledger.check(index, &logged);
        for (person, url) in pair.people.iter().zip(rig.urls().iter().cycle()) {
            assert_eq!(history(&person.at(url), &pair.thread_id, "").await, logged, "history is not the log");
        }
        histories.push(logged);
    }
    let mut connections = 0;
    for (watcher, history) in watchers.into_iter().zip(&histories) {
        let seen = watcher.check(history).await;
        connections += seen.connections;
        rig.story.tell(format!("a device was sent away {:?} (code: times)", seen.closed));
    }
    rig.story.tell(format!("{counts:?}, {connections} connections of devices"));
    counts
}

/// Drops the databases and compares what comes back with what was there.
pub(super) async fn rebuild(rig: &Rig) {
    rig.settled().await;
    let before = hashes(rig).await;
    rig.drop_databases().await;
    rig.settled().await;
    assert_eq!(hashes(rig).await, before, "a rebuild makes other rows");
}

/// What each of the databases has.
async fn hashes(rig: &Rig) -> Vec<BTreeMap<String, String>> {
    join_all(rig.database_urls().iter().map(|url| hashes_in(url))).await
}

/// A hash of the ordered rows of each view's tables, checkpoints included. Of presence none: devices come and go.
async fn hashes_in(database_url: &str) -> BTreeMap<String, String> {
    let mut connection = PgConnection::connect(database_url).await.unwrap();
    let mut hashes = BTreeMap::new();
    for view in View::ALL.into_iter().filter(|view| *view != View::Presence) {
        let tables = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = $1 \
                      AND table_name NOT IN ('generation', '_sqlx_migrations')";
        for table in sqlx::query(tables).bind(view.name()).fetch_all(&mut connection).await.unwrap() {
            let table = format!("{}.{}", view.name(), table.get::<String, _>(0));
            let hash = format!("SELECT coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM {table} t");
            let row = sqlx::query(AssertSqlSafe(hash)).fetch_one(&mut connection).await.unwrap();
            hashes.insert(table, row.get(0));
        }
    }
    hashes
}
