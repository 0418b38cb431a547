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
    /// The keys of texts: copied last, and to a place of their own.
    Keys,
    /// Not copied, because of that.
    LeftOut(&'static str),
}

/// Every kind of stream and bucket.
pub const PLACES: &[(&str, Place)] = &[
    ("EVENTS", Place::Facts),
    ("POLICIES", Place::Before { divided: false }),
    ("UPLOADS", Place::Before { divided: true }),
    ("CREDENTIALS", Place::After { divided: true }),
    ("KEYS", Place::Keys),
    ("SESSIONS", Place::LeftOut("every session ends with a restore")),
    ("SIGNING", Place::LeftOut("made anew, so that no token of before is good")),
    ("SNAPSHOTS", Place::LeftOut("made of the facts again")),
    (
        "TILES",
        Place::LeftOut("signed with a key that is made anew; heads that lie elsewhere still tell what the log was"),
    ),
    ("PRESENCE", Place::LeftOut("who was connected then is not connected any more")),
    ("GATEWAYS", Place::LeftOut("the leases of nodes that are gone")),
    ("PUSHES", Place::LeftOut("what was to be pushed then is read or old")),
    ("PUSHES_DEAD", Place::LeftOut("what nobody took then is old")),
    ("LOG", Place::LeftOut("the log gets another epoch; its partitions are in the manifest")),
];

/// The kinds that are copied by records, and whether each partition has one.
pub(crate) fn buckets() -> Vec<(&'static str, bool)> {
    let divided = |(kind, place): &(&'static str, Place)| match *place {
        Place::Before { divided } | Place::After { divided } => Some((*kind, divided)),
        Place::Keys => Some((*kind, true)),
        Place::Facts | Place::LeftOut(_) => None,
    };
    PLACES.iter().filter_map(divided).collect()
}
