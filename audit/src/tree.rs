//! The tree of RFC 9162, section 2.1: what a leaf is, and the hash over any run
//! of leaves, made of whole tiles and of the leaves of those tiles that are known.
//! `ct-merkle` says which nodes a proof takes, and checks proofs.

use ct_merkle::{RootHash, indices_for_consistency_proof, indices_for_inclusion_proof};
use events::log::Raw;
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fmt::Write};

/// Leaves of a tile: a subtree that is kept as one hash.
pub(crate) const TILE: u64 = 256;

/// A SHA-256.
pub(crate) type Hash = [u8; 32];

/// What stands for an event: its subject, its headers by name, an empty line, and its payload, so that whoever reads
/// the stream with any client of NATS comes to the same bytes. Where it lies, its place in the tree says.
pub(crate) fn leaf(raw: &Raw) -> Vec<u8> {
    let mut head = format!("{}\n", raw.subject);
    for (name, values) in &raw.headers {
        for value in values {
            writeln!(head, "{name}: {value}").expect("a String takes what is written");
        }
    }
    head.push('\n');
    [head.as_bytes(), &raw.payload].concat()
}

pub(crate) fn leaf_hash(leaf: &[u8]) -> Hash {
    Sha256::new_with_prefix([0]).chain_update(leaf).finalize().into()
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new_with_prefix([1]).chain_update(left).chain_update(right).finalize().into()
}

/// A tree as ct-merkle knows one.
pub(crate) fn rooted(root: Hash, size: u64) -> RootHash<Sha256> {
    RootHash::new(root.into(), size)
}

/// A tree that leaves are added to: the roots of its largest perfect subtrees, from the left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Growing {
    size: u64,
    peaks: Vec<Hash>,
}

impl Growing {
    /// The tree of that size with those peaks; `None` where it would have others.
    pub(crate) fn of(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (usize::try_from(size.count_ones()) == Ok(peaks.len())).then_some(Self { size, peaks })
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    pub(crate) fn push(&mut self, leaf: Hash) {
        self.add(leaf, 1);
    }

    /// Adds a whole tile to whole tiles.
    pub(crate) fn push_tile(&mut self, tile: Hash) {
        assert!(self.size.is_multiple_of(TILE), "a tile follows whole tiles");
        self.add(tile, TILE);
    }

    pub(crate) fn root(&self) -> Hash {
        let mut right_first = self.peaks.iter().rev();
        let Some(last) = right_first.next() else { return Sha256::digest([]).into() };
        right_first.fold(*last, |right, left| node_hash(left, &right))
    }

    /// The root with so much of one more tile as makes that hash.
    pub(crate) fn root_before(&self, rest: Hash) -> Hash {
        self.peaks.iter().rev().fold(rest, |right, left| node_hash(left, &right))
    }

    fn add(&mut self, mut hash: Hash, leaves: u64) {
        for _ in 0..(self.size / leaves).trailing_ones() {
            let left = self.peaks.pop().expect("as many peaks as its size has ones");
            hash = node_hash(&left, &hash);
        }
        self.peaks.push(hash);
        self.size += leaves;
    }
}

impl FromIterator<Hash> for Growing {
    fn from_iter<I: IntoIterator<Item = Hash>>(leaves: I) -> Self {
        let mut tree = Self::default();
        leaves.into_iter().for_each(|leaf| tree.push(leaf));
        tree
    }
}

/// A tree of which proofs are made.
pub(crate) struct Tree {
    pub(crate) size: u64,
    /// The hashes of its whole tiles.
    pub(crate) tiles: Vec<Hash>,
    /// The leaves of some tiles, by the tile's index: of those that proofs go into, and of the last where it is not whole.
    pub(crate) leaves: BTreeMap<u64, Vec<Hash>>,
}

impl Tree {
    /// The path of RFC 9162, section 2.1.3.1; `None` where a tile is not known that it goes into.
    pub(crate) fn inclusion(&self, index: u64) -> Option<Vec<Hash>> {
        indices_for_inclusion_proof(self.size, index).into_iter().map(|node| self.node(node)).collect()
    }

    /// The proof of RFC 9162, section 2.1.4.1, that a smaller tree grew into this one.
    pub(crate) fn consistency(&self, old: u64) -> Option<Vec<Hash>> {
        if old == 0 {
            return Some(Vec::new());
        }
        indices_for_consistency_proof(old, self.size - old).into_iter().map(|node| self.node(node)).collect()
    }

    /// A node as ct-merkle numbers them (RFC 9420, appendix C): leaves are even, and the ones at a number's end its height.
    fn node(&self, node: u64) -> Option<Hash> {
        let width = 1 << node.trailing_ones();
        let from = (node - (width - 1)) / 2;
        self.over(from, (from + width).min(self.size))
    }

    /// The hash over leaves from one to before another.
    fn over(&self, from: u64, to: u64) -> Option<Hash> {
        let count = to - from;
        let (tile, offset) = (from / TILE, from % TILE);
        if offset == 0 && count == TILE {
            return self.tiles.get(usize::try_from(tile).ok()?).copied();
        }
        if count == 1 {
            return self.leaves.get(&tile)?.get(usize::try_from(offset).ok()?).copied();
        }
        let left = 1 << (count - 1).ilog2();
        Some(node_hash(&self.over(from, from + left)?, &self.over(from + left, to)?))
    }
}
