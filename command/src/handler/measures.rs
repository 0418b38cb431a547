//! What handlers tell of themselves: how commands end, what is refused and why,
//! how well the cache serves. Handles are resolved once for each aggregate.

use super::{HandleError, Handled};
use crate::decider::Aggregate;
use metrics::{Counter, Gauge, Unit, counter, describe_counter, describe_gauge, gauge};
use std::fmt::{Debug, Write};

const DECISIONS: &str = "herald_command_decisions_total";
const REFUSALS: &str = "herald_command_refusals_total";
const CONFLICTS: &str = "herald_command_conflicts_total";
const HITS: &str = "herald_command_cache_hits_total";
const MISSES: &str = "herald_command_cache_misses_total";
const BYTES: &str = "herald_command_cache_bytes";
const ENTRIES: &str = "herald_command_cache_entries";

/// How commands of one kind of aggregate end.
pub(super) struct Measures {
    aggregate: &'static str,
    appended: Counter,
    unchanged: Counter,
    refused: Counter,
    gave_up: Counter,
    unknown: Counter,
    failed: Counter,
    conflicts: Counter,
}

/// How well the cache of one kind of aggregate serves.
pub(super) struct CacheMeasures {
    hits: Counter,
    misses: Counter,
    bytes: Gauge,
    entries: Gauge,
}

impl Measures {
    pub(super) fn of<A: Aggregate>() -> Self {
        describe_counter!(DECISIONS, "Commands, by how they ended.");
        describe_counter!(REFUSALS, "Commands that the rules refused, by why.");
        describe_counter!(CONFLICTS, "Decisions that others were faster than; each was made anew.");
        let aggregate = name::<A>();
        let decisions = |outcome| counter!(DECISIONS, "aggregate" => aggregate, "outcome" => outcome);
        Self {
            aggregate,
            appended: decisions("appended"),
            unchanged: decisions("unchanged"),
            refused: decisions("refused"),
            gave_up: decisions("conflict"),
            unknown: decisions("unknown"),
            failed: decisions("failed"),
            conflicts: counter!(CONFLICTS, "aggregate" => aggregate),
        }
    }

    pub(super) fn conflict(&self) {
        self.conflicts.increment(1);
    }

    pub(super) fn handled<T, R: Debug>(&self, outcome: &Result<Handled<T>, HandleError<R>>) {
        let counter = match outcome {
            Ok(Handled { at: Some(_), .. }) => &self.appended,
            Ok(Handled { at: None, .. }) => &self.unchanged,
            Err(HandleError::Rejected(rejection)) => {
                counter!(REFUSALS, "aggregate" => self.aggregate, "reason" => reason(rejection)).increment(1);
                &self.refused
            }
            Err(HandleError::Conflict) => &self.gave_up,
            Err(HandleError::OutcomeUnknown(_)) => &self.unknown,
            Err(HandleError::Log(_)) => &self.failed,
        };
        counter.increment(1);
    }
}

impl CacheMeasures {
    pub(super) fn of<A: Aggregate>() -> Self {
        describe_counter!(HITS, "Looks at a state that this node knew.");
        describe_counter!(MISSES, "Looks at a state that had to be loaded.");
        describe_gauge!(BYTES, Unit::Bytes, "What the known states weigh.");
        describe_gauge!(ENTRIES, "How many states are known.");
        let aggregate = name::<A>();
        Self {
            hits: counter!(HITS, "aggregate" => aggregate),
            misses: counter!(MISSES, "aggregate" => aggregate),
            bytes: gauge!(BYTES, "aggregate" => aggregate),
            entries: gauge!(ENTRIES, "aggregate" => aggregate),
        }
    }

    pub(super) fn looked(&self, known: bool) {
        let counter = if known { &self.hits } else { &self.misses };
        counter.increment(1);
    }

    pub(super) fn size(&self, bytes: u64, entries: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and no cache is that large")]
        self.bytes.set(bytes as f64);
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and no cache is that large")]
        self.entries.set(entries as f64);
    }
}

/// The kind of an aggregate, as the fingerprint of its state begins.
fn name<A: Aggregate>() -> &'static str {
    A::SHAPE.split_once('.').map_or(A::SHAPE, |(name, _)| name)
}

/// A rejection's variant, and nothing of what it carries: few words, and no one's content.
fn reason(rejection: &impl Debug) -> String {
    let mut told = String::new();
    // A text takes whatever is written.
    write!(told, "{rejection:?}").ok();
    let mut reason = String::new();
    for (index, letter) in told.chars().take_while(char::is_ascii_alphanumeric).enumerate() {
        if letter.is_ascii_uppercase() && index > 0 {
            reason.push('_');
        }
        reason.push(letter.to_ascii_lowercase());
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::reason;
    use crate::thread::Rejection;

    #[test]
    fn a_reason_is_the_variant_alone() {
        assert_eq!(reason(&Rejection::NotAMember), "not_a_member");
        assert_eq!(reason(&Rejection::KeyUnknown { as_of: 17 }), "key_unknown");
    }
}
