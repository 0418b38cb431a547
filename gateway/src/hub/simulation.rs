//! The seam, simulated: a log, a hub, a view that lags or runs ahead, people who
//! come and go in groups, clients that come, are cut off at any point and come
//! back with the vector they kept.

use super::{
    attaching::{Missed, Reach},
    outbox::Outbox,
    ring::Ring,
    simulated_log::{GROUPS, Log, PARTITIONS, PEOPLE, SMALL, Sequences, direct, group, partition_of, session, user},
    state::{Guest, SeatId, State},
    told::Said,
};
use events::{Partition, Position, ThreadId, Vector};
use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use serde_json::Value;
use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

/// What a client keeps across its connections.
struct Client {
    person: u8,
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
    gathered: Option<(Vec<Said>, Vector)>,
    live: bool,
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
    Write {
        by: u8,
        group: u8,
    },
    Amend {
        by: u8,
        to: u8,
        in_group: Option<u8>,
        back: u32,
        how: u8,
    },
    /// The group is created, or somebody comes or goes.
    Turn {
        group: u8,
        by: u8,
        who: u8,
    },
    Read {
        by: u8,
        partition: u16,
    },
    Keep {
        by: u8,
        other: u8,
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
    /// The view is asked how large the threads are of which the hub does not know it.
    Size,
    Come {
        client: usize,
    },
    /// What was missed is gathered, and later goes live.
    Gather {
        client: usize,
    },
    GoLive {
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

/// What could be wrong with a hub, to see that it would be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    /// A view that does not know of a removal undoes it.
    ForgetsWhoLeft,
    /// What came and went since the view is not counted.
    BelievesOldSizes,
    /// What happened while it was gathered is not sent.
    LosesWhatCameMeanwhile,
}

pub(super) struct World {
    pub(super) log: Log,
    pub(super) hub: State,
    heard: Sequences,
    applied: Sequences,
    clients: Vec<Client>,
    in_flight: Vec<VecDeque<Value>>,
    bug: Option<Bug>,
}

fn vector(sequences: Sequences) -> Vector {
    let position = |(partition, sequence)| Position { partition: Partition(partition), sequence };
    (0..PARTITIONS).zip(sequences).map(position).collect()
}

impl World {
    pub(super) fn new(clients: usize) -> Self {
        let mut hub = State::default();
        for partition in 0..PARTITIONS {
            hub.follow(Partition(partition), Ring::starting_after(0));
        }
        hub.rooms.small_up_to(SMALL);
        let client = |index: usize| Client {
            person: u8::try_from(index).unwrap() % PEOPLE,
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
            in_flight: vec![VecDeque::new(); clients],
            bug: None,
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Send { by, to, only_open } => self.log.send(by, to, only_open),
            Step::Write { by, group: index } => self.log.write(by, group(index)),
            Step::Amend { by, to, in_group, back, how } => {
                self.log.amend(by, in_group.map_or_else(|| direct(by, to), group), back, how);
            }
            Step::Turn { group, by, who } => self.log.turn(group, by, who),
            Step::Read { by, partition } => self.log.read(by, partition),
            Step::Keep { by, other, partition } => self.log.keep(by, other, partition),
            Step::Hear { partition, count } => self.hear(partition, count),
            Step::Apply { partition, count } => {
                let partition = usize::from(partition);
                self.applied[partition] = (self.applied[partition] + count).min(self.log.end()[partition]);
            }
            Step::Size => self.size(),
            Step::Come { client } => self.come(client),
            Step::Gather { client } => self.gather(client),
            Step::GoLive { client } => self.go_live(client),
            Step::Receive { client, count, cut } => self.receive(client, count, cut),
            Step::Ping { client } => {
                if let Some(connection) = self.clients[client].connection.as_ref().filter(|known| known.live) {
                    self.hub.pong(connection.seat);
                }
            }
        }
        self.check();
    }

    pub(super) fn hear(&mut self, partition: u16, count: usize) {
        let heard = &mut self.heard[usize::from(partition)];
        let news = self.log.partitions[usize::from(partition)].iter().skip(usize::try_from(*heard).unwrap());
        for fact in news.take(count) {
            self.hub.dispatch(fact);
            *heard += 1;
        }
    }

    fn size(&mut self) {
        for (thread_id, member) in self.hub.rooms.of_unknown_size() {
            let partition = partition_of(thread_id);
            let applied = self.applied[usize::from(partition)];
            if self.log.is_member(thread_id, member, applied) {
                self.hub.sized(thread_id, Partition(partition), self.log.size(thread_id, applied), applied);
            }
        }
    }

    fn come(&mut self, client: usize) {
        let client = &mut self.clients[client];
        if client.connection.is_none() {
            let outbox = Arc::new(Outbox::default());
            let seat = self.hub.enter(user(client.person), session(0), Guest::Socket, Arc::clone(&outbox));
            let entered = self.hub.vector();
            client.connection = Some(Connection { seat, outbox, entered, gathered: None, live: false });
        }
    }

    fn gather(&mut self, client: usize) {
        let client = &mut self.clients[client];
        let Some(connection) = client.connection.as_mut().filter(|connection| !connection.live) else { return };
        let applied = vector(self.applied);
        if !applied.covers(&connection.entered) {
            return;
        }
        if client.vector.is_none() {
            client.vector = Some(connection.entered.clone());
            client.since = connection.entered.clone();
        }
        let joined = self.log.memberships(client.person, self.applied);
        let person = user(client.person);
        if self.bug == Some(Bug::ForgetsWhoLeft) {
            let stays = self.hub.people.get_mut(&person).unwrap().stays.values_mut();
            stays.for_each(|stay| stay.left = 0);
        }
        let as_of = if self.bug == Some(Bug::BelievesOldSizes) { self.hub.vector() } else { applied };
        self.hub.learn(person, &joined, &as_of);
        let from = client.vector.as_ref().unwrap();
        assert_eq!(self.hub.reach(from), Reach::Whole);
        let run = self.hub.run(person, from).unwrap();
        for said in run.said() {
            assert_up_to_date(&self.log, &serde_json::from_str(&said.frame).unwrap(), run.upto());
        }
        connection.gathered = Some((run.said(), run.upto().clone()));
    }

    fn go_live(&mut self, client: usize) {
        let Some(connection) = self.clients[client].connection.as_mut() else { return };
        let Some((said, mut upto)) = connection.gathered.take() else { return };
        if self.bug == Some(Bug::LosesWhatCameMeanwhile) {
            upto = self.hub.vector();
        }
        self.hub.go_live(connection.seat, Missed::Said { said, upto }).unwrap();
        connection.live = true;
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

    /// Nobody is in a room who is no member of its thread, and who knows a size knows the right one.
    fn check(&self) {
        for thread_id in self.log.threads() {
            let heard = self.heard[usize::from(partition_of(thread_id))];
            for present in self.hub.rooms.present(thread_id) {
                assert!(self.log.is_member(thread_id, present, heard), "{present} is still in {thread_id}");
            }
            if let Some(size) = self.hub.rooms.size(thread_id) {
                assert_eq!(size.members, self.log.size(thread_id, size.counted.max(heard)), "members of {thread_id}");
            }
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
            self.gather(client);
            self.go_live(client);
            self.step(&Step::Ping { client });
            self.receive(client, usize::MAX, false);
        }
        self.size();
        self.check();
        assert_eq!(self.hub.rooms.of_unknown_size(), []);
        for client in &self.clients {
            let is_new = |&(partition, sequence): &(u16, u64)| sequence > client.since.get(Partition(partition));
            let (must, may) = self.log.concerns(client.person);
            let must: BTreeSet<_> = must.into_iter().filter(is_new).collect();
            let may: BTreeSet<_> = may.into_iter().filter(is_new).collect();
            let received: BTreeSet<_> = client.received.iter().copied().collect();
            assert_eq!(received.len(), client.received.len(), "something came twice");
            assert_eq!(must.difference(&received).collect::<Vec<_>>(), Vec::<&(u16, u64)>::new(), "was never told");
            assert_eq!(
                received.difference(&may).collect::<Vec<_>>(),
                Vec::<&(u16, u64)>::new(),
                "is nothing of theirs"
            );
            assert_eq!(client.vector, Some(self.hub.vector()));
        }
    }
}

/// What was deleted when it was gathered is told without its text.
fn assert_up_to_date(log: &Log, frame: &Value, upto: &Vector) {
    if !["message", "message_edited"].contains(&frame["type"].as_str().unwrap()) {
        return;
    }
    let thread_id: ThreadId = frame["thread_id"].as_str().unwrap().parse().unwrap();
    let number = u32::try_from(frame["number"].as_u64().unwrap()).unwrap();
    let position: Position = frame["position"].as_str().unwrap().parse().unwrap();
    let deleted = log.is_deleted(thread_id, number, position.sequence, upto.get(position.partition));
    assert_eq!(frame["body"].is_null(), deleted, "{frame}");
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let pair = || (0..PEOPLE, 1..PEOPLE).prop_map(|(by, distance)| (by, (by + distance) % PEOPLE));
    let client = || 0..CLIENTS;
    let group = || 0..GROUPS;
    let step = prop_oneof![
        4 => (pair(), any::<bool>()).prop_map(|((by, to), only_open)| Step::Send { by, to, only_open }),
        4 => (0..PEOPLE, group()).prop_map(|(by, group)| Step::Write { by, group }),
        3 => (pair(), prop::option::of(group()), 0..4_u32, 0..4_u8)
            .prop_map(|((by, to), in_group, back, how)| Step::Amend { by, to, in_group, back, how }),
        6 => (group(), 0..PEOPLE, 0..PEOPLE).prop_map(|(group, by, who)| Step::Turn { group, by, who }),
        2 => (0..PEOPLE, 0..PARTITIONS).prop_map(|(by, partition)| Step::Read { by, partition }),
        1 => (pair(), 0..PARTITIONS).prop_map(|((by, other), partition)| Step::Keep { by, other, partition }),
        5 => (0..PARTITIONS, 1..5_usize).prop_map(|(partition, count)| Step::Hear { partition, count }),
        5 => (0..PARTITIONS, 1..7_u64).prop_map(|(partition, count)| Step::Apply { partition, count }),
        1 => Just(Step::Size),
        3 => client().prop_map(|client| Step::Come { client }),
        4 => client().prop_map(|client| Step::Gather { client }),
        4 => client().prop_map(|client| Step::GoLive { client }),
        3 => (client(), 0..5_usize, any::<bool>()).prop_map(|(client, count, cut)| Step::Receive { client, count, cut }),
        1 => client().prop_map(|client| Step::Ping { client }),
    ];
    prop::collection::vec(step, 1..160)
}

/// Of five people; three of them have two devices.
const CLIENTS: usize = 8;

fn simulate(steps: &[Step], bug: Option<Bug>) {
    let mut world = World { bug, ..World::new(CLIENTS) };
    for step in steps {
        world.step(step);
    }
    world.settle();
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(1_000))]

    #[test]
    fn nobody_misses_anything_hears_it_twice_or_hears_what_is_not_theirs(steps in steps()) {
        simulate(&steps, None);
    }
}

/// A simulation that finds nothing wrong is worth what it would find.
#[test]
fn the_simulation_finds_bugs_that_were_put_in_on_purpose() {
    for bug in [Bug::ForgetsWhoLeft, Bug::BelievesOldSizes, Bug::LosesWhatCameMeanwhile] {
        let config = ProptestConfig { max_shrink_iters: 0, ..config(1_000) };
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let found = runner.run(&steps(), |steps| {
            simulate(&steps, Some(bug));
            Ok(())
        });
        assert!(found.is_err(), "{bug:?} is not found");
    }
}
