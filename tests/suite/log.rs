//! The log: expectations, links, the tail, and outcomes that NATS leaves open.

use crate::{harness::Deployment, proxy::Proxy};
use events::{
    Aggregate, Clock, EventId, EventLog, Ids, MessageKey, Partition, Position, Text, ThreadEvent, ThreadId, UserId,
    envelope::Draft,
    log::{AppendError, Durability, History, OpenError, Options},
};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;

fn user(ids: &Ids) -> UserId {
    UserId::from_uuid(ids.next())
}

async fn author(log: &EventLog) -> UserId {
    let author = user(&Ids::random());
    log.keyring().make(author).await.unwrap();
    author
}

fn message(thread_id: ThreadId, by: UserId, number: u32) -> Draft {
    let ids = Ids::random();
    let key = MessageKey::from_uuid(ids.next());
    let body = Text::new(&format!("message {number}"));
    Draft {
        aggregate: Aggregate::Thread(thread_id),
        id: EventId::from_uuid(ids.next()),
        by: Some(by),
        at: Clock::system().now(),
        event: ThreadEvent::MessageSent {
            number,
            key,
            body,
            reply_to: None,
            opens: None,
            mentions: vec![],
            attachments: vec![],
        }
        .into(),
    }
}

fn thread() -> ThreadId {
    ThreadId::from_uuid(Ids::random().next())
}

async fn numbers(log: &EventLog, thread_id: ThreadId) -> Vec<u32> {
    let History::Since(facts) = log.history(Aggregate::Thread(thread_id), None).await.unwrap() else {
        panic!("nothing is known, so nothing is foreign")
    };
    facts.iter().map(|envelope| number(envelope)).collect()
}

fn number(envelope: &events::Envelope) -> u32 {
    let events::Event::Thread(ThreadEvent::MessageSent { number, .. }) = &envelope.event else {
        panic!("only messages are appended here: {envelope:?}")
    };
    *number
}

#[tokio::test]
async fn a_fact_is_appended_at_its_expectation_only() {
    let log = Deployment::new().await.log;
    let (ada, thread) = (author(&log).await, thread());
    let first = log.append(&message(thread, ada, 1), Some(0)).await.unwrap();
    assert!(matches!(log.append(&message(thread, ada, 1), Some(0)).await, Err(AppendError::Conflict)));
    log.append(&message(thread, ada, 2), Some(first.sequence)).await.unwrap();
    assert!(matches!(log.append(&message(thread, ada, 2), Some(first.sequence)).await, Err(AppendError::Conflict)));
    assert_eq!(numbers(&log, thread).await, [1, 2]);
}

#[tokio::test]
async fn of_many_writers_at_one_expectation_one_wins() {
    let log = Deployment::new().await.log;
    let ada = author(&log).await;
    for _ in 0..50 {
        let thread = thread();
        let drafts: Vec<_> = (1..=8).map(|number| message(thread, ada, number)).collect();
        let outcomes = futures_util::future::join_all(drafts.iter().map(|draft| log.append(draft, Some(0)))).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert_eq!(numbers(&log, thread).await.len(), 1);
    }
}

#[tokio::test]
async fn an_aggregates_history_is_found_along_its_links_among_others() {
    let log = Deployment::new().await.log;
    let (ada, one, other) = (author(&log).await, thread(), thread());
    let (mut last, mut last_other) = (0, 0);
    let mut known = None;
    for number in 1..=20 {
        let draft = message(one, ada, number);
        last = log.append(&draft, Some(last)).await.unwrap().sequence;
        last_other = log.append(&message(other, ada, number), Some(last_other)).await.unwrap().sequence;
        if number == 12 {
            known = Some((last, draft.id));
        }
    }
    assert_eq!(numbers(&log, one).await, (1..=20).collect::<Vec<_>>());
    let since = |known| log.history(Aggregate::Thread(one), known);
    let History::Since(facts) = since(known).await.unwrap() else { panic!("the log holds what it gave") };
    assert_eq!(facts.iter().map(|envelope| number(envelope)).collect::<Vec<_>>(), (13..=20).collect::<Vec<_>>());

    let (sequence, id) = known.unwrap();
    let another_id = EventId::from_uuid(Ids::random().next());
    for foreign in [(sequence, another_id), (sequence + 1, id), (last + 1_000, id)] {
        assert!(matches!(since(Some(foreign)).await.unwrap(), History::Foreign), "{foreign:?}");
    }

    // Above any sequence, whether one of its own facts lies there or not.
    let above = async |floor, most| {
        let facts = log.history_above(Aggregate::Thread(one), floor, most).await.unwrap();
        facts.map(|facts| facts.iter().map(|envelope| number(envelope)).collect::<Vec<_>>())
    };
    for (floor, first) in [(0, 1), (sequence - 1, 12), (sequence, 13), (last - 1, 20), (last, 21), (last + 1_000, 21)] {
        assert_eq!(above(floor, 20).await, Some((first..=20).collect()), "{floor}");
    }
    assert_eq!((above(sequence, 8).await.map(|facts| facts.len()), above(sequence, 7).await), (Some(8), None));
}

