//! What it costs to seal a message and write it as the log stores it.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use events::{
    Aggregate, EventId, MessageKey, Text, ThreadEvent, ThreadId, UserId, clock::millis, envelope::Draft,
    seal::AuthorKey,
};
use std::hint::black_box;
use uuid::Uuid;

fn message(length: usize) -> Draft {
    let id = Uuid::from_u128(7);
    let body = Text::new(&"x".repeat(length));
    let event = ThreadEvent::MessageSent {
        number: 1,
        key: MessageKey::from_uuid(id),
        body,
        reply_to: None,
        opens: None,
        mentions: vec![],
        attachments: Vec::new(),
    };
    Draft {
        aggregate: Aggregate::Thread(ThreadId::from_uuid(id)),
        id: EventId::from_uuid(id),
        by: Some(UserId::from_uuid(id)),
        at: millis(0),
        event: event.into(),
    }
}

fn encode(criterion: &mut Criterion) {
    let key = AuthorKey::new(&[7; AuthorKey::BYTES]);
    let mut group = criterion.benchmark_group("encode a message");
    for length in [30, 100, 1_000, 32_768] {
        let draft = message(length);
        group.throughput(Throughput::Bytes(u64::try_from(length).expect("lengths are small")));
        group.bench_function(format!("{length} B"), |bencher| {
            bencher.iter(|| black_box(&draft).encode(Some(&key), None).expect("the author's key is there"));
        });
    }
    group.finish();
}

criterion_group!(benches, encode);
criterion_main!(benches);
