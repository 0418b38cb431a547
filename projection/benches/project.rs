//! What it costs to turn a batch of messages into rows of each view, before any
//! database sees them.

#![expect(dead_code, reason = "the views' pure side is compiled in here, and only its projecting is used")]

#[path = "../src/figures.rs"]
mod figures;
#[path = "../src/inbox.rs"]
mod inbox;
#[path = "../src/membership.rs"]
mod membership;
#[path = "../src/projection.rs"]
mod projection;
#[path = "../src/search.rs"]
mod search;
#[path = "../src/sketch.rs"]
mod sketch;
#[path = "../src/timeline.rs"]
mod timeline;

use crate::{figures::Figures, inbox::Inbox, projection::Projection, search::Search, timeline::Timeline};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use events::{
    Aggregate, Envelope, EventId, MessageKey, Partition, Position, Text, ThreadEvent, ThreadId, UserId, clock::millis,
    envelope::Draft,
};
use std::hint::black_box;
use uuid::Uuid;

/// As many as a runner takes at most.
const BATCH: u32 = 5_000;
const THREADS: u32 = 100;

fn facts() -> Vec<Envelope> {
    (0..BATCH).map(fact).collect()
}

fn fact(index: u32) -> Envelope {
    let id = |kind: u128, index: u32| Uuid::from_u128((kind << 64) | u128::from(index));
    let thread = index % THREADS;
    let event = ThreadEvent::MessageSent {
        number: index / THREADS + 1,
        key: MessageKey::from_uuid(id(1, index)),
        body: Text::new(&"x".repeat(100)),
        reply_to: None,
        opens: None,
        mentions: Vec::new(),
        attachments: Vec::new(),
    };
    let draft = Draft {
        aggregate: Aggregate::Thread(ThreadId::from_uuid(id(2, thread))),
        id: EventId::from_uuid(id(3, index)),
        by: Some(UserId::from_uuid(id(4, thread))),
        at: millis(0),
        event: event.into(),
    };
    draft.into_envelope(Position { partition: Partition(0), sequence: u64::from(index) + 1 }, None)
}

fn project<P: Projection>(facts: &[Envelope]) -> P {
    let mut writes = P::default();
    for fact in facts {
        writes.project(fact);
    }
    writes
}

fn views(criterion: &mut Criterion) {
    let facts = facts();
    let mut group = criterion.benchmark_group("project a batch");
    group.throughput(Throughput::Elements(BATCH.into()));
    group.bench_function("timeline", |bencher| bencher.iter(|| project::<Timeline>(black_box(&facts))));
    group.bench_function("inbox", |bencher| bencher.iter(|| project::<Inbox>(black_box(&facts))));
    group.bench_function("search", |bencher| bencher.iter(|| project::<Search>(black_box(&facts))));
    group.bench_function("figures", |bencher| bencher.iter(|| project::<Figures>(black_box(&facts))));
    group.finish();
}

criterion_group!(benches, views);
criterion_main!(benches);
