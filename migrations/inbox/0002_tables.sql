-- What a person's list of threads shows: heads, memberships and receipts.

-- One row a thread, rewritten with every message: room in the page and no index on what changes keep that in place (HOT).
CREATE TABLE heads (
    updated_at     timestamptz NOT NULL,
    last_sequence  bigint NOT NULL,
    last_sent_at   timestamptz,
    last_deleted_at timestamptz,
    last_number    integer NOT NULL,
    member_count   integer NOT NULL,
    thread_id      uuid PRIMARY KEY,
    kind           text NOT NULL,
    last_sender_id uuid,
    title          text,
    -- NULL before the first message, and once it was deleted or its author erased.
    last_body      text
) WITH (fillfactor = 75);

-- Who is in which thread, and up to what number they have got and read, 0 for nothing. Sending reads up to what one sent,
-- so one's own last number is never above read_number. Who has left is not in it: left_sequence. Joining again replaces
-- the row's values.
CREATE TABLE memberships (
    joined_sequence  bigint NOT NULL,
    -- The fact with which delivered_number or read_number last rose, 0 for none.
    moved_sequence   bigint NOT NULL DEFAULT 0,
    joined_at        timestamptz NOT NULL,
    joined_number    integer NOT NULL,
    delivered_number integer NOT NULL DEFAULT 0,
    read_number      integer NOT NULL DEFAULT 0,
    user_id          uuid NOT NULL,
    thread_id        uuid NOT NULL,
    role             text NOT NULL,
    -- The other of a direct thread.
    peer_id          uuid,
    left_sequence    bigint,
    delivered_at     timestamptz,
    read_at          timestamptz,
    PRIMARY KEY (user_id, thread_id)
) WITH (fillfactor = 75);

-- Whom a message mentions; which of them are unread is counted when asked.
CREATE TABLE mentions (
    number    integer NOT NULL,
    thread_id uuid NOT NULL,
    user_id   uuid NOT NULL,
    PRIMARY KEY (thread_id, number, user_id)
);

-- How somebody keeps a thread, where it is not as all are at first; also while they are not in it.
CREATE TABLE settings (
    muted_until timestamptz,
    user_id     uuid NOT NULL,
    thread_id   uuid NOT NULL,
    archived    boolean NOT NULL,
    pinned      boolean NOT NULL,
    PRIMARY KEY (user_id, thread_id)
);

-- What a group looks like, where it is like anything.
CREATE TABLE pictures (
    -- In bytes.
    size          bigint NOT NULL,
    -- The thread.
    owner_id      uuid PRIMARY KEY,
    attachment_id uuid NOT NULL,
    -- Who sealed it.
    author_id     uuid NOT NULL,
    media_type    text NOT NULL,
    -- NULL once its author was erased.
    name          text
);