#[tokio::test]
async fn the_tail_gives_everything_once_and_in_order_to_early_and_late_subscribers() {
    let log = Deployment::new().await.log;
    let (ada, thread) = (author(&log).await, thread());
    let partition = log.names().partition(thread.uuid());
    let mut early = log.subscribe(partition, 0);
    let mut last = 0;
    for number in 1..=300 {
        last = log.append(&message(thread, ada, number), Some(last)).await.unwrap().sequence;
    }
    let mut late = log.subscribe(partition, 100);
    for number in 301..=350 {
        last = log.append(&message(thread, ada, number), Some(last)).await.unwrap().sequence;
    }
    for (subscription, first) in [(&mut early, 1), (&mut late, 101)] {
        let mut sequences = Vec::new();
        while sequences.last() != Some(&last) {
            let batch = subscription.next_batch(7).await;
            assert!(batch.len() <= 7);
            sequences.extend(batch.iter().map(|envelope| envelope.position.sequence));
        }
        assert_eq!(sequences, (first..=last).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn the_tail_goes_on_without_gap_or_double_over_cut_connections() {
    let deployment = Deployment::new().await;
    let proxy = Proxy::before(&deployment.log_options.nats_url).await;
    let behind = open(&deployment, &proxy).await;
    let (ada, thread) = (author(&deployment.log).await, thread());
    let partition = deployment.log.names().partition(thread.uuid());
    let mut subscription = behind.subscribe(partition, 0);
    let (mut last, mut sequences) = (0, Vec::new());
    for number in 1..=200 {
        last = deployment.log.append(&message(thread, ada, number), Some(last)).await.unwrap().sequence;
        if number % 40 == 0 {
            proxy.cut();
        }
        if number % 10 == 0 {
            sequences.extend(subscription.next_batch(50).await.iter().map(|envelope| envelope.position.sequence));
        }
    }
    while sequences.last() != Some(&last) {
        sequences.extend(subscription.next_batch(50).await.iter().map(|envelope| envelope.position.sequence));
    }
    assert_eq!(sequences, (1..=last).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_was_on_its_way_when_a_connection_broke_comes_although_nothing_follows() {
    let deployment = Deployment::new().await;
    let proxy = Proxy::before(&deployment.log_options.nats_url).await;
    let behind = open(&deployment, &proxy).await;
    let (ada, thread) = (author(&deployment.log).await, thread());
    let mut subscription = behind.subscribe(deployment.log.names().partition(thread.uuid()), 0);
    let mut last = deployment.log.append(&message(thread, ada, 1), Some(0)).await.unwrap().sequence;
    assert_eq!(subscription.next_batch(9).await.len(), 1);
    proxy.swallow_answers();
    for number in 2..=9 {
        last = deployment.log.append(&message(thread, ada, number), Some(last)).await.unwrap().sequence;
    }
    // To the server the old connection lives on: nothing tells it that what it sent there was lost.
    proxy.orphan();
    let mut sequences = Vec::new();
    while sequences.last() != Some(&last) {
        sequences.extend(subscription.next_batch(9).await.iter().map(|envelope| envelope.position.sequence));
    }
    assert_eq!(sequences, (2..=last).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_event_that_cannot_be_read_stops_the_tail_behind_what_came_before_it_and_the_node_knows() {
    let deployment = Deployment::new().await;
    let (ada, keyless) = (author(&deployment.log).await, author(&deployment.log).await);
    let keys = deployment.log.partitioned_bucket("KEYS", Duration::ZERO).await.unwrap();
    keys.of(deployment.log.names().partition(keyless.uuid())).purge(&keyless.to_string()).await.unwrap();
    let reading = EventLog::open(&deployment.log_options, &Ids::random()).await.unwrap();
    let thread = thread();
    let mut subscription = reading.subscribe(deployment.log.names().partition(thread.uuid()), 0);
    while reading.heard().iter().next().is_none() {
        // The node's tail begins where the log ends when it is first asked.
        reading.end().await.unwrap();
    }
    let good = deployment.log.append(&message(thread, ada, 1), Some(0)).await.unwrap();
    deployment.log.append(&message(thread, keyless, 2), Some(good.sequence)).await.unwrap();
    assert_eq!(subscription.next_batch(9).await[0].position, good);
    // One that comes later has both before it at once.
    let late = EventLog::open(&deployment.log_options, &Ids::random()).await.unwrap();
    assert_eq!(late.subscribe(good.partition, 0).next_batch(9).await[0].position, good);
    while reading.silent_for() < Duration::from_secs(5) {
        // The connection is sound all the while.
        reading.end().await.unwrap();
    }
}

#[tokio::test]
async fn a_lost_acknowledgement_neither_loses_nor_doubles_a_fact() {
    let deployment = Deployment::new().await;
    let proxy = Proxy::before(&deployment.log_options.nats_url).await;
    let behind = Arc::new(open(&deployment, &proxy).await);
    let (ada, thread) = (author(&deployment.log).await, thread());
    let mut last = 0;
    for number in 1..=5 {
        let draft = message(thread, ada, number);
        // The key is asked for before the answers are swallowed.
        behind.keyring().get(ada).await.unwrap();
        proxy.swallow_answers();
        let mut append = JoinSet::new();
        let (appending, appended) = (Arc::clone(&behind), draft.clone());
        append.spawn(async move { appending.append(&appended, Some(last)).await });
        // Seen in the log by another connection: the acknowledgement is what is missing.
        let partition = deployment.log.names().partition(thread.uuid());
        let mut seen = deployment.log.subscribe(partition, last);
        assert_eq!(seen.next_batch(1).await[0].id, draft.id);
        proxy.cut();
        last = append.join_next().await.unwrap().unwrap().unwrap().sequence;
    }
    assert_eq!(numbers(&deployment.log, thread).await, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_lost_acknowledgement_does_not_hide_that_another_was_faster() {
    let deployment = Deployment::new().await;
    let proxy = Proxy::before(&deployment.log_options.nats_url).await;
    let behind = Arc::new(open(&deployment, &proxy).await);
    let (ada, thread) = (author(&deployment.log).await, thread());
    deployment.log.append(&message(thread, ada, 1), Some(0)).await.unwrap();
    behind.keyring().get(ada).await.unwrap();
    proxy.swallow_answers();
    let mut late = JoinSet::new();
    late.spawn(async move { behind.append(&message(thread, ada, 1), Some(0)).await });
    let (last, _) = deployment.log.newest(Aggregate::Thread(thread)).await.unwrap().unwrap();
    deployment.log.append(&message(thread, ada, 2), Some(last)).await.unwrap();
    proxy.cut();
    assert!(matches!(late.join_next().await.unwrap().unwrap(), Err(AppendError::Conflict)));
    assert_eq!(numbers(&deployment.log, thread).await, [1, 2]);
}

#[tokio::test]
async fn a_log_is_opened_as_it_was_created_or_not_at_all() {
    let deployment = Deployment::new().await;
    let open = async |options| EventLog::open(&options, &Ids::random()).await;
    let same = Options { partitions: None, ..deployment.log_options.clone() };
    assert_eq!(open(same.clone()).await.unwrap().epoch(), deployment.log.epoch());

    let other = Options { partitions: Some(8), ..same.clone() };
    assert!(matches!(open(other).await, Err(OpenError::Partitions { there: 4, asked: 8 })));
    let none = Options { partitions: Some(0), ..same.clone() };
    assert!(matches!(open(none).await, Err(OpenError::PartitionsRange(0))));
    let dotted = Options { prefix: "a.b".to_owned(), ..same.clone() };
    assert!(matches!(open(dotted).await, Err(OpenError::Prefix)));
    let unknown = Options { durability: Durability::Fsync, ..same.clone() };
    assert!(matches!(open(unknown).await, Err(OpenError::Durability { .. })), "nothing tells whether NATS syncs");
    let replicated = Options { durability: Durability::Replicated, ..same };
    assert!(open(replicated).await.is_err(), "one node is no quorum");
}

#[tokio::test]
async fn a_server_that_acknowledges_before_it_syncs_is_refused_for_fsync() {
    let deployment = Deployment::new().await;
    let monitor_url = Some(crate::harness::monitor_url().await);
    let fsync = Options { durability: Durability::Fsync, monitor_url, ..deployment.log_options.clone() };
    let Err(OpenError::Durability { found, .. }) = EventLog::open(&fsync, &Ids::random()).await.map(drop) else {
        panic!("the tests' server is unsynced")
    };
    assert!(found.contains("sync_interval: always"), "{found}");
}

#[tokio::test]
async fn positions_and_moments_are_found() {
    let log = Deployment::new().await.log;
    let (ada, thread) = (author(&log).await, thread());
    let partition = log.names().partition(thread.uuid());
    assert_eq!(log.sequence_before(partition, chrono::TimeDelta::zero()).await.unwrap(), 0);
    let first = message(thread, ada, 1);
    let position = log.append(&first, Some(0)).await.unwrap();
    assert_eq!(log.event_id_at(position).await.unwrap(), Some(first.id));
    let beyond = Position { partition, sequence: 2 };
    assert_eq!(log.event_id_at(beyond).await.unwrap(), None);
    assert_eq!(log.end().await.unwrap().get(partition), 1);
    let hour = chrono::TimeDelta::hours(1);
    assert_eq!(log.sequence_before(partition, hour).await.unwrap(), 0);
    assert_eq!(log.sequence_before(partition, -hour).await.unwrap(), 1);
    let other = Partition((partition.0 + 1) % 4);
    assert_eq!(log.end().await.unwrap().get(other), 0);
}

async fn open(deployment: &Deployment, proxy: &Proxy) -> EventLog {
    let options = Options { nats_url: proxy.url(&deployment.log_options.nats_url), ..deployment.log_options.clone() };
    EventLog::open(&options, &Ids::random()).await.unwrap()
}
