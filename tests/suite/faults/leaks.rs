//! Nothing after a removal reaches the removed: a member who comes and goes
//! while others write, on two nodes, with views that are held at different
//! checkpoints, and who looks everywhere all the time.

use super::story::Story;
use crate::{
    device::Device,
    harness::{Deployment, Herald},
    people::{Answer, Person},
    socket::client::Client,
};
use events::{Aggregate, Event, Position, ThreadEvent, UserId, Vector, event::Number, log::History};
use futures_util::future::{join_all, select};
use herald::node::Role;
use projection::{Runner, View};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Where the removed looks, and under what name what they see is noted.
const PLACES: [&str; 6] = ["history", "first page", "one message", "thread", "inbox", "search"];
/// Where the thread is found or not, and no message of it.
const OUTSIDE: [&str; 2] = ["members", "receipts"];
/// Times that the goer goes, at least.
const REMOVALS: usize = 6;
/// Reads at once.
const READERS: usize = 3;

struct Scene {
    story: Story,
    deployment: Deployment,
    nodes: [Herald; 2],
    thread: String,
    owner: Person,
    writer: Person,
    goer: Person,
    sent: AtomicUsize,
    reads: AtomicUsize,
    removals: AtomicUsize,
    over: AtomicBool,
    /// Something was written or read, or it is over. All parts run in one task: none misses it.
    progress: Notify,
    /// What the goer saw of the thread: where, and which numbers.
    seen: Mutex<BTreeSet<(&'static str, u64)>>,
    /// Where the receipts lie that others were told of the goer.
    overheard: Mutex<BTreeSet<Position>>,
}

impl Scene {
    async fn open(name: &'static str) -> Self {
        let story = Story::new(name);
        let deployment = Deployment::new().await;
        let edge = [Role::Command, Role::Query, Role::Gateway];
        let nodes = [deployment.node(edge).await, deployment.node(edge).await];
        let owner = Person::sign_up(&nodes[0].url).await;
        let writer = Person::sign_up(&nodes[1].url).await;
        let goer = Person::sign_up(&nodes[0].url).await;
        let thread = owner.create_group(&[&writer, &goer]).await;
        let [sent, reads, removals] = [0; 3].map(AtomicUsize::new);
        let (over, progress, seen) = (AtomicBool::new(false), Notify::new(), Mutex::default());
        let overheard = Mutex::default();
        Self {
            story,
            deployment,
            nodes,
            thread,
            owner,
            writer,
            goer,
            sent,
            reads,
            removals,
            over,
            progress,
            seen,
            overheard,
        }
    }

    fn node(&self) -> &str {
        &self.nodes[self.story.below(2)].url
    }

    fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }

    fn note(&self, place: &'static str, number: &Value) {
        if let Some(number) = number.as_u64() {
            self.seen.lock().unwrap().insert((place, number));
        }
    }

    /// Others write, with an edit and a reaction now and then.
    async fn write(&self) {
        while !self.is_over() {
            let answer = self.writer.at(self.node()).write_in(&self.thread, "not for everybody").await;
            assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
            if self.sent.fetch_add(1, Relaxed).is_multiple_of(8) {
                let message = format!("/v1/threads/{}/messages/{}", self.thread, answer.body["number"]);
                // While a view is held this is refused.
                self.writer.patch(&message, json!({ "body": "neither is this" })).await;
            }
            self.progress.notify_waiters();
        }
    }

    async fn come_and_go(&self) {
        let member = format!("/v1/threads/{}/members/{}", self.thread, self.goer.user_id);
        while !self.is_over() {
            self.some_messages(4 + self.story.below(12)).await;
            let removed = self.owner.at(self.node()).delete(&member).await;
            assert_eq!(removed.status, StatusCode::NO_CONTENT, "{removed:?}");
            self.story.tell(format!("removed at {}", removed.position()));
            self.removals.fetch_add(1, Relaxed);
            self.some_messages(self.story.below(4)).await;
            let looks = PLACES.into_iter().chain(OUTSIDE);
            let looks = looks.map(async |place| (place, self.look(place, Some(removed.position())).await));
            for (place, answer) in join_all(looks).await {
                let found = answer.status == StatusCode::OK
                    && (place != "inbox" || answer.body["threads"] != json!([]))
                    && (place != "search" || answer.body["hits"] != json!([]));
                assert!(!found, "{place} after the removal at {}: {answer:?}", removed.position());
            }
            let added = self.owner.at(self.node()).put(&member, json!({})).await;
            assert_eq!(added.status, StatusCode::NO_CONTENT, "{added:?}");
            self.story.tell(format!("added at {}", added.position()));
        }
    }

