//! Who may do what in NATS, as `deploy/nats/accounts.conf` says: each role's node
//! works as its own user, and what nobody is granted, nobody can do.

use super::client::{Answer, Client};
use crate::{
    harness::{folder, program},
    people::Person,
    process::{Process, free_address},
};
use events::{
    Aggregate, EventLog, ThreadId, UserId, Vector,
    log::{READERS, Reading},
};
use herald::embedded::{self, Apart, User};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

/// For nodes to be ready, on a slow machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A log with something in it, written by the users of its roles.
struct Deployment {
    apart: Apart,
    log: EventLog,
    ada: Person,
    thread_id: ThreadId,
    _servers: [Child; 2],
    nodes: [Process; 2],
}

impl Deployment {
    async fn start(name: &str) -> Self {
        let apart = Apart::find(&options(folder(name))).await.unwrap();
        let servers = [apart.start_nats(0).await.unwrap(), apart.start_postgres().await.unwrap()];
        let database_url = apart.database_url().unwrap();
        let files = folder(name).join("files").display().to_string();
        let node = |role: &str, user: User| {
            let nats_url = apart.nats_url_of(user);
            let of_role = ["serve", "--role", role, "--nats-url", &nats_url];
            let of_all = ["--database-url", &database_url, "--durability", "unsynced", "--attachments", &files];
            Process::launch(&program(), &[&of_role[..], &of_all].concat(), free_address())
        };
        let nodes = [node("command,query,gateway", User::Edge), node("projection", User::Projection)];
        let ready = format!("{}/readyz", nodes[0].url);
        let status = async || reqwest::get(&ready).await.map(|answer| answer.status()).ok();
        let until_ready = async { while status().await != Some(StatusCode::OK) {} };
        let said = || (nodes[0].said().lines(), nodes[1].said().lines());
        timeout(PATIENCE, until_ready).await.unwrap_or_else(|_| panic!("not ready: {:#?}", said()));
        let (ada, bob) = (Person::sign_up(&nodes[0].url).await, Person::sign_up(&nodes[0].url).await);
        let sent = ada.write(&bob, "over fences").await;
        // Read from the view: the other node has applied it.
        let inbox = bob.get_after(sent.position(), "/v1/threads").await;
        assert_eq!(inbox.body["threads"][0]["last_message"]["body"], "over fences");
        let log = EventLog::attend(&apart.nats_url()).await.unwrap();
        let thread_id = sent.body["thread_id"].as_str().unwrap().parse().unwrap();
        Self { apart, log, ada, thread_id, _servers: servers, nodes }
    }

    async fn client(&self, user: User) -> Client {
        Client::connect(&self.apart.nats_url_of(user)).await
    }

    fn thread(&self) -> String {
        self.log.names().subject(Aggregate::Thread(self.thread_id))
    }

    /// A user's key, as NATS has it.
    fn key(&self) -> (String, String) {
        let ada: UserId = self.ada.user_id.parse().unwrap();
        let stream = format!("KV_KEYS_{}", self.log.names().partition(ada.uuid()));
        (stream.clone(), format!("$KV.{}.{ada}", stream.strip_prefix("KV_").unwrap()))
    }

    /// All that must be the same whatever somebody tried: the log's end, and Ada's key.
    async fn state(&self) -> (Vector, Answer, Answer) {
        let (stream, key) = self.key();
        let mut operator = self.client(User::Herald).await;
        let last = operator.ask(&format!("$JS.API.STREAM.MSG.GET.{stream}"), &json!({ "last_by_subj": key })).await;
        let mut info = operator.ask(&format!("$JS.API.STREAM.INFO.{stream}"), &Value::Null).await;
        if let Answer::Said(info) = &mut info {
            *info = info["state"]["last_seq"].take();
        }
        assert!(matches!(&last, Answer::Said(said) if said["message"]["data"].is_string()), "{last:?}");
        (self.log.end().await.unwrap(), last, info)
    }
}

fn consumer(stream: &str, name: &str, config: &Value) -> Value {
    let mut whole = json!({
        "name": name, "ack_policy": "none", "deliver_policy": "all", "replay_policy": "instant", "mem_storage": true,
    });
    whole.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
    json!({ "stream_name": stream, "config": whole })
}

