//! Commands on two nodes that share one log: stale caches, races, snapshots.

use crate::harness::{self, Deployment};
use command::{
    Threads,
    decider::Aggregate as _,
    handler::Handler,
    people::PersonError,
    thread::Thread,
    threads::{Amend, Amendment, NewGroup, Send, Shown, ShownMessage, ThreadError, To},
    user::{self, Keep, User},
};
use events::{
    Aggregate, Clock, EventLog, Ids, MessageKey, Text, ThreadId, UserId,
    event::{Adders, Role},
    log::{Options, Snapshot},
    text::{Body, Line},
};
use futures_util::future::join_all;
use std::collections::BTreeSet;

pub struct Node {
    pub log: EventLog,
    pub threads: Threads,
    users: Handler<User>,
}

async fn node(options: &Options) -> Node {
    node_on(EventLog::open(options, &Ids::random()).await.unwrap()).await
}

/// What decides on a node, and nothing else of it.
pub async fn node_on(log: EventLog) -> Node {
    let (clock, ids) = (Clock::system(), Ids::random());
    let users = Handler::new(log.clone(), clock.clone(), ids.clone(), 1 << 20);
    let attachments = harness::attachments(&log, &clock).await;
    let threads = Threads::new(log.clone(), &clock, &ids, users.clone(), attachments);
    Node { log, threads, users }
}

pub async fn sign_up(node: &Node) -> UserId {
    let user_id = UserId::from_uuid(Ids::random().next());
    node.log.keyring().make(user_id).await.unwrap();
    let sign_up = user::Command::SignUp { username: Text::new("somebody"), display_name: Text::new("Somebody") };
    node.users.handle(Aggregate::User(user_id), user_id, &sign_up, |_| ()).await.unwrap();
    user_id
}

