//! `herald events`: what it prints, where it begins and ends, and how.

use crate::{
    harness::{folder, program},
    people::Person,
    process::{Process, signal_child},
};
use events::{Partition, Position, Vector, schema::of_events};
use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Output, Stdio},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

/// A text that would turn what a terminal shows.
const TURNING: &str = "\u{202e}gnp.exe";

/// What is asked for, and which facts that means.
type Case<'a> = (&'a [&'a str], &'a dyn Fn(&Value) -> bool);

/// A herald of its own with some history.
struct World {
    data: String,
    ada: Person,
    bob: Person,
    thread_id: String,
    _herald: Process,
}

impl World {
    async fn new(name: &str) -> Self {
        let data = folder(name).display().to_string();
        let herald = Process::start(&["--data", &data, "--durability", "unsynced"]).await;
        let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
        let sent = ada.write(&bob, TURNING).await;
        let thread_id = sent.body["thread_id"].as_str().unwrap().to_owned();
        for number in 2..=6 {
            let by = if number % 2 == 0 { &bob } else { &ada };
            assert_eq!(by.write_in(&thread_id, &format!("text {number}")).await.status, StatusCode::CREATED);
        }
        for others in [&[&bob][..], &[]] {
            ada.create_group(others).await;
        }
        Self { data, ada, bob, thread_id, _herald: herald }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(["events", "--data", &self.data]).args(arguments).kill_on_drop(true);
        command
    }

    async fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().await.unwrap()
    }

    async fn events(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.output(arguments).await;
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn follow(&self, arguments: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
        let mut child = self.command(arguments).arg("--follow").stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        (child, lines)
    }
}

fn position(event: &Value) -> Position {
    event["position"].as_str().unwrap().parse().unwrap()
}

fn positions(events: &[Value]) -> BTreeSet<Position> {
    events.iter().map(position).collect()
}

