//! Facts that a view cannot apply: their aggregate waits, nobody else does.

use super::{PATIENCE, Running, Scribe, connect, rebuild::rebuild, rebuilt, rows};
use crate::harness::Deployment;
use events::{Aggregate, MessageKey, Position, Text, ThreadEvent, ThreadId, UserId};
use projection::{Error, Goal, Quarantined, View, quarantined, redrive};
use sqlx::Executor;
use tokio::time::timeout;

/// A message as no decider would have it, from one to another.
async fn inject(scribe: &mut Scribe, [by, to]: [UserId; 2], number: u32, body: &str) -> Position {
    let event = ThreadEvent::MessageSent {
        number,
        key: MessageKey::from_uuid(scribe.ids.next()),
        body: Text::new(body),
        reply_to: None,
        opens: None,
        mentions: vec![],
        attachments: vec![],
    };
    scribe.write(Aggregate::Thread(ThreadId::direct(by, to)), Some(by), event).await
}

async fn found(deployment: &Deployment) -> Vec<Quarantined> {
    quarantined(&deployment.database_url).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_event_stops_its_thread_alone_and_a_rebuild_sets_the_same_aside() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let [ada, bob, cleo] = [scribe.person("ada").await, scribe.person("bob").await, scribe.person("cleo").await];
    let poisons = [([ada, bob], u32::MAX, "no such number"), ([bob, cleo], 2, "nul\0")];
    for ([by, to], _, _) in poisons {
        scribe.send(by, to, 1, "first").await;
    }
    let mut injected = Vec::new();
    for (pair, number, body) in poisons {
        injected.push(inject(&mut scribe, pair, number, body).await);
        scribe.send(pair[0], pair[1], 3, "later").await;
        scribe.receive(ThreadId::direct(pair[0], pair[1]), pair[1], 3, 3).await;
    }
    scribe.chatter(40).await;
    let mut running = Running::start(&deployment, 5_000);
    running.reach(&scribe.written).await;
    scribe.chatter(5).await;
    running.reach(&scribe.written).await;

    let mut expected: Vec<_> = injected
        .iter()
        .zip(poisons)
        .map(|(position, ([by, to], ..))| (*position, Some(ThreadId::direct(by, to).uuid())))
        .collect();
    expected.sort();
    for view in [View::Directory, View::Timeline, View::Inbox, View::Search] {
        let mut aside = found(&deployment).await;
        aside.retain(|one| one.view == view);
        let aside: Vec<_> = aside.iter().map(|one| (one.position, one.aggregate_id)).collect();
        assert_eq!(aside, expected, "{view}");
    }

    let mut connection = connect(&deployment).await;
    let texts: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT body FROM timeline.messages WHERE body IN ('first', 'later')")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    assert_eq!(texts, ["first"], "what came before stays, what comes later waits");

    let beside = rebuild(&deployment, &[View::Timeline, View::Inbox, View::Directory], Goal::Compare).await;
    assert!(beside.iter().flat_map(|view| view.tables.iter().flatten()).all(|table| table.equal), "{beside:?}");
    running.stop().await;
    let live = rows(&deployment).await;
    for batch in [1, 7, 1_000] {
        assert_eq!(rebuilt(&deployment, batch).await, live, "in batches of {batch}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_that_no_table_takes_stops_its_thread_alone() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let [ada, bob] = [scribe.person("ada").await, scribe.person("bob").await];
    scribe.send(ada, bob, 1, "first").await;
    let mut running = Running::start(&deployment, 5_000);
    running.reach(&scribe.written).await;
    let position = inject(&mut scribe, [ada, bob], 1, "the same number").await;
    scribe.chatter(40).await;
    running.reach(&scribe.written).await;
    running.stop().await;
    let aside = found(&deployment).await;
    assert!(aside.iter().any(|one| (one.view, one.position) == (View::Timeline, position)), "{aside:?}");
    assert!(aside.iter().all(|one| one.position == position), "{aside:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_set_aside_is_applied_in_order_once_it_can_be_as_if_it_always_could() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let [ada, bob] = [scribe.person("ada").await, scribe.person("bob").await];
    let mut running = Running::start(&deployment, 5_000);
    scribe.send(ada, bob, 1, "first").await;
    running.reach(&scribe.written).await;
    // As if this build could not apply it.
    let mut connection = connect(&deployment).await;
    connection.execute("ALTER TABLE timeline.messages ADD CONSTRAINT poison CHECK (body <> 'poison')").await.unwrap();
    scribe.send(ada, bob, 2, "poison").await;
    running.reach(&scribe.written).await;
    scribe.send(bob, ada, 3, "third").await;
    scribe.receive(ThreadId::direct(ada, bob), ada, 3, 2).await;
    scribe.chatter(3).await;
    running.reach(&scribe.written).await;
    let aside = found(&deployment).await;
    assert_eq!(aside.iter().map(|one| one.view).collect::<Vec<_>>(), [View::Timeline]);

    let before = rows(&deployment).await;
    for one in &aside {
        let still = redrive(&deployment.log, &deployment.database_url, one).await;
        assert!(matches!(still, Err(Error::Poisoned { .. })), "{still:?}");
    }
    assert_eq!(rows(&deployment).await, before, "a try that fails changes nothing");

    connection.execute("ALTER TABLE timeline.messages DROP CONSTRAINT poison").await.unwrap();
    for one in &aside {
        // The third, the receipt, and the poison.
        assert!(redrive(&deployment.log, &deployment.database_url, one).await.unwrap() >= 3);
        let again = redrive(&deployment.log, &deployment.database_url, one).await;
        assert!(matches!(again, Err(Error::Gone)), "{again:?}");
    }
    scribe.send(ada, bob, 4, "fourth").await;
    timeout(PATIENCE, running.reach(&scribe.written)).await.unwrap();
    running.stop().await;
    assert_eq!(found(&deployment).await, []);
    let live = rows(&deployment).await;
    assert_eq!(rebuilt(&deployment, 1_000).await, live);
}
