//! Where data about people lies, and what tells it to them. A test holds the list
//! against the tables, buckets and folders that there really are.

/// What the lines of an export are, by what they say they are.
pub(crate) const LINES: &[(&str, &str)] = &[
    ("export", "whose export this is, and when it was made; the first line"),
    ("user", "what the person is called, how they look, and what others may"),
    ("session", "a device that is logged in"),
    ("upload", "a file that the person uploaded and nothing uses; `GET /v1/attachments/{id}` has its bytes"),
    ("contact", "somebody whom the person keeps, under a name of the person's"),
    ("block", "somebody from whom the person wants nothing"),
    ("thread", "a thread that the person is in, as the inbox shows it"),
    ("membership", "the person in a thread, now or formerly: how far they have got and read, and how they keep it"),
    (
        "message",
        "a message, with its files: all that the person sees in threads they are in, their own in those they have left",
    ),
    ("notice", "what happened to a group that the person is in"),
    ("deed", "what the person did in a thread beside writing: edits, reactions, titles, members, blocks"),
    ("end", "the last line: nothing is missing before it"),
];

/// What becomes of a place's data in an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Told in those lines.
    Told(&'static str),
    /// Not told, because of that.
    Untold(&'static str),
}

/// Every place where data lies: tables as `view.table`, those that every view has by their name, buckets and streams by their kind, and the store of files.
pub const PLACES: &[(&str, Held)] = &[
    ("directory.users", Held::Told("user")),
    ("directory.pictures", Held::Told("user")),
    ("directory.contacts", Held::Told("contact")),
    ("directory.blocks", Held::Told("block")),
    ("timeline.messages", Held::Told("message")),
    ("timeline.details", Held::Told("message")),
    ("timeline.attachments", Held::Told("message")),
    ("timeline.reactions", Held::Told("deed")),
    ("timeline.changes", Held::Told("deed")),
    ("timeline.members", Held::Told("membership")),
    ("inbox.heads", Held::Told("thread")),
    ("inbox.pictures", Held::Told("thread")),
    ("inbox.memberships", Held::Told("membership")),
    ("inbox.settings", Held::Told("membership")),
    ("inbox.mentions", Held::Told("message")),
    ("search.messages", Held::Told("message")),
    ("search.postings", Held::Told("message")),
    ("search.members", Held::Told("membership")),
    ("presence.connections", Held::Untold("who is connected at this moment; what the person sees of it is no more")),
    ("presence.seen", Held::Untold("when the person last came or went: `GET /v1/presence` tells them")),
    (
        "audit.deeds",
        Held::Untold(
            "what the lines tell and the operators' record of it: who let somebody in, or not any more, and why",
        ),
    ),
    ("audit.reports", Held::Untold("what the person told the operators of, and what came of it")),
    ("figures.days", Held::Untold("how many messages and accounts there are, of nobody in particular")),
    ("figures.sketches", Held::Untold("how many people did something, of nobody in particular")),
    ("figures.groups", Held::Untold("how many members each group has; `GET /v1/threads` tells who is in it")),
    ("figures.group_sizes", Held::Untold("how many groups have how many members")),
    ("figures.registers", Held::Untold("`figures.sketches`, byte by byte")),
    ("figures.daily", Held::Untold("what `figures.days` and `figures.sketches` come to")),
    ("figures.monthly", Held::Untold("what `figures.sketches` come to")),
    ("figures.retention", Held::Untold("what `figures.sketches` come to")),
    ("_sqlx_migrations", Held::Untold("which migrations were applied to a view")),
    ("checkpoint", Held::Untold("how far a view has come")),
    ("generation", Held::Untold("which build of a view it is")),
    ("quarantine", Held::Untold("which facts a view could not apply, and why")),
    ("files", Held::Told("upload")),
    ("EVENTS", Held::Untold("the facts of which all lines are made")),
    ("PRESENCE", Held::Untold("who came and went within the last 48 hours; what it comes to is in `presence`")),
    ("GATEWAYS", Held::Untold("the leases of gateways, of nobody")),
    ("UPLOADS", Held::Told("upload")),
    ("SESSIONS", Held::Told("session")),
    ("CREDENTIALS", Held::Untold("the name stands in `user`; a password's hash is nobody's to read")),
    ("KEYS", Held::Untold("the secret that the person's texts are sealed with")),
    ("SNAPSHOTS", Held::Untold("what commands know of people and threads, made of the facts and thrown away at will")),
    ("SIGNING", Held::Untold("the deployment's own secrets")),
    ("TILES", Held::Untold("hashes of facts, by which a change of the log is found")),
    ("AUDIT", Held::Untold("the key that those hashes are signed with")),
    ("OPERATORS", Held::Untold("who operates the deployment")),
    ("POLICIES", Held::Untold("how far policies have come")),
    ("PUSHES", Held::Untold("which people are to be pushed about which threads, for days at the most")),
    ("PUSHES_DEAD", Held::Untold("the same of pushes that nobody took, for a week")),
    ("LOG", Held::Untold("what the log is")),
    ("process memory", Held::Untold("caches of the above, and what limits have counted for a day")),
    ("process logs", Held::Untold("ids of requests and failures; no texts, names or addresses")),
    ("metrics", Held::Untold("counts, of nobody in particular")),
];
