//! What the views answer, to whom, and as of what.

use super::{Running, Scribe, connect, views};
use crate::harness::Deployment;
use events::{Aggregate, Ids, ThreadEvent, ThreadId, UserId, clock::millis};
use query::{
    Cursor, Views,
    inbox::Mark,
    timeline::{Entry, Page, Place},
};
use sqlx::Executor;
use std::time::Duration;
use tokio::{task::JoinSet, time::Instant};

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_finds_people_by_id_and_by_name() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let mut running = Running::start(&deployment, 100);
    let (anna, ben) = (scribe.person("anna").await, scribe.person("ben").await);
    running.reach(&scribe.written).await;
    let views = views(&deployment);
    let reader = ben;
    let found = views.user_by_username(reader, "anna").await.unwrap();
    assert!(found.as_of.covers(&scribe.written));
    let user = found.value.unwrap();
    assert_eq!((user.user_id, user.display_name.as_str(), user.about.as_str()), (anna, "ANNA", ""));
    assert_eq!(views.user(anna, ben).await.unwrap().value.unwrap().username, "ben");
    assert_eq!(views.user_by_username(reader, "nobody").await.unwrap().value, None);
    let nobody = UserId::from_uuid(scribe.ids.next());
    assert_eq!(views.users(anna, &[anna, ben, nobody]).await.unwrap().value.len(), 2);
    assert_eq!(views.user(anna, nobody).await.unwrap().value, None);
    running.stop().await;
}

fn at(number: u32) -> Place {
    Place { number, sequence: 0 }
}

