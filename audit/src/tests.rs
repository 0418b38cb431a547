//! The tree against another's implementation, notes against another's key, and
//! ten thousand changes of what the verifier reads, each of which it finds.

#![expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "a test's numbers are small")]

use crate::{
    head::{Head, Signed},
    note::{self, PublicKey, Signing},
    proof::{Consistency, Inclusion},
    tile::Tile,
    tree::{Growing, Hash, TILE, Tree, leaf, leaf_hash},
    verify::{Claim, Finding, Found, Report, Verifier},
};
use bytes::Bytes;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use events::{Partition, Position, clock::millis, log::Raw};
use sha2::Sha256;
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

const PARTITION: Partition = Partition(3);
const LINK: &str = "Nats-Expected-Last-Subject-Sequence";

fn at(sequence: u64) -> Position {
    Position { partition: PARTITION, sequence }
}

/// A partition's events, of nine aggregates and of receipts.
fn log(size: u64) -> Vec<Raw> {
    let mut links: HashMap<u64, u64> = HashMap::new();
    let event = |sequence: u64| {
        let of = (sequence * 7 + sequence / 5) % 10;
        let (subject, headers) = if of == 9 {
            ("evt.3.receipt".to_owned(), BTreeMap::new())
        } else {
            let previous = links.insert(of, sequence).unwrap_or(0);
            (format!("evt.3.thread.{of}"), BTreeMap::from([(LINK.to_owned(), vec![previous.to_string()])]))
        };
        let payload = Bytes::from(format!("{{\"id\":\"{sequence}\",\"event\":\"ÿ\\u0000{}\"}}", sequence * sequence));
        Raw { position: at(sequence), subject, headers, payload }
    };
    (1..=size).map(event).collect()
}

fn hashes(log: &[Raw]) -> Vec<Hash> {
    log.iter().map(|raw| leaf_hash(&leaf(raw))).collect()
}

fn tiles(log: &[Raw]) -> Vec<Tile> {
    hashes(log).chunks(TILE as usize).map(Tile::of).collect()
}

fn root(log: &[Raw]) -> Hash {
    hashes(log).into_iter().collect::<Growing>().root()
}

fn claim(label: &str, log: &[Raw]) -> Claim {
    Claim { label: label.to_owned(), size: log.len() as u64, root: root(log) }
}

fn verify(tiles: &[Tile], claims: &[Claim], log: &[Raw]) -> Report {
    let mut verifier = Verifier::new(PARTITION, tiles.to_vec(), claims.to_vec());
    for raw in log {
        verifier.take(raw);
    }
    verifier.finish()
}

fn signing() -> Signing {
    Signing::new("herald/0123456789abcdef/3".to_owned(), [7; 32])
}

fn signed(log: &[Raw]) -> Signed {
    let key = signing();
    let (size, root) = (log.len() as u64, root(log));
    let head = Head { partition: PARTITION, size, root, epoch: Uuid::nil(), at: millis(1_795_000_000_000) };
    let note = key.sign(&head.text(&key.public().name));
    Signed::new(head, note)
}

/// A tree of which the leaves of all tiles are known.
fn tree(log: &[Raw]) -> Tree {
    let hashes = hashes(log);
    let chunks = || hashes.chunks(TILE as usize);
    let whole = chunks().filter(|tile| tile.len() as u64 == TILE);
    Tree {
        size: log.len() as u64,
        tiles: whole.map(|tile| Tile::of(tile).root).collect(),
        leaves: (0..).zip(chunks().map(<[Hash]>::to_vec)).collect(),
    }
}

fn inclusion(log: &[Raw], sequence: u64) -> Inclusion {
    let path = tree(log).inclusion(sequence - 1).unwrap();
    Inclusion::new(signed(log), sequence - 1, leaf(&log[sequence as usize - 1]), path)
}

fn consistency(log: &[Raw], old: u64) -> Consistency {
    Consistency::new(signed(log), old, tree(log).consistency(old).unwrap())
}

#[test]
fn the_tree_and_its_proofs_are_those_of_another_implementation() {
    let log = log(600);
    let mut theirs = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    let mut ours = Growing::default();
    for (size, raw) in (1..).zip(&log) {
        theirs.push(leaf(raw));
        ours.push(leaf_hash(&leaf(raw)));
        assert_eq!(ours.root().as_slice(), theirs.root().as_bytes().as_slice(), "of {size}");
        if [1, 2, 255, 256, 257, 511, 512, 513, 600].contains(&size) {
            let tree = tree(&log[..size]);
            for index in (0..size).step_by(17) {
                let path = tree.inclusion(index as u64).unwrap().concat();
                assert_eq!(path, theirs.prove_inclusion(index).as_bytes(), "{index} of {size}");
            }
            for old in (1..size).step_by(13) {
                let path = tree.consistency(old as u64).unwrap().concat();
                assert_eq!(path, theirs.prove_consistency(size - old).as_bytes(), "{old} to {size}");
            }
        }
    }
}

