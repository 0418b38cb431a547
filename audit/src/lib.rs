//! That the log is what it was: a Merkle tree over the stored bytes of each
//! partition (RFC 9162), heads of it that are signed and kept elsewhere, and the
//! verifier that names whatever was changed since. Knows the log and no view.

mod head;
mod ledger;
mod note;
mod proof;
mod shelf;
mod tile;
mod tree;
mod verify;

#[cfg(test)]
mod tests;

pub use head::{Head, InvalidHead, Signed};
pub use ledger::{Against, Ledger, LedgerError, Sealed};
pub use note::{InvalidNote, PublicKey};
pub use proof::{Consistency, Inclusion, InvalidProof};
pub use verify::{Finding, Found, Report};
