//! The verifier: takes a partition's events as they lie there now and names what
//! is not as it was kept or signed. Pure: whatever it is told, it was read before.

use crate::{
    tile::{Hint, Tile, hint},
    tree::{Growing, Hash, TILE, leaf, leaf_hash},
};
use events::{Partition, Position, log::Raw};
use std::{
    collections::{HashMap, HashSet},
    fmt,
    hash::{DefaultHasher, Hash as _, Hasher},
};

/// Odd places beyond that are counted and not told apart: each takes some 50 bytes until the end.
const MOST: usize = 1_000_000;

/// A head that the log is held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    /// What it is called where it is told.
    pub(crate) label: String,
    pub(crate) size: u64,
    pub(crate) root: Hash,
}

/// What came of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub partition: Partition,
    /// The last sequence that there is.
    pub end: u64,
    /// Up to where hashes are kept.
    pub kept: u64,
    /// The largest head that the log bears out, in events; 0: none.
    pub borne_out: u64,
    pub findings: Vec<Finding>,
    /// Events that are not as they were, beside those that are named.
    pub more: u64,
}

/// Something that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub from: Position,
    /// The last that it is true of.
    pub to: Position,
    pub found: Found,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// An event is not there, or cannot be read.
    Missing,
    /// Subject, headers or payload are others.
    Changed,
    /// What lies here lay so many places further on.
    Moved(i64),
    /// It came twice, or after a later one.
    OutOfOrder,
    /// It says that another event came before it in its aggregate than did.
    Unlinked(u64),
    /// One or more of these are others, and nothing kept tells which.
    Among,
    /// The log is as it was signed: what is kept of it is damaged.
    Kept,
    /// That head is not of this log. `named`: the kept hashes are of the head's log, so that what they name is what changed.
    Unborne { head: String, named: bool },
}

/// Holds a partition's events, one after the other, against what is known of them.
pub(crate) struct Verifier {
    partition: Partition,
    tiles: Vec<Tile>,
    /// By size.
    claims: Vec<Claim>,
    tree: Growing,
    /// Whether no event was missing so far: without it there is no tree.
    whole: bool,
    /// How many events there were, or should have been.
    end: u64,
    /// The leaves of the tile that is being read.
    leaves: Vec<Option<Hash>>,
    odd: Vec<Odd>,
    more: u64,
    /// What lies behind all that is kept, once something is odd.
    beyond: HashSet<Hint>,
    /// Tiles whose leaves look as they should and make another hash.
    doubtful: Vec<u64>,
    links: HashMap<u64, u64>,
    borne_out: u64,
    findings: Vec<Finding>,
}

/// A place whose event is not the one that was kept.
struct Odd {
    sequence: u64,
    here: Option<Hint>,
    kept: Hint,
}

impl Verifier {
    /// `tiles` are all that is kept, each but the last of 256 leaves.
    pub(crate) fn new(partition: Partition, tiles: Vec<Tile>, mut claims: Vec<Claim>) -> Self {
        claims.sort_by_key(|claim| claim.size);
        let mut verifier = Self {
            partition,
            tiles,
            claims,
            tree: Growing::default(),
            whole: true,
            end: 0,
            leaves: Vec::new(),
            odd: Vec::new(),
            more: 0,
            beyond: HashSet::new(),
            doubtful: Vec::new(),
            links: HashMap::new(),
            borne_out: 0,
            findings: Vec::new(),
        };
        verifier.hold_against_claims();
        verifier
    }

    /// Takes the next event.
    pub(crate) fn take(&mut self, raw: &Raw) {
        let sequence = raw.position.sequence;
        if sequence <= self.end {
            self.find(sequence, sequence, Found::OutOfOrder);
            return;
        }
        self.lack(sequence - 1);
        self.put(Some(leaf_hash(&leaf(raw))));
        self.follow(raw);
    }

