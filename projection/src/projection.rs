//! The pure side of a view: what facts mean as rows. No I/O, no clock. The
//! writes of a batch coalesce, and come out the same however facts are batched.

use events::{Envelope, event::Number};

/// A batch's writes to one view; the default is none.
pub(crate) trait Projection: Default {
    /// Facts of one partition that are projected before it is asked whether there is enough.
    const TURN: usize = 500;

    /// Adds what a fact means.
    fn project(&mut self, envelope: &Envelope);

    /// Whether the facts so far mean nothing to this view.
    fn is_empty(&self) -> bool;

    /// Whether there is as much to write as one transaction should, however few the facts were.
    fn is_full(&self) -> bool {
        false
    }
}

/// A message's number as the tables hold it.
pub(crate) fn column(number: Number) -> i32 {
    i32::try_from(number).expect("no thread has two thousand million messages")
}

/// A file's bytes as the tables hold them.
pub(crate) fn size_column(bytes: u64) -> i64 {
    i64::try_from(bytes).expect("no file has that many bytes")
}

/// A sequence as the tables hold it.
pub(crate) fn sequence_column(sequence: u64) -> i64 {
    i64::try_from(sequence).expect("no partition has that many events")
}
