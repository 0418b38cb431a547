//! Cold loads: whatever snapshot lies there, or none, the state is the one that
//! all facts give; and how long it takes in a log of millions.
//! `HERALD_COLD_EVENTS=10000000 cargo test --release --test suite cold::long -- --ignored --nocapture`

use crate::{handler::sign_up, raw::Raw, truth::Truth};
use command::{
    decider::{Aggregate as _, Decider, Fact},
    handler::Handler,
    thread::Thread,
};
use events::{
    Aggregate, Clock, Event, EventId, EventLog, Ids, MessageKey, Partition, Text, ThreadEvent, ThreadId, UserId,
    envelope::Draft, log::Snapshot,
};
use std::{
    io::{Write, stderr},
    time::Duration,
};
use tokio::time::{Instant, timeout};

const P: Partition = Partition(0);

/// Facts of two people's thread, some of each kind.
fn fact(bob: UserId, index: u32) -> ThreadEvent {
    // Each ninth of them is about the message before.
    let messages = index / 9 * 7 + (index % 9).min(7);
    match index % 9 {
        7 => ThreadEvent::ReactionAdded { number: messages, emoji: "👍".parse().unwrap() },
        8 => ThreadEvent::MessageDeleted { number: messages, attachments: Vec::new() },
        _ => ThreadEvent::MessageSent {
            number: messages + 1,
            key: MessageKey::from_uuid(Ids::random().next()),
            body: Text::new("a message of thirty characters"),
            reply_to: None,
            opens: (index == 0).then_some(bob),
            mentions: Vec::new(),
            attachments: Vec::new(),
        },
    }
}

/// A direct thread, and its facts as they are stored, sealed as their author's.
struct Story {
    aggregate: Aggregate,
    by: [UserId; 2],
    facts: u32,
    last: u64,
}

impl Story {
    fn new(ada: UserId, bob: UserId) -> Self {
        Self { aggregate: Aggregate::Thread(ThreadId::direct(ada, bob)), by: [ada, bob], facts: 0, last: 0 }
    }

    async fn next(&mut self, log: &EventLog, raw: &mut Raw, sequence: u64) {
        let by = self.by[usize::from(self.facts % 2 == 1)];
        let id = EventId::from_uuid(Ids::random().next());
        let event = fact(self.by[1], self.facts).into();
        let draft = Draft { aggregate: self.aggregate, id, by: Some(by), at: Clock::system().now(), event };
        let payload = draft.encode(log.keyring().get(by).await.unwrap().as_ref(), None).unwrap();
        raw.publish(&log.names().subject(self.aggregate), self.last, &payload, sequence).await;
        (self.facts, self.last) = (self.facts + 1, sequence);
    }
}

/// The state after each fact, by nothing but the facts.
async fn folded(log: &EventLog, aggregate: Aggregate) -> Vec<Snapshot<Thread>> {
    let (mut state, mut states) = (Thread::default(), Vec::new());
    let mut facts = log.subscribe(P, 0);
    let (end, _) = log.newest(aggregate).await.unwrap().unwrap();
    while states.last().is_none_or(|Snapshot { sequence, .. }| *sequence < end) {
        for envelope in facts.next_batch(500).await.iter().filter(|envelope| envelope.aggregate == aggregate) {
            let Event::Thread(event) = &envelope.event else { panic!("of a thread") };
            let sequence = envelope.position.sequence;
            state.evolve(Fact { sequence, by: envelope.by, at: envelope.at, event });
            states.push(Snapshot { sequence, event_id: envelope.id, state: state.clone() });
        }
    }
    states
}

