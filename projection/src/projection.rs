//! The pure side of a view: what facts mean as rows. No I/O, no clock. The
//! writes of a batch coalesce, and come out the same however facts are batched.

use events::{Envelope, Event, event::Number, shard::Part};
use std::borrow::Cow;

/// A batch's writes to one view; the default is none.
pub(crate) trait Projection: Default {
    /// Facts of one partition that are projected before it is asked whether there is enough.
    const TURN: usize = 500;

    /// Whether its rows are written as soon as there are any, and not a little later with others.
    const HURRIED: bool = true;

    /// Whether a fact means anything to this view: if not, it need not make sense.
    fn concerns(_: &Event) -> bool {
        true
    }

    /// As much of a fact as means rows of that part. A fact of which all lies with its aggregate is not even read elsewhere.
    fn part_of<'a>(_: &Part, fact: &'a Envelope) -> Option<Cow<'a, Envelope>> {
        Some(Cow::Borrowed(fact))
    }

    /// Adds what a fact means.
    fn project(&mut self, envelope: &Envelope);

    /// Whether the facts so far mean nothing to this view.
    fn is_empty(&self) -> bool;

    /// Whether there is as much to write as one transaction should, however few the facts were.
    fn is_full(&self) -> bool {
        false
    }
}

/// Why no view takes a fact that concerns it: it says what no table of ours holds. So by the fact alone.
pub(crate) fn unsound(fact: &Envelope) -> Option<String> {
    let is_beyond = |number: &Number| i32::try_from(*number).is_err();
    if let Some(number) = fact.event.number().filter(is_beyond) {
        return Some(format!("no message has the number {number}"));
    }
    let texts = fact.event.texts();
    let has_nul = texts.iter().filter_map(|text| text.as_str()).any(|text| text.contains('\0'));
    has_nul.then(|| "a text has a NUL in it".to_owned())
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