#[test]
fn a_note_of_somebody_elses_is_read_and_no_other() {
    let key: PublicKey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".parse().unwrap();
    let text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    let signature = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";
    let note = format!("{text}\n— PeterNeumann {signature}\n");
    assert_eq!(note::open(&note, std::slice::from_ref(&key)).unwrap(), (text, key.clone()));
    assert_eq!(note::open(&note.replace("think", "thought"), &[key]), Err(note::InvalidNote::Forged));
    assert_eq!(note::open(&note, &[signing().public()]), Err(note::InvalidNote::Unknown));
    let ours = signing().public();
    assert_eq!(ours.to_string().parse(), Ok(ours));
}

#[test]
fn heads_are_read_back_from_a_file_of_several() {
    let log = log(300);
    let heads = [signed(&log[..10]), signed(&log)];
    let file = heads.each_ref().map(Signed::note).join("\n");
    assert_eq!(Signed::open_all(&file, &[signing().public()]), Ok(heads.to_vec()));
    assert!(Signed::open_all(&file.replace("\n300\n", "\n299\n"), &[signing().public()]).is_err());
}

#[test]
fn nothing_is_found_where_nothing_was_changed() {
    let log = log(700);
    let claims = [claim("head of elsewhere", &log[..100]), claim("newest head", &log[..690]), claim("empty", &[])];
    let report = verify(&tiles(&log[..690]), &claims, &log);
    assert_eq!(report, Report { partition: PARTITION, end: 700, kept: 690, borne_out: 690, findings: vec![], more: 0 });
    assert_eq!(verify(&[], &[], &log).findings, []);
}

#[test]
fn behind_all_that_is_kept_the_links_tell_what_was_lost_or_moved() {
    let log = log(60);
    let mut lost = log.clone();
    let gone = lost.remove(20);
    renumber(&mut lost);
    let report = verify(&tiles(&log[..10]), &[], &lost);
    let tells = |found: &Finding| matches!(found.found, Found::Unlinked(_));
    assert!(report.findings.iter().any(tells) && gone.previous().is_some(), "{report:?}");
    let mut moved = log.clone();
    swap(&mut moved, 20, 33);
    assert!(verify(&tiles(&log[..10]), &[], &moved).findings.iter().any(tells));
}

#[test]
fn where_log_and_hashes_were_changed_alike_a_head_of_elsewhere_tells() {
    let log = log(600);
    let mut forged = log.clone();
    forged[299].payload = Bytes::from_static(b"{}");
    let claims = [claim("head a", &log[..200]), claim("head b", &log[..512])];
    let report = verify(&tiles(&forged), &claims, &forged);
    let found = Found::Unborne { head: "head b".to_owned(), named: false };
    assert_eq!(report.findings, [Finding { from: at(201), to: at(512), found }]);
    // With the hashes as they were, it is named.
    let report = verify(&tiles(&log), &claims, &forged);
    assert!(report.findings.contains(&Finding { from: at(300), to: at(300), found: Found::Changed }), "{report:?}");
    let found = Found::Unborne { head: "head b".to_owned(), named: true };
    assert!(report.findings.contains(&Finding { from: at(201), to: at(512), found }), "{report:?}");
}

#[test]
fn damaged_hashes_are_told_from_a_changed_log() {
    let log = log(600);
    let (mut hinted, mut rooted) = (tiles(&log), tiles(&log));
    hinted[1].hints[3][0] ^= 1;
    rooted[1].root[0] ^= 1;
    let claims = [claim("head", &log[..520])];
    for (tiles, from, to) in [(hinted, 260, 260), (rooted, 257, 512)] {
        assert_eq!(verify(&tiles, &claims, &log).findings, [Finding::kept(PARTITION, from, to)]);
    }
}

#[test]
fn proofs_are_checked_with_the_public_key_alone() {
    let (log, keys) = (log(600), [signing().public()]);
    for sequence in [1, 2, 256, 257, 599, 600] {
        let proof = Inclusion::check(&inclusion(&log, sequence).to_string(), &keys).unwrap();
        assert_eq!((proof.position(), proof.event), (at(sequence), leaf(&log[sequence as usize - 1])));
    }
    for old in [0, 1, 255, 256, 300, 599, 600] {
        let earlier = signed(&log[..old]);
        let text = consistency(&log, old as u64).to_string();
        assert!(Consistency::check(&text, &earlier, &keys).is_ok(), "{old}");
        let mut forked = log.clone();
        if old > 0 {
            forked[old / 2].payload = Bytes::from_static(b"{}");
            assert!(Consistency::check(&text, &signed(&forked[..old]), &keys).is_err(), "{old}");
        }
    }
}

