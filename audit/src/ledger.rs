//! What can be done with what is kept of the log: it is extended by reading what
//! the log has got since, never over a log that is not the one it was made of; the
//! log is held against it; and proofs are made of both.

use crate::{
    head::{Head, InvalidHead, Signed},
    note::{PublicKey, Signing},
    proof::{Consistency, Inclusion},
    shelf::Shelf,
    tile::Tile,
    tree::{Growing, TILE, Tree, leaf, leaf_hash},
    verify::{Claim, Finding, Report, Verifier},
};
use events::{
    Clock, EventLog, Partition, Position,
    log::{BucketError, LogError, Raw},
};
use std::{collections::BTreeMap, time::Duration};

/// The doors to what is kept.
pub struct Ledger {
    log: EventLog,
    clock: Clock,
    shelf: Shelf,
}

/// The newest head of a partition, and how many events it has more than the one before.
#[derive(Debug, Clone)]
pub struct Sealed {
    pub signed: Signed,
    pub added: u64,
}

/// A head of elsewhere, and what it is called where it is told.
#[derive(Debug, Clone)]
pub struct Against {
    pub label: String,
    pub signed: Signed,
}

#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("what is kept of partition {0} is none of ours, or damaged")]
    Damaged(Partition),
    #[error("the newest head: {0}")]
    Head(#[from] InvalidHead),
    /// The log is another one than was signed.
    #[error(
        "partition {partition} is not what was signed of it, up to {size} events: `herald audit verify` names what is not"
    )]
    Broken { partition: Partition, size: u64 },
    #[error("there is no event at {0} that a head tells of yet: `herald audit head` makes one")]
    NotSealed(Position),
}

impl From<BucketError> for LedgerError {
    fn from(error: BucketError) -> Self {
        Self::Log(error.into())
    }
}

