//! What is backed up while all goes on, restored where there is nothing: all that
//! was acknowledged, where it lay, and nobody's session.

use crate::{
    harness::{folder, program},
    people::{PASSWORD, Person, send},
    process::{Process, signal_child},
    socket::client::Client,
    truth::Truth,
    whole::{history, logged},
};
use events::{EventLog, Ids, log::OpenError, log::Restore};
use herald::{
    embedded::Addresses,
    operate::backup::{PLACES, Place},
};
use reqwest::{Method, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};
use tokio::{process::Command, task::JoinSet};

const BEFORE: usize = 80;
const MEANWHILE: usize = 80;

async fn herald(arguments: &[&str]) -> Output {
    let mut command = Command::new(program());
    command.args(arguments).kill_on_drop(true).output().await.unwrap()
}

/// What a command that has to succeed prints.
async fn done(arguments: &[&str]) -> Value {
    let output = herald(&[arguments, &["--json"]].concat()).await;
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Why a command that has to fail does.
async fn refused(arguments: &[&str]) -> String {
    let output = herald(arguments).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

async fn log_of(data: &Path) -> EventLog {
    EventLog::attend(&Addresses::of(data).unwrap().nats_url).await.unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A folder that does not exist yet, and one within it.
fn place(name: &str) -> PathBuf {
    folder(&format!("backup-{name}-{}", Ids::random().next().simple()))
}

/// Two who write to each other without a pause, and what of it was acknowledged.
struct Load {
    acknowledged: tokio::sync::watch::Receiver<usize>,
    writers: JoinSet<Vec<Value>>,
    stop: tokio_util::sync::CancellationToken,
}

impl Load {
    fn start(ada: &Person, bob: &Person) -> Self {
        let (count, acknowledged) = tokio::sync::watch::channel(0);
        let stop = tokio_util::sync::CancellationToken::new();
        let mut writers = JoinSet::new();
        for (from, to) in [(ada, bob), (bob, ada), (ada, bob), (bob, ada)] {
            let (from, to, count, stop) = (from.clone(), to.clone(), count.clone(), stop.clone());
            writers.spawn(async move {
                let mut sent = Vec::new();
                while !stop.is_cancelled() {
                    let answer = from.write(&to, "under load").await;
                    if answer.status == StatusCode::CREATED {
                        sent.push(answer.body);
                        count.send_modify(|count| *count += 1);
                    }
                }
                sent
            });
        }
        Self { acknowledged, writers, stop }
    }

    async fn until(&mut self, count: usize) -> usize {
        *self.acknowledged.wait_for(|acknowledged| *acknowledged >= count).await.unwrap()
    }

    /// Key → number of all that was acknowledged.
    async fn end(self) -> BTreeMap<String, u64> {
        self.stop.cancel();
        let sent = self.writers.join_all().await.concat();
        let of = |sent: &Value| (sent["key"].as_str().unwrap().to_owned(), sent["number"].as_u64().unwrap());
        sent.iter().map(of).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_restored_elsewhere_has_all_that_was_acknowledged_before_and_no_session() {
    let (data, elsewhere, to, keys, newer) = (place("data"), place("else"), place("to"), place("keys"), place("newer"));
    let a = Process::start(&["--data", text(&data), "--durability", "unsynced"]).await;
    let (ada, bob) = (Person::sign_up(&a.url).await, Person::sign_up(&a.url).await);
    let carol = Person::sign_up(&a.url).await;
    let kept = carol.write(&ada, "of who is erased later").await;
    let upload = ada.request(Method::POST, "/v1/attachments").body(b"a file".to_vec());
    let upload = send(upload.header("content-disposition", "attachment; filename=\"a.txt\"")).await;
    let file = upload.body["attachment_id"].as_str().unwrap().to_owned();
    let body = json!({ "to": bob.user_id, "key": crate::people::key(), "body": "look", "attachments": [file] });
    let first = ada.post("/v1/messages", body).await;
    assert_eq!(first.status, StatusCode::CREATED, "{first:?}");
    let thread_id = first.body["thread_id"].as_str().unwrap().to_owned();
    let mut socket = Client::live(&bob).await;

    let mut load = Load::start(&ada, &bob);
    let mut before = load.until(BEFORE).await;
    let log = log_of(&data).await;
    let earlier = logged(&log, &thread_id).await;
    let made = done(&["backup", "--data", text(&data), "--to", text(&to), "--keys-to", text(&keys)]).await;
    before = load.until(before + MEANWHILE).await;
    let acknowledged = load.end().await;
    assert!(earlier.len() >= BEFORE && acknowledged.len() >= before);
    while socket.expect("message").await["number"].as_u64().unwrap() < earlier.len() as u64 {}
    let mut sums = Command::new("sha256sum");
    let sums = sums.args(["-c", "--quiet", "SHA256SUMS"]).current_dir(&to).status().await.unwrap();
    assert!(sums.success(), "anybody can check it");
    // Whose key is destroyed after the backup stays erased by a newer backup of the keys.
    let carol_id: events::UserId = carol.user_id.parse().unwrap();
    let of_keys = log.partitioned_bucket("KEYS", std::time::Duration::ZERO).await.unwrap();
    of_keys.of(log.names().partition(carol_id.uuid())).put(&carol.user_id, bytes::Bytes::new()).await.unwrap();
    done(&["backup", "--data", text(&data), "--keys-to", text(&newer)]).await;

    let restore = ["restore", "--from", text(&to), "--keys-from", text(&newer), "--data", text(&elsewhere)];
    let restored = done(&restore).await;
    assert_ne!(restored["epoch"].as_str().unwrap(), log.epoch().to_string());
    let again = refused(&restore).await;
    assert!(again.contains("there is a log already"), "{again}");
    copy(&data.join("attachments"), &elsewhere.join("attachments"));
    let b = Process::start(&["--data", text(&elsewhere)]).await;

    // No token of before is good.
    let (old, old_bob) = (ada.at(&b.url), bob.at(&b.url));
    assert_eq!(old.get("/v1/me").await.status, StatusCode::UNAUTHORIZED);
    let refreshed = old.post("/v1/token", json!({ "refresh_token": ada.refresh_token })).await;
    assert_eq!(refreshed.status, StatusCode::UNAUTHORIZED, "{refreshed:?}");
    let (ada, bob) = (old.log_in(&b.url).await, old_bob.log_in(&b.url).await);
    let body = json!({ "username": carol.username, "password": PASSWORD });
    let login = send(reqwest::Client::new().post(format!("{}/v1/login", b.url)).json(&body)).await;
    assert_eq!(login.status, StatusCode::UNAUTHORIZED, "{login:?}");

    // All that was acknowledged before is there, at its place, once; and nothing that was not written.
    let other = log_of(&elsewhere).await;
    for stream in made["log"]["manifest"]["streams"].as_array().unwrap() {
        let partition = events::Partition(u16::try_from(stream["partition"].as_u64().unwrap()).unwrap());
        for sequence in 1..=stream["end"].as_u64().unwrap() {
            let position = events::Position { partition, sequence };
            assert_eq!(log.event_id_at(position).await.unwrap(), other.event_id_at(position).await.unwrap());
        }
    }
    let now = ada.write(&bob, "in the restored one").await;
    let seen = history(&bob, &thread_id, now.position()).await;
    assert_eq!(seen, logged(&other, &thread_id).await);
    assert!(seen.keys().copied().eq(1..=seen.len() as u64), "numbers have no gaps");
    for (number, message) in &earlier {
        assert_eq!(seen.get(number), Some(message));
    }
    for (number, (key, _)) in seen.iter().filter(|(number, _)| !earlier.contains_key(number)) {
        let known = acknowledged.get(key).is_none_or(|there| there == number);
        assert!(known, "{number} is not where it was acknowledged");
    }
    assert!(seen.len() > earlier.len());
    let carols = ada.get_after(now.position(), &format!("/v1/threads/{}/messages", thread_of(&kept.body))).await;
    assert_eq!(carols.body["entries"][0]["body"], Value::Null, "{carols:?}");
    let download = ada.get_after(now.position(), &format!("/v1/attachments/{file}")).await;
    assert_eq!(download.status, StatusCode::OK);
    let check = herald(&["rebuild", "--check", "--data", text(&elsewhere)]).await;
    assert!(check.status.success(), "{check:?}");

    // Who was connected comes back and is told to start over.
    let mut client = Client::connect(&b.url, None).await;
    let (vector, epoch) = (socket.vector.to_string(), &socket.welcome["epoch"]);
    let hello = json!({ "type": "hello", "token": bob.access_token, "resume": vector, "epoch": epoch });
    client.say(&hello).await;
    assert_ne!(&client.expect("welcome").await["epoch"], epoch);
    client.expect("reset").await;
    client.expect("live").await;
    for folder in [data, elsewhere, to, keys, newer] {
        fs::remove_dir_all(folder).ok();
    }
}

fn thread_of(sent: &Value) -> &str {
    sent["thread_id"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_is_not_restored_and_a_restore_that_was_cut_off_is_no_log() {
    let (data, to, keys) = (place("whole"), place("changed"), place("changed-keys"));
    let a = Process::start(&["--data", text(&data), "--durability", "unsynced"]).await;
    let older = place("older-keys");
    done(&["backup", "--data", text(&data), "--keys-to", text(&older)]).await;
    let (ada, bob) = (Person::sign_up(&a.url).await, Person::sign_up(&a.url).await);
    ada.write(&bob, "hi").await;
    done(&["backup", "--data", text(&data), "--to", text(&to), "--keys-to", text(&keys)]).await;
    let full = refused(&["backup", "--data", text(&data), "--to", text(&to)]).await;
    assert!(full.contains("is not empty"), "{full}");
    let together = refused(&["backup", "--data", text(&data), "--to", "x", "--keys-to", "x"]).await;
    assert!(together.contains("a folder of their own"), "{together}");
    assert!(a.terminate().await.success());

    let nats = Truth::start().await;
    let url = nats.options(1).nats_url;
    let restore = |from: &Path, keys: &Path, more: &[&'static str]| {
        let words = [
            "restore",
            "--nats-url",
            &url,
            "--durability",
            "unsynced",
            "--from",
            text(from),
            "--keys-from",
            text(keys),
        ];
        words.iter().chain(more).map(|word| (*word).to_owned()).collect::<Vec<_>>()
    };
    let why = async |words: Vec<String>| refused(&words.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let told = why(restore(&to, &older, &[])).await;
    assert!(told.contains("older than the backup"), "{told}");
    for (folder, of) in [(&to, "log"), (&keys, "keys")] {
        for name in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()) {
            let path = folder.join(&name);
            let whole = fs::read(&path).unwrap();
            let mut flipped = whole.clone();
            let Some(middle) = whole.len().checked_sub(1).map(|last| last / 2) else { continue };
            flipped[middle] ^= 1;
            for changed in [Some(&flipped[..]), Some(&whole[..middle]), None] {
                match changed {
                    Some(bytes) => fs::write(&path, bytes).unwrap(),
                    None => fs::remove_file(&path).unwrap(),
                }
                why(restore(&to, &keys, &[])).await;
            }
            fs::write(&path, whole).unwrap();
            assert!(EventLog::attend(&url).await.is_err(), "{of}: nothing of it is there");
        }
    }

    // Cut off: as if it had been killed once it had begun.
    let kinds = [("CREDENTIALS", true)];
    drop(Restore::begin(nats.options(4), 4, &kinds, false, &Ids::random()).await.unwrap());
    let opened = EventLog::open(&nats.options(4), &Ids::random()).await;
    assert!(matches!(opened, Err(OpenError::Restoring)), "no node opens half a log");
    let told = why(restore(&to, &keys, &[])).await;
    assert!(told.contains("--anew"), "{told}");
    let words = restore(&to, &keys, &["--anew"]);
    done(&words.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let log = EventLog::open(&nats.options(4), &Ids::random()).await.unwrap();
    assert!(log.end().await.unwrap().iter().map(|position| position.sequence).sum::<u64>() >= 5);
    let told = why(restore(&to, &keys, &["--anew"])).await;
    assert!(told.contains("there is a log already"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chain_goes_on_after_a_restore_and_a_head_of_before_is_borne_out_as_far_as_it_is_true() {
    let (data, elsewhere, to, keys, kept) =
        (place("chained"), place("chain"), place("chain-to"), place("chain-keys"), place("chain-kept"));
    fs::create_dir_all(&kept).unwrap();
    let file = |name: &str| text(&kept.join(name)).to_owned();
    let (key, early, late, proof) = (file("key"), file("early"), file("late"), file("proof"));
    let a = Process::start(&["--data", text(&data), "--durability", "unsynced"]).await;
    let (ada, bob) = (Person::sign_up(&a.url).await, Person::sign_up(&a.url).await);
    let thread_id = thread_of(&ada.write(&bob, "first").await.body).to_owned();
    // A whole tile, and a part of one.
    for _ in 0..300 {
        assert_eq!(ada.write_in(&thread_id, "under a head").await.status, StatusCode::CREATED);
    }
    let audit = async |data: &Path, words: &[&str]| {
        let output = herald(&[&["audit"], words, &["--data", text(data)]].concat()).await;
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (_, public) = audit(&data, &["key"]).await;
    fs::write(&key, &public).unwrap();
    assert_eq!(audit(&data, &["head", "--to", &early]).await.0, Some(0));
    ada.write_in(&thread_id, "in the backup and under no head").await;
    done(&["backup", "--data", text(&data), "--to", text(&to), "--keys-to", text(&keys)]).await;
    ada.write_in(&thread_id, "after the backup").await;
    assert_eq!(audit(&data, &["head", "--to", &late]).await.0, Some(0));
    assert!(a.terminate().await.success());

    done(&["restore", "--from", text(&to), "--keys-from", text(&keys), "--data", text(&elsewhere)]).await;
    copy(&data.join("attachments"), &elsewhere.join("attachments"));
    let b = Process::start(&["--data", text(&elsewhere)]).await;
    let (code, told) = audit(&elsewhere, &["verify", "--json"]).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(code, Some(0), "{told}");
    let of_thread: events::ThreadId = thread_id.parse().unwrap();
    let partition = log_of(&elsewhere).await.names().partition(of_thread.uuid());
    let of_partition = &told["partitions"][usize::from(partition.0)];
    assert!(of_partition["kept"].as_u64() > Some(300), "what it is held against was restored: {told}");
    assert_eq!(audit(&elsewhere, &["key"]).await.1, public, "the key that others trust goes on");
    let (code, told) = audit(&elsewhere, &["verify", "--head", &early, "--key", &key]).await;
    assert_eq!(code, Some(0), "{told}");

    // The log grew out of the one that was backed up, as anybody can check who kept a head and the key.
    let ada = ada.log_in(&b.url).await;
    assert_eq!(ada.write_in(&thread_id, "in the restored one").await.status, StatusCode::CREATED);
    assert_eq!(audit(&elsewhere, &["head"]).await.0, Some(0));
    let grown = ["proof", "--since", &early, "--partition", &partition.to_string()];
    fs::write(&proof, audit(&elsewhere, &grown).await.1).unwrap();
    let checked = herald(&["audit", "check", &proof, "--key", &key, "--head", &early]).await;
    assert!(checked.status.success(), "{checked:?}");
    let rebuilt = herald(&["rebuild", "--data", text(&elsewhere)]).await;
    assert!(rebuilt.status.success(), "{rebuilt:?}");
    assert_eq!(audit(&elsewhere, &["verify"]).await.0, Some(0));
    // What came after the backup is not there, and a head that knows of it says so.
    let (code, told) = audit(&elsewhere, &["verify", "--head", &late, "--key", &key]).await;
    assert!(code == Some(3) && told.contains("CHANGED"), "{told}");
    for folder in [data, elsewhere, to, keys, kept] {
        fs::remove_dir_all(folder).ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_backup_leaves_nothing() {
    let (data, to) = (place("interrupted"), place("partial"));
    let _herald = Process::start(&["--data", text(&data), "--durability", "unsynced"]).await;
    let nats: i32 = fs::read_to_string(data.join("nats/nats.pid")).unwrap().trim().parse().unwrap();
    let nats = Pid::from_raw(nats).unwrap();
    kill_process(nats, Signal::STOP).unwrap();
    let mut command = Command::new(program());
    let words = ["backup", "--data", text(&data), "--to", text(&to)];
    let mut backup = command.args(words).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    // Once it waits for NATS: from then on it hears the signal.
    while !listens(backup.id().unwrap()) {}
    signal_child(&backup, Signal::INT);
    assert_eq!(backup.wait().await.unwrap().code(), Some(130));
    kill_process(nats, Signal::CONT).unwrap();
    assert!(!to.exists() && !to.with_extension("partial").exists());
}

/// Whether a process has a handler for Ctrl-C: the second bit of what its status says it catches.
fn listens(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or_default();
    u64::from_str_radix(caught.trim(), 16).is_ok_and(|caught| caught & 0b10 != 0)
}

#[test]
fn whatever_lies_in_nats_is_backed_up_or_left_out_for_a_reason() {
    let in_nats = |name: &str| name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_');
    let there: BTreeSet<_> = gateway::held::PLACES.iter().map(|(name, _)| *name).filter(|name| in_nats(name)).collect();
    let listed: BTreeSet<_> = PLACES.iter().map(|(name, _)| *name).collect();
    assert_eq!(there, listed);
    assert!(PLACES.iter().all(|(_, place)| !matches!(place, Place::LeftOut(""))));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
