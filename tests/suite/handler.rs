//! Commands on two nodes that share one log: stale caches, races, snapshots.

use crate::harness::Deployment;
use command::{
    Threads,
    decider::Aggregate as _,
    handler::Handler,
    thread::Thread,
    threads::{Send, ThreadError, To},
    user::{self, User},
};
use events::{
    Aggregate, Clock, EventLog, Ids, MessageKey, Text, ThreadId, UserId,
    log::{Options, Snapshot},
    text::Body,
};
use futures_util::future::join_all;
use std::collections::BTreeSet;

struct Node {
    log: EventLog,
    threads: Threads,
    users: Handler<User>,
}

async fn node(options: &Options) -> Node {
    let (clock, ids) = (Clock::system(), Ids::random());
    let log = EventLog::open(options, &ids).await.unwrap();
    let users = Handler::new(log.clone(), clock.clone(), ids.clone(), 1 << 20);
    let threads = Threads::new(log.clone(), &clock, &ids, users.clone());
    Node { log, threads, users }
}

async fn sign_up(node: &Node) -> UserId {
    let user_id = UserId::from_uuid(Ids::random().next());
    node.log.keyring().make(user_id).await.unwrap();
    let sign_up = user::Command::SignUp { username: Text::new("somebody"), display_name: Text::new("Somebody") };
    node.users.handle(Aggregate::User(user_id), user_id, &sign_up, |_| ()).await.unwrap();
    user_id
}

fn send(by: UserId, to: To, body: &str) -> Send {
    let key = MessageKey::from_uuid(Ids::random().next());
    Send { by, to, key, body: Body::parse(body).unwrap(), reply_to: None, absent: None }
}

#[tokio::test]
async fn two_nodes_with_stale_caches_number_without_gaps() {
    let deployment = Deployment::new().await;
    let (a, b) = (node(&deployment.log_options).await, node(&deployment.log_options).await);
    let (ada, bob) = (sign_up(&a).await, sign_up(&b).await);
    for round in 0..20 {
        let first = a.threads.send(send(ada, To::Peer(bob), "from a")).await.unwrap();
        let second = b.threads.send(send(bob, To::Peer(ada), "from b")).await.unwrap();
        assert_eq!((first.number, second.number), (2 * round + 1, 2 * round + 2));
        assert_eq!(first.thread_id, second.thread_id);
    }
}

#[tokio::test]
async fn a_refusal_from_a_stale_cache_is_not_given() {
    let deployment = Deployment::new().await;
    let (a, b) = (node(&deployment.log_options).await, node(&deployment.log_options).await);
    let (ada, bob) = (sign_up(&a).await, sign_up(&a).await);
    let thread = To::Thread(ThreadId::direct(ada, bob));
    // `a` learns that there is no such thread; `b` opens it.
    assert!(matches!(a.threads.send(send(ada, thread, "too early")).await, Err(ThreadError::NotFound)));
    assert!(b.threads.open_direct(bob, ada).await.unwrap().created);
    assert_eq!(a.threads.send(send(ada, thread, "now")).await.unwrap().number, 1);

    // `b` believes that nobody has this id; `a` signs them up.
    let eve = UserId::from_uuid(Ids::random().next());
    assert!(matches!(b.threads.open_direct(ada, eve).await, Err(ThreadError::NotFound)));
    a.log.keyring().make(eve).await.unwrap();
    let sign_up = user::Command::SignUp { username: Text::new("eve"), display_name: Text::new("Eve") };
    a.users.handle(Aggregate::User(eve), eve, &sign_up, |_| ()).await.unwrap();
    assert!(b.threads.open_direct(ada, eve).await.unwrap().created);
}

#[tokio::test]
async fn already_so_is_answered_with_where_that_state_lies() {
    let deployment = Deployment::new().await;
    let (a, b) = (node(&deployment.log_options).await, node(&deployment.log_options).await);
    let (ada, bob) = (sign_up(&a).await, sign_up(&a).await);
    let opened = a.threads.open_direct(ada, bob).await.unwrap();
    let again = b.threads.open_direct(bob, ada).await.unwrap();
    assert!(opened.created && !again.created);
    assert_eq!((again.thread_id, again.position), (opened.thread_id, opened.position));
    let sent = b.threads.send(send(bob, To::Peer(ada), "hi")).await.unwrap();
    assert_eq!(a.threads.open_direct(ada, bob).await.unwrap().position, sent.position);
}

#[tokio::test]
async fn fifty_sends_of_one_key_on_two_nodes_are_one_message() {
    let deployment = Deployment::new().await;
    let nodes = [node(&deployment.log_options).await, node(&deployment.log_options).await];
    let (ada, bob) = (sign_up(&nodes[0]).await, sign_up(&nodes[1]).await);
    let once = send(ada, To::Peer(bob), "once");
    let sends = (0..50).map(|index| nodes[index % 2].threads.send(once.clone()));
    let answers: Vec<_> = join_all(sends).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|sent| !sent.repeated).count(), 1);
    assert!(answers.iter().all(|sent| (sent.number, sent.position) == (1, answers[0].position)));
    let next = nodes[0].threads.send(send(ada, To::Peer(bob), "next")).await.unwrap();
    assert_eq!(next.number, 2);
}

