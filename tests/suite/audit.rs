//! Whether the log is what it was: on a NATS whose files are changed beneath it,
//! and by the commands that operators and third parties have.

#![expect(clippy::cast_possible_truncation, reason = "a test's numbers are small")]

use crate::{
    harness::{folder, program},
    truth::Truth,
};
use audit::{Against, Found, Ledger, Report};
use events::{
    Aggregate, Clock, EventId, EventLog, Ids, MessageKey, Partition, Text, ThreadEvent, ThreadId, UserId,
    envelope::Draft,
};
use futures_util::future::join_all;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};
use tokio::process::Command;

const PARTITION: Partition = Partition(0);

/// Writes messages of so many bytes into threads of its own.
struct Author {
    log: EventLog,
    ids: Ids,
    by: UserId,
    thread: ThreadId,
    last: u64,
    number: u32,
}

impl Author {
    async fn new(log: &EventLog) -> Self {
        let ids = Ids::random();
        let by = UserId::from_uuid(ids.next());
        log.keyring().make(by).await.unwrap();
        Self { log: log.clone(), by, thread: ThreadId::from_uuid(ids.next()), ids, last: 0, number: 0 }
    }

    async fn write(&mut self, messages: u32, bytes: usize) {
        for _ in 0..messages {
            self.number += 1;
            let event = ThreadEvent::MessageSent {
                number: self.number,
                key: MessageKey::from_uuid(self.ids.next()),
                body: Text::new(&"x".repeat(bytes)),
                reply_to: None,
                opens: None,
                mentions: vec![],
                attachments: vec![],
            };
            let id = EventId::from_uuid(self.ids.next());
            let (aggregate, by) = (Aggregate::Thread(self.thread), Some(self.by));
            let draft = Draft { aggregate, id, by, at: Clock::system().now(), event: event.into() };
            self.last = self.log.append(&draft, Some(self.last)).await.unwrap().sequence;
        }
    }
}

async fn ledger(log: &EventLog) -> Ledger {
    Ledger::open(log.clone(), Clock::system()).await.unwrap()
}

async fn verify(log: &EventLog, against: &[Against]) -> Report {
    ledger(log).await.verify(PARTITION, against, |_, _| {}).await.unwrap()
}