/// What NATS says where it was asked and refused.
fn refused(answer: &Answer) -> bool {
    match answer {
        Answer::Denied | Answer::Nobody => true,
        Answer::Said(said) => said["error"].is_object(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_each_role_works_as_its_own_user_and_may_not_do_what_others_do() {
    let deployment = Deployment::start("rights-of-roles").await;
    let before = deployment.state().await;
    let (keys, key) = deployment.key();
    let partition = deployment.log.names().partition(deployment.thread_id.uuid());
    let stream = deployment.log.names().stream(partition);

    // It holds the log against what it was.
    let kept = deployment.log.partitioned_bucket("TILES", Duration::ZERO).await.unwrap();
    let sealed = async { while kept.of(partition).get("head").await.unwrap().is_none() {} };
    timeout(PATIENCE, sealed).await.expect("heads are signed");

    let mut projection = deployment.client(User::Projection).await;
    for subject in [&deployment.thread(), &key, "$KV.CREDENTIALS_0.x", "$KV.SESSIONS_0.x", "$KV.SIGNING.x", "typing"] {
        assert_eq!(projection.ask(subject, &json!({})).await, Answer::Denied, "{subject}");
    }
    for user in [User::Projection, User::Edge] {
        let mut client = deployment.client(user).await;
        for request in ["STREAM.DELETE", "STREAM.UPDATE", "STREAM.SNAPSHOT", "STREAM.MSG.DELETE", "STREAM.RESTORE"] {
            for stream in [&stream, &keys] {
                let answer = client.ask(&format!("$JS.API.{request}.{stream}"), &json!({ "name": stream })).await;
                assert_eq!(answer, Answer::Denied, "{user:?} {request}");
            }
        }
        for foreign in [">", "_INBOX.>", "_INBOX.herald.>", &deployment.log.names().subjects(partition), "$KV.>"] {
            assert!(client.subscribe(foreign).await.is_err(), "{user:?} {foreign}");
        }
        let purged = client.ask(&format!("$JS.API.STREAM.PURGE.{stream}"), &Value::Null).await;
        assert!(refused(&purged), "{user:?} {purged:?}");
    }
    assert_eq!(deployment.state().await, before);
    for node in deployment.nodes {
        assert!(node.terminate().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_reads_facts_and_can_neither_read_secrets_nor_write_anything() {
    let deployment = Deployment::start("rights-of-consumers").await;
    let before = deployment.state().await;
    let (keys, key) = deployment.key();
    let partition = deployment.log.names().partition(deployment.thread_id.uuid());
    let (stream, all) = (deployment.log.names().stream(partition), deployment.log.names().subjects(partition));
    let (other, thread) = (format!("{}.elsewhere", deployment.thread()), deployment.thread());
    let mut client = deployment.client(User::Consumer).await;

    // What it is for.
    let url = deployment.apart.nats_url_of(User::Consumer);
    let reading = Reading::open(&url, "", false).await.unwrap();
    let mut facts = reading.facts(partition, Some(Aggregate::Thread(deployment.thread_id)), 0, Some(u64::MAX - 1), 10);
    let told = facts.next_batch(10).await.unwrap().unwrap();
    assert_eq!((told[0].data["number"].as_u64(), told[0].data["body"].as_str(), told[0].sealed), (Some(1), None, true));
    assert!(Reading::open(&url, "", true).await.is_err(), "keys are not for consumers");

    // Every door but those.
    for api in ["$JS.API", "$JS.herald.API"] {
        for bucket in [&keys, "KV_CREDENTIALS_0", "KV_SESSIONS_0", "KV_SIGNING", "KV_UPLOADS_0", &stream, "PRESENCE"] {
            for request in [
                "STREAM.INFO",
                "STREAM.MSG.GET",
                "DIRECT.GET",
                "STREAM.DELETE",
                "STREAM.PURGE",
                "STREAM.UPDATE",
                "STREAM.CREATE",
                "STREAM.SNAPSHOT",
            ] {
                let request = format!("{api}.{request}.{bucket}");
                let answer = client.ask(&request, &json!({ "seq": 1, "name": bucket })).await;
                assert!(refused(&answer), "{request}: {answer:?}");
            }
        }
        for request in ["INFO", "STREAM.NAMES", "STREAM.LIST"] {
            let answer = client.ask(&format!("{api}.{request}"), &Value::Null).await;
            assert!(refused(&answer), "{request}: {answer:?}");
        }
    }
    for subject in [&thread, &other, &key] {
        assert_eq!(client.ask(subject, &json!({ "id": "x" })).await, Answer::Denied, "{subject}");
    }

    // Consumers: no filter but those on facts, whatever the request says.
    let create =
        |stream: &str, name: &str, filter: &str| format!("$JS.herald.API.CONSUMER.CREATE.{stream}.{name}.{filter}");
    let good = consumer(&stream, "consumer-1", &json!({ "filter_subject": all }));
    let made = client.ask(&create(&stream, "consumer-1", &all), &good).await;
    assert!(matches!(&made, Answer::Said(said) if said["num_pending"].as_u64() > Some(0)), "{made:?}");
    for (asked_at, config) in [
        (create(&keys, "consumer-2", "$KV.>"), json!({ "filter_subject": "$KV.>" })),
        (create(&keys, "consumer-3", &all), json!({ "filter_subject": "$KV.>" })),
        (create(&keys, "consumer-4", &all), json!({ "filter_subjects": ["$KV.>"] })),
        (create(&keys, "consumer-5", &all), json!({})),
        (format!("$JS.herald.API.CONSUMER.CREATE.{keys}.consumer-6"), json!({})),
        (format!("$JS.herald.API.CONSUMER.CREATE.{keys}"), json!({})),
        (format!("$JS.herald.API.CONSUMER.DURABLE.CREATE.{keys}.consumer-7"), json!({ "durable_name": "consumer-7" })),
    ] {
        let answer = client.ask(&asked_at, &consumer(&keys, "k", &config)).await;
        assert!(refused(&answer), "{asked_at}: {answer:?}");
    }
    let blind = consumer(&keys, "consumer-9", &json!({ "filter_subject": all }));
    let Answer::Said(blind) = client.ask(&create(&keys, "consumer-9", &all), &blind).await else {
        panic!("it is answered")
    };
    assert!(blind["error"].is_object() || blind["num_pending"] == 0, "no record is a fact: {blind}");

    // Answers and deliveries that would be stored, were they delivered where the request says.
    let pull = json!({ "batch": 1, "expires": 1_000_000_000 });
    for (number, reply) in (10..).zip([&*other, &key, "$JS.API.STREAM.DELETE.PRESENCE"]) {
        for (subject, request) in [
            ("$JS.herald.API.CONSUMER.MSG.NEXT.".to_owned() + &stream + ".consumer-1", &pull),
            ("$JS.herald.API.STREAM.INFO.KV_LOG".to_owned(), &Value::Null),
            ("$JS.herald.API.STREAM.MSG.GET.KV_LOG".to_owned(), &json!({ "seq": 1 })),
            ("$JS.herald.API.CONSUMER.INFO.".to_owned() + &stream + ".consumer-1", &Value::Null),
        ] {
            client.ask_for(&subject, request, reply).await.unwrap();
        }
        let name = format!("consumer-{number}");
        let push =
            consumer(&stream, &name, &json!({ "filter_subject": all, "deliver_subject": reply, "headers_only": true }));
        client.ask(&create(&stream, &name, &all), &push).await;
    }
    // Behind all those, and answered: whatever they set off has been done.
    let mut facts = reading.facts(partition, None, 0, Some(u64::MAX - 1), 10);
    assert!(facts.next_batch(1).await.unwrap().is_some());
    assert_eq!(deployment.state().await, before);
    let mut operator = deployment.client(User::Herald).await;
    assert!(!refused(&operator.ask("$JS.API.STREAM.INFO.PRESENCE", &Value::Null).await), "it is still there");
    assert_eq!(deployment.ada.get("/v1/me").await.status, StatusCode::OK);

    // From within the log's account the same is stored, by a user who may publish no fact: that is why consumers are apart.
    let mut inside = deployment.client(User::Projection).await;
    inside.ask_for("$JS.API.STREAM.INFO.KV_LOG", &Value::Null, &other).await.unwrap();
    let stored = async { while deployment.log.end().await.unwrap() == before.0 {} };
    timeout(PATIENCE, stored).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_so_many_readers_of_a_partition_and_no_more_and_those_who_chat_do_not_feel_it() {
    let deployment = Deployment::start("rights-to-read").await;
    let partition = deployment.log.names().partition(deployment.thread_id.uuid());
    let (stream, all) = (deployment.log.names().stream(partition), deployment.log.names().subjects(partition));
    let url = deployment.apart.nats_url_of(User::Consumer);
    let mut client = deployment.client(User::Consumer).await;
    let of = |name: &str| {
        let lasting = json!({ "filter_subject": all, "inactive_threshold": 3_600_000_000_000_u64 });
        (format!("$JS.herald.API.CONSUMER.CREATE.{stream}.{name}.{all}"), consumer(&stream, name, &lasting))
    };
    for number in 1..=READERS {
        let (subject, request) = of(&format!("consumer-{number}"));
        let made = client.ask(&subject, &request).await;
        assert!(matches!(&made, Answer::Said(said) if said["num_pending"].as_u64() > Some(0)), "{number}: {made:?}");
    }
    for name in ["consumer-17", "consumer-0", "audit-1", "x"] {
        let (subject, request) = of(name);
        assert_eq!(client.ask(&subject, &request).await, Answer::Denied, "{name}");
        let gone = client.ask(&format!("$JS.herald.API.CONSUMER.DELETE.{stream}.{name}"), &Value::Null).await;
        assert_eq!(gone, Answer::Denied, "{name}");
    }
    let info = deployment.client(User::Herald).await.ask(&format!("$JS.API.STREAM.INFO.{stream}"), &Value::Null).await;
    let Answer::Said(info) = info else { panic!("{info:?}") };
    let of_nodes = info["state"]["consumer_count"].as_u64().unwrap() - u64::from(READERS);
    assert!((1..20).contains(&of_nodes), "{info}");

    // Another reader is told so; who chats finds nothing of it, and a node that starts has all it needs.
    let reading = Reading::open(&url, "", false).await.unwrap();
    let told = reading.end_of(partition).await.unwrap_err();
    let why = std::error::Error::source(&told).unwrap().to_string();
    assert!(why.contains("16 readers of partition"), "{why}");
    let sent = deployment.ada.write_in(&deployment.thread_id.to_string(), "beside all of them").await;
    assert_eq!(sent.status, StatusCode::CREATED);
    let fresh = EventLog::attend(&deployment.apart.nats_url_of(User::Edge)).await.unwrap();
    let mut facts = fresh.subscribe(partition, 0);
    let end = deployment.log.end().await.unwrap().get(partition);
    let mut read = 0;
    while read < end {
        read = facts.next_batch(100).await.last().unwrap().position.sequence;
    }

    // One that is given back is there for another, and `herald events` gives back all it takes.
    client.ask(&format!("$JS.herald.API.CONSUMER.DELETE.{stream}.consumer-7"), &Value::Null).await;
    for _ in 0..40 {
        let mut facts = reading.facts(partition, None, 0, Some(end), 100);
        let mut told = 0;
        while let Some(batch) = facts.next_batch(100).await.unwrap() {
            told += batch.len() as u64;
        }
        assert_eq!(told, end);
    }
    // Connections are counted too, and their account's alone.
    let mut connections = Vec::new();
    while connections.len() < 100 {
        match Client::try_connect(&url).await {
            Ok(client) => connections.push(client),
            Err(error) => {
                assert!(error.contains("maximum account active connections exceeded"), "{error}");
                break;
            }
        }
    }
    assert!((50..64).contains(&connections.len()), "{}", connections.len());
    assert_eq!(deployment.ada.get("/v1/me").await.status, StatusCode::OK);
    deployment.client(User::Edge).await;
}

#[tokio::test]
async fn the_example_of_a_server_is_taken_with_passwords_and_refused_without() {
    let deployment = folder("rights-of-nobody");
    let server = Apart::find(&options(deployment)).await.unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/nats/herald.conf");
    let users = ["HERALD", "EDGE", "PROJECTION", "CONSUMER"];
    for with in [4, 3] {
        let passwords = users[..with].iter().map(|user| (format!("HERALD_NATS_{user}_PASSWORD"), "p0a1b2"));
        let mut command = Command::new(server.nats_server());
        let checked = command.arg("-t").arg("-c").arg(&example).env_clear().envs(passwords).output().await.unwrap();
        assert_eq!(checked.status.success(), with == 4, "{checked:?}");
    }
}

fn options(data: PathBuf) -> embedded::Options {
    embedded::Options {
        data,
        durability: embedded::Durability::Unsynced,
        nats_nodes: 1,
        nats_server: None,
        postgres: None,
        postgres_fsync: false,
        program: program(),
        progress: false,
        databases: 1,
    }
}