impl Ledger {
    /// Opens the buckets; who is first makes the key.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn open(log: EventLog, clock: Clock) -> Result<Self, LedgerError> {
        Ok(Self { shelf: Shelf::open(&log).await?, log, clock })
    }

    /// The public key, under the name of each partition.
    pub fn keys(&self) -> Vec<PublicKey> {
        self.shelf.keys.iter().map(Signing::public).collect()
    }

    /// Forgets what is kept of a partition: the next head is of the log as it is now.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn forget(&self, partition: Partition) -> Result<(), LedgerError> {
        Ok(self.shelf.forget(partition).await?)
    }

    /// Takes in what a partition has got since the newest head, and signs another.
    ///
    /// # Errors
    /// [`LedgerError::Broken`] where the log is not the one that was signed, `Damaged`; technical ones.
    pub async fn seal(&self, partition: Partition) -> Result<Sealed, LedgerError> {
        let kept = self.shelf.newest(partition).await?;
        let (size, mut tree) =
            kept.as_ref().map_or((0, Growing::default()), |kept| (kept.signed.head.size, kept.tree.clone()));
        let broken = || LedgerError::Broken { partition, size };
        let as_signed = |tree: &Growing| kept.as_ref().is_none_or(|kept| kept.signed.head.root == tree.root());
        let mut open = Vec::new();
        let mut whole = tree.clone();
        let mut reader = self.log.raw(partition, tree.size()).await?;
        if tree.size() == size && !as_signed(&tree) {
            return Err(LedgerError::Damaged(partition));
        }
        loop {
            let batch = reader.next_batch().await?;
            if batch.is_empty() {
                break;
            }
            for raw in batch {
                let hash = leaf_hash(&leaf(&raw));
                tree.push(hash);
                open.push(hash);
                if raw.position.sequence != tree.size() || tree.size() == size && !as_signed(&tree) {
                    return Err(broken());
                }
                if tree.size().is_multiple_of(TILE) {
                    whole.push_tile(self.shelf.keep(partition, tree.size() / TILE - 1, &Tile::of(&open)).await?.root);
                    open.clear();
                }
            }
        }
        if tree.size() < size || tree.size() < reader.end() {
            return Err(broken());
        }
        let added = tree.size() - size;
        if let Some(kept) = kept.as_ref().filter(|_| added == 0) {
            return Ok(Sealed { signed: kept.signed.clone(), added });
        }
        if !open.is_empty() {
            self.shelf.keep(partition, tree.size() / TILE, &Tile::of(&open)).await?;
        }
        let signed = self.sign(partition, &tree);
        self.shelf.publish(partition, &signed, &whole, kept.map(|kept| kept.revision)).await?;
        Ok(Sealed { signed, added })
    }

    /// Seals every partition, again and again. What is broken is told each time.
    pub async fn run(self, pause: Duration) {
        loop {
            for partition in self.log.names().partitions() {
                match self.seal(partition).await {
                    Ok(_) => {}
                    Err(error @ (LedgerError::Log(_) | LedgerError::NotSealed(_))) => {
                        tracing::warn!(%partition, %error, "the log's newest events are not sealed yet");
                    }
                    Err(error @ (LedgerError::Damaged(_) | LedgerError::Head(_) | LedgerError::Broken { .. })) => {
                        tracing::error!(%partition, %error, "THE LOG OR WHAT IS KEPT OF IT WAS CHANGED");
                    }
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Reads a partition from its beginning, and holds it against all that is kept and signed. `progress` is told how
    /// many events were read, and of how many.
    ///
    /// # Errors
    /// Technical ones only.
    pub async fn verify(
        &self,
        partition: Partition,
        against: &[Against],
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Report, LedgerError> {
        let claim = |label: &str, signed: &Signed| Claim {
            label: label.to_owned(),
            size: signed.head.size,
            root: signed.head.root,
        };
        let heads = against.iter().filter(|against| against.signed.head.partition == partition);
        let mut claims: Vec<_> = heads.map(|against| claim(&against.label, &against.signed)).collect();
        // Before the tiles: they may get more meanwhile, and the log too.
        let newest = match self.shelf.newest(partition).await {
            Ok(kept) => kept.map(|kept| kept.signed),
            // What it vouched for is held against all else.
            Err(LedgerError::Damaged(_) | LedgerError::Head(_)) => None,
            Err(error) => return Err(error),
        };
        claims.extend(newest.as_ref().map(|signed| claim("newest head kept beside the log", signed)));
        let tiles = self.shelf.all_tiles(partition).await?;
        let mut verifier = Verifier::new(partition, tiles, claims);
        let mut reader = self.log.raw(partition, 0).await?;
        loop {
            let batch = reader.next_batch().await?;
            let Some(last) = batch.last().map(|raw| raw.position.sequence) else { break };
            for raw in &batch {
                verifier.take(raw);
            }
            progress(last, reader.end());
        }
        let mut report = verifier.finish();
        let signed = newest.map_or(0, |signed| signed.head.size);
        if report.kept < signed && report.borne_out >= signed {
            report.findings.push(Finding::kept(partition, report.kept + 1, signed));
        }
        Ok(report)
    }

    /// Proves that an event is in the log that the newest head tells of.
    ///
    /// # Errors
    /// `NotSealed`, `Broken`; technical ones.
    pub async fn inclusion(&self, position: Position) -> Result<Inclusion, LedgerError> {
        let Position { partition, sequence } = position;
        let kept = self.shelf.newest(partition).await?.ok_or(LedgerError::NotSealed(position))?;
        let size = kept.signed.head.size;
        if !(1..=size).contains(&sequence) {
            return Err(LedgerError::NotSealed(position));
        }
        let index = sequence - 1;
        let broken = || LedgerError::Broken { partition, size };
        let (tree, raws) = self.tree(partition, size, index / TILE).await?;
        let event = raws.iter().find(|raw| raw.position == position).map(leaf);
        let (Some(event), Some(path)) = (event, tree.inclusion(index)) else { return Err(broken()) };
        let proof = Inclusion::new(kept.signed, index, event, path);
        proof.leads_to_its_head().map_err(|_| broken())?;
        Ok(proof)
    }

    /// Proves that the log of the newest head grew out of an earlier one's.
    ///
    /// # Errors
    /// `NotSealed`, `Broken`; technical ones.
    pub async fn consistency(&self, earlier: &Signed) -> Result<Consistency, LedgerError> {
        let Head { partition, size: old, .. } = earlier.head;
        let position = Position { partition, sequence: old };
        let kept = self.shelf.newest(partition).await?.ok_or(LedgerError::NotSealed(position))?;
        let size = kept.signed.head.size;
        let broken = || LedgerError::Broken { partition, size: old };
        if size < old {
            return Err(broken());
        }
        let (tree, _) = self.tree(partition, size, old / TILE).await?;
        let Some(path) = tree.consistency(old) else { return Err(broken()) };
        let proof = Consistency::new(kept.signed, old, path);
        proof.leads_from(earlier).map_err(|_| broken())?;
        Ok(proof)
    }

    /// The tree of a size, with the leaves of a tile and of the last; and the events of the tile.
    async fn tree(&self, partition: Partition, size: u64, tile: u64) -> Result<(Tree, Vec<Raw>), LedgerError> {
        let tiles = self.shelf.all_tiles(partition).await?.into_iter().map(|tile| tile.root);
        let tiles = tiles.take(usize::try_from(size / TILE).unwrap_or(usize::MAX)).collect();
        let raws = self.events_of(partition, tile, size).await?;
        let hashes = |raws: &[Raw]| raws.iter().map(|raw| leaf_hash(&leaf(raw))).collect();
        let mut leaves = BTreeMap::from([(tile, hashes(&raws))]);
        if size / TILE != tile {
            leaves.insert(size / TILE, hashes(&self.events_of(partition, size / TILE, size).await?));
        }
        Ok((Tree { size, tiles, leaves }, raws))
    }

    /// The events of a tile, up to a size of the log.
    async fn events_of(&self, partition: Partition, tile: u64, size: u64) -> Result<Vec<Raw>, LedgerError> {
        let to = ((tile + 1) * TILE).min(size);
        let mut reader = self.log.raw(partition, tile * TILE).await?;
        let mut raws: Vec<Raw> = Vec::new();
        while raws.last().map_or(tile * TILE, |last| last.position.sequence) < to {
            let batch = reader.next_batch().await?;
            if batch.is_empty() {
                break;
            }
            raws.extend(batch);
        }
        raws.retain(|raw| raw.position.sequence <= to);
        Ok(raws)
    }

    fn sign(&self, partition: Partition, tree: &Growing) -> Signed {
        let key = &self.shelf.keys[usize::from(partition.0)];
        let (epoch, at) = (self.log.epoch(), events::clock::millis(self.clock.now().timestamp_millis()));
        let head = Head { partition, size: tree.size(), root: tree.root(), epoch, at };
        let note = key.sign(&head.text(&key.public().name));
        Signed::new(head, note)
    }
}