#[tokio::test]
async fn concurrent_senders_on_two_nodes_leave_no_gap() {
    let deployment = Deployment::new().await;
    let nodes = [node(&deployment.log_options).await, node(&deployment.log_options).await];
    let (ada, bob) = (sign_up(&nodes[0]).await, sign_up(&nodes[1]).await);
    let sender = async |index: usize| {
        let (by, peer) = if index.is_multiple_of(2) { (ada, bob) } else { (bob, ada) };
        let mut numbers = Vec::new();
        for _ in 0..20 {
            let sent = nodes[index % 2].threads.send(send(by, To::Peer(peer), "x")).await.unwrap();
            numbers.push(sent.number);
        }
        assert!(numbers.is_sorted(), "a sender's own order is kept");
        numbers
    };
    let mut numbers = join_all((0..5).map(sender)).await.concat();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(1..=100));
}

#[tokio::test]
async fn a_snapshot_is_kept_every_64_events_and_a_fresh_node_goes_on_from_it() {
    let deployment = Deployment::new().await;
    let a = node(&deployment.log_options).await;
    let (ada, bob) = (sign_up(&a).await, sign_up(&a).await);
    let first = send(ada, To::Peer(bob), "first");
    a.threads.send(first.clone()).await.unwrap();
    for _ in 0..70 {
        a.threads.send(send(ada, To::Peer(bob), "more")).await.unwrap();
    }
    let thread = Aggregate::Thread(ThreadId::direct(ada, bob));
    let snapshot = loop {
        if let Some(snapshot) = a.log.snapshot::<Thread>(thread, Thread::SHAPE).await.unwrap() {
            break snapshot;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(snapshot.state.last_number(), 64);
    assert!(a.log.snapshot::<Thread>(thread, "thread.0").await.unwrap().is_none(), "another shape is not loaded");

    let fresh = node(&deployment.log_options).await;
    let again = fresh.threads.send(first).await.unwrap();
    assert!(again.repeated && again.number == 1);
    assert_eq!(fresh.threads.send(send(bob, To::Peer(ada), "on")).await.unwrap().number, 72);

    // One that the log does not bear out is as good as none.
    let forged = Snapshot { sequence: snapshot.sequence + 1, ..snapshot };
    a.log.keep_snapshot(thread, Thread::SHAPE, &forged).await.unwrap();
    let fresh = node(&deployment.log_options).await;
    assert_eq!(fresh.threads.send(send(bob, To::Peer(ada), "on")).await.unwrap().number, 73);
}

#[tokio::test]
async fn a_node_that_is_far_behind_goes_on_from_the_newest_snapshot() {
    let deployment = Deployment::new().await;
    let (a, b) = (node(&deployment.log_options).await, node(&deployment.log_options).await);
    let (ada, bob) = (sign_up(&a).await, sign_up(&a).await);
    assert_eq!(b.threads.send(send(bob, To::Peer(ada), "first")).await.unwrap().number, 1);
    let mut last = 1;
    for _ in 0..300 {
        last = a.threads.send(send(ada, To::Peer(bob), "more")).await.unwrap().number;
    }
    assert_eq!(b.threads.send(send(bob, To::Peer(ada), "late")).await.unwrap().number, last + 1);
}

#[tokio::test]
async fn receipts_of_one_window_are_one_fact() {
    let deployment = Deployment::new().await;
    let a = node(&deployment.log_options).await;
    let (ada, bob, eve) = (sign_up(&a).await, sign_up(&a).await, sign_up(&a).await);
    let sent = a.threads.send(send(ada, To::Peer(bob), "hi")).await.unwrap();
    let advance = |by, delivered, read| a.threads.advance_receipt(by, sent.thread_id, delivered, read);
    let positions = join_all((0..20).map(|_| advance(bob, Some(1), Some(1)))).await;
    let positions: BTreeSet<_> = positions.into_iter().map(Result::unwrap).collect();
    assert_eq!(positions.len(), 1);
    assert!(matches!(advance(eve, None, Some(1)).await, Err(ThreadError::NotFound)));
    assert!(matches!(advance(bob, None, Some(2)).await, Err(ThreadError::NumberBeyondLast { last: 1 })));
}

#[tokio::test]
async fn a_state_that_leaves_the_cache_changed_is_kept_as_a_snapshot() {
    let deployment = Deployment::new().await;
    let a = node(&deployment.log_options).await;
    // Room for few states: each new one pushes another out.
    let small = Handler::<User>::new(deployment.log.clone(), Clock::system(), Ids::random(), 1_024);
    let mut people = Vec::new();
    for _ in 0..200 {
        let user_id = UserId::from_uuid(Ids::random().next());
        a.log.keyring().make(user_id).await.unwrap();
        let sign_up = user::Command::SignUp { username: Text::new("somebody"), display_name: Text::new("Somebody") };
        small.handle(Aggregate::User(user_id), user_id, &sign_up, |_| ()).await.unwrap();
        people.push(Aggregate::User(user_id));
    }
    let snapshots = async || {
        let found = people.iter().map(|id| a.log.snapshot::<User>(*id, User::SHAPE));
        join_all(found).await.into_iter().filter(|snapshot| snapshot.as_ref().unwrap().is_some()).count()
    };
    while snapshots().await < 100 {}
    for id in people {
        assert!(small.glance(id, User::is_signed_up).await.unwrap());
    }
}
