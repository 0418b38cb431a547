//! The seam, simulated: a log, a hub, a view that lags or runs ahead, clients that
//! come, are cut off at any point and come back with the vector they kept.

use super::{
    audience::{Opening, opening},
    outbox::Outbox,
    ring::Ring,
    state::{Joined, SeatId, State},
};
use events::{
    Aggregate, Envelope, Event, EventId, MessageKey, Partition, Position, SessionId, Text, ThreadEvent, ThreadId,
    UserId, Vector,
    clock::millis,
    event::{Receipt, ReceiptEvent},
};
use proptest::prelude::*;
use serde_json::Value;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};
use uuid::Uuid;

pub(super) const PARTITIONS: u16 = 2;
pub(super) const PEOPLE: u8 = 4;

pub(super) fn user(index: u8) -> UserId {
    UserId::from_uuid(Uuid::from_u128(u128::from(index) + 1))
}

pub(super) fn session(index: u8) -> SessionId {
    SessionId::from_uuid(Uuid::from_u128(0x1000 + u128::from(index)))
}

/// A log that is written to, and read up to where each reader has come.
#[derive(Default)]
pub(super) struct Log {
    partitions: [Vec<Arc<Envelope>>; PARTITIONS as usize],
    numbers: HashMap<ThreadId, u32>,
}

impl Log {
    pub(super) fn append(&mut self, partition: u16, aggregate: Aggregate, by: Option<UserId>, event: Event) {
        let events = &mut self.partitions[usize::from(partition)];
        let position = Position { partition: Partition(partition), sequence: events.len() as u64 + 1 };
        let id = EventId::from_uuid(Uuid::nil());
        events.push(Arc::new(Envelope { position, aggregate, id, by, at: millis(0), trace: None, event }));
    }

    pub(super) fn thread(one: u8, other: u8) -> (u16, ThreadId) {
        let thread_id = ThreadId::direct(user(one), user(other));
        (u16::try_from(thread_id.uuid().as_u128() % u128::from(PARTITIONS)).unwrap(), thread_id)
    }

    pub(super) fn send(&mut self, by: u8, to: u8, only_open: bool) {
        let (partition, thread_id) = Self::thread(by, to);
        let known = self.numbers.contains_key(&thread_id);
        let number = self.numbers.entry(thread_id).or_default();
        let event = if only_open && !known {
            ThreadEvent::DirectOpened { peer: user(to) }
        } else {
            *number += 1;
            let (number, key) = (*number, MessageKey::from_uuid(Uuid::nil()));
            let opens = (!known).then(|| user(to));
            ThreadEvent::MessageSent { number, key, body: Text::new("hi"), reply_to: None, opens }
        };
        self.append(partition, Aggregate::Thread(thread_id), Some(user(by)), event.into());
    }

    /// One fact for all threads of a partition that are there.
    pub(super) fn read(&mut self, by: u8, partition: u16) {
        let threads: BTreeSet<_> = (0..PEOPLE).filter(|&to| to != by).map(|to| Self::thread(by, to)).collect();
        let receipts: Vec<_> = threads
            .into_iter()
            .filter(|(of, thread_id)| *of == partition && self.numbers.contains_key(thread_id))
            .map(|(_, thread_id)| Receipt { thread_id, user_id: user(by), delivered: 1, read: 1 })
            .collect();
        let aggregate = Aggregate::Receipts(Partition(partition));
        self.append(partition, aggregate, None, ReceiptEvent::ReceiptsAdvanced { receipts }.into());
    }

    fn end(&self) -> [u64; PARTITIONS as usize] {
        self.partitions.each_ref().map(|events| events.len() as u64)
    }

    /// A person's threads as a view has them that has come to a vector.
    pub(super) fn memberships(&self, of: UserId, applied: [u64; PARTITIONS as usize]) -> Vec<Joined> {
        let facts = self
            .partitions
            .iter()
            .zip(applied)
            .flat_map(|(events, applied)| events.iter().take(usize::try_from(applied).unwrap()));
        facts
            .filter_map(|fact| {
                let Opening { thread_id, members } = opening(fact)?;
                let sequence = fact.position.sequence;
                members.contains(&of).then_some(Joined { thread_id, sequence, size: 2 })
            })
            .collect()
    }

