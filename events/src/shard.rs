//! Which database of the views holds what: partitions are mapped onto databases
//! by their order in a list. What belongs to a person or a thread lies where their
//! partition does.

use crate::{Partition, subject::Names};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// What a database holds of a deployment: the partitions whose number leaves the remainder `index` by `count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share {
    index: u16,
    count: u16,
}

/// Why a text is no share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an index below a count, as 0/3")]
pub struct InvalidShare;

impl Share {
    /// All partitions in one database.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// The shares of so many databases, in their order.
    pub fn each_of(count: u16) -> impl Iterator<Item = Self> {
        (0..count).map(move |index| Self { index, count })
    }

    /// The one at that index of so many.
    ///
    /// # Errors
    /// When there is none.
    pub fn new(index: u16, count: u16) -> Result<Self, InvalidShare> {
        if index < count { Ok(Self { index, count }) } else { Err(InvalidShare) }
    }

    pub fn index(self) -> u16 {
        self.index
    }

    /// How many databases there are.
    pub fn count(self) -> u16 {
        self.count
    }

    /// Whether a partition of the log lies here.
    pub fn has(self, partition: Partition) -> bool {
        partition.0 % self.count == self.index
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Share {
    type Err = InvalidShare;

    fn from_str(text: &str) -> Result<Self, InvalidShare> {
        let (index, count) = text.split_once('/').ok_or(InvalidShare)?;
        let number = |text: &str| text.parse().map_err(|_| InvalidShare);
        Self::new(number(index)?, number(count)?)
    }
}

/// A share of a deployment's people and threads.
#[derive(Debug, Clone)]
pub struct Part {
    names: Names,
    share: Share,
}

impl Part {
    pub fn new(names: &Names, share: Share) -> Self {
        Self { names: names.clone(), share }
    }

    pub fn share(&self) -> Share {
        self.share
    }

    /// The partitions of the log that lie here.
    pub fn partitions(&self) -> impl Iterator<Item = Partition> + use<> {
        let share = self.share;
        self.names.partitions().filter(move |partition| share.has(*partition))
    }

    /// Whether somebody, or a thread, lies here.
    pub fn has(&self, id: Uuid) -> bool {
        self.share == Share::WHOLE || self.share.has(self.names.partition(id))
    }
}

/// The databases of a deployment's views, in the order that says what each holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map(Vec<String>);

impl Map {
    /// Of a list of URLs with commas between them.
    pub fn of(urls: &str) -> Self {
        Self(urls.split(',').map(|url| url.trim().to_owned()).collect())
    }

    pub fn count(&self) -> u16 {
        u16::try_from(self.0.len()).unwrap_or(u16::MAX)
    }

    /// Each database's share and URL.
    pub fn shards(&self) -> impl Iterator<Item = (Share, &str)> {
        Share::each_of(self.count()).zip(self.0.iter().map(String::as_str))
    }

    pub fn has(&self, url: &str) -> bool {
        self.0.iter().any(|of_ours| of_ours == url)
    }
}

impl fmt::Display for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::{Map, Part, Share};
    use crate::{Partition, subject::Names};
    use uuid::Uuid;

    #[test]
    fn each_partition_person_and_thread_lies_in_exactly_one_database() {
        for (partitions, count) in [(1, 1), (4, 1), (4, 3), (4, 4), (16, 5)] {
            let names = Names::new("", partitions);
            let parts: Vec<_> = Share::each_of(count).map(|share| Part::new(&names, share)).collect();
            let mut all: Vec<_> = parts.iter().flat_map(Part::partitions).collect();
            all.sort();
            assert_eq!(all, names.partitions().collect::<Vec<_>>());
            for id in (0..100).map(Uuid::from_u128) {
                let holders: Vec<_> = parts.iter().filter(|part| part.has(id)).map(Part::share).collect();
                assert!(holders.len() == 1 && holders[0].has(names.partition(id)), "{holders:?}");
            }
        }
    }

    #[test]
    fn a_share_reads_back_what_it_is_called() {
        for share in Share::each_of(3) {
            assert_eq!(share.to_string().parse(), Ok(share));
        }
        for wrong in ["", "1", "3/3", "1/0", "-1/2", "0/x"] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
        assert!(Share::WHOLE.has(Partition(3)));
    }

    #[test]
    fn a_map_is_a_list_of_databases_in_their_order() {
        let map = Map::of("postgres://a/x, postgres://b/y");
        let shards: Vec<_> = map.shards().map(|(share, url)| (share.to_string(), url)).collect();
        assert_eq!(shards, [("0/2".to_owned(), "postgres://a/x"), ("1/2".to_owned(), "postgres://b/y")]);
        assert_eq!(Map::of(&map.to_string()), map);
    }
}
