//! How many different people there are, told by a few bytes for all of them: the
//! registers of a `HyperLogLog` (Flajolet et al. 2007). What they come to is asked
//! in SQL: `migrations/figures`. Pure.

use events::UserId;
use sha2::{Digest, Sha256};
use std::fmt;

/// Bits of a person's hash that choose their register.
const PRECISION: u32 = 12;
const REGISTERS: usize = 1 << PRECISION;

/// The highest rank that was seen in each register, 0 for none. Whoever counts twice changes nothing.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Sketch(Box<[u8]>);

/// Where somebody falls: a register, and how rare that is. By their id alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    register: usize,
    rank: u8,
}

impl Mark {
    pub(crate) fn of(user_id: UserId) -> Self {
        let digest = Sha256::digest(user_id.uuid().as_bytes());
        // Not the bytes that choose a partition.
        let hash = u64::from_be_bytes(digest[8..16].try_into().expect("SHA-256 has 32 bytes"));
        let rest = (hash << PRECISION) | (1 << (PRECISION - 1));
        Self {
            register: usize::try_from(hash >> (u64::BITS - PRECISION)).expect("a register is a small number"),
            rank: u8::try_from(rest.leading_zeros() + 1).expect("a hash has 64 bits"),
        }
    }
}

impl Default for Sketch {
    fn default() -> Self {
        Self(vec![0; REGISTERS].into())
    }
}

impl fmt::Debug for Sketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sketch({} of {REGISTERS})", self.0.iter().filter(|rank| **rank > 0).count())
    }
}

impl Sketch {
    /// Counts somebody.
    pub(crate) fn add(&mut self, Mark { register, rank }: Mark) {
        self.0[register] = rank.max(self.0[register]);
    }

    /// Counts those of the other too.
    pub(crate) fn merge(&mut self, registers: &[u8]) {
        self.0.iter_mut().zip(registers).for_each(|(rank, other)| *rank = (*rank).max(*other));
    }

    pub(crate) fn registers(&self) -> &[u8] {
        &self.0
    }
}
