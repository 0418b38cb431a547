-- What was written, by its words, and the membership that governs who finds it.

-- Those that are not deleted: a row that is gone does not come back.
CREATE TABLE messages (
    sent_at   timestamptz NOT NULL,
    number    integer NOT NULL,
    thread_id uuid NOT NULL,
    sender_id uuid NOT NULL,
    -- As it was last edited, and folded; NULL once its author was erased.
    body      text,
    folded    text COLLATE "C",
    PRIMARY KEY (thread_id, number)
);

-- Which messages of a thread have a term. In an index scan they come by time: a hit costs a step, and a thread a seek.
-- Terms are compared byte by byte, so that those with one prefix lie together.
CREATE TABLE postings (
    sent_at   timestamptz NOT NULL,
    number    integer NOT NULL,
    thread_id uuid NOT NULL,
    term      text COLLATE "C" NOT NULL,
    PRIMARY KEY (thread_id, term, sent_at, number)
);

-- A message is found where joined_number < number and the member has not left. Joining again replaces the row's values.
CREATE TABLE members (
    joined_sequence bigint NOT NULL,
    left_sequence   bigint,
    joined_number   integer NOT NULL,
    thread_id       uuid NOT NULL,
    user_id         uuid NOT NULL,
    PRIMARY KEY (user_id, thread_id)
);