    /// The positions of all that a person must hear of.
    fn concerns(&self, of: UserId) -> BTreeSet<(u16, u64)> {
        let mut threads = BTreeSet::new();
        let mut concerns = BTreeSet::new();
        for fact in self.partitions.iter().flatten() {
            if let Some(Opening { thread_id, members }) = opening(fact)
                && members.contains(&of)
            {
                threads.insert(thread_id);
            }
            let heard = match (&fact.event, fact.aggregate) {
                (Event::Thread(_), Aggregate::Thread(thread_id)) => threads.contains(&thread_id),
                (Event::Receipts(ReceiptEvent::ReceiptsAdvanced { receipts }), _) => {
                    receipts.iter().any(|receipt| threads.contains(&receipt.thread_id))
                }
                (Event::Thread(_) | Event::User(_), _) => false,
            };
            if heard {
                concerns.insert((fact.position.partition.0, fact.position.sequence));
            }
        }
        concerns
    }
}

/// What a client keeps across its connections.
struct Client {
    user_id: UserId,
    vector: Option<Vector>,
    /// What it had when it first came: nothing up to there is sent.
    since: Vector,
    received: Vec<(u16, u64)>,
    connection: Option<Connection>,
}

struct Connection {
    seat: SeatId,
    outbox: Arc<Outbox>,
    entered: Vector,
    attached: bool,
}

