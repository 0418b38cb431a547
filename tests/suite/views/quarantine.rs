//! Facts that a view cannot apply: their aggregate waits, nobody else does.

use super::{PATIENCE, Running, Scribe, connect, rebuild::rebuild, rebuilt, rows, views};
use crate::{harness::Deployment, people::Person};
use events::{Aggregate, MessageKey, Position, Text, ThreadEvent, ThreadId, UserEvent, UserId};
use projection::{Error, Goal, Quarantined, View, quarantined, redrive};
use query::timeline::Page;
use reqwest::StatusCode;
use serde_json::json;
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

async fn blocks(deployment: &Deployment, by: UserId, whom: UserId) -> bool {
    let query =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM directory.blocks WHERE user_id = $1 AND blocked_id = $2)");
    query.bind(by.uuid()).bind(whom.uuid()).fetch_one(&mut connect(deployment).await).await.unwrap()
}

async fn found(deployment: &Deployment) -> Vec<Quarantined> {
    quarantined(&deployment.map()).await.unwrap()
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
    let thread = Aggregate::Thread(ThreadId::direct(ada, bob));
    scribe.write(thread, Some(ada), ThreadEvent::PeerBlocked { peer: bob }).await;
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
    // To the directory a message means nothing: whom they block is known of all the same.
    for (view, expected) in [(View::Directory, &Vec::new())]
        .into_iter()
        .chain([View::Timeline, View::Inbox, View::Search].map(|view| (view, &expected)))
    {
        let mut aside = found(&deployment).await;
        aside.retain(|one| one.view == view);
        let aside: Vec<_> = aside.iter().map(|one| (one.position, one.aggregate_id)).collect();
        assert_eq!(aside, *expected, "{view}");
    }
    assert!(blocks(&deployment, ada, bob).await);

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

    let (views, thread_id, cleo) = (views(&deployment), ThreadId::direct(ada, bob), scribe.person("cleo").await);
    let history = async |reader: UserId| views.history(reader, thread_id, Page::Latest, 10).await;
    for reader in [ada, bob] {
        let shown = history(reader).await;
        assert!(matches!(shown, Err(query::Error::SetAside)), "who may see now, nobody knows: {shown:?}");
    }
    assert_eq!(history(cleo).await.unwrap().value, None, "to a stranger it is as if it did not exist");
    let absent = views.find_key(thread_id, ada, MessageKey::from_uuid(scribe.ids.next())).await;
    assert!(matches!(absent, Err(query::Error::SetAside)), "not found is no proof: {absent:?}");
    assert_eq!(views.thread(ada, thread_id).await.unwrap().value.unwrap().last_number, 3, "another view shows it");
    running.reach(&scribe.written).await;

    let before = rows(&deployment).await;
    for one in &aside {
        let still = redrive(&deployment.log, &deployment.map(), one).await;
        assert!(matches!(still, Err(Error::Poisoned { .. })), "{still:?}");
    }
    assert_eq!(rows(&deployment).await, before, "a try that fails changes nothing");

    connection.execute("ALTER TABLE timeline.messages DROP CONSTRAINT poison").await.unwrap();
    for one in &aside {
        // The third, the receipt, and the poison.
        assert!(redrive(&deployment.log, &deployment.map(), one).await.unwrap() >= 3);
        let again = redrive(&deployment.log, &deployment.map(), one).await;
        assert!(matches!(again, Err(Error::Gone)), "{again:?}");
    }
    scribe.send(ada, bob, 4, "fourth").await;
    timeout(PATIENCE, running.reach(&scribe.written)).await.unwrap();
    for reader in [ada, bob] {
        assert_eq!(history(reader).await.unwrap().value.unwrap().len(), 4);
    }
    running.stop().await;
    assert_eq!(found(&deployment).await, []);
    let live = rows(&deployment).await;
    assert_eq!(rebuilt(&deployment, 1_000).await, live);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_is_set_aside_answers_503_to_its_members_and_all_else_goes_on() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let herald = deployment.herald().await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let cleo = Person::sign_up(&herald.url).await;
    let thread_id = ada.write(&bob, "hello").await.body["thread_id"].as_str().unwrap().to_owned();
    ada.write(&cleo, "hello").await;
    let [by, to] = [&ada, &bob].map(|person| person.user_id.parse::<UserId>().unwrap());
    let position = inject(&mut scribe, [by, to], u32::MAX, "poison").await.to_string();

    let thread = format!("/v1/threads/{thread_id}");
    for path in ["", "/messages", "/messages/1", "/members", "/receipts"] {
        let path = format!("{thread}{path}");
        for member in [&ada, &bob] {
            let refused = member.get_after(&position, &path).await;
            assert_eq!((refused.status, refused.problem()), (StatusCode::SERVICE_UNAVAILABLE, "set-aside"), "{path}");
            assert!(refused.headers.contains_key("retry-after"));
        }
        assert_eq!(cleo.get_after(&position, &path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let inbox = ada.get_after(&position, "/v1/threads").await;
    let threads = inbox.body["threads"].as_array().unwrap();
    assert_eq!(threads.len(), 1, "all others are shown: {inbox:?}");
    assert_eq!(threads[0]["peer"]["user_id"], cleo.user_id.as_str());
    let found = bob.get_after(&position, "/v1/search?q=hello").await;
    assert_eq!(found.body["hits"], json!([]));
    assert_eq!(ada.write(&cleo, "again").await.status, StatusCode::CREATED);
    let ready = ada.get("/readyz").await;
    assert_eq!(ready.status, StatusCode::OK);
    let aside = ready.body["quarantine"].as_array().unwrap();
    assert!(aside.contains(&json!({ "view": "timeline", "position": position })), "{ready:?}");
    herald.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_set_aside_shows_nothing_of_their_presence() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let [ada, bob] = [scribe.person("ada").await, scribe.person("bob").await];
    let mut running = Running::start(&deployment, 5_000);
    running.reach(&scribe.written).await;
    let mut connection = connect(&deployment).await;
    connection
        .execute("INSERT INTO presence.seen (at, user_id) SELECT now(), user_id FROM directory.users")
        .await
        .unwrap();
    let seen = async || views(&deployment).presence(&[(bob, ada)]).await.unwrap().value.shown(bob, ada).last_seen;
    assert!(seen().await.is_some());
    // What follows may be that nobody is to see it.
    let name = Some(Text::new("a\0da"));
    let event =
        UserEvent::ProfileChanged { display_name: name, about: None, last_seen_visible_to: None, may_add_me: None };
    scribe.write(Aggregate::User(ada), Some(ada), event).await;
    running.reach(&scribe.written).await;
    running.stop().await;
    assert_eq!(seen().await, None);
}
