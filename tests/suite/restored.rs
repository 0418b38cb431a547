//! A log that was restored or cut short, and grew again to the same length with
//! other facts: whatever was remembered of the former one is noticed.

use crate::{
    handler::{Node, group, node_on, send, sign_up},
    truth::Truth,
};
use command::threads::{ThreadError, To};
use events::{EventLog, Ids, Partition, Position};
use std::time::Duration;
use tokio::time::timeout;

/// An event has to be missing for 10 s before the log is given another epoch.
const NOTICED: Duration = Duration::from_secs(90);

async fn reconnected(log: &EventLog) {
    while log.end().await.is_err() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cached_state_of_equal_length_in_another_history_decides_nothing() {
    let mut truth = Truth::start().await;
    let a = node_on(truth.open(1).await).await;
    let (ada, bob) = (sign_up(&a).await, sign_up(&a).await);
    let thread = a.threads.create_group(group(ada, &[bob])).await.unwrap().thread_id;
    truth.keep().await;
    reconnected(&a.log).await;
    let former = a.threads.send(send(bob, To::Thread(thread), "in a history that is lost")).await.unwrap();

    truth.go_back().await;
    let b = node_on(truth.open(1).await).await;
    let removed = b.threads.remove_member(ada, thread, bob).await.unwrap();
    assert_eq!(removed, former.position, "it lies where the lost one lay: no expectation tells them apart");
    reconnected(&a.log).await;
    let refused = a.threads.send(send(bob, To::Thread(thread), "from who was removed")).await;
    assert!(matches!(refused, Err(ThreadError::NotFound)), "{refused:?}");
    assert_eq!(a.threads.send(send(ada, To::Thread(thread), "first")).await.unwrap().number, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cached_state_refuses_is_not_refused_in_another_history_of_equal_length() {
    let mut truth = Truth::start().await;
    let a = node_on(truth.open(1).await).await;
    let (ada, bob) = (sign_up(&a).await, sign_up(&a).await);
    let thread = a.threads.create_group(group(ada, &[bob])).await.unwrap().thread_id;
    truth.keep().await;
    reconnected(&a.log).await;
    let former = a.threads.remove_member(ada, thread, bob).await.unwrap();
    truth.go_back().await;
    let b = node_on(truth.open(1).await).await;
    let sent = b.threads.send(send(ada, To::Thread(thread), "bob is still here")).await.unwrap();
    assert_eq!(sent.position, former);
    reconnected(&a.log).await;
    assert_eq!(a.threads.send(send(bob, To::Thread(thread), "I am")).await.unwrap().number, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_never_reads_on_in_another_history_and_everybody_is_told() {
    let mut truth = Truth::start().await;
    let a = node_on(truth.open(1).await).await;
    let (ada, bob) = (sign_up(&a).await, sign_up(&a).await);
    let write = async |node: &Node| node.threads.send(send(ada, To::Peer(bob), "hi")).await.unwrap().position.sequence;
    let mut facts = a.log.subscribe(Partition(0), 0);
    let mut read = 0;
    let mut upto = async |end| {
        while read < end {
            read = facts.next_batch(100).await.last().unwrap().position.sequence;
        }
        assert_eq!(read, end);
    };
    write(&a).await;
    truth.keep().await;
    reconnected(&a.log).await;
    upto(write(&a).await).await;
    // A server that only went and came back holds what was read.
    truth.restart().await;
    reconnected(&a.log).await;
    let former = write(&a).await;
    upto(former).await;

    truth.go_back().await;
    // It does not remember anything that the log lacks, and is told by who does.
    let b = node_on(truth.open(1).await).await;
    while write(&b).await < former + 20 {}
    assert_eq!(b.log.epoch(), a.log.epoch());
    let noticed = async {
        tokio::select! {
            _ = facts.next_batch(100) => panic!("a fact of another history was read on"),
            () = a.log.replaced() => {}
        }
        b.log.replaced().await;
    };
    timeout(NOTICED, noticed).await.expect("another history is noticed in time");
    assert!(a.log.silent_for() > Duration::from_secs(5), "such a node vouches for nobody");
    let fresh = truth.open(1).await;
    assert_ne!(fresh.epoch(), a.log.epoch());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_ends_before_what_was_read_is_noticed_although_nothing_follows() {
    let mut truth = Truth::start().await;
    let a = node_on(truth.open(1).await).await;
    truth.keep().await;
    reconnected(&a.log).await;
    let mut facts = a.log.subscribe(Partition(0), 0);
    sign_up(&a).await;
    assert_eq!(facts.next_batch(100).await[0].position, Position { partition: Partition(0), sequence: 1 });
    truth.go_back().await;
    let noticed = async {
        tokio::select! {
            _ = facts.next_batch(100) => panic!("there is nothing to read"),
            () = a.log.replaced() => {}
        }
    };
    timeout(NOTICED, noticed).await.expect("a shorter log is noticed in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_log_with_another_epoch_is_noticed_by_who_is_running() {
    let mut truth = Truth::start().await;
    let a = truth.open(1).await;
    truth.keep().await;
    truth.go_back().await;
    let restorer = truth.open(1).await;
    assert_eq!(restorer.epoch(), a.epoch());
    restorer.renew_epoch(&Ids::random()).await.unwrap();
    timeout(NOTICED, a.replaced()).await.expect("another epoch is noticed in time");
    let epoch = truth.open(1).await.epoch();
    assert_ne!(epoch, a.epoch());
    // Who comes second with the same news changes nothing.
    a.renew_epoch(&Ids::random()).await.unwrap();
    assert_eq!(truth.open(1).await.epoch(), epoch);
}