fn number(entry: &Entry) -> u32 {
    match entry {
        Entry::Message(message) => message.number,
        Entry::Notice(notice) => panic!("a direct thread has no notices: {notice:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn history_pages_both_ways_and_only_for_members() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let mut running = Running::start(&deployment, 100);
    let (anna, ben, cara) = (scribe.person("anna").await, scribe.person("ben").await, scribe.person("cara").await);
    let mut sent = Vec::new();
    for number in 1..=5 {
        sent.push(scribe.send(anna, ben, number, &format!("message {number}")).await);
    }
    running.reach(&scribe.written).await;
    let (views, thread) = (views(&deployment), ThreadId::direct(anna, ben));
    for (page, limit, expected) in [
        (Page::Latest, 2, vec![5, 4]),
        (Page::Before(at(4)), 2, vec![3, 2]),
        (Page::Before(at(1)), 2, vec![]),
        (Page::After(at(0)), 3, vec![1, 2, 3]),
        (Page::After(at(3)), 100, vec![4, 5]),
        (Page::After(at(u32::MAX)), 100, vec![]),
        (Page::Before(at(u32::MAX)), 1, vec![5]),
    ] {
        let answer = views.history(ben, thread, page, limit).await.unwrap();
        assert!(answer.as_of.covers(&scribe.written));
        let numbers: Vec<_> = answer.value.unwrap().iter().map(number).collect();
        assert_eq!(numbers, expected, "{page:?}");
    }
    let third = views.message(ben, thread, 3).await.unwrap().value.unwrap();
    assert_eq!((third.sender_id, third.body.as_deref(), third.reply_to), (anna, Some("message 3"), Some(1)));
    assert_eq!((third.key, third.sequence), (sent[2].0, sent[2].1.sequence));
    assert_eq!(views.history(cara, thread, Page::Latest, 10).await.unwrap().value, None);
    assert_eq!(views.message(cara, thread, 3).await.unwrap().value, None);
    assert_eq!(views.message(ben, thread, 6).await.unwrap().value, None);
    let absent = ThreadId::direct(anna, cara);
    assert_eq!(views.history(anna, absent, Page::Latest, 10).await.unwrap().value, None);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_finds_its_sender_s_message_in_its_thread_only() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let mut running = Running::start(&deployment, 100);
    let (anna, ben) = (scribe.person("anna").await, scribe.person("ben").await);
    let (key, position) = scribe.send(anna, ben, 1, "once").await;
    running.reach(&scribe.written).await;
    let (views, thread) = (views(&deployment), ThreadId::direct(anna, ben));
    let found = views.find_key(thread, anna, key).await.unwrap();
    assert!(found.as_of.covers(&position.into()));
    assert_eq!(found.value.map(|message| (message.number, message.sequence)), Some((1, position.sequence)));
    assert_eq!(views.find_key(thread, ben, key).await.unwrap().value, None);
    assert_eq!(views.find_key(ThreadId::direct(anna, anna), anna, key).await.unwrap().value, None);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inbox_shows_threads_unread_and_receipts() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let mut running = Running::start(&deployment, 100);
    let (anna, ben, cara) = (scribe.person("anna").await, scribe.person("ben").await, scribe.person("cara").await);
    let (with_ben, with_cara) = (ThreadId::direct(anna, ben), ThreadId::direct(anna, cara));
    let opened = ThreadEvent::DirectOpened { peer: cara };
    scribe.write(Aggregate::Thread(with_cara), Some(anna), opened).await;
    for (number, (by, to)) in (1..).zip([(anna, ben), (ben, anna), (anna, ben), (ben, anna), (ben, anna)]) {
        scribe.send(by, to, number, &format!("message {number}")).await;
    }
    scribe.receive(with_ben, anna, 5, 4).await;
    scribe.receive(with_ben, anna, 2, 1).await;
    scribe.receive(with_ben, cara, 5, 5).await;
    running.reach(&scribe.written).await;
    let views = views(&deployment);

    let inbox = views.threads(anna, false, None, 10).await.unwrap();
    assert!(inbox.as_of.covers(&scribe.written));
    assert_eq!(inbox.value.next, None);
    let ids: Vec<_> = inbox.value.items.iter().map(|thread| thread.thread_id).collect();
    assert_eq!(ids, [with_ben, with_cara]);
    let thread = &inbox.value.items[0];
    assert_eq!((thread.last_number, thread.unread, thread.read_number, thread.member_count), (5, 1, 4, 2));
    assert_eq!((thread.peer_id, thread.last_message.as_ref().map(|last| last.sender_id)), (Some(ben), Some(ben)));
    assert_eq!((inbox.value.items[1].last_message.as_ref(), inbox.value.items[1].unread), (None, 0));
    assert_eq!(views.thread(ben, with_ben).await.unwrap().value.unwrap().unread, 0);
    assert_eq!(views.thread(cara, with_ben).await.unwrap().value, None);

    let receipts = views.receipts(ben, with_ben).await.unwrap().value.unwrap();
    let numbers = |mark: Option<Mark>| mark.map(|mark| mark.number);
    let of = |person| receipts.iter().find(|receipt| receipt.user_id == person).unwrap();
    assert_eq!((numbers(of(anna).delivered), numbers(of(anna).read)), (Some(5), Some(4)));
    assert_eq!((numbers(of(ben).delivered), numbers(of(ben).read)), (Some(5), Some(5)));
    assert_eq!(receipts.len(), 2);
    assert_eq!(views.receipts(cara, with_ben).await.unwrap().value, None);
    let never = views.receipts(cara, with_cara).await.unwrap().value.unwrap();
    assert!(never.iter().all(|receipt| receipt.delivered.is_none() && receipt.read.is_none()));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_receipts_that_claim_more_than_there_is_the_first_counts() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let mut running = Running::start(&deployment, 100);
    let (anna, ben) = (scribe.person("anna").await, scribe.person("ben").await);
    let thread = ThreadId::direct(anna, ben);
    scribe.send(anna, ben, 1, "one").await;
    running.reach(&scribe.written).await;
    running.stop().await;
    let mut expected = Mark { number: 1, at: millis(scribe.at() + 1) };
    scribe.receive(thread, ben, 7, 0).await;
    scribe.receive(thread, ben, 8, 9).await;
    let mut running = Running::start(&deployment, 100);
    running.reach(&scribe.written).await;
    let receipts = views(&deployment).receipts(anna, thread).await.unwrap().value.unwrap();
    let of_ben = receipts.into_iter().find(|receipt| receipt.user_id == ben).unwrap();
    assert_eq!(of_ben.delivered, Some(expected));
    expected.at = millis(scribe.at());
    assert_eq!(of_ben.read, Some(expected));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_followed_by_cursor_and_a_cursor_of_another_list_is_refused() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let mut running = Running::start(&deployment, 100);
    let anna = scribe.person("anna").await;
    let mut threads = Vec::new();
    for number in 0..5 {
        let friend = scribe.person(&format!("friend{number}")).await;
        scribe.send(anna, friend, 1, "hello").await;
        threads.insert(0, ThreadId::direct(anna, friend));
    }
    running.reach(&scribe.written).await;
    let views = views(&deployment);
    let (mut cursor, mut seen) = (None, Vec::new());
    loop {
        let page = views.threads(anna, false, cursor, 2).await.unwrap().value;
        seen.extend(page.items.iter().map(|thread| thread.thread_id));
        let Some(next) = page.next else { break };
        cursor = Some(next.to_string().parse::<Cursor>().unwrap());
    }
    assert_eq!(seen, threads);
    assert_eq!(views.memberships(anna).await.unwrap().value.len(), 5);

    let first = views.members(anna, threads[0], None, 1).await.unwrap().value.unwrap();
    let rest = views.members(anna, threads[0], first.next, 1).await.unwrap().value.unwrap();
    assert_eq!((first.items.len(), rest.items.len(), rest.next), (1, 1, None));
    assert_ne!(first.items[0].user_id, rest.items[0].user_id);
    let refused = views.threads(anna, false, first.next, 1).await;
    assert!(matches!(refused, Err(query::Error::Cursor(_))), "{refused:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_that_mean_nothing_to_a_view_move_its_checkpoint() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let mut running = Running::start(&deployment, 100);
    scribe.person("anna").await;
    running.reach(&scribe.written).await;
    let view = query::View::Timeline;
    let views = Views::new(deployment.log.names(), &deployment.map(), 2).unwrap();
    let mut announcements = deployment.log.announcements(view.name()).await.unwrap();
    let mut pump = JoinSet::new();
    let told = views.clone();
    pump.spawn(async move {
        while let Some((share, applied)) = announcements.next().await {
            told.announced(view, share, &applied);
        }
    });
    scribe.person("ben").await;
    views.reached(view, &scribe.written, Instant::now() + Duration::from_secs(2)).await.unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_more_than_a_view_has_is_told_how_far_it_is_behind() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let mut running = Running::start(&deployment, 100);
    let anna = scribe.person("anna").await;
    running.reach(&scribe.written).await;
    running.stop().await;
    scribe.person("ben").await;
    let (views, soon) = (views(&deployment), Instant::now() + Duration::from_millis(50));
    let asked = views.at_least(query::View::Directory, &scribe.written, soon, || views.user(anna, anna));
    let Err(query::Error::Behind(behind)) = asked.await else { panic!("the view cannot have come that far") };
    assert_eq!(behind.missing.len(), 1);
    assert_eq!(behind.missing[0].wanted.sequence, scribe.written.get(behind.missing[0].wanted.partition));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_known_of_a_view_that_was_dropped_since_is_not_believed() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let mut running = Running::start(&deployment, 100);
    let anna = scribe.person("anna").await;
    running.reach(&scribe.written).await;
    running.stop().await;
    let views = views(&deployment);
    views.refresh(query::View::Directory).await.unwrap();
    let mut connection = connect(&deployment).await;
    connection.execute("UPDATE directory.checkpoint SET sequence = 0; DELETE FROM directory.users").await.unwrap();
    let soon = Instant::now() + Duration::from_millis(50);
    let asked = views.at_least(query::View::Directory, &scribe.written, soon, || views.user(anna, anna));
    assert!(matches!(asked.await, Err(query::Error::Behind(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_is_not_built_is_unavailable() {
    let deployment = Deployment::new().await;
    let reader = UserId::from_uuid(Ids::random().next());
    let asked = views(&deployment).user_by_username(reader, "anna").await;
    assert!(matches!(asked, Err(query::Error::Unavailable(_))), "{asked:?}");
}
