//! `figures`: what dashboards are told, and to whom.

use super::{PATIENCE, Running, Scribe, connect, life, rebuild::rebuild};
use crate::{eyes::rules, harness::Deployment};
use events::{Aggregate, ThreadEvent, ThreadId, UserId};
use projection::{Goal, Runner, View};
use sqlx::{AssertSqlSafe, Executor, Row};
use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const MANY: u128 = 1_500;

#[tokio::test(flavor = "multi_thread")]
async fn of_many_people_a_figure_is_as_near_as_sketches_are() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let of_nobody = UserId::from_uuid(Uuid::nil());
    let people = (1..=MANY).map(|person| UserId::from_uuid(Uuid::from_u128(person)));
    for user_id in people.clone() {
        deployment.log.keyring().make(user_id).await.unwrap();
    }
    for user_id in people.clone().chain(people.take(100)) {
        let thread = Aggregate::Thread(ThreadId::direct(user_id, of_nobody));
        scribe.write(thread, Some(user_id), ThreadEvent::PeerUnblocked { peer: of_nobody }).await;
    }
    let runner = Runner::new(View::Figures, deployment.log.clone(), &deployment.database_url).unwrap();
    let (mut applied, stop, mut task) = (runner.applied(), CancellationToken::new(), JoinSet::new());
    task.spawn(runner.run(stop.clone()));
    timeout(PATIENCE, applied.reach(&scribe.written)).await.unwrap();
    stop.cancel();
    task.join_next().await.unwrap().unwrap().unwrap();

    let mut connection = connect(&deployment).await;
    let daily = "SELECT daily.active, monthly.active FROM figures.daily JOIN figures.monthly USING (day)";
    let row = sqlx::query(daily).fetch_one(&mut connection).await.unwrap();
    for active in [row.get::<i64, _>(0), row.get::<i64, _>(1)] {
        assert!((1_430..1_570).contains(&active), "{active} of {MANY}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dashboard_may_ask_for_figures_and_for_nothing_else_and_so_after_a_rebuild() {
    let deployment = Deployment::new().await;
    let mut connection = connect(&deployment).await;
    // Of the whole server: no other test makes it.
    connection.execute("CREATE ROLE herald_figures").await.unwrap();
    let mut scribe = Scribe::new(&deployment.log);
    let mut running = Running::start(&deployment, 100);
    life::of_a_group(&mut scribe, 1, 100).await;
    running.reach(&scribe.written).await;
    let questions = rules::questions("rawSql");
    assert!(questions.len() >= 7, "{questions:?}");
    for _ in 0..2 {
        connection.execute("SET ROLE herald_figures").await.unwrap();
        for question in &questions {
            let time = |column: &str| {
                question.replace(&format!("$__timeFilter({column})"), &format!("{column} > '2000-01-01'"))
            };
            let question = if question.contains("$__timeFilter(week)") { time("week") } else { time("day") };
            // Who stays is asked of people who signed up before they did anything: a scribe's did not.
            let rows = connection.fetch_all(AssertSqlSafe(question.clone())).await.unwrap();
            assert!(!rows.is_empty() || question.contains("retention"), "{question}");
        }
        for table in ["figures.sketches", "timeline.messages", "directory.users"] {
            let refused = connection.execute(AssertSqlSafe(format!("SELECT * FROM {table}"))).await.unwrap_err();
            assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "42501", "{table}");
        }
        connection.execute("RESET ROLE").await.unwrap();
        rebuild(&deployment, &[View::Figures], Goal::Swap).await;
    }
    running.stop().await;
}
