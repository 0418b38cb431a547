//! Where it lies that the log is held against: in buckets beside it, a key of the
//! deployment's, and for each partition its tiles and the newest head.

use crate::{
    head::{Signed, hash},
    ledger::LedgerError,
    note::Signing,
    tile::Tile,
    tree::{Growing, Hash, TILE},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::SigningKey;
use events::{
    EventLog, Partition,
    log::{Bucket, BucketError, Claim, LogError, Partitioned},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// The key's seed, in a bucket of its own: backups keep it where they keep keys.
const SEED: &str = "key";
/// The newest head, in each partition's bucket.
const HEAD: &str = "head";

/// The buckets, and the keys by partition.
pub(crate) struct Shelf {
    tiles: Partitioned,
    pub(crate) keys: Vec<Signing>,
}

/// What is kept beside a head: the peaks of its whole tiles.
#[derive(Serialize, Deserialize)]
struct Record {
    note: String,
    peaks: Vec<String>,
}

/// The newest head as it was found.
pub(crate) struct Kept {
    pub(crate) signed: Signed,
    /// The tree of its whole tiles.
    pub(crate) tree: Growing,
    pub(crate) revision: u64,
}

impl Shelf {
    /// Who is first makes the key.
    pub(crate) async fn open(log: &EventLog) -> Result<Self, LedgerError> {
        let tiles = log.partitioned_bucket("TILES", Duration::ZERO).await?;
        let seed = seed(&log.bucket("AUDIT").await?).await?;
        let digest = Sha256::digest(SigningKey::from_bytes(&seed).verifying_key().as_bytes());
        let id = u64::from_be_bytes(digest[..8].try_into().expect("SHA-256 has 32 bytes"));
        let keys =
            log.names().partitions().map(|partition| Signing::new(format!("herald/{id:016x}/{partition}"), seed));
        Ok(Self { tiles, keys: keys.collect() })
    }

    /// Nothing is kept of a partition after that.
    pub(crate) async fn forget(&self, partition: Partition) -> Result<(), BucketError> {
        let bucket = self.tiles.of(partition);
        bucket.purge(HEAD).await?;
        for index in 0.. {
            if bucket.get(&key(index)).await?.is_none() {
                break;
            }
            bucket.purge(&key(index)).await?;
        }
        Ok(())
    }

    pub(crate) async fn newest(&self, partition: Partition) -> Result<Option<Kept>, LedgerError> {
        let Some(entry) = self.tiles.of(partition).get(HEAD).await? else { return Ok(None) };
        let damaged = || LedgerError::Damaged(partition);
        let record: Record = serde_json::from_slice(&entry.value).map_err(|_| damaged())?;
        let signed = Signed::open(&record.note, &[self.keys[usize::from(partition.0)].public()])?;
        let peaks = record.peaks.iter().map(|peak| hash(peak)).collect::<Option<Vec<_>>>().ok_or_else(damaged)?;
        let size = signed.head.size - signed.head.size % TILE;
        let tree = Growing::of(size, peaks).ok_or_else(damaged)?;
        Ok(Some(Kept { signed, tree, revision: entry.revision }))
    }

    /// Keeps a head, unless somebody else was faster: theirs is as good.
    pub(crate) async fn publish(
        &self,
        partition: Partition,
        signed: &Signed,
        whole: &Growing,
        revision: Option<u64>,
    ) -> Result<(), LedgerError> {
        let peaks = whole.peaks().iter().map(|peak| STANDARD.encode(peak)).collect();
        let record = Record { note: signed.note().to_owned(), peaks };
        let record = serde_json::to_vec(&record).expect("a head is plain data").into();
        let bucket = self.tiles.of(partition);
        match revision {
            None => drop(bucket.create(HEAD, record).await?),
            Some(revision) => match bucket.update(HEAD, record, revision).await {
                Ok(_) | Err(BucketError::Conflict) => {}
                Err(error) => return Err(error.into()),
            },
        }
        Ok(())
    }

    /// Keeps a tile, or what there is of it; a longer one of the same leaves stays.
    pub(crate) async fn keep(&self, partition: Partition, index: u64, tile: &Tile) -> Result<Tile, LedgerError> {
        let (bucket, key) = (self.tiles.of(partition), key(index));
        let size = index * TILE + tile.hints.len() as u64;
        loop {
            let Some(found) = bucket.get(&key).await? else {
                match bucket.create(&key, tile.record().into()).await? {
                    Claim::Ours(_) => return Ok(tile.clone()),
                    Claim::Theirs(_) => continue,
                }
            };
            let there = Tile::parse(&found.value).ok_or(LedgerError::Damaged(partition))?;
            if there == *tile || there.hints.len() > tile.hints.len() && there.hints.starts_with(&tile.hints) {
                return Ok(tile.clone());
            }
            if !tile.hints.starts_with(&there.hints) || tile.hints.len() == there.hints.len() {
                return Err(LedgerError::Broken { partition, size });
            }
            match bucket.update(&key, tile.record().into(), found.revision).await {
                Ok(_) => return Ok(tile.clone()),
                Err(BucketError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// All tiles up to the first that is not whole, or cannot be read.
    pub(crate) async fn all_tiles(&self, partition: Partition) -> Result<Vec<Tile>, LedgerError> {
        let mut tiles: Vec<Tile> = Vec::new();
        while tiles.last().is_none_or(|last| last.hints.len() as u64 == TILE) {
            let found = self.tiles.of(partition).get(&key(tiles.len() as u64)).await?;
            let Some(tile) = found.and_then(|found| Tile::parse(&found.value)) else { break };
            tiles.push(tile);
        }
        Ok(tiles)
    }
}

fn key(tile: u64) -> String {
    format!("tile.{tile}")
}

/// The key's seed, made where there is none.
async fn seed(secrets: &Bucket) -> Result<Hash, LedgerError> {
    let mut fresh = [0; 32];
    getrandom::fill(&mut fresh).map_err(|error| BucketError::Unavailable(error.into()))?;
    let record = match secrets.get(SEED).await? {
        Some(entry) => entry.value,
        None => match secrets.create(SEED, STANDARD.encode(fresh).into()).await? {
            Claim::Ours(_) => return Ok(fresh),
            Claim::Theirs(entry) => entry.value,
        },
    };
    let seed = std::str::from_utf8(&record).ok().and_then(hash);
    seed.ok_or_else(|| LogError::from(BucketError::Unavailable("the audit's key is broken".into())).into())
}
