//! The rules of the house as code: who may know whom, what stays pure, how a file
//! looks. Reads manifests and sources only; a rule that fails names every place.
//! This file spells what it forbids, and is the only one that is not read.

mod package;
mod source;

use package::packages;
use source::{Line, Source, has_word, sources};
use std::collections::BTreeSet;

/// The rooms, and which of ours each imports: exactly these.
const ROOMS: [(&str, &[&str]); 8] = [
    ("events", &[]),
    ("audit", &["events"]),
    ("command", &["events"]),
    ("projection", &["events"]),
    ("query", &["events"]),
    ("gateway", &["command", "events", "query"]),
    ("observability", &[]),
    ("herald", &["audit", "command", "events", "gateway", "observability", "projection", "query"]),
];

/// Crates of others that belong to some rooms only.
const CONFINED: [(&str, &[&str]); 3] =
    [("async-nats", &["events"]), ("axum", &["gateway"]), ("sqlx", &["herald", "projection", "query"])];

/// Files, and folders with all below them, that are functions of their arguments.
const PURE: [&str; 58] = [
    "audit/src/head.rs",
    "audit/src/note.rs",
    "audit/src/proof.rs",
    "audit/src/tile.rs",
    "audit/src/tree.rs",
    "audit/src/verify.rs",
    "command/src/decider.rs",
    "command/src/deployment.rs",
    "command/src/thread/",
    "command/src/user.rs",
    "events/src/cloudevent.rs",
    "events/src/envelope.rs",
    "events/src/event.rs",
    "events/src/id.rs",
    "events/src/name.rs",
    "events/src/position.rs",
    "events/src/seal.rs",
    "events/src/shard.rs",
    "events/src/subject.rs",
    "events/src/text.rs",
    "events/src/words.rs",
    "gateway/src/frame/",
    "gateway/src/hub/attaching.rs",
    "gateway/src/hub/audience.rs",
    "gateway/src/hub/receipts.rs",
    "gateway/src/hub/ring.rs",
    "gateway/src/hub/state.rs",
    "gateway/src/hub/stay.rs",
    "gateway/src/hub/telling.rs",
    "gateway/src/hub/told.rs",
    "gateway/src/push/letter.rs",
    "gateway/src/push/queue.rs",
    "gateway/src/push/window.rs",
    "gateway/src/session/",
    "projection/src/audit.rs",
    "projection/src/directory.rs",
    "projection/src/figures.rs",
    "projection/src/inbox.rs",
    "projection/src/membership.rs",
    "projection/src/projection.rs",
    "projection/src/search.rs",
    "projection/src/sketch.rs",
    "projection/src/timeline.rs",
    "query/src/cursor.rs",
    "query/src/search/",
    "src/chat/frame.rs",
    "src/chat/known.rs",
    "src/chat/outbox.rs",
    "src/chat/session.rs",
    "src/chat/shown.rs",
    "src/chat/typed.rs",
    "src/estimate/demand.rs",
    "src/estimate/limits.rs",
    "src/estimate/page.rs",
    "src/estimate/plan.rs",
    "src/estimate/text.rs",
    "src/operate/as_of/standing.rs",
    "src/operate/export/row.rs",
];

/// What a pure file never names: waiting, clocks, chance, I/O, the machine.
const IMPURE: [&str; 27] = [
    "async",
    "await",
    "tokio",
    "futures_util",
    "Instant",
    "SystemTime",
    "Utc::now",
    "Local::now",
    "Clock",
    "Ids",
    "now_v7",
    "new_v4",
    "rand",
    "getrandom",
    "OsRng",
    "EventLog",
    "async_nats",
    "sqlx",
    "reqwest",
    "hyper",
    "fs::",
    "net::",
    "env::",
    "process::",
    "std::fs",
    "std::net",
    "std::thread",
];

const LONGEST_FILE: usize = 400;
const LONGEST_HEADER: usize = 6;

#[test]
fn a_room_imports_exactly_those_that_the_design_lets_it_know() {
    let packages = packages();
    let of_ours: BTreeSet<&str> = ROOMS.iter().map(|(room, _)| *room).collect();
    let mut offenders = Vec::new();
    for package in &packages {
        let imported: BTreeSet<&str> = package.dependencies().filter(|name| of_ours.contains(name)).collect();
        let Some((_, allowed)) = ROOMS.iter().find(|(room, _)| *room == package.name) else {
            offenders.push(format!("{}:1: `{}` is no room of the design", package.manifest, package.name));
            continue;
        };
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        offenders.extend(imported.difference(&allowed).map(|extra| package.place(extra, "must not be imported")));
        offenders.extend(allowed.difference(&imported).map(|absent| package.place(absent, "is not imported")));
    }
    let absent = of_ours.iter().filter(|room| !packages.iter().any(|package| package.name == **room));
    offenders.extend(absent.map(|room| format!("Cargo.toml:1: the room `{room}` is no member")));
    refuse(&offenders, "rooms know each other as the design's table says, so that each can be changed and moved alone");
}

#[test]
fn nats_sql_and_http_each_have_their_rooms() {
    let mut offenders = Vec::new();
    for package in packages() {
        let strays = CONFINED.iter().filter(|(library, rooms)| {
            !rooms.contains(&package.name.as_str()) && package.dependencies().any(|name| name == *library)
        });
        offenders.extend(strays.map(|(library, rooms)| package.place(library, &format!("is for {rooms:?} only"))));
    }
    refuse(&offenders, "only events speaks NATS, only projection, query and the binary SQL, only gateway HTTP");
}

