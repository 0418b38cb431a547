//! Views over three databases: together they hold what one would, each row in one
//! of them; answers are the same; a database that is lost is its own affair.

use crate::{
    harness::Deployment,
    views::{Running, Scribe, life, rows_in},
};
use events::{ThreadId, UserId, clock::millis};
use query::{
    Error, View, Views,
    audit::{Deed, Trail},
    missed::Span,
    search::{Search, Wording},
    timeline::Page,
};
use sqlx::{Connection, PgConnection};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// All rows of some tables of views, over all databases of a deployment.
async fn all_rows(deployment: &Deployment) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (_, url) in deployment.map().shards() {
        for (table, rows) in rows_in(url).await {
            all.entry(table).or_default().extend(rows);
        }
    }
    for rows in all.values_mut() {
        rows.sort();
    }
    all
}

/// The same log, seen over three databases.
async fn over_three(one: &Deployment) -> Deployment {
    let three = Deployment::over(3).await;
    Deployment { log: one.log.clone(), log_options: one.log_options.clone(), ..three }
}

fn views(deployment: &Deployment) -> Views {
    Views::new(deployment.log.names(), &deployment.map(), 4).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_databases_hold_together_what_one_does_and_each_row_lies_in_one_of_them() {
    let one = Deployment::over(1).await;
    let three = over_three(&one).await;
    let mut scribe = Scribe::new(&one.log);
    let mut running = [Running::start(&one, 5_000), Running::start(&three, 7)];
    scribe.chatter(30).await;
    for seed in 1..=2 {
        life::of_a_group(&mut scribe, seed, 150).await;
    }
    for running in &mut running {
        running.reach(&scribe.written).await;
    }
    let (of_one, of_three) = (all_rows(&one).await, all_rows(&three).await);
    for (table, rows) in &of_one {
        assert!(
            rows == &of_three[table],
            "{table}: {} rows in one database, {} in three",
            rows.len(),
            of_three[table].len()
        );
    }
    assert!(of_one["timeline.messages"].len() > 90 && of_one.len() > 15, "{:?}", of_one.keys());
    for (_, url) in three.map().shards() {
        let (_, messages) = rows_in(url).await.into_iter().find(|(table, _)| table == "timeline.messages").unwrap();
        assert!(messages.len() < of_one["timeline.messages"].len());
    }
    for running in running {
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_three_databases_answer_is_what_one_does() {
    let one = Deployment::over(1).await;
    let three = over_three(&one).await;
    let mut scribe = Scribe::new(&one.log);
    let mut running = [Running::start(&one, 5_000), Running::start(&three, 5_000)];
    scribe.chatter(20).await;
    for seed in 1..=2 {
        life::of_a_group(&mut scribe, seed, 150).await;
    }
    for running in &mut running {
        running.reach(&scribe.written).await;
    }
    let (people, threads) = everything(&one).await;
    let (of_one, of_three) = (views(&one), views(&three));
    let mut compared = 0;
    for reader in &people {
        let (one, three) =
            (seen(&of_one, *reader, &people, &threads).await, seen(&of_three, *reader, &people, &threads).await);
        for (question, answer) in &one {
            assert_eq!(answer, &three[question], "{question} by {reader}");
            compared += 1;
        }
    }
    assert!(compared > 300, "{compared}");
    for running in running {
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_lost_is_missed_by_those_alone_who_lie_there_and_comes_back_by_itself() {
    let deployment = Deployment::over(3).await;
    let mut scribe = Scribe::new(&deployment.log);
    let mut running = Running::start(&deployment, 100);
    let mut people = Vec::new();
    for number in 0..9 {
        people.push(scribe.person(&format!("person{number}")).await);
    }
    for other in &people[1..] {
        scribe.send(people[0], *other, 1, "hello").await;
    }
    running.reach(&scribe.written).await;
    running.stop().await;
    deployment.wipe_database(1).await;

    let (views, wanted) = (views(&deployment), scribe.written.clone());
    let (mut answered, mut refused) = (0, 0);
    for other in &people[1..] {
        let thread_id = ThreadId::direct(people[0], *other);
        let lies_there = deployment.log.names().partition(thread_id.uuid()).0 % 3 == 1;
        let soon = Instant::now() + Duration::from_millis(200);
        let question = || views.history(people[0], thread_id, Page::Latest, 9);
        match views.at_least(View::Timeline, &wanted, soon, question).await {
            Ok(found) => {
                assert!(!lies_there && found.value.unwrap().len() == 1 && found.as_of.covers(&wanted), "{thread_id}");
                answered += 1;
            }
            Err(error) => {
                assert!(lies_there && matches!(error, Error::Unavailable(_)), "{error:?}");
                refused += 1;
            }
        }
    }
    assert!(answered > 0 && refused > 0, "{answered} answered, {refused} refused");
    let inbox = views.threads(people[0], false, None, 50).await;
    assert!(matches!(inbox, Err(Error::Unavailable(_))), "an inbox with threads missing is none: {inbox:?}");

    let mut running = Running::start(&deployment, 100);
    running.reach(&wanted).await;
    assert_eq!(views.threads(people[0], false, None, 50).await.unwrap().value.items.len(), 8);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_by_another_map_neither_reads_nor_writes() {
    let deployment = Deployment::over(3).await;
    let mut scribe = Scribe::new(&deployment.log);
    let mut running = Running::start(&deployment, 100);
    scribe.chatter(3).await;
    running.reach(&scribe.written).await;
    running.stop().await;
    let before = all_rows(&deployment).await;

    let urls: Vec<_> = deployment.database_url.split(',').take(2).collect();
    let of_two = Deployment { database_url: urls.join(","), log: deployment.log.clone(), ..deployment };
    let mistaken = Running::start(&of_two, 100);
    scribe.chatter(2).await;
    let views = views(&of_two);
    for view in View::ALL {
        let read = views.refresh(view).await;
        assert!(matches!(read, Err(Error::Moved)), "{view}: {read:?}");
    }
    mistaken.stop().await;
    let deployment = Deployment { database_url: of_two.database_url.clone(), ..of_two };
    for (table, rows) in all_rows(&deployment).await {
        assert!(rows.iter().all(|row| before[&table].contains(row)), "{table} was written to by another map");
    }
}

/// Whoever there is, and every thread.
async fn everything(deployment: &Deployment) -> (Vec<UserId>, Vec<ThreadId>) {
    let mut connection = PgConnection::connect(&deployment.database_url).await.unwrap();
    let people = sqlx::query_scalar("SELECT user_id FROM directory.users ORDER BY 1").fetch_all(&mut connection).await;
    let threads = sqlx::query_scalar("SELECT thread_id FROM inbox.heads ORDER BY 1").fetch_all(&mut connection).await;
    (
        people.unwrap().into_iter().map(UserId::from_uuid).collect(),
        threads.unwrap().into_iter().map(ThreadId::from_uuid).collect(),
    )
}

/// All that somebody can ask, by question, without what it is as of.
async fn seen(views: &Views, reader: UserId, people: &[UserId], threads: &[ThreadId]) -> BTreeMap<String, String> {
    let mut seen = BTreeMap::new();
    let mut saw = |question: String, answer: String| _ = seen.insert(question, answer);
    for archived in [false, true] {
        let mut cursor = None;
        loop {
            let page = views.threads(reader, archived, cursor, 2).await.unwrap().value;
            saw(format!("threads {archived} {cursor:?}"), format!("{page:?}"));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
    }
    let mut memberships = views.memberships(reader).await.unwrap().value;
    memberships.sort_by_key(|membership| membership.thread_id.uuid());
    saw("memberships".into(), format!("{memberships:?}"));
    saw("kept".into(), format!("{:?}", views.kept(reader, None, 50).await.unwrap().value));
    saw("oneself".into(), format!("{:?}", views.oneself(reader).await.unwrap().value));
    saw("contacts".into(), format!("{:?}", views.contacts(reader, None, 50).await.unwrap().value));
    saw("blocks".into(), format!("{:?}", views.blocks(reader, None, 50).await.unwrap().value));
    let mut users = views.users(reader, people).await.unwrap().value;
    users.sort_by_key(|user| user.user_id.uuid());
    for user in &users {
        saw(
            format!("name {}", user.username),
            format!("{:?}", views.user_by_username(reader, &user.username).await.unwrap().value),
        );
        saw(format!("named {}", user.username), format!("{:?}", views.named(&user.username).await.unwrap().value));
        saw(format!("user {}", user.user_id), format!("{:?}", views.user(reader, user.user_id).await.unwrap().value));
    }
    saw("users".into(), format!("{users:?}"));
    let spans: Vec<_> =
        memberships.iter().map(|of| Span { thread_id: of.thread_id, after: 0, upto: u64::MAX >> 1 }).collect();
    saw("missed".into(), format!("{:?}", views.missed(reader, &spans, 10_000).await.unwrap().value));
    let mut receipts = views.moved_receipts(reader, &spans).await.unwrap().value.unwrap();
    receipts.sort_by_key(|receipt| (receipt.thread_id.uuid(), receipt.user_id.uuid()));
    saw("receipts that moved".into(), format!("{receipts:?}"));
    for q in ["a", "1", "message", "e"] {
        let search = Search { wording: Wording::parse(q).unwrap(), thread_id: None, sender_id: None };
        let mut cursor = None;
        for _ in 0..5 {
            let page = views.search(reader, &search, cursor, 3).await.unwrap().value.unwrap();
            saw(format!("search {q} {cursor:?}"), format!("{page:?}"));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
    }
    for thread_id in threads {
        saw(format!("thread {thread_id}"), format!("{:?}", views.thread(reader, *thread_id).await.unwrap().value));
        let history = views.history(reader, *thread_id, Page::Latest, 100).await.unwrap().value;
        saw(format!("history {thread_id}"), format!("{history:?}"));
        saw(
            format!("members {thread_id}"),
            format!("{:?}", views.members(reader, *thread_id, None, 50).await.unwrap().value),
        );
        saw(format!("receipts {thread_id}"), format!("{:?}", views.receipts(reader, *thread_id).await.unwrap().value));
    }
    let numbers: Vec<_> = threads.iter().map(|thread_id| (*thread_id, 1_000)).collect();
    let now = millis(1_790_000_900_000);
    let mut waiting = views.waiting(&numbers, now, false).await.unwrap().value;
    waiting.sort_by_key(|one| (one.thread_id.uuid(), one.user_id.uuid()));
    saw("waiting".into(), format!("{waiting:?}"));
    let pairs: Vec<_> = threads.iter().map(|thread_id| (reader, *thread_id)).collect();
    let mut undelivered = views.undelivered(&pairs, now, true).await.unwrap().value;
    undelivered.sort_by_key(|one| one.thread_id.uuid());
    saw("undelivered".into(), format!("{undelivered:?}"));
    for trail in threads.iter().map(|thread_id| Trail::Thread(*thread_id)).chain([Trail::User(reader)]) {
        let mut last: Option<Deed> = None;
        loop {
            let page = views.deeds_of(trail, last.as_ref(), 7).await.unwrap().value;
            saw(format!("{trail:?} after {last:?}"), format!("{page:?}"));
            last = page.into_iter().last();
            if last.is_none() {
                break;
            }
        }
    }
    let reports = views.open_reports(2).await.unwrap().value;
    saw("reports".into(), format!("{reports:?}"));
    saw("operator".into(), format!("{:?}", views.operator(reader).await.unwrap().value));
    let report = views.report(reports[0].position).await.unwrap().value;
    saw("report".into(), format!("{report:?}"));
    let looks: Vec<_> = people.iter().map(|person| (reader, *person)).collect();
    let presence = views.presence(&looks).await.unwrap().value;
    let shown: Vec<_> = people.iter().map(|person| presence.shown(reader, *person)).collect();
    saw("presence".into(), format!("{shown:?}"));
    seen
}
