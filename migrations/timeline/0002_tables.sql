-- What was written, and the membership that governs who sees it.

-- Widest alignment first, then what may be NULL: no padding, and eight columns keep the header at 24 bytes.
CREATE TABLE messages (
    sequence  bigint NOT NULL,
    sent_at   timestamptz NOT NULL,
    number    integer NOT NULL,
    thread_id uuid NOT NULL,
    sender_id uuid NOT NULL,
    key       uuid NOT NULL,
    reply_to  integer,
    -- As it was last edited; NULL once it was deleted or its author erased.
    body      text,
    PRIMARY KEY (thread_id, number)
);

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

-- What few messages have.
CREATE TABLE details (
    edited_at  timestamptz,
    -- Of a deleted message nothing changes any more.
    deleted_at timestamptz,
    number     integer NOT NULL,
    thread_id  uuid NOT NULL,
    mentions   uuid[] NOT NULL,
    PRIMARY KEY (thread_id, number)
);

-- The files of messages, in their order. Of a deleted message there are none.
CREATE TABLE attachments (
    -- Of the message.
    sequence      bigint NOT NULL,
    -- In bytes.
    size          bigint NOT NULL,
    number        integer NOT NULL,
    place         integer NOT NULL,
    thread_id     uuid NOT NULL,
    attachment_id uuid NOT NULL,
    -- Who sealed it.
    author_id     uuid NOT NULL,
    width         integer,
    height        integer,
    media_type    text NOT NULL,
    -- NULL once its author was erased.
    name          text,
    PRIMARY KEY (thread_id, number, place)
);

-- The reactions that there are, and since which fact.
CREATE TABLE reactions (
    sequence  bigint NOT NULL,
    number    integer NOT NULL,
    thread_id uuid NOT NULL,
    user_id   uuid NOT NULL,
    emoji     text NOT NULL,
    PRIMARY KEY (thread_id, number, user_id, emoji)
);

-- What happened in a thread beside messages: a row a fact. Never holds what a message says.
CREATE TABLE changes (
    sequence  bigint NOT NULL,
    at        timestamptz NOT NULL,
    -- The message that it concerns, or that a notice follows.
    number    integer NOT NULL,
    thread_id uuid NOT NULL,
    by_id     uuid NOT NULL,
    user_id   uuid,
    -- `created` `renamed` `member_added` `member_removed` `member_left` `role_changed` `picture_changed`: the notices of history;
    -- `edited` `deleted` `reacted` `unreacted` `opened` `blocked` `unblocked`: not shown there.
    kind      text NOT NULL,
    -- A title, a role, an emoji or a picture's id; NULL also for a title whose author was erased.
    detail    text,
    notice    boolean NOT NULL,
    PRIMARY KEY (thread_id, sequence)
);