    async fn some_messages(&self, more: usize) {
        let until = self.sent.load(Relaxed) + more;
        while self.sent.load(Relaxed) < until && !self.is_over() {
            self.progress.notified().await;
        }
    }

    async fn look(&self, place: &'static str, after: Option<&str>) -> Answer {
        let thread = format!("/v1/threads/{}", self.thread);
        let path = match place {
            "history" => format!("{thread}/messages?limit=100"),
            "first page" => format!("{thread}/messages?after=0&limit=100"),
            // One of the newest, or the one that comes next: what is older is seldom the goer's.
            "one message" => {
                let number = (self.sent.load(Relaxed) + 1).saturating_sub(self.story.below(16));
                format!("{thread}/messages/{number}")
            }
            "thread" => thread,
            "members" | "receipts" => format!("{thread}/{place}"),
            "search" => "/v1/search?q=not+for+everybody&limit=100".to_owned(),
            _ => "/v1/threads".to_owned(),
        };
        let goer = self.goer.at(self.node());
        let answer = match after {
            Some(position) => goer.get_after(position, &path).await,
            None => goer.get(&path).await,
        };
        self.reads.fetch_add(1, Relaxed);
        if answer.status == StatusCode::OK {
            let body = &answer.body;
            body["entries"].as_array().into_iter().flatten().for_each(|entry| {
                if entry["kind"] == "message" {
                    self.note(place, &entry["number"]);
                }
            });
            body["hits"].as_array().into_iter().flatten().for_each(|hit| self.note(place, &hit["number"]));
            if place == "one message" {
                self.note(place, &body["number"]);
            }
            let threads = body["threads"].as_array().into_iter().flatten();
            threads.chain([body]).for_each(|thread| self.note(place, &thread["last_message"]["number"]));
        }
        answer
    }

    /// Looks, now at whatever the views are, now at no less than what the last look had seen.
    async fn read(&self) {
        let mut seen: Option<String> = None;
        while !self.is_over() {
            let after = seen.as_deref().filter(|_| self.story.below(2) == 0);
            let answer = self.look(PLACES[self.story.below(PLACES.len())], after).await;
            if answer.status == StatusCode::OK {
                seen = Some(answer.header("herald-as-of").to_owned());
            }
        }
    }

    /// Polls, wherever.
    async fn poll(&self) {
        let mut cursor = None;
        while !self.is_over() {
            let since = cursor.as_ref().map(|cursor| format!("?since={cursor}")).unwrap_or_default();
            let answer = self.goer.at(self.node()).get(&format!("/v1/sync{since}")).await;
            self.reads.fetch_add(1, Relaxed);
            if answer.status == StatusCode::OK {
                answer.body["frames"].as_array().unwrap().iter().for_each(|frame| self.hear("sync", frame));
                cursor = answer.body["cursor"].as_str().map(ToOwned::to_owned);
            }
        }
    }

    /// Resumes, wherever, and listens a little.
    async fn listen(&self) {
        let mut vector: Option<Vector> = None;
        while !self.is_over() {
            let mut client = Client::hello(&self.goer.at(self.node()), vector.as_ref()).await;
            let mut frames = self.story.below(40);
            while let Ok(frame) = client.next().await {
                self.hear("socket", &frame);
                self.reads.fetch_add(1, Relaxed);
                if frame["type"] == "live" {
                    client.say(&json!({ "type": "ping" })).await;
                }
                if frame["type"] == "pong" {
                    if frames == 0 || self.is_over() {
                        break;
                    }
                    frames -= 1;
                    client.say(&json!({ "type": "ping" })).await;
                }
            }
            vector = Some(client.vector.clone());
        }
    }

    /// The goer says how far they have read, member or not, on nodes that may not know.
    async fn acknowledge(&self) {
        let path = format!("/v1/threads/{}/receipt", self.thread);
        while !self.is_over() {
            let read = 1 + self.story.below(self.sent.load(Relaxed) + 1);
            let answer = self.goer.at(self.node()).put(&path, json!({ "read": read })).await;
            let may_be = [StatusCode::NO_CONTENT, StatusCode::NOT_FOUND, StatusCode::UNPROCESSABLE_ENTITY];
            assert!(may_be.contains(&answer.status), "{answer:?}");
        }
    }

    /// Another member listens to what is told of the goer, on one of the nodes.
    async fn overhear(&self, node: usize) {
        let mut device = Device::of(&self.owner, std::slice::from_ref(&self.nodes[node].url));
        while !self.is_over() {
            let mut next = pin!(device.next());
            let frame = loop {
                tokio::select! {
                    frame = &mut next => break frame,
                    () = self.progress.notified() => if self.is_over() { return },
                }
            };
            if frame["type"] == "receipt" && frame["user_id"] == json!(self.goer.user_id) {
                let position = frame["position"].as_str().map(|position| position.parse::<Position>().unwrap());
                self.overheard.lock().unwrap().extend(position);
            }
        }
    }