/// What a node that knows nothing yet makes of it.
async fn loaded(log: &EventLog, aggregate: Aggregate) -> Thread {
    let handler = Handler::<Thread>::new(log.clone(), Clock::system(), Ids::random(), 1 << 20);
    handler.look(aggregate, Thread::clone).await.unwrap().1
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_snapshot_lies_there_the_state_is_the_one_that_all_facts_give() {
    let truth = Truth::start().await;
    let log = truth.open(1).await;
    let node = crate::handler::node_on(log.clone()).await;
    let (ada, bob, cyd) = (sign_up(&node).await, sign_up(&node).await, sign_up(&node).await);
    let (mut large, mut small) = (Story::new(ada, bob), Story::new(ada, cyd));
    let mut raw = Raw::connect(&truth.options(1).nats_url).await;
    let before = log.end().await.unwrap().get(P);
    for index in 0..5_500 {
        let story = if index % 13 == 0 { &mut small } else { &mut large };
        story.next(&log, &mut raw, before + 1 + index).await;
    }
    raw.settle(0).await;
    let (large, small) = (large.aggregate, small.aggregate);
    let (of_large, of_small) = (folded(&log, large).await, folded(&log, small).await);
    let snapshots = log.partitioned_bucket("SNAPSHOTS", Duration::ZERO).await.unwrap();
    let bucket = snapshots.of(P);
    let behind = |states: &[Snapshot<Thread>], facts: usize| states[states.len() - 1 - facts].clone();
    let keep = async |of, snapshot: &Snapshot<Thread>| log.keep_snapshot(of, Thread::SHAPE, snapshot).await.unwrap();

    // Of more facts than links are followed for.
    let expected = behind(&of_large, 0);
    let rows = [1_023, 1_024, 1_025, 5_000].map(|facts| (format!("{facts} facts older"), behind(&of_large, facts)));
    let foreign = ("another thread's, long ago".to_owned(), behind(&of_small, 400));
    for (name, snapshot) in rows.into_iter().chain([foreign]) {
        keep(large, &snapshot).await;
        assert!(loaded(&log, large).await == expected.state, "{name}");
    }
    bucket.purge(&large.to_string()).await.unwrap();
    assert!(loaded(&log, large).await == expected.state, "none");

    let expected = behind(&of_small, 0);
    let (last, id) = (expected.sequence, expected.event_id);
    let rows = [0, 1, 63, 64, 129, 400].map(|facts| (format!("{facts} facts older"), behind(&of_small, facts)));
    // Each has a state that the facts never give.
    let wrong = |sequence, event_id| Snapshot { sequence, event_id, state: of_large[77].state.clone() };
    let unknown = EventId::from_uuid(Ids::random().next());
    let foreign = [
        ("of a sequence to come", wrong(last + 1_000, id)),
        ("another event at the newest sequence", wrong(last, unknown)),
        ("another event at an old sequence", wrong(of_small[70].sequence, unknown)),
        ("the newest event at another sequence", wrong(last - 13, id)),
        ("another thread's", behind(&of_large, 3)),
    ];
    let foreign = foreign.map(|(name, snapshot)| (name.to_owned(), snapshot));
    for (name, snapshot) in rows.into_iter().chain(foreign) {
        keep(small, &snapshot).await;
        assert!(loaded(&log, small).await == expected.state, "{name}");
    }
    bucket.purge(&small.to_string()).await.unwrap();
    assert!(loaded(&log, small).await == expected.state, "none");

    keep(small, &wrong(last, id)).await;
    let whole = bucket.get(&small.to_string()).await.unwrap().unwrap().value.to_vec();
    let epoch_at = whole.windows(16).position(|bytes| bytes == log.epoch().as_bytes()).unwrap();
    keep(large, &wrong(last, id)).await;
    let elsewhere = bucket.get(&large.to_string()).await.unwrap().unwrap().value.to_vec();
    let mut broken = vec![("nothing".to_owned(), Vec::new()), ("bytes of another thread's".to_owned(), elsewhere)];
    for at in [1, 9, epoch_at + 7, epoch_at + 18, whole.len() / 2, whole.len() - 1] {
        broken.push((format!("cut at {at}"), whole[..at].to_vec()));
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        broken.push((format!("another byte at {at}"), flipped));
    }
    for (name, bytes) in broken {
        bucket.put(&small.to_string(), bytes.into()).await.unwrap();
        assert!(loaded(&log, small).await == expected.state, "{name}");
    }

    // The yardstick itself: such a state is taken where nothing tells that it is wrong, once no load of before keeps a
    // sound one.
    let taken = async {
        loop {
            keep(small, &wrong(last, id)).await;
            if loaded(&log, small).await != expected.state {
                return;
            }
        }
    };
    timeout(Duration::from_secs(30), taken).await.expect("a wrong state is taken at last");
    // In another epoch it is of another history.
    log.renew_epoch(&Ids::random()).await.unwrap();
    assert!(loaded(&truth.open(1).await, small).await == expected.state, "of another epoch");
}

#[expect(clippy::disallowed_methods, reason = "a test's own size")]
fn events() -> u64 {
    std::env::var("HERALD_COLD_EVENTS").map_or(100_000, |events| events.parse().unwrap())
}

/// One thread has a tenth of all facts; another one its last 63 spread over the whole log, where no two of them are near.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes, and 3 GB of disk for 10 million facts"]
async fn long_how_long_a_cold_load_takes() {
    let events = events();
    let mut truth = Truth::start().await;
    let log = truth.open(1).await;
    let node = crate::handler::node_on(log.clone()).await;
    let mut people = Vec::new();
    for _ in 0..40 {
        people.push(sign_up(&node).await);
    }
    let pairs = (0..40).flat_map(|one| (0..one).map(move |other| (one, other)));
    let mut stories: Vec<_> = pairs.map(|(one, other)| Story::new(people[one], people[other])).collect();
    let (mut large, mut sparse) = (stories.remove(0), stories.remove(0));
    let mut raw = Raw::connect(&truth.options(1).nats_url).await;
    let before = log.end().await.unwrap().get(P);
    let began = Instant::now();
    for index in 0..events {
        let spread = index % (events / 63) == 0;
        let story = match index % 10 {
            _ if spread => &mut sparse,
            0 => &mut large,
            _ => &mut stories[usize::try_from(index).unwrap() % 700],
        };
        story.next(&log, &mut raw, before + 1 + index).await;
    }
    raw.settle(0).await;
    let bytes = log.stored_bytes().await.unwrap();
    writeln!(stderr(), "{events} facts ({} in the large thread), {bytes} B, in {:?}", large.facts, began.elapsed())
        .unwrap();

    truth.restart().await;
    let log = truth.open(1).await;
    let timed = async |name: &str, aggregate, times: usize| {
        let mut took = Vec::new();
        for _ in 0..times {
            let began = Instant::now();
            loaded(&log, aggregate).await;
            took.push(began.elapsed());
        }
        let first = took[0];
        took.sort_unstable();
        writeln!(stderr(), "{name}: first {first:?}, p50 {:?}, p99 {:?}", took[times / 2], took[times * 99 / 100])
            .unwrap();
    };
    timed("63 facts all over the log, no snapshot", sparse.aggregate, 20).await;
    timed("large, no snapshot", large.aggregate, 1).await;
    // The load left a snapshot; it is kept behind the answer.
    while log
        .snapshot::<Thread>(large.aggregate, Thread::SHAPE)
        .await
        .unwrap()
        .is_none_or(|kept| kept.sequence < large.last)
    {}
    timed("large, newest snapshot", large.aggregate, 200).await;
    let newest = log.snapshot::<Thread>(large.aggregate, Thread::SHAPE).await.unwrap().unwrap();
    let facts = log.history_above(large.aggregate, newest.sequence - 700, 1_000).await.unwrap().unwrap();
    let back = &facts[facts.len() - 1 - 63];
    // Which state it has does not matter to how long it takes.
    let older = Snapshot { sequence: back.position.sequence, event_id: back.id, state: newest.state };
    log.keep_snapshot(large.aggregate, Thread::SHAPE, &older).await.unwrap();
    timed("large, a snapshot 63 facts old", large.aggregate, 200).await;
}