impl Client {
    fn process(&mut self, frame: &Value) {
        let text = |field: &str| frame[field].as_str().map(ToOwned::to_owned);
        match frame["type"].as_str().unwrap() {
            "live" => self.vector = Some(text("vector").unwrap().parse().unwrap()),
            "reset" => panic!("a reset where the ring holds everything"),
            "pong" => {
                let vector: Vector = text("vector").unwrap().parse().unwrap();
                let own = self.vector.as_ref().expect("a pong comes after live");
                assert!(vector.covers(own));
                self.vector = Some(vector);
            }
            _ => {
                let Some(position) = text("position") else { return };
                let position: Position = position.parse().unwrap();
                let vector = self.vector.as_mut().expect("a frame comes after welcome");
                assert!(position.sequence > vector.get(position.partition), "{position} again, or out of order");
                vector.raise(position);
                self.received.push((position.partition.0, position.sequence));
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Send {
        by: u8,
        to: u8,
        only_open: bool,
    },
    Read {
        by: u8,
        partition: u16,
    },
    /// The hub hears some more.
    Hear {
        partition: u16,
        count: usize,
    },
    /// The view applies some more.
    Apply {
        partition: u16,
        count: u64,
    },
    Come {
        client: usize,
    },
    Attach {
        client: usize,
    },
    /// The client processes some frames, then may be cut off: what is in flight is lost.
    Receive {
        client: usize,
        count: usize,
        cut: bool,
    },
    Ping {
        client: usize,
    },
}

pub(super) struct World {
    pub(super) log: Log,
    pub(super) hub: State,
    heard: [u64; PARTITIONS as usize],
    applied: [u64; PARTITIONS as usize],
    clients: Vec<Client>,
    in_flight: Vec<std::collections::VecDeque<Value>>,
}

impl World {
    pub(super) fn new(clients: usize) -> Self {
        let mut hub = State::default();
        for partition in 0..PARTITIONS {
            hub.follow(Partition(partition), Ring::starting_after(0));
        }
        let client = |index: usize| Client {
            user_id: user(u8::try_from(index).unwrap() % PEOPLE),
            vector: None,
            since: Vector::default(),
            received: Vec::new(),
            connection: None,
        };
        Self {
            log: Log::default(),
            hub,
            heard: [0; 2],
            applied: [0; 2],
            clients: (0..clients).map(client).collect(),
            in_flight: vec![std::collections::VecDeque::new(); clients],
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Send { by, to, only_open } => self.log.send(by, to, only_open),
            Step::Read { by, partition } => self.log.read(by, partition),
            Step::Hear { partition, count } => self.hear(partition, count),
            Step::Apply { partition, count } => {
                let partition = usize::from(partition);
                self.applied[partition] = (self.applied[partition] + count).min(self.log.end()[partition]);
            }
            Step::Come { client } => self.come(client),
            Step::Attach { client } => self.attach(client),
            Step::Receive { client, count, cut } => self.receive(client, count, cut),
            Step::Ping { client } => {
                if let Some(connection) = self.clients[client].connection.as_ref().filter(|known| known.attached) {
                    self.hub.pong(connection.seat);
                }
            }
        }
    }

    pub(super) fn hear(&mut self, partition: u16, count: usize) {
        let heard = &mut self.heard[usize::from(partition)];
        let news = self.log.partitions[usize::from(partition)].iter().skip(usize::try_from(*heard).unwrap());
        for fact in news.take(count) {
            self.hub.dispatch(fact);
            *heard += 1;
        }
    }

    fn come(&mut self, client: usize) {
        let client = &mut self.clients[client];
        if client.connection.is_none() {
            let outbox = Arc::new(Outbox::default());
            let seat = self.hub.enter(client.user_id, session(0), Arc::clone(&outbox));
            let entered = self.hub.vector();
            client.connection = Some(Connection { seat, outbox, entered, attached: false });
        }
    }

    fn attach(&mut self, client: usize) {
        let client = &mut self.clients[client];
        let Some(connection) = client.connection.as_mut().filter(|connection| !connection.attached) else { return };
        let applied: Vector = (0..PARTITIONS)
            .map(|partition| Position {
                partition: Partition(partition),
                sequence: self.applied[usize::from(partition)],
            })
            .collect();
        if !applied.covers(&connection.entered) {
            return;
        }
        if client.vector.is_none() {
            client.vector = Some(connection.entered.clone());
            client.since = connection.entered.clone();
        }
        let joined = self.log.memberships(client.user_id, self.applied);
        self.hub.attach(connection.seat, &joined, client.vector.as_ref().unwrap());
        connection.attached = true;
    }

    fn receive(&mut self, index: usize, count: usize, cut: bool) {
        let client = &mut self.clients[index];
        let Some(connection) = &client.connection else { return };
        let in_flight = &mut self.in_flight[index];
        in_flight.extend(connection.outbox.take().iter().map(|frame| serde_json::from_str(frame).unwrap()));
        let count = count.min(in_flight.len());
        let (seat, ended) = (connection.seat, connection.outbox.ended().is_some());
        in_flight.drain(..count).for_each(|frame| client.process(&frame));
        if cut || ended {
            self.hub.leave(seat);
            client.connection = None;
            in_flight.clear();
        }
    }

    /// Everything comes to rest, everybody comes back; then each has received all that concerns them, once.
    fn settle(mut self) {
        for partition in 0..PARTITIONS {
            self.hear(partition, usize::MAX);
        }
        self.applied = self.log.end();
        for client in 0..self.clients.len() {
            self.come(client);
            self.attach(client);
            self.step(&Step::Ping { client });
            self.receive(client, usize::MAX, false);
        }
        for client in &self.clients {
            let expected: BTreeSet<_> = self
                .log
                .concerns(client.user_id)
                .into_iter()
                .filter(|&(partition, sequence)| sequence > client.since.get(Partition(partition)))
                .collect();
            let received: BTreeSet<_> = client.received.iter().copied().collect();
            assert_eq!(received.len(), client.received.len(), "something came twice");
            assert_eq!(received, expected);
            assert_eq!(client.vector, Some(self.hub.vector()));
        }
    }
}

fn step(clients: usize) -> impl Strategy<Value = Step> {
    let pair = (0..PEOPLE, 1..PEOPLE).prop_map(|(by, distance)| (by, (by + distance) % PEOPLE));
    prop_oneof![
        4 => (pair, any::<bool>()).prop_map(|((by, to), only_open)| Step::Send { by, to, only_open }),
        2 => (0..PEOPLE, 0..PARTITIONS).prop_map(|(by, partition)| Step::Read { by, partition }),
        4 => (0..PARTITIONS, 1..4_usize).prop_map(|(partition, count)| Step::Hear { partition, count }),
        4 => (0..PARTITIONS, 1..6_u64).prop_map(|(partition, count)| Step::Apply { partition, count }),
        3 => (0..clients).prop_map(|client| Step::Come { client }),
        4 => (0..clients).prop_map(|client| Step::Attach { client }),
        3 => (0..clients, 0..5_usize, any::<bool>()).prop_map(|(client, count, cut)| Step::Receive { client, count, cut }),
        1 => (0..clients).prop_map(|client| Step::Ping { client }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Six clients of four people: two of them have two devices.
    #[test]
    fn nobody_misses_anything_or_hears_it_twice(steps in prop::collection::vec(step(6), 1..120)) {
        let mut world = World::new(6);
        for step in &steps {
            world.step(step);
        }
        world.settle();
    }
}