#[test]
fn a_query_never_reads_the_log() {
    let offenders = mentions(&["EventLog", "log::"], |source, line| source.path.starts_with("query/") && !line.in_test);
    refuse(&offenders, "queries answer from views alone: the log is for commands and runners");
}

#[test]
fn pure_code_names_no_clock_no_chance_and_no_io() {
    let sources = sources();
    let gone = PURE.iter().filter(|pure| !sources.iter().any(|source| source.path.starts_with(**pure)));
    let mut offenders: Vec<String> = gone.map(|pure| format!("{pure}: is pure, and is not there any more")).collect();
    let is_pure = |source: &Source| PURE.iter().any(|pure| source.path.starts_with(pure));
    offenders.extend(mentions(&IMPURE, |source, line| is_pure(source) && !line.in_test));
    refuse(&offenders, "the core is a function of its arguments: tested as tables, the same at every replay");
}

#[test]
fn a_file_opens_by_saying_what_it_owns() {
    let offenders = sources().into_iter().filter(|source| !source.is_test).filter_map(|source| {
        let header = source.lines.iter().take_while(|line| line.text.starts_with("//!")).count();
        let wrong = header == 0 || header > LONGEST_HEADER;
        wrong.then(|| format!("{}:1: {header} lines of `//!`", source.path))
    });
    refuse(
        &offenders.collect::<Vec<_>>(),
        "a file opens with one to six lines of `//!`: what it owns, what it must never do",
    );
}

#[test]
fn a_file_is_read_in_one_sitting() {
    let offenders = sources().into_iter().filter_map(|source| {
        let length = source.lines.len();
        (!source.is_test && length > LONGEST_FILE).then(|| format!("{}:{length}: its last line", source.path))
    });
    refuse(&offenders.collect::<Vec<_>>(), "a file has at most 400 lines: split it by concept");
}

#[test]
fn nothing_is_left_for_later() {
    let mut offenders = mentions(&["todo!", "unimplemented!", "dbg!"], |_, _| true);
    offenders.extend(find(&["TODO", "FIXME", "XXX"], |line, mark| has_word(&line.text, mark), |_, _| true));
    refuse(&offenders, "what is merged is finished: no stub, no note to oneself");
}

#[test]
fn nothing_prints_past_the_logs() {
    let offenders = mentions(&["print!", "println!", "eprint!", "eprintln!"], |_, _| true);
    refuse(&offenders, "rooms trace, the command line writes to a handle whose failure it sees");
}

#[test]
fn only_tests_unwrap() {
    let offenders = mentions(&[".unwrap()"], |_, line| !line.in_test);
    refuse(&offenders, "an error is passed on, or `expect` states the invariant that rules it out");
}

/// The harness may, where the line above says why.
#[test]
fn tests_wait_for_what_happens_and_never_sleep() {
    let offenders = mentions(&["sleep(", "sleep_until("], |source, line| {
        let says_why = line.number > 1 && source.lines[line.number - 2].text.trim_start().starts_with("// ");
        line.in_test && !(source.path == "tests/suite/harness.rs" && says_why)
    });
    refuse(
        &offenders,
        "a test waits on a position, a frame or an answer: a sleep is slow where it holds and flaky else",
    );
}

#[test]
fn names_in_nats_are_spelled_in_one_file() {
    let spells = |line: &Line, name: &str| line.code().contains(name);
    let elsewhere = |source: &Source, line: &Line| source.path != "events/src/subject.rs" && !line.in_test;
    let offenders = find(&["evt.", "EVENTS_"], spells, elsewhere);
    refuse(&offenders, "subjects and streams are storage format: events/src/subject.rs alone spells them");
}

#[test]
fn who_steps_around_a_disallowed_method_says_why() {
    let lint = "clippy::disallowed_methods";
    let mut offenders = Vec::new();
    for source in sources() {
        for (index, line) in source.lines.iter().enumerate().filter(|(_, line)| has_word(line.code(), lint)) {
            let attribute = source.attribute_around(index);
            if !(attribute.contains("expect(") && attribute.contains("reason = \"")) {
                offenders.push(source.place(line, &attribute));
            }
        }
    }
    refuse(&offenders, "clocks, ids, settings and tasks have one owner; an exception is `expect`ed, with its reason");
}

fn refuse(offenders: &[String], reason: &str) {
    assert!(offenders.is_empty(), "{reason}\n  {}\n", offenders.join("\n  "));
}

/// Where code has one of the words, in the lines that a rule is for.
fn mentions(words: &[&str], rule_is_for: impl Fn(&Source, &Line) -> bool) -> Vec<String> {
    find(words, |line, word| has_word(line.code(), word), rule_is_for)
}

fn find(
    words: &[&str],
    is_in: impl Fn(&Line, &str) -> bool,
    rule_is_for: impl Fn(&Source, &Line) -> bool,
) -> Vec<String> {
    let mut places = Vec::new();
    for source in sources() {
        for line in source.lines.iter().filter(|line| rule_is_for(&source, line)) {
            places.extend(words.iter().filter(|word| is_in(line, word)).map(|word| source.place(line, word)));
        }
    }
    places
}