    /// Tells what was found, once all events were taken.
    pub(crate) fn finish(mut self) -> Report {
        let end = self.end;
        let kept = self.kept();
        let signed = self.claims.last().map_or(0, |claim| claim.size);
        self.lack(kept.max(signed));
        self.close_tile();
        self.tell_apart();
        let Self { partition, borne_out, more, mut findings, .. } = self;
        findings.sort_by_key(|finding| (finding.from, finding.to));
        Report { partition, end, kept, borne_out, findings: joined(findings), more }
    }

    /// Up to where hashes are kept.
    fn kept(&self) -> u64 {
        let Some((last, whole)) = self.tiles.split_last() else { return 0 };
        whole.len() as u64 * TILE + last.hints.len() as u64
    }

    /// Up to there, nothing came.
    fn lack(&mut self, to: u64) {
        if self.end >= to {
            return;
        }
        let from = self.end + 1;
        self.find(from, to, Found::Missing);
        while self.end < to {
            self.put(None);
        }
    }

    fn put(&mut self, leaf: Option<Hash>) {
        self.end += 1;
        match leaf {
            Some(leaf) if self.whole => self.tree.push(leaf),
            Some(_) => {}
            None => self.whole = false,
        }
        if self.end > self.kept() {
            let after_oddity = !self.odd.is_empty();
            self.beyond.extend(leaf.as_ref().filter(|_| after_oddity).map(hint));
        }
        self.leaves.push(leaf);
        if self.leaves.len() as u64 == TILE {
            self.close_tile();
        }
        self.hold_against_claims();
    }

    /// The heads of logs that were as long as this one is so far.
    fn hold_against_claims(&mut self) {
        let size = self.end;
        let first = self.claims.partition_point(|claim| claim.size < size);
        let due: Vec<_> = self.claims[first..].iter().take_while(|claim| claim.size == size).cloned().collect();
        for Claim { label, root, .. } in due {
            if !self.whole {
                // What is missing was told: without it there is no tree to compare.
            } else if self.tree.root() == root {
                self.borne_out = size;
            } else {
                let named = self.kept_root(size) == Some(root);
                let from = (self.borne_out + 1).min(size.max(1));
                self.find(from, size.max(1), Found::Unborne { head: label, named });
            }
        }
    }

    /// The tree of that size as its tiles make it, where they tell.
    fn kept_root(&self, size: u64) -> Option<Hash> {
        let mut tree = Growing::default();
        let whole = usize::try_from(size / TILE).ok()?;
        for tile in self.tiles.get(..whole)? {
            tree.push_tile(tile.root);
        }
        match size % TILE {
            0 => Some(tree.root()),
            _ if size == self.kept() => Some(tree.root_before(self.tiles.last()?.root)),
            _ => None,
        }
    }

    fn close_tile(&mut self) {
        let leaves = std::mem::take(&mut self.leaves);
        if leaves.is_empty() {
            return;
        }
        let index = (self.end - 1) / TILE;
        let Some(tile) = usize::try_from(index).ok().and_then(|index| self.tiles.get(index)).cloned() else { return };
        let same: Option<Vec<Hash>> = leaves.iter().take(tile.hints.len()).copied().collect();
        if same.is_some_and(|leaves| Tile::of(&leaves) == tile) {
            return;
        }
        let before = self.odd.len() as u64 + self.more;
        for ((kept, leaf), sequence) in tile.hints.iter().zip(leaves).zip(index * TILE + 1..) {
            let here = leaf.as_ref().map(hint);
            if here == Some(*kept) {
            } else if self.odd.len() < MOST {
                self.odd.push(Odd { sequence, here, kept: *kept });
            } else {
                self.more += 1;
            }
        }
        if before == self.odd.len() as u64 + self.more {
            self.doubtful.push(index);
        }
    }