    fn hear(&self, place: &'static str, frame: &Value) {
        if frame["type"] == "message" || frame["type"] == "message_edited" {
            self.note(place, &frame["number"]);
        }
    }

    /// Runs the views, and stops one of them now and then.
    async fn hold_views(&self) {
        let run = async |view: View| {
            while !self.is_over() {
                let runner = Runner::new(view, self.deployment.log.clone(), &self.deployment.database_url).unwrap();
                let stop = CancellationToken::new();
                let held = async {
                    self.some_messages(20 + self.story.below(60)).await;
                    stop.cancel();
                    std::future::pending::<()>().await;
                };
                select(pin!(runner.run(stop.clone())), pin!(held)).await;
                self.story.tell(format!("{view} is held"));
                self.some_messages(self.story.below(12)).await;
            }
        };
        join_all(View::ALL.map(run)).await;
    }

    async fn until(&self, reads: usize) {
        while self.reads.load(Relaxed) < reads || self.removals.load(Relaxed) < REMOVALS {
            self.progress.notified().await;
        }
        self.over.store(true, Relaxed);
        self.progress.notify_waiters();
    }

    /// Whether each number that was seen lies in a time in which the goer was a member.
    async fn check(&self) {
        let thread = Aggregate::Thread(self.thread.parse().unwrap());
        let History::Since(facts) = self.deployment.log.history(thread, None).await.unwrap() else { panic!() };
        let goer: UserId = self.goer.user_id.parse().unwrap();
        let (mut is_member, mut removals) = (true, 0);
        let mut visible: BTreeMap<Number, bool> = BTreeMap::new();
        let mut away: Vec<(u64, u64)> = Vec::new();
        for fact in facts {
            match &fact.event {
                Event::Thread(ThreadEvent::MemberRemoved { user_id, .. }) if *user_id == goer => {
                    (is_member, removals) = (false, removals + 1);
                    away.push((fact.position.sequence, u64::MAX));
                }
                Event::Thread(ThreadEvent::MemberAdded { user_id, .. }) if *user_id == goer => {
                    is_member = true;
                    away.last_mut().unwrap().1 = fact.position.sequence;
                }
                Event::Thread(ThreadEvent::MessageSent { number, .. }) => _ = visible.insert(*number, is_member),
                Event::Thread(_) | Event::User(_) | Event::Receipts(_) | Event::Presence(_) | Event::Deployment(_) => {}
            }
        }
        let seen = self.seen.lock().unwrap();
        let leaks: Vec<_> = seen.iter().filter(|(_, number)| !visible[&Number::try_from(*number).unwrap()]).collect();
        let hidden = visible.values().filter(|visible| !**visible).count();
        let (reads, sights) = (self.reads.load(Relaxed), seen.len());
        self.story.announce(format!(
            "{reads} reads, {removals} removals, {} messages, of which {hidden} were not for the removed, {sights} sights",
            visible.len()
        ));
        assert!(leaks.is_empty(), "seen by the removed: {leaks:?}");
        assert!(removals >= REMOVALS && hidden > 0, "nothing was at stake");
        let overheard = self.overheard.lock().unwrap();
        let while_away =
            |position: &&Position| away.iter().any(|(left, back)| (*left..*back).contains(&position.sequence));
        let late: Vec<_> = overheard.iter().filter(while_away).collect();
        assert!(late.is_empty(), "receipts of the removed were told: {late:?}, away {away:?}");
        assert!(!overheard.is_empty(), "no receipt was told");
        let places: BTreeSet<_> = seen.iter().map(|(place, _)| *place).collect();
        assert_eq!(places.len(), PLACES.len() + 2, "nothing was seen in some place: {places:?}");
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.story.tell_all();
        }
    }
}

async fn watched_for(reads: usize, name: &'static str) {
    let scene = Scene::open(name).await;
    tokio::join!(
        scene.hold_views(),
        scene.write(),
        scene.come_and_go(),
        join_all((0..READERS).map(|_| scene.read())),
        scene.poll(),
        scene.listen(),
        scene.acknowledge(),
        Box::pin(scene.overhear(0)),
        Box::pin(scene.overhear(1)),
        scene.until(reads),
    );
    scene.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_after_a_removal_is_seen_by_the_removed() {
    watched_for(4_000, "leaks").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn nothing_after_many_removals_is_seen_in_100_000_reads() {
    watched_for(100_000, "leaks many").await;
}
