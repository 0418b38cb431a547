//! What becomes of each kind of bucket and stream in a backup. A test holds the
//! list against those that there really are.

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The facts: copied as they lie there.
    Facts,
    /// Copied record by record before the facts, whose end it must not know.
    Before { divided: bool },
    /// Copied after the facts, so that nothing that they name is missing.
    After { divided: bool },
    /// Keys: copied last, and to a place of their own.
    Keys { divided: bool },
    /// Not copied, because of that.
    LeftOut(&'static str),
}

/// Every kind of stream and bucket.
pub const PLACES: &[(&str, Place)] = &[
    ("EVENTS", Place::Facts),
    ("POLICIES", Place::Before { divided: false }),
    ("UPLOADS", Place::Before { divided: true }),
    ("CREDENTIALS", Place::After { divided: true }),
    ("KEYS", Place::Keys { divided: true }),
    // Heads lie with the facts and their key does not: who changes a backup cannot sign what it says then.
    ("TILES", Place::Before { divided: true }),
    ("AUDIT", Place::Keys { divided: false }),
    ("SESSIONS", Place::LeftOut("every session ends with a restore")),
    ("SIGNING", Place::LeftOut("made anew, so that no token of before is good")),
    ("SNAPSHOTS", Place::LeftOut("made of the facts again")),
    ("OPERATORS", Place::LeftOut("no token of before is good: who was removed since would come back")),
    ("PRESENCE", Place::LeftOut("who was connected then is not connected any more")),
    ("GATEWAYS", Place::LeftOut("the leases of nodes that are gone")),
    ("PUSHES", Place::LeftOut("what was to be pushed then is read or old")),
    ("PUSHES_DEAD", Place::LeftOut("what nobody took then is old")),
    ("LOG", Place::LeftOut("the log gets another epoch; its partitions are in the manifest")),
];

/// The kinds that are copied by records, and whether each partition has one.
pub(crate) fn buckets() -> Vec<(&'static str, bool)> {
    let divided = |(kind, place): &(&'static str, Place)| match *place {
        Place::Before { divided } | Place::After { divided } | Place::Keys { divided } => Some((*kind, divided)),
        Place::Facts | Place::LeftOut(_) => None,
    };
    PLACES.iter().filter_map(divided).collect()
}
