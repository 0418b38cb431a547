//! Views made anew beside those that serve, while people go on.

use super::{PATIENCE, Running, Scribe, connect, life, rebuilt, rows, views};
use crate::harness::Deployment;
use projection::{BATCH, Error, Goal, Only, Prepared, Rebuild, Rebuilt, View};
use sqlx::{Executor, PgConnection, Row};
use std::time::Duration;
use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

const KEEP: Duration = Duration::from_hours(1);

fn prepare(deployment: &Deployment, views: &[View], goal: Goal, batch: usize) -> Prepared {
    let rebuild = Rebuild { views: views.to_vec(), goal, pace: None, keep: KEEP, batch };
    rebuild.prepare(deployment.log.clone(), &deployment.map(), &CancellationToken::new()).unwrap()
}

pub async fn rebuild(deployment: &Deployment, views: &[View], goal: Goal) -> Vec<Rebuilt> {
    timeout(PATIENCE, prepare(deployment, views, goal, BATCH).run()).await.expect("a rebuild ends").unwrap()
}

/// Which generation serves, of each view.
async fn generations(connection: &mut PgConnection) -> Vec<String> {
    let mut found = Vec::new();
    for view in View::ALL {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT id::text FROM {view}.generation")));
        found.push(row.fetch_one(&mut *connection).await.unwrap().get(0));
    }
    found
}