fn texts(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["data"]["body"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fact_is_a_cloud_event_and_its_texts_are_kept_back() {
    let world = World::new("events").await;
    let output = world.output(&["--json"]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let events = world.events(&[]).await;
    let mut last: BTreeMap<Partition, u64> = BTreeMap::new();
    let schemas: BTreeMap<_, _> =
        of_events().into_iter().map(|schema| (format!("herald.{}", schema.name()), schema.document())).collect();
    for event in &events {
        for name in event.as_object().unwrap().keys() {
            // CloudEvents 1.0, section 3.1: how an attribute may be called.
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) && name.len() <= 20, "{name}");
        }
        assert_eq!((&event["specversion"], &event["datacontenttype"]), (&json!("1.0"), &json!("application/json")));
        assert!(event["source"].as_str().unwrap().starts_with("urn:uuid:"));
        let schema = &schemas[event["type"].as_str().unwrap()];
        assert_eq!(event["dataschema"], schema["$id"]);
        assert!(jsonschema::is_valid(schema, &event["data"]), "{event}");
        let time = event["time"].as_str().unwrap();
        assert!(time.len() == 24 && time.ends_with('Z') && time.parse::<events::Timestamp>().is_ok(), "{time}");
        let Position { partition, sequence } = position(event);
        assert_eq!(sequence, last.insert(partition, sequence).unwrap_or(0) + 1, "each partition without a gap");
    }
    let ids: BTreeSet<_> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), events.len());
    let of_type = |name: &str| events.iter().filter(|event| event["type"] == name).collect::<Vec<_>>();
    let sent = of_type("herald.thread.message_sent.1");
    assert_eq!(sent.len(), 6);
    assert!(sent.iter().all(|event| event["sealed"] == true && event["data"]["body"].is_null()));
    assert_eq!(sent[0]["subject"], format!("thread.{}", world.thread_id));
    assert_eq!((&sent[0]["authtype"], &sent[0]["authid"]), (&json!("app_user"), &json!(world.ada.user_id)));
    let revoked = of_type("herald.user.session_opened.1");
    assert!(revoked.iter().all(|event| event.get("sealed").is_none()), "there is no text in it");
    assert_eq!(of_type("herald.user.signed_up.1").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_opened_for_operators_and_control_no_terminal() {
    let world = World::new("events-text").await;
    let output = world.output(&["--text", "--thread", &world.thread_id, "--type", "message_sent"]).await;
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(!printed.contains('\u{202e}') && printed.contains("\\u202egnp.exe"), "{printed}");
    let events: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(texts(&events), [TURNING, "text 2", "text 3", "text 4", "text 5", "text 6"]);

    let credentials = world.output(&["--credentials"]).await;
    let url = String::from_utf8(credentials.stdout).unwrap();
    let url = url.trim();
    assert!(url.starts_with("nats://consumer:"), "{url}");
    assert_eq!(world.events(&["--nats-url", url]).await.len(), world.events(&[]).await.len());
    let refused = world.output(&["--nats-url", url, "--text"]).await;
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("keys"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_goes_on_after_any_line_without_gap_or_double() {
    let world = World::new("events-resume").await;
    let all = world.events(&[]).await;
    for taken in [1, all.len() / 3, all.len() - 1, all.len()] {
        let (before, vector) = (&all[..taken], all[taken - 1]["vector"].as_str().unwrap());
        let rest = world.events(&["--from", vector]).await;
        assert_eq!(rest.len() + taken, all.len(), "{vector}");
        assert!(positions(&rest).is_disjoint(&positions(before)));
        let again = world.events(&["--to", vector]).await;
        assert_eq!(positions(&again), positions(before), "up to there is what was taken");
    }
    assert_eq!(world.events(&["--from", "end"]).await, [] as [Value; 0]);
    assert_eq!(world.events(&["--from", "2099-01-01T00:00:00Z"]).await, [] as [Value; 0]);
    assert_eq!(world.events(&["--from", "2020-01-01T00:00:00Z"]).await.len(), all.len());
    assert_eq!(world.events(&["--to", "2020-01-01T00:00:00Z"]).await, [] as [Value; 0]);

    // A line of a filtered reading says how far all was read.
    let own = world.events(&["--thread", &world.thread_id]).await;
    let middle: Vector = own[2]["vector"].as_str().unwrap().parse().unwrap();
    let rest = world.events(&["--thread", &world.thread_id, "--from", &middle.to_string()]).await;
    assert_eq!(positions(&rest), positions(&own[3..]));

    let beyond = world.output(&["--from", "0:999999"]).await;
    assert_eq!(beyond.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&beyond.stderr).contains("cut short"), "{beyond:?}");
    let nowhere = world.output(&["--from", "77:1"]).await;
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("there is no partition"), "{nowhere:?}");
    let source = all[0]["source"].as_str().unwrap();
    assert_eq!(world.events(&["--source", source]).await.len(), all.len());
    assert_eq!(world.output(&["--source", "urn:uuid:another"]).await.status.code(), Some(3));
    assert_eq!(world.output(&["--from", "yesterday"]).await.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_pick_threads_people_and_types() {
    let world = World::new("events-filters").await;
    let all = world.events(&[]).await;
    let World { ada, bob, thread_id, .. } = &world;
    let picked = |wanted: &dyn Fn(&Value) -> bool| {
        positions(&all.iter().filter(|event| wanted(event)).cloned().collect::<Vec<_>>())
    };
    let of = |event: &Value, id: &str| event["subject"].as_str().unwrap().ends_with(id);
    let is = |event: &Value, name: &str| event["type"].as_str().unwrap().contains(name);
    let (ada_id, bob_id, thread) = (ada.user_id.as_str(), bob.user_id.as_str(), thread_id.as_str());
    let cases: [Case<'_>; 7] = [
        (&["--thread", thread], &|event| of(event, thread)),
        (&["--user", ada_id], &|event| of(event, ada_id)),
        (&["--user", ada_id, "--user", bob_id, "--thread", thread], &|event| {
            [ada_id, bob_id, thread].iter().any(|id| of(event, id))
        }),
        (&["--by", bob_id], &|event| event["authid"] == bob_id),
        (&["--type", "user.signed_up", "--type", "group_created.1"], &|event| {
            is(event, "signed_up") || is(event, "group_created")
        }),
        (&["--by", ada_id, "--type", "message_sent"], &|event| event["authid"] == ada_id && is(event, "message_sent")),
        (&["--type", "sent"], &|_| false),
    ];
    for (arguments, wanted) in cases {
        let expected = picked(wanted);
        assert_eq!(expected.is_empty(), arguments == ["--type", "sent"], "{arguments:?}");
        assert_eq!(positions(&world.events(arguments).await), expected, "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn following_tells_what_happens_and_ends_as_programs_do() {
    let world = World::new("events-follow").await;
    let (mut child, mut lines) = world.follow(&["--thread", &world.thread_id, "--from", "end"]);
    let (mut other, mut others) = world.follow(&["--by", &world.bob.user_id]);
    // Of whichever partition is read first.
    assert!(others.next_line().await.unwrap().unwrap().contains(&world.bob.user_id));
    // The first one says nothing of having begun: it is heard by then, or has been by a later one.
    let mut sent = BTreeSet::new();
    let first = loop {
        let answer = world.bob.write_in(&world.thread_id, "and now?").await;
        sent.insert(answer.body["number"].as_u64().unwrap());
        tokio::select! {
            line = lines.next_line() => break line.unwrap().unwrap(),
            _ = world.bob.get("/v1/me") => {}
        }
    };
    let first: Value = serde_json::from_str(&first).unwrap();
    assert!(sent.contains(&first["data"]["number"].as_u64().unwrap()), "{first}");
    signal_child(&child, Signal::INT);
    assert_eq!(child.wait().await.unwrap().code(), Some(130));

    // Whoever reads goes away: the next line finds it out.
    drop(others);
    let ended = loop {
        world.bob.write_in(&world.thread_id, "nobody listens").await;
        if let Some(ended) = other.try_wait().unwrap() {
            break ended;
        }
    };
    assert_eq!(ended.code(), Some(0), "{ended:?}");
}