pub fn send(by: UserId, to: To, body: &str) -> Send {
    let key = MessageKey::from_uuid(Ids::random().next());
    Send {
        by,
        to,
        key,
        body: Body::parse(body).unwrap(),
        reply_to: None,
        mentions: Vec::new(),
        attachments: Vec::new(),
        absent: None,
    }
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
    // What does not rise is no fact: it lies where it lay.
    assert_eq!(advance(bob, Some(1), None).await.unwrap(), *positions.first().unwrap());
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

pub fn group(by: UserId, members: &[UserId]) -> NewGroup {
    NewGroup { by, thread_id: None, title: Line::parse("group").unwrap(), members: members.to_vec() }
}

#[tokio::test]
async fn of_two_owners_who_depose_each_other_on_two_nodes_one_stays() {
    let deployment = Deployment::new().await;
    let (a, b) = (node(&deployment.log_options).await, node(&deployment.log_options).await);
    let (ada, bob) = (sign_up(&a).await, sign_up(&a).await);
    for _ in 0..50 {
        let thread = a.threads.create_group(group(ada, &[bob])).await.unwrap().thread_id;
        a.threads.put_member(ada, thread, bob, Some(Role::Owner)).await.unwrap();
        let (hers, his) = tokio::join!(
            a.threads.put_member(ada, thread, bob, Some(Role::Member)),
            b.threads.put_member(bob, thread, ada, Some(Role::Member)),
        );
        assert_eq!(usize::from(hers.is_ok()) + usize::from(his.is_ok()), 1, "{hers:?} {his:?}");
        assert!([hers, his].into_iter().any(|answer| matches!(answer, Err(ThreadError::LastOwner))));
    }
}

#[tokio::test]
async fn who_was_removed_on_one_node_sends_on_no_other_and_a_return_is_known_at_once() {
    let deployment = Deployment::new().await;
    let (a, b) = (node(&deployment.log_options).await, node(&deployment.log_options).await);
    let (ada, bob) = (sign_up(&a).await, sign_up(&a).await);
    let thread = a.threads.create_group(group(ada, &[bob])).await.unwrap().thread_id;
    let from_bob = || b.threads.send(send(bob, To::Thread(thread), "hi"));
    let mut number = 0;
    for _ in 0..20 {
        number += 1;
        assert_eq!(from_bob().await.unwrap().number, number);
        a.threads.remove_member(ada, thread, bob).await.unwrap();
        assert!(matches!(from_bob().await, Err(ThreadError::NotFound)));
        a.threads.put_member(ada, thread, bob, None).await.unwrap();
    }
}

#[tokio::test]
async fn a_group_that_is_asked_for_again_is_the_same_and_not_somebody_elses() {
    let deployment = Deployment::new().await;
    let (a, b) = (node(&deployment.log_options).await, node(&deployment.log_options).await);
    let (ada, bob) = (sign_up(&a).await, sign_up(&a).await);
    let thread_id = Some(ThreadId::from_uuid(Ids::random().next()));
    let first = a.threads.create_group(NewGroup { thread_id, ..group(ada, &[bob]) }).await.unwrap();
    let again = b.threads.create_group(NewGroup { thread_id, ..group(ada, &[bob]) }).await.unwrap();
    assert!(first.created && !again.created);
    assert_eq!((first.thread_id, first.position), (again.thread_id, again.position));
    let his = b.threads.create_group(NewGroup { thread_id, ..group(bob, &[]) }).await;
    assert!(matches!(his, Err(ThreadError::IdTaken)));
}

#[tokio::test]
async fn nobody_is_added_who_does_not_want_it_and_then_nothing_happens() {
    let deployment = Deployment::new().await;
    let (a, b) = (node(&deployment.log_options).await, node(&deployment.log_options).await);
    let (ada, bob, shy, hurt) = (sign_up(&a).await, sign_up(&a).await, sign_up(&a).await, sign_up(&a).await);
    let thread = b.threads.create_group(group(ada, &[shy, hurt])).await.unwrap().thread_id;
    b.threads.remove_member(ada, thread, shy).await.unwrap();
    b.threads.remove_member(ada, thread, hurt).await.unwrap();
    let profile = user::Profile { may_add_me: Some(Adders::Contacts), ..user::Profile::default() };
    a.users.handle(Aggregate::User(shy), shy, &user::Command::ChangeProfile(profile), |_| ()).await.unwrap();
    a.threads.people().block(hurt, ada).await.unwrap();
    for refusing in [shy, hurt] {
        let created = b.threads.create_group(group(ada, &[bob, refusing])).await;
        assert!(matches!(created, Err(ThreadError::MayNotAdd(who)) if who == [refusing]));
        let added = b.threads.put_member(ada, thread, refusing, None).await;
        assert!(matches!(added, Err(ThreadError::MayNotAdd(who)) if who == [refusing]));
    }
    let nobody = UserId::from_uuid(Ids::random().next());
    let created = a.threads.create_group(group(ada, &[bob, nobody])).await;
    assert!(matches!(created, Err(ThreadError::NoSuchPerson(who)) if who == [nobody]));
    a.threads.people().save_contact(shy, ada, None).await.unwrap();
    a.threads.people().unblock(hurt, ada).await.unwrap();
    for willing in [shy, hurt] {
        b.threads.put_member(ada, thread, willing, None).await.unwrap();
    }
    // Only who is in may know who could be.
    assert!(matches!(b.threads.put_member(bob, thread, nobody, None).await, Err(ThreadError::NotFound)));
}

#[tokio::test]
async fn a_block_holds_on_every_node_at_once() {
    let deployment = Deployment::new().await;
    let (a, b) = (node(&deployment.log_options).await, node(&deployment.log_options).await);
    let (ada, bob) = (sign_up(&a).await, sign_up(&a).await);
    a.threads.send(send(ada, To::Peer(bob), "hi")).await.unwrap();
    for _ in 0..20 {
        b.threads.people().block(bob, ada).await.unwrap();
        assert!(matches!(a.threads.send(send(ada, To::Peer(bob), "hi")).await, Err(ThreadError::Blocked)));
        b.threads.people().unblock(bob, ada).await.unwrap();
        a.threads.send(send(ada, To::Peer(bob), "hi")).await.unwrap();
    }
    assert!(matches!(a.threads.people().block(ada, ada).await, Err(PersonError::Oneself)));
    let nobody = UserId::from_uuid(Ids::random().next());
    assert!(matches!(a.threads.people().save_contact(ada, nobody, None).await, Err(PersonError::NotFound)));
    b.threads.people().block(bob, ada).await.unwrap();
    assert!(matches!(a.threads.people().save_contact(ada, bob, None).await, Err(PersonError::NotFound)));
}

#[tokio::test]
async fn an_edit_that_saw_the_message_before_its_deletion_on_another_node_is_refused() {
    let deployment = Deployment::new().await;
    let (a, b) = (node(&deployment.log_options).await, node(&deployment.log_options).await);
    let (ada, bob) = (sign_up(&a).await, sign_up(&a).await);
    let sent = a.threads.send(send(ada, To::Peer(bob), "hi")).await.unwrap();
    let message = ShownMessage {
        author: ada,
        body: Some("hi".to_owned()),
        deleted: false,
        reacted: Vec::new(),
        attachments: Vec::new(),
    };
    let shown = Shown { as_of: sent.position.sequence, message: Some(message) };
    let amend = |change, shown| Amend { by: ada, thread_id: sent.thread_id, number: 1, change, shown };
    let edit = || Amendment::Edit { body: Body::parse("ho").unwrap(), mentions: Vec::new() };
    let unseen = b.threads.amend(amend(edit(), None)).await;
    assert!(matches!(unseen, Err(ThreadError::NotShown { as_of }) if as_of == sent.position));
    let deleted = a.threads.amend(amend(Amendment::Delete, Some(shown.clone()))).await.unwrap();
    assert!(matches!(b.threads.amend(amend(edit(), Some(shown.clone()))).await, Err(ThreadError::Deleted)));
    let again = b.threads.amend(amend(Amendment::Delete, Some(shown))).await.unwrap();
    assert_eq!((again.position, again.at), (deleted.position, None));
}

#[tokio::test]
async fn only_members_keep_a_thread_their_way() {
    let deployment = Deployment::new().await;
    let (a, b) = (node(&deployment.log_options).await, node(&deployment.log_options).await);
    let (ada, bob, eve) = (sign_up(&a).await, sign_up(&a).await, sign_up(&a).await);
    let thread = a.threads.open_direct(ada, bob).await.unwrap().thread_id;
    let pin = Keep { pinned: Some(true), ..Keep::default() };
    let first = a.threads.people().keep_thread(bob, thread, pin).await.unwrap();
    assert_eq!(b.threads.people().keep_thread(bob, thread, pin).await.unwrap(), first);
    assert!(matches!(b.threads.people().keep_thread(eve, thread, pin).await, Err(PersonError::NotFound)));
}
