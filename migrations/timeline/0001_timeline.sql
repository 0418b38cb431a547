-- What was written, and the membership that governs who sees it.

CREATE TABLE generation (
    id      uuid NOT NULL,
    epoch   uuid NOT NULL,
    version integer NOT NULL
);
CREATE UNIQUE INDEX generation_is_one ON generation ((true));

CREATE TABLE checkpoint (
    sequence  bigint NOT NULL,
    partition integer PRIMARY KEY,
    event_id  uuid
);

-- Widest alignment first, then what may be NULL: no padding, and eight columns keep the header at 24 bytes.
CREATE TABLE messages (
    sequence  bigint NOT NULL,
    sent_at   timestamptz NOT NULL,
    number    integer NOT NULL,
    thread_id uuid NOT NULL,
    sender_id uuid NOT NULL,
    key       uuid NOT NULL,
    reply_to  integer,
    -- NULL once the author was erased.
    body      text,
    PRIMARY KEY (thread_id, number)
);
-- Keys are UUIDv7, so this index grows at its right edge; thread and sender are compared in the row.
CREATE INDEX messages_key ON messages (key);

-- A message is visible where joined_sequence <= sequence and the member has not left. joined_number is the thread's
-- last number at that moment, so that a scan by number ends there. Joining again replaces the row's values.
CREATE TABLE members (
    joined_sequence bigint NOT NULL,
    left_sequence   bigint,
    joined_number   integer NOT NULL,
    thread_id       uuid NOT NULL,
    user_id         uuid NOT NULL,
    PRIMARY KEY (thread_id, user_id)
);
