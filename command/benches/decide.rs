//! What a decision costs: a send into a thread that remembers all the sends it
//! can, decided and taken in.

use command::{
    Decider, Fact,
    thread::{Command, Content, Send, Thread},
};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use events::{MessageKey, Text, ThreadEvent, UserId, clock::millis};
use std::hint::black_box;
use uuid::Uuid;

const ADA: UserId = UserId::from_uuid(Uuid::from_u128(1));
const BOB: UserId = UserId::from_uuid(Uuid::from_u128(2));
/// More than a thread remembers.
const BUSY: u64 = 1_000;

fn send(number: u64) -> Command {
    let key = MessageKey::from_uuid(Uuid::from_u128(number.into()));
    let body = "x".repeat(100);
    Command::Send(Send {
        by: ADA,
        key,
        content: Content::of(key, &body, None, []),
        body: Text::new(&body),
        reply_to: None,
        opens: None,
        mentions: Vec::new(),
        attachments: Some(Vec::new()),
        absent_as_of: None,
    })
}

fn take(thread: &mut Thread, sequence: u64, event: &ThreadEvent) {
    thread.evolve(Fact { sequence, by: Some(ADA), at: millis(0), event });
}

fn busy() -> Thread {
    let mut thread = Thread::default();
    take(&mut thread, 1, &ThreadEvent::DirectOpened { peer: BOB });
    for number in 1..=BUSY {
        let event = thread.decide(&send(number)).expect("a member may send").expect("each key is new");
        take(&mut thread, number + 1, &event);
    }
    thread
}

fn decide(criterion: &mut Criterion) {
    let thread = busy();
    let next = send(BUSY + 1);
    criterion.bench_function("decide a send", |bencher| bencher.iter(|| black_box(thread.decide(black_box(&next)))));
    let event = thread.decide(&next).expect("a member may send").expect("the key is new");
    criterion.bench_function("take a message in", |bencher| {
        bencher.iter_batched_ref(
            || thread.clone(),
            |thread| take(thread, BUSY + 2, black_box(&event)),
            BatchSize::SmallInput,
        );
    });
    let again = send(BUSY);
    criterion.bench_function("decide a send that was sent", |bencher| {
        bencher.iter(|| black_box(thread.decide(black_box(&again))));
    });
}

criterion_group!(benches, decide);
criterion_main!(benches);