    /// What each odd place is: changed, moved or lost; or as it was signed, so that what is kept is wrong.
    fn tell_apart(&mut self) {
        let odd = std::mem::take(&mut self.odd);
        let lay: HashMap<Hint, u64> = odd.iter().map(|odd| (odd.kept, odd.sequence)).collect();
        let here: HashSet<Hint> = odd.iter().filter_map(|odd| odd.here).chain(self.beyond.drain()).collect();
        for Odd { sequence, here: found, kept } in odd {
            if sequence <= self.borne_out {
                self.find(sequence, sequence, Found::Kept);
                continue;
            }
            // That nothing lies there was told when it did not come.
            let Some(found) = found else { continue };
            match lay.get(&found) {
                Some(lay) => {
                    self.find(sequence, sequence, Found::Moved(offset(*lay, sequence)));
                    if !here.contains(&kept) {
                        self.find(sequence, sequence, Found::Missing);
                    }
                }
                None => self.find(sequence, sequence, Found::Changed),
            }
        }
        for index in std::mem::take(&mut self.doubtful) {
            let (from, to) = (index * TILE + 1, ((index + 1) * TILE).min(self.kept()));
            self.find(from, to, if to <= self.borne_out { Found::Kept } else { Found::Among });
        }
    }

    /// Behind all that is kept, the links of aggregates tell whether one was lost, moved or slipped in.
    fn follow(&mut self, raw: &Raw) {
        let mut hasher = DefaultHasher::new();
        raw.subject.hash(&mut hasher);
        let sequence = raw.position.sequence;
        let before = self.links.insert(hasher.finish(), sequence).unwrap_or(0);
        if let Some(previous) = raw.previous().filter(|previous| *previous != before && sequence > self.kept()) {
            self.find(sequence, sequence, Found::Unlinked(previous));
        }
    }

    fn find(&mut self, from: u64, to: u64, found: Found) {
        let at = |sequence| Position { partition: self.partition, sequence };
        self.findings.push(Finding { from: at(from), to: at(to), found });
    }
}

impl Finding {
    /// That what is kept of those events is damaged, or gone.
    pub(crate) fn kept(partition: Partition, from: u64, to: u64) -> Self {
        let at = |sequence| Position { partition, sequence };
        Self { from: at(from), to: at(to), found: Found::Kept }
    }
}

fn offset(lay: u64, lies: u64) -> i64 {
    i64::try_from(lay).unwrap_or(i64::MAX) - i64::try_from(lies).unwrap_or(i64::MAX)
}

/// The same of one event and the next is one finding.
fn joined(findings: Vec<Finding>) -> Vec<Finding> {
    let mut joined: Vec<Finding> = Vec::new();
    for finding in findings {
        let goes_on = |last: &&mut Finding| {
            last.to.sequence + 1 == finding.from.sequence
                && last.found == finding.found
                && !matches!(last.found, Found::Unborne { .. } | Found::Unlinked(_))
        };
        match joined.iter_mut().rev().take(2).find(goes_on) {
            Some(last) => last.to = finding.to,
            None => joined.push(finding),
        }
    }
    joined
}

impl Found {
    /// For programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Changed => "changed",
            Self::Moved(_) => "moved",
            Self::OutOfOrder => "out_of_order",
            Self::Unlinked(_) => "unlinked",
            Self::Among => "among",
            Self::Kept => "kept",
            Self::Unborne { .. } => "unborne",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, found } = self;
        if from == to {
            write!(f, "{from} ")?;
        } else {
            write!(f, "{from} to {to} ")?;
        }
        match found {
            Found::Missing => f.write_str("missing"),
            Found::Changed => f.write_str("changed"),
            Found::Moved(by) => write!(f, "moved: lay at {}", i128::from(from.sequence) + i128::from(*by)),
            Found::OutOfOrder => f.write_str("out of order"),
            Found::Unlinked(previous) => {
                write!(f, "unlinked: names {previous} as the event before it in its aggregate")
            }
            Found::Among => f.write_str("changed: one or more of these, nothing kept tells which"),
            Found::Kept => f.write_str("the log is as it was signed; the hashes kept of it are damaged"),
            Found::Unborne { head, named: true } => write!(f, "are not those of the {head}"),
            Found::Unborne { head, named: false } => {
                write!(f, "are not those of the {head}; the hashes kept of them are not of its log either")
            }
        }
    }
}
