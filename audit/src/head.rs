//! A head: how many events a partition had and what tree they made, as somebody
//! signed it (c2sp.org/tlog-checkpoint). Kept elsewhere, it is what nobody who
//! can write to the log can undo.

use crate::{
    note::{self, InvalidNote, PublicKey},
    tree::Hash,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use events::{Partition, Timestamp};
use uuid::Uuid;

/// What a partition was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub partition: Partition,
    /// How many events it had: the sequence of the last.
    pub size: u64,
    pub(crate) root: [u8; 32],
    /// Of the log, when it was signed.
    pub epoch: Uuid,
    pub at: Timestamp,
}

/// A head and who vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    pub head: Head,
    note: String,
}

/// Why a head is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHead {
    #[error("a head {0}")]
    Note(#[from] InvalidNote),
    #[error("a note is no head of a log")]
    Shape,
}

/// The partition that a name under which heads are signed is of.
pub(crate) fn partition(origin: &str) -> Option<Partition> {
    origin.rsplit_once('/')?.1.parse().ok().map(Partition)
}

impl Head {
    /// The text that is signed, under a name that ends with the partition.
    pub(crate) fn text(&self, origin: &str) -> String {
        let Self { partition: _, size, root, epoch, at } = self;
        let (root, at) = (STANDARD.encode(root), at.timestamp_millis());
        format!("{origin}\n{size}\n{root}\nepoch {epoch}\ntime {at}\n")
    }

    fn parse(text: &str) -> Option<(&str, Self)> {
        let mut lines = text.lines();
        let origin = lines.next()?;
        let head = Self {
            partition: partition(origin)?,
            size: lines.next()?.parse().ok()?,
            root: hash(lines.next()?)?,
            epoch: lines.next()?.strip_prefix("epoch ")?.parse().ok()?,
            at: Timestamp::from_timestamp_millis(lines.next()?.strip_prefix("time ")?.parse().ok()?)?,
        };
        // Nothing else is said, and nothing otherwise.
        (head.text(origin) == text).then_some((origin, head))
    }
}

impl Signed {
    pub(crate) fn new(head: Head, note: String) -> Self {
        Self { head, note }
    }

    /// As it is kept in files.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Reads a head and checks who vouches for it.
    ///
    /// # Errors
    /// When it is none, or nobody of them does.
    pub fn open(note: &str, keys: &[PublicKey]) -> Result<Self, InvalidHead> {
        let (text, key) = note::open(note, keys)?;
        let (origin, head) = Head::parse(text).ok_or(InvalidHead::Shape)?;
        if origin != key.name {
            return Err(InvalidHead::Shape);
        }
        Ok(Self { head, note: note.to_owned() })
    }

    /// Reads a file of heads, an empty line between each and the next.
    ///
    /// # Errors
    /// As [`Signed::open`], of the first that will not do.
    pub fn open_all(file: &str, keys: &[PublicKey]) -> Result<Vec<Self>, InvalidHead> {
        let parts: Vec<_> = file.trim_end_matches('\n').split("\n\n").collect();
        parts
            .chunks(2)
            .map(|note| match note {
                [text, signatures] => Self::open(&format!("{text}\n\n{signatures}\n"), keys),
                _ => Err(InvalidHead::Shape),
            })
            .collect()
    }
}

/// A hash as it is written in heads and proofs.
pub(crate) fn hash(line: &str) -> Option<Hash> {
    STANDARD.decode(line).ok()?.try_into().ok()
}
