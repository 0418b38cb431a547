//! Proofs that somebody checks who has the public key and nothing else: that an
//! event is in the log that a head tells of (c2sp.org/tlog-proof), and that one
//! head's log grew out of another's (the request of c2sp.org/tlog-witness).

use crate::{
    head::{InvalidHead, Signed, hash},
    note::PublicKey,
    tree::{Hash, rooted},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use ct_merkle::{ConsistencyProof, InclusionProof};
use events::Position;
use sha2::Sha256;
use std::fmt;

const INCLUSION: &str = "c2sp.org/tlog-proof@v1";

/// That an event is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inclusion {
    pub signed: Signed,
    /// From 0.
    index: u64,
    /// The event as it is stored: subject, headers, an empty line, payload.
    pub event: Vec<u8>,
    path: Vec<Hash>,
}

/// That a log grew out of an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consistency {
    pub signed: Signed,
    /// The events of the earlier one.
    pub old: u64,
    path: Vec<Hash>,
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProof {
    #[error("it is no proof")]
    Shape,
    #[error(transparent)]
    Head(#[from] InvalidHead),
    #[error("the heads are of different partitions, or the proof is of another pair")]
    OtherHeads,
    #[error("it does not lead to the head")]
    Wrong,
}

impl Inclusion {
    pub(crate) fn new(signed: Signed, index: u64, event: Vec<u8>, path: Vec<Hash>) -> Self {
        Self { signed, index, event, path }
    }

    /// Where the event lies.
    pub fn position(&self) -> Position {
        Position { partition: self.signed.head.partition, sequence: self.index + 1 }
    }

    /// Reads a proof, and checks it.
    ///
    /// # Errors
    /// When it proves nothing.
    pub fn check(text: &str, keys: &[PublicKey]) -> Result<Self, InvalidProof> {
        let (body, note) = text.split_once("\n\n").ok_or(InvalidProof::Shape)?;
        let mut lines = body.split('\n');
        let mut after = |word: &str| lines.next().and_then(|line| line.strip_prefix(word));
        after(INCLUSION).filter(|rest| rest.is_empty()).ok_or(InvalidProof::Shape)?;
        let event = after("extra ").and_then(|event| STANDARD.decode(event).ok()).ok_or(InvalidProof::Shape)?;
        let index = after("index ").and_then(|index| index.parse().ok()).ok_or(InvalidProof::Shape)?;
        let path = lines.map(hash).collect::<Option<_>>().ok_or(InvalidProof::Shape)?;
        let proof = Self { signed: Signed::open(note, keys)?, index, event, path };
        proof.leads_to_its_head()?;
        // One text for one proof.
        if proof.to_string() == text { Ok(proof) } else { Err(InvalidProof::Shape) }
    }

    pub(crate) fn leads_to_its_head(&self) -> Result<(), InvalidProof> {
        let path = InclusionProof::<Sha256>::try_from_bytes(self.path.concat()).map_err(|_| InvalidProof::Shape)?;
        let head = &self.signed.head;
        rooted(head.root, head.size).verify_inclusion(&self.event, self.index, &path).map_err(|_| InvalidProof::Wrong)
    }
}

impl Consistency {
    pub(crate) fn new(signed: Signed, old: u64, path: Vec<Hash>) -> Self {
        Self { signed, old, path }
    }

    /// Reads a proof, and checks it against the earlier head.
    ///
    /// # Errors
    /// When it proves nothing.
    pub fn check(text: &str, earlier: &Signed, keys: &[PublicKey]) -> Result<Self, InvalidProof> {
        let (body, note) = text.split_once("\n\n").ok_or(InvalidProof::Shape)?;
        let mut lines = body.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")?.parse().ok()).ok_or(InvalidProof::Shape)?;
        let path = lines.map(hash).collect::<Option<_>>().ok_or(InvalidProof::Shape)?;
        let proof = Self { signed: Signed::open(note, keys)?, old, path };
        proof.leads_from(earlier)?;
        if proof.to_string() == text { Ok(proof) } else { Err(InvalidProof::Shape) }
    }

    pub(crate) fn leads_from(&self, earlier: &Signed) -> Result<(), InvalidProof> {
        let (from, to) = (&earlier.head, &self.signed.head);
        if from.partition != to.partition || from.size != self.old {
            return Err(InvalidProof::OtherHeads);
        }
        if self.old == 0 {
            // Whatever there is grew out of nothing.
            return if self.path.is_empty() { Ok(()) } else { Err(InvalidProof::Wrong) };
        }
        let path = ConsistencyProof::<Sha256>::try_from_bytes(self.path.concat()).map_err(|_| InvalidProof::Shape)?;
        let grew = rooted(to.root, to.size).verify_consistency(&rooted(from.root, from.size), &path);
        grew.map_err(|_| InvalidProof::Wrong)
    }
}

impl fmt::Display for Inclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{INCLUSION}\nextra {}\nindex {}", STANDARD.encode(&self.event), self.index)?;
        write_path(f, &self.path)?;
        write!(f, "\n{}", self.signed.note())
    }
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        write_path(f, &self.path)?;
        write!(f, "\n{}", self.signed.note())
    }
}

fn write_path(f: &mut fmt::Formatter<'_>, path: &[Hash]) -> fmt::Result {
    path.iter().try_for_each(|hash| writeln!(f, "{}", STANDARD.encode(hash)))
}
