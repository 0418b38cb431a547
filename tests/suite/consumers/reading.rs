//! The log read from outside while connections break and histories change.

use crate::{harness::Deployment, proxy::Proxy, truth::Truth};
use events::{
    Aggregate, Clock, EventId, EventLog, Ids, MessageKey, Partition, Text, ThreadEvent, ThreadId, UserId,
    envelope::Draft,
    log::{LogError, Reading},
};

fn message(thread_id: ThreadId, by: UserId, number: u32) -> Draft {
    let ids = Ids::random();
    let event = ThreadEvent::MessageSent {
        number,
        key: MessageKey::from_uuid(ids.next()),
        body: Text::new(&format!("message {number}")),
        reply_to: None,
        opens: None,
        mentions: vec![],
        attachments: vec![],
    };
    let (aggregate, id) = (Aggregate::Thread(thread_id), EventId::from_uuid(ids.next()));
    Draft { aggregate, id, by: Some(by), at: Clock::system().now(), event: event.into() }
}

/// Writes so many messages into each thread, in turns.
async fn write(log: &EventLog, by: UserId, threads: &[ThreadId], numbers: std::ops::RangeInclusive<u32>) {
    for number in numbers {
        for thread_id in threads {
            let last = log.newest(Aggregate::Thread(*thread_id)).await.unwrap().map_or(0, |(sequence, _)| sequence);
            log.append(&message(*thread_id, by, number), Some(last)).await.unwrap();
        }
    }
}

/// Two threads of one partition.
fn neighbours(log: &EventLog) -> (Partition, [ThreadId; 2]) {
    let ids = Ids::random();
    let thread = || ThreadId::from_uuid(ids.next());
    let first = thread();
    let partition = log.names().partition(first.uuid());
    let second = std::iter::repeat_with(thread).find(|it| log.names().partition(it.uuid()) == partition);
    (partition, [first, second.unwrap()])
}

#[tokio::test]
async fn a_reading_goes_on_over_cut_connections_without_gap_or_double() {
    let deployment = Deployment::new().await;
    let log = &deployment.log;
    let ada = UserId::from_uuid(Ids::random().next());
    log.keyring().make(ada).await.unwrap();
    let (partition, threads) = neighbours(log);
    write(log, ada, &threads, 1..=20).await;
    let proxy = Proxy::before(&deployment.log_options.nats_url).await;
    let url = proxy.url(&deployment.log_options.nats_url);
    let reading = Reading::open(&url, &deployment.log_options.prefix, true).await.unwrap();
    let mut of_all = reading.facts(partition, None, 0, None, 10);
    let mut of_one = reading.facts(partition, Some(Aggregate::Thread(threads[1])), 0, None, 10);
    let (mut all, mut one) = (Vec::new(), Vec::new());
    for (count, numbers) in [(10, 21..=22), (30, 23..=40), (60, 41..=41), (82, 42..=42)] {
        while all.len() < count {
            all.extend(of_all.next_batch(4).await.unwrap().unwrap());
        }
        while one.len() < count / 2 {
            one.extend(of_one.next_batch(4).await.unwrap().unwrap());
        }
        proxy.cut();
        write(log, ada, &threads, numbers).await;
    }
    while all.len() < 84 {
        all.extend(of_all.next_batch(4).await.unwrap().unwrap());
    }
    while one.len() < 42 {
        one.extend(of_one.next_batch(4).await.unwrap().unwrap());
    }
    let sequences: Vec<_> = all.iter().map(|event| event.position.sequence).collect();
    assert_eq!(sequences, (1..=84).collect::<Vec<_>>());
    let texts: Vec<_> = one.iter().map(|event| event.data["body"].as_str().unwrap().to_owned()).collect();
    assert_eq!(texts, (1..=42).map(|number| format!("message {number}")).collect::<Vec<_>>());

    // With an end, each part of it and none behind it.
    for (after, end, expected) in [(0, 84, 84), (0, 7, 7), (80, 84, 4), (84, 84, 0), (9, 3, 0)] {
        let mut facts = reading.facts(partition, None, after, Some(end), 3);
        let mut count = 0;
        while let Some(batch) = facts.next_batch(2).await.unwrap() {
            count += batch.len();
        }
        assert_eq!(count, expected, "{after} to {end}");
    }
}

#[tokio::test]
async fn a_log_that_lost_what_was_read_is_not_read_on() {
    let mut truth = Truth::start().await;
    let log = truth.open(1).await;
    let ada = UserId::from_uuid(Ids::random().next());
    log.keyring().make(ada).await.unwrap();
    let (partition, threads) = neighbours(&log);
    write(&log, ada, &threads, 1..=3).await;
    truth.keep().await;
    write(&log, ada, &threads, 4..=5).await;
    let reading = Reading::open(&truth.options(1).nats_url, "", false).await.unwrap();
    let mut facts = reading.facts(partition, None, 0, None, 100);
    let mut read = 0;
    while read < 10 {
        read += facts.next_batch(100).await.unwrap().unwrap().len();
    }
    truth.go_back().await;
    let error = loop {
        match facts.next_batch(100).await {
            Ok(batch) => assert!(batch.is_none_or(|batch| batch.is_empty()), "of another history nothing is told"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, LogError::Foreign(_)), "{error:?}");
}
