//! Where in the log: a partition, a position in it, and a vector of positions.
//! Their text forms, `3` · `3:1289` · `0:17,3:1289`, are part of the contract.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// One of the log's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Partition(pub u16);

impl Partition {
    /// Beside the log's: the stream of who is connected where, of bounded age. No vector that clients see names it.
    pub const PRESENCE: Self = Self(u16::MAX);

    /// What it is called where people look at it.
    pub fn label(self) -> String {
        if self == Self::PRESENCE { "presence".to_owned() } else { self.to_string() }
    }
}

/// One event's place: sequences count from 1 in each partition, without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub partition: Partition,
    pub sequence: u64,
}

/// How far something has come, in each partition that it names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vector(BTreeMap<Partition, u64>);

/// Why a text is no position or vector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not a list of partition:sequence")]
pub struct InvalidPosition;

impl Vector {
    /// The sequence in that partition; 0 where the vector does not name it.
    pub fn get(&self, partition: Partition) -> u64 {
        self.0.get(&partition).copied().unwrap_or(0)
    }

    pub fn set(&mut self, partition: Partition, sequence: u64) {
        self.0.insert(partition, sequence);
    }

    /// Raises one partition to at least that position.
    pub fn raise(&mut self, position: Position) {
        let sequence = self.0.entry(position.partition).or_default();
        *sequence = position.sequence.max(*sequence);
    }

    /// Whether this has come at least as far as `other`, wherever `other` names a partition.
    pub fn covers(&self, other: &Self) -> bool {
        other.iter().all(|position| self.get(position.partition) >= position.sequence)
    }

    pub fn iter(&self) -> impl Iterator<Item = Position> {
        self.0.iter().map(|(&partition, &sequence)| Position { partition, sequence })
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it says anything of that partition.
    pub fn names(&self, partition: Partition) -> bool {
        self.0.contains_key(&partition)
    }

    /// What it says of the partitions that `other` names too.
    #[must_use]
    pub fn within(&self, other: &Self) -> Self {
        self.iter().filter(|position| other.names(position.partition)).collect()
    }

    /// What both have seen, of two that may each have seen other partitions: the lower where both name one.
    #[must_use]
    pub fn with_lower(mut self, other: &Self) -> Self {
        for Position { partition, sequence } in other.iter() {
            let known = self.0.entry(partition).or_insert(sequence);
            *known = sequence.min(*known);
        }
        self
    }
}

impl FromIterator<Position> for Vector {
    fn from_iter<I: IntoIterator<Item = Position>>(positions: I) -> Self {
        let mut vector = Self::default();
        positions.into_iter().for_each(|position| vector.raise(position));
        vector
    }
}

impl From<Position> for Vector {
    fn from(position: Position) -> Self {
        Self(BTreeMap::from([(position.partition, position.sequence)]))
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.partition, self.sequence)
    }
}

impl fmt::Display for Vector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, position) in self.iter().enumerate() {
            write!(f, "{}{position}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

fn digits<N: FromStr>(text: &str) -> Result<N, InvalidPosition> {
    let canonical = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| canonical).ok_or(InvalidPosition)
}

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let (partition, sequence) = text.split_once(':').ok_or(InvalidPosition)?;
        Ok(Self { partition: Partition(digits(partition)?), sequence: digits(sequence)? })
    }
}

impl FromStr for Vector {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let mut vector = BTreeMap::new();
        for part in text.split(',').filter(|_| !text.is_empty()) {
            let position: Position = part.trim().parse()?;
            if vector.insert(position.partition, position.sequence).is_some() {
                return Err(InvalidPosition);
            }
        }
        Ok(Self(vector))
    }
}

macro_rules! as_text {
    ($($name:ty),*) => {$(
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
as_text!(Position, Vector);