/// The files in which a partition's events lie.
fn blocks(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            blocks(&entry.path(), found);
        } else if entry.path().extension().is_some_and(|extension| extension == "blk")
            && entry.path().components().any(|part| part.as_os_str() == "EVENTS_0")
        {
            found.push(entry.path());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_changes_of_the_files_that_events_lie_in_are_all_found() {
    let mut truth = Truth::start().await;
    let log = truth.open(1).await;
    let mut authors = join_all((0..16).map(|_| Author::new(&log))).await;
    join_all(authors.iter_mut().map(|author| author.write(150, 4_000))).await;
    let sealed = ledger(&log).await.seal(PARTITION).await.unwrap();
    assert_eq!(sealed.added, 2_400);
    let against = [Against { label: "head of elsewhere".to_owned(), signed: sealed.signed }];
    assert_eq!(verify(&log, &against).await.findings, []);
    drop((authors, log));
    truth.keep().await;
    let chance = |round: u64, of: u64| {
        let mixed = (round + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) % of
    };
    let mut in_blocks = [0; 3];
    for round in 0..50 {
        let what = truth
            .go_back_and(|store| {
                let mut files = Vec::new();
                blocks(store, &mut files);
                files.sort();
                assert!(files.len() > 1, "some are compressed, and the last is not");
                let file = &files[chance(round, files.len() as u64) as usize];
                let mut bytes = fs::read(file).unwrap();
                let place = chance(round + 1_000, bytes.len() as u64) as usize;
                let kind = round as usize % 3;
                in_blocks[kind] += 1;
                match kind {
                    0 => bytes[place] ^= 1 << chance(round, 8),
                    1 => bytes.truncate(place),
                    _ => {
                        let to = (place + 300).min(bytes.len());
                        bytes[place..to].fill(0);
                    }
                }
                fs::write(file, bytes).unwrap();
                format!("round {round}: {kind} at {place} of {}", file.display())
            })
            .await;
        let log = truth.open(1).await;
        let report = verify(&log, &against).await;
        let names = |found: &Found| matches!(found, Found::Missing | Found::Changed | Found::Moved(_));
        assert!(report.findings.iter().any(|finding| names(&finding.found)), "{what}: {report:?}");
    }
    assert!(in_blocks.iter().all(|count| *count > 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_goes_on_under_its_heads_and_two_who_seal_are_as_one() {
    let mut truth = Truth::start().await;
    let log = truth.open(1).await;
    let (one, other) = (ledger(&log).await, ledger(&log).await);
    assert_eq!(one.keys(), other.keys());
    let mut author = Author::new(&log).await;
    let mut heads = vec![one.seal(PARTITION).await.unwrap().signed];
    for messages in [1, 200, 55, 1, 255, 600] {
        author.write(messages, 10).await;
        let (sealed, too) = tokio::join!(one.seal(PARTITION), other.seal(PARTITION));
        let (sealed, too) = (sealed.unwrap().signed, too.unwrap().signed);
        assert_eq!(sealed.head.size, u64::from(author.number));
        assert_eq!(one.consistency(&too).await.unwrap().old, too.head.size);
        heads.push(sealed);
    }
    for sequence in [1, 256, 257, 1_112] {
        let position = events::Position { partition: PARTITION, sequence };
        assert_eq!(other.inclusion(position).await.unwrap().position(), position);
    }
    // A restore gives the log another epoch; what was signed of it still is so.
    log.renew_epoch(&Ids::random()).await.unwrap();
    truth.keep().await;
    truth.go_back().await;
    let log = truth.open(1).await;
    let mut author = Author { log: log.clone(), ..author };
    author.write(3, 10).await;
    assert_eq!(ledger(&log).await.seal(PARTITION).await.unwrap().added, 3);
    let against: Vec<_> = heads.into_iter().map(|signed| Against { label: "head".to_owned(), signed }).collect();
    let report = verify(&log, &against).await;
    assert_eq!((report.findings, report.borne_out), (vec![], 1_115));
}

async fn herald(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = Command::new(program()).args(arguments).output().await.unwrap();
    let told = format!("{}{}", String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    (status.code(), told)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_seals_and_verifies_and_others_check_proofs_with_the_key_alone() {
    let mut truth = Truth::start().await;
    let log = truth.open(2).await;
    let mut authors = join_all((0..6).map(|_| Author::new(&log))).await;
    join_all(authors.iter_mut().map(|author| author.write(60, 10))).await;
    let of_first = log.end().await.unwrap().get(PARTITION);
    truth.keep().await;
    let nats = truth.options(2).nats_url;
    let deployment = ["--nats-url", &nats, "--database-url", "postgres://nobody@127.0.0.1:1/none"];
    let audit = async |arguments: &[&str]| herald(&[&["audit"], arguments, &deployment].concat()).await;
    let folder = folder("audited");
    fs::create_dir_all(&folder).unwrap();
    let file = |name: &str| folder.join(name).display().to_string();
    let (key, early, late, proof) = (file("key"), file("early"), file("late"), file("proof"));
    fs::write(&key, audit(&["key"]).await.1).unwrap();
    let (code, told) = audit(&["head", "--to", &early]).await;
    assert_eq!((code, told.as_str()), (Some(0), ""));
    // The store was stopped beneath them.
    let log = truth.open(2).await;
    for author in &mut authors {
        author.log = log.clone();
        author.write(50, 10).await;
    }
    assert_eq!(audit(&["head", "--to", &late]).await.0, Some(0));
    assert_eq!(audit(&["head", "--to", &late]).await.0, Some(0), "a second time it is added");
    let (code, told) = audit(&["verify", "--head", &early, "--head", &late, "--key", &key]).await;
    assert!(code == Some(0) && told.lines().count() == 2 && told.contains("as it was"), "{told}");

    let (code, told) = audit(&["proof", "0:7"]).await;
    assert_eq!(code, Some(0), "{told}");
    fs::write(&proof, &told).unwrap();
    let (code, told) = herald(&["audit", "check", &proof, "--key", &key]).await;
    assert!(code == Some(0) && told.starts_with("0:7 is in partition 0") && told.contains("message_sent.1"), "{told}");
    fs::write(&proof, fs::read_to_string(&proof).unwrap().replace("index 6", "index 5")).unwrap();
    let (code, told) = herald(&["audit", "check", &proof, "--key", &key]).await;
    assert!(code == Some(3) && told.contains("proves nothing"), "{told}");
    fs::write(&proof, audit(&["proof", "--since", &early, "--partition", "0"]).await.1).unwrap();
    let (code, told) = herald(&["audit", "check", &proof, "--key", &key, "--head", &early]).await;
    assert!(code == Some(0) && told.contains(&format!("the first {of_first}")), "{told}");
    let (code, told) = herald(&["audit", "check", &proof, "--key", &key, "--head", &late]).await;
    assert_eq!(code, Some(3), "{told}");

    // An older backup comes back: what is gone is named, by a head that lay elsewhere.
    truth.go_back().await;
    let (code, told) = audit(&["verify", "--head", &late, "--key", &key, "--json"]).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    let first = &told["partitions"][0]["findings"][0];
    assert_eq!(code, Some(3), "{told}");
    assert_eq!((&first["what"], &first["from"]), (&"missing".into(), &format!("0:{}", of_first + 1).into()), "{told}");
    assert_eq!(audit(&["verify"]).await.0, Some(0), "by itself it does not know");
}
