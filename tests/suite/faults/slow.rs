//! Somebody to whom a byte a second gets through while a great deal is written:
//! herald holds no more for them than it says, cuts them off, delays nobody else,
//! and tells them what they missed when they come back.

use super::{rig::Rig, story::Story};
use crate::{
    people::Person,
    proxy::Proxy,
    socket::client::Client,
    whole::{history, logged},
};
use events::Vector;
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

const BODY: usize = 32_000;
/// Sockets of the one to whom it is so slow.
const SLOW: usize = 4;
/// Enough to be cut off, and less than is told one by one when they come back.
const FEW: usize = 200;
/// What a herald may come to hold: a ring of 32 MiB, what is under way, and what the allocator keeps.
const MOST: u64 = 96 << 20;
const WINDOW: u32 = 4 << 10;
const IN_TIME: Duration = Duration::from_secs(2);

/// A thread, and those of whom each sees all of it.
struct Crowd {
    ada: Person,
    thread_id: String,
    /// On the same node, and on another.
    quick: [Client; 2],
    seen: [BTreeMap<u64, (String, String)>; 2],
    slowest: Duration,
}

impl Crowd {
    /// Writes so much more, each when all who are quick have got the one before.
    async fn writes(&mut self, messages: usize, mut meanwhile: impl FnMut()) {
        let body = "x".repeat(BODY);
        for _ in 0..messages {
            let began = Instant::now();
            let (sent, frames) = tokio::join!(
                self.ada.write_in(&self.thread_id, &body),
                join_all(self.quick.iter_mut().map(|client| client.expect("message")))
            );
            assert_eq!(sent.status, StatusCode::CREATED, "{sent:?}");
            for (frame, seen) in frames.iter().zip(&mut self.seen) {
                seen.insert(frame["number"].as_u64().unwrap(), said(frame));
            }
            self.slowest = self.slowest.max(began.elapsed());
            meanwhile();
        }
    }
}

fn said(frame: &Value) -> (String, String) {
    let text = |field: &str| frame[field].as_str().unwrap().to_owned();
    (text("key"), text("body"))
}

/// Everything gets through again: each of them is told why it ends.
async fn cut_off(slow: Vec<Client>) -> Vec<(Vector, Vec<Value>)> {
    let mut all = Vec::new();
    for mut client in slow {
        let mut received = Vec::new();
        let closed = loop {
            match client.next().await {
                Ok(frame) => received.push(frame),
                Err(closed) => break closed,
            }
        };
        assert_eq!(closed.code, 1013);
        all.push((client.vector, received));
    }
    all
}

pub(super) async fn read_slowly(story: &Story, messages: usize) {
    let rig = Rig::start(story, 1, 2).await;
    let urls = rig.urls();
    let proxy = Proxy::with_window(&urls[0], Some(WINDOW)).await;
    let people = join_all((0..4).map(|_| Person::sign_up(&urls[0]))).await;
    let [ada, bob, cyd, dan] = people.try_into().ok().unwrap();
    let thread_id = ada.create_group(&[&bob, &cyd, &dan]).await;
    let quick = [Client::live(&cyd).await, Client::live(&dan.at(&urls[1])).await];
    let seen = [BTreeMap::new(), BTreeMap::new()];
    let mut crowd = Crowd { ada: ada.clone(), thread_id: thread_id.clone(), quick, seen, slowest: Duration::ZERO };
    let through_proxy = bob.at(&proxy.url(&urls[0]));
    let slow = async || join_all((0..SLOW).map(|_| Client::live(&through_proxy))).await;

    let slow_ones = slow().await;
    proxy.trickle();
    crowd.writes(FEW, || {}).await;
    proxy.calm();
    for (vector, mut received) in cut_off(slow_ones).await {
        assert!(received.len() < FEW, "a byte a second cannot be so much");
        let mut again = Client::hello(&bob, Some(&vector)).await;
        received.extend(again.until("live").await);
        let told: BTreeMap<_, _> =
            received.iter().map(|frame| (frame["number"].as_u64().unwrap(), said(frame))).collect();
        assert_eq!(told.len(), received.len(), "something came twice");
        assert_eq!(told, crowd.seen[0]);
    }

    let slow_ones = slow().await;
    proxy.trickle();
    let (before, mut most) = (rig.resident(0), 0);
    crowd.writes(messages, || most = most.max(rig.resident(0))).await;
    let more = most.saturating_sub(before);
    for client in slow_ones {
        // What they missed by now is more than is told one by one: they reload.
        let mut again = Client::hello(&bob, Some(&client.vector)).await;
        again.expect("reset").await;
    }
    let (ledger, [quick, other]) = (logged(&rig.log().await, &thread_id).await, crowd.seen);
    assert_eq!(ledger.len(), FEW + messages);
    assert!(quick == ledger && other == ledger, "what was told is not what is in the log");
    rig.settled().await;
    assert!(history(&bob, &thread_id, "").await == ledger, "history is not the log");
    let (more, slowest) = (more >> 20, crowd.slowest);
    story.announce(format!("{messages} messages of {BODY} B past {SLOW} slow sockets: {more} MiB more, {slowest:?}"));
    assert!(more << 20 < MOST, "{more} MiB more than before");
    assert!(slowest < IN_TIME, "others waited {slowest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_a_byte_a_second_costs_little_delays_nobody_and_resumes() {
    read_slowly(&Story::new("slow"), 600).await;
}