async fn schemas(connection: &mut PgConnection, like: &str) -> Vec<String> {
    let found = sqlx::query("SELECT nspname::text FROM pg_namespace WHERE nspname LIKE $1 ORDER BY 1").bind(like);
    found.fetch_all(connection).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_is_rebuilt_and_swapped_while_it_is_written_and_read_and_nothing_differs() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let mut running = Running::start(&deployment, 5_000);
    life::of_a_group(&mut scribe, 1, 300).await;
    running.reach(&scribe.written).await;
    let mut connection = connect(&deployment).await;
    let before = generations(&mut connection).await;

    let stop = CancellationToken::new();
    let mut beside = JoinSet::new();
    let (stopping, views) = (stop.clone(), views(&deployment));
    beside.spawn(async move {
        let mut reads = 0;
        while !stopping.is_cancelled() {
            for view in query::View::ALL {
                views.refresh(view).await.expect("a reader sees nothing of it");
                reads += 1;
            }
        }
        assert!(reads > 0);
    });
    let rebuild = rebuild(&deployment, &View::ALL, Goal::Swap);
    let mut rebuild = std::pin::pin!(rebuild);
    let mut seed = 2;
    let rebuilt_views = loop {
        tokio::select! {
            rebuilt = &mut rebuild => break rebuilt,
            () = life::of_a_group(&mut scribe, seed, 40) => seed += 1,
        }
    };
    life::of_a_group(&mut scribe, 1_000, 40).await;
    running.reach(&scribe.written).await;
    stop.cancel();
    beside.join_next().await.unwrap().unwrap();
    running.stop().await;

    for Rebuilt { view, tables, stalled, events, .. } in &rebuilt_views {
        assert!(stalled.is_some() && (*events > 0 || *view == View::Presence), "{view}");
        let Some(tables) = tables else {
            assert_eq!(*view, View::Presence);
            continue;
        };
        assert!(tables.iter().all(|table| table.equal && table.living == table.built), "{view}: {tables:?}");
        assert!(tables.iter().any(|table| table.built > 0), "{view}: {tables:?}");
    }
    let after = generations(&mut connection).await;
    assert!(before.iter().zip(&after).all(|(before, after)| before != after));
    let live = rows(&deployment).await;
    assert_eq!(rebuilt(&deployment, 1_000).await, live);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_was_killed_goes_on_where_it_was_in_batches_of_any_size() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let mut running = Running::start(&deployment, 5_000);
    life::of_a_group(&mut scribe, 3, 1_200).await;
    running.reach(&scribe.written).await;
    let mut connection = connect(&deployment).await;
    let mut was = 0;
    for batch in [1, 2, 3, 5, 7] {
        let rebuild = prepare(&deployment, &[View::Timeline, View::Inbox], Goal::Swap, batch);
        let (.., mut progress) = rebuild.progress().swap_remove(0);
        let killed = async { progress.wait_for(|status| status.applied >= 20).await.map(|_| ()).unwrap() };
        tokio::select! {
            biased;
            () = killed => {}
            rebuilt = rebuild.run() => panic!("{rebuilt:?}"),
        }
        let applied = sqlx::query("SELECT sum(sequence)::bigint FROM timeline_next.checkpoint");
        let applied: i64 = applied.fetch_one(&mut connection).await.unwrap().get(0);
        assert!(applied >= was + 10, "{applied} after {was}");
        was = applied;
    }
    // The lock goes with the connection, which the server may see later than we do.
    let rebuilt_views = loop {
        match prepare(&deployment, &[View::Timeline, View::Inbox], Goal::Swap, 11).run().await {
            Err(Error::Busy(_)) => tokio::task::yield_now().await,
            rebuilt => break rebuilt.unwrap(),
        }
    };
    assert!(rebuilt_views.iter().all(|view| view.tables.as_ref().unwrap().iter().all(|table| table.equal)));
    running.stop().await;
    let live = rows(&deployment).await;
    assert_eq!(rebuilt(&deployment, 1_000).await, live);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_is_listed_and_a_rebuild_mends_it() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let mut running = Running::start(&deployment, 5_000);
    scribe.chatter(20).await;
    running.reach(&scribe.written).await;
    let sound = rows(&deployment).await;
    let mut connection = connect(&deployment).await;
    connection
        .execute("UPDATE timeline.messages SET body = 'forged' WHERE number = 7; DELETE FROM inbox.heads")
        .await
        .unwrap();
    let before = generations(&mut connection).await;
    let found = rebuild(&deployment, &[View::Timeline, View::Inbox], Goal::Compare).await;
    assert_eq!(generations(&mut connection).await, before, "a comparison swaps nothing");
    assert_eq!(schemas(&mut connection, "%next").await, [""; 0]);
    let table = |view: usize, name: &str| {
        found[view].tables.as_ref().unwrap().iter().find(|table| table.table == name).unwrap().clone()
    };
    let (messages, heads) = (table(0, "messages"), table(1, "heads"));
    assert!(!messages.equal && messages.living == messages.built);
    let is_forged = |row: &Only| matches!(row, Only::Living(row) if row.contains("forged"));
    assert!(messages.differing.iter().any(is_forged), "{messages:?}");
    assert_eq!((heads.equal, heads.living, heads.built), (false, 0, 3));
    assert!(table(0, "members").equal && table(1, "memberships").equal);

    rebuild(&deployment, &[View::Timeline, View::Inbox], Goal::Swap).await;
    running.stop().await;
    assert_eq!(rows(&deployment).await, sound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roll_back_is_the_same_swap_and_loses_nothing_that_was_written_since() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let mut running = Running::start(&deployment, 5_000);
    scribe.chatter(5).await;
    running.reach(&scribe.written).await;
    let refused = prepare(&deployment, &[View::Timeline], Goal::RollBack, BATCH).run().await;
    assert!(matches!(refused, Err(Error::Gone)), "{refused:?}");

    let mut connection = connect(&deployment).await;
    let first = generations(&mut connection).await;
    rebuild(&deployment, &[View::Timeline], Goal::Swap).await;
    let second = generations(&mut connection).await;
    assert_ne!(first, second);
    scribe.chatter(5).await;
    running.reach(&scribe.written).await;
    rebuild(&deployment, &[View::Timeline], Goal::RollBack).await;
    assert_eq!(generations(&mut connection).await, first);
    scribe.chatter(2).await;
    running.reach(&scribe.written).await;
    rebuild(&deployment, &[View::Timeline], Goal::RollBack).await;
    assert_eq!(generations(&mut connection).await, second);
    running.reach(&scribe.written).await;
    running.stop().await;
    let live = rows(&deployment).await;
    assert_eq!(rebuilt(&deployment, 1_000).await, live);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_rebuild_of_a_view_at_a_time() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    scribe.chatter(50).await;
    let one = prepare(&deployment, &[View::Timeline], Goal::Swap, 1);
    let (.., mut progress) = one.progress().swap_remove(0);
    let other = async {
        progress.wait_for(|status| status.applied > 0).await.unwrap();
        prepare(&deployment, &[View::Timeline], Goal::Swap, BATCH).run().await
    };
    let (one, other) = tokio::join!(one.run(), other);
    assert!(matches!(other, Err(Error::Busy(View::Timeline))), "{other:?}");
    assert!(one.unwrap()[0].stalled.is_some(), "where no view serves, the built one is the first");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_served_before_is_kept_abreast_and_dropped_when_it_is_too_old() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    scribe.chatter(5).await;
    let herald = deployment.herald().await;
    let mut connection = connect(&deployment).await;
    let until = async |connection: &mut PgConnection, query: &str| {
        while !sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(&mut *connection).await.is_ok_and(|done| done) {
            tokio::task::yield_now().await;
        }
    };
    let abreast = |schema: &str| {
        let end = scribe.written.iter().map(|at| at.sequence).sum::<u64>();
        format!("SELECT sum(sequence) >= {end} FROM {schema}.checkpoint")
    };
    timeout(PATIENCE, until(&mut connection, &abreast("inbox"))).await.unwrap();
    rebuild(&deployment, &[View::Inbox], Goal::Swap).await;
    scribe.chatter(5).await;
    let abreast = |schema: &str| {
        let end = scribe.written.iter().map(|at| at.sequence).sum::<u64>();
        format!("SELECT sum(sequence) >= {end} FROM {schema}.checkpoint")
    };
    timeout(PATIENCE, until(&mut connection, &abreast("inbox_prev"))).await.unwrap();

    connection.execute("UPDATE inbox_prev.generation SET keep_until = now()").await.unwrap();
    let gone = "SELECT to_regnamespace('inbox_prev') IS NULL";
    timeout(PATIENCE, until(&mut connection, gone)).await.unwrap();
    assert_eq!(schemas(&mut connection, "inbox%").await, ["inbox"]);
    herald.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_an_older_version_is_rebuilt_beside_it_by_one_and_stays_for_the_older_build() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let mut running = Running::start(&deployment, 100);
    scribe.chatter(10).await;
    running.reach(&scribe.written).await;
    running.stop().await;
    let sound = rows(&deployment).await;
    let mut connection = connect(&deployment).await;
    connection.execute("UPDATE timeline.generation SET version = 0; DELETE FROM timeline.changes").await.unwrap();

    let mut one = Running::start(&deployment, 100);
    let mut other = Running::start(&deployment, 100);
    one.reach(&scribe.written).await;
    other.reach(&scribe.written).await;
    one.stop().await;
    other.stop().await;
    assert_eq!(rows(&deployment).await, sound);
    let old: i32 =
        sqlx::query_scalar("SELECT version FROM timeline_prev.generation").fetch_one(&mut connection).await.unwrap();
    assert_eq!(old, 0, "an older build may still roll back to it");
}
