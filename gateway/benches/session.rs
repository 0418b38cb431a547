//! What a frame costs a socket's pure side: a send read and turned into a
//! command by the session, and the frames that answer it and tell it, encoded.

#![expect(dead_code, unused_imports, reason = "the pure side of sockets is compiled in here, and a part of it used")]

#[path = "../src/frame/mod.rs"]
mod frame;
#[path = "../src/session/mod.rs"]
mod session;
#[path = "../src/shapes.rs"]
mod shapes;
#[path = "../src/time.rs"]
mod time;

use crate::{
    frame::ServerFrame,
    session::{Event, Incoming, Limits, Session, Whose},
    time::Time,
};
use axum::extract::ws::Utf8Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use events::{MessageKey, Partition, Position, SessionId, ThreadId, UserId, clock::millis};
use std::{hint::black_box, time::Duration};
use uuid::Uuid;

const ID: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);

/// A session that is live.
fn live() -> Session {
    let mut session = Session::new(Duration::ZERO, Limits::default());
    session.handle_frame(Duration::ZERO, Incoming::Text(r#"{"type":"hello","token":"t"}"#));
    let whose =
        Whose { user_id: UserId::from_uuid(ID), session_id: SessionId::from_uuid(ID), until: Duration::from_mins(5) };
    session.handle_event(Event::Entered { whose, welcome: Utf8Bytes::from_static("welcome") });
    session.handle_event(Event::Attached);
    while session.poll_effect().is_some() {}
    session
}

fn frames(criterion: &mut Criterion) {
    let body = "x".repeat(100);
    let send = format!(r#"{{"type":"send","id":1,"thread_id":"{ID}","key":"{ID}","body":"{body}"}}"#);
    let mut session = live();
    criterion.bench_function("a send through the session", |bencher| {
        bencher.iter(|| {
            session.handle_frame(Duration::from_secs(1), Incoming::Text(black_box(&send)));
            session.poll_effect()
        });
    });
    criterion.bench_function("encode a message frame", |bencher| {
        bencher.iter(|| {
            let frame = ServerFrame::Message {
                thread_id: ThreadId::from_uuid(ID),
                number: 1,
                key: MessageKey::from_uuid(ID),
                sender_id: UserId::from_uuid(ID),
                body: Some(black_box(&body)),
                reply_to: None,
                mentions: &[],
                attachments: Vec::new(),
                sent_at: Time(millis(0)),
                position: Position { partition: Partition(3), sequence: 1_289 },
            };
            frame.encode()
        });
    });
}

criterion_group!(benches, frames);
criterion_main!(benches);