/// `SplitMix64`: chance that is the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// Changes one bit, so that what was text stays text.
    fn flip(&mut self, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        loop {
            let place = self.below(bytes.len() as u64) as usize;
            let bit = 1 << self.below(8);
            bytes[place] ^= bit;
            if let Ok(text) = String::from_utf8(bytes.clone()) {
                return text;
            }
            bytes[place] ^= bit;
        }
    }
}

fn renumber(log: &mut [Raw]) {
    for (sequence, raw) in (1..).zip(log) {
        raw.position.sequence = sequence;
    }
}

fn swap(log: &mut [Raw], one: usize, other: usize) {
    log.swap(one, other);
    renumber(log);
}

#[test]
fn ten_thousand_changes_of_what_is_read_are_all_found_and_named() {
    let sound = log(300);
    let (size, kept) = (290, tiles(&sound[..290]));
    let claims = [claim("head of elsewhere", &sound[..200]), claim("newest head", &sound[..290])];
    let keys = [signing().public()];
    let (earlier, note) = (signed(&sound[..200]), signed(&sound).note().to_owned());
    let (inclusion, consistency) = (inclusion(&sound, 123).to_string(), consistency(&sound, 200).to_string());
    let mut chance = Chance(0x5eed);
    let mut kinds = [0; 12];
    for round in 0..10_000 {
        let mut log = sound.clone();
        let index = chance.below(size) as usize;
        let sequence = index as u64 + 1;
        let kind = chance.below(12);
        kinds[kind as usize] += 1;
        let expected = match kind {
            0 => {
                log[index].subject = chance.flip(&log[index].subject);
                vec![(sequence, Found::Changed)]
            }
            1 => {
                let mut payload = log[index].payload.to_vec();
                let place = chance.below(payload.len() as u64) as usize;
                payload[place] ^= 1 << chance.below(8);
                log[index].payload = payload.into();
                vec![(sequence, Found::Changed)]
            }
            2 => {
                let headers = &mut log[index].headers;
                match headers.get_mut(LINK).filter(|_| chance.below(2) == 0) {
                    Some(values) => values[0] = chance.flip(&values[0]),
                    None => drop(headers.insert("Added".to_owned(), vec![String::new()])),
                }
                vec![(sequence, Found::Changed)]
            }
            3 => {
                log.remove(index);
                vec![(sequence, Found::Missing)]
            }
            4 => {
                log.remove(index);
                renumber(&mut log);
                vec![(sequence, Found::Missing)]
            }
            5 => {
                let other = (index + 1 + chance.below(size - 1) as usize) % size as usize;
                swap(&mut log, index, other);
                let by = other as i64 - index as i64;
                vec![(sequence, Found::Moved(by)), (other as u64 + 1, Found::Moved(-by))]
            }
            6 => {
                log.truncate(index);
                vec![(sequence, Found::Missing), (size, Found::Missing)]
            }
            7 => {
                let copy = log[chance.below(index as u64 + 1) as usize].clone();
                log.insert(index, copy);
                renumber(&mut log);
                vec![]
            }
            8 => {
                // It comes a second time, under its own number.
                log.insert((index + 5).min(log.len()), sound[index].clone());
                vec![(sequence, Found::OutOfOrder)]
            }
            9 => {
                let read = Signed::open(&chance.flip(&note), &keys);
                assert!(read.is_err(), "round {round}: {read:?}");
                continue;
            }
            10 => {
                let read = Inclusion::check(&chance.flip(&inclusion), &keys);
                assert!(read.is_err(), "round {round}: {read:?}");
                continue;
            }
            _ => {
                let read = Consistency::check(&chance.flip(&consistency), &earlier, &keys);
                assert!(read.is_err(), "round {round}: {read:?}");
                continue;
            }
        };
        let report = verify(&kept, &claims, &log);
        assert!(!report.findings.is_empty(), "round {round}, kind {kind}: nothing found of {sequence}");
        for (sequence, found) in expected {
            let names = |finding: &Finding| {
                (finding.from.sequence..=finding.to.sequence).contains(&sequence) && finding.found == found
            };
            let named = report.findings.iter().any(names);
            assert!(named, "round {round}, kind {kind}: {found:?} of {sequence} is not in {:?}", report.findings);
        }
    }
    assert!(kinds.iter().all(|count| *count > 700), "{kinds:?}");
}
