//! What is kept of 256 leaves: their hash, which a signed head vouches for, and of
//! each leaf the first four bytes of its own, by which the one that was changed is
//! told from the others. That is 4.1 bytes an event.

use crate::tree::{Growing, Hash, TILE};

/// The first bytes of a leaf's hash.
pub(crate) type Hint = [u8; 4];

/// A tile, or as much of it as there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tile {
    pub(crate) root: Hash,
    pub(crate) hints: Vec<Hint>,
}

pub(crate) fn hint(hash: &Hash) -> Hint {
    [hash[0], hash[1], hash[2], hash[3]]
}

impl Tile {
    pub(crate) fn of(leaves: &[Hash]) -> Self {
        let root = leaves.iter().copied().collect::<Growing>().root();
        Self { root, hints: leaves.iter().map(hint).collect() }
    }

    pub(crate) fn record(&self) -> Vec<u8> {
        [self.root.as_slice(), self.hints.as_flattened()].concat()
    }

    /// `None` where it is none of ours.
    pub(crate) fn parse(record: &[u8]) -> Option<Self> {
        let (root, hints) = record.split_first_chunk()?;
        let (hints, rest) = hints.as_chunks();
        let fits = rest.is_empty() && (1..=TILE).contains(&(hints.len() as u64));
        fits.then(|| Self { root: *root, hints: hints.to_vec() })
    }
}
