-- Who people are.

CREATE TABLE users (
    created_at   timestamptz NOT NULL,
    user_id      uuid PRIMARY KEY,
    -- NULL once the person was erased.
    username     text,
    display_name text,
    about        text NOT NULL DEFAULT '',
    -- `everyone`, `contacts` or `nobody`.
    last_seen_visible_to text NOT NULL DEFAULT 'everyone',
    -- `everyone` or `contacts`.
    may_add_me   text NOT NULL DEFAULT 'everyone'
);

-- Whom somebody keeps as a contact, under an alias of their own.
CREATE TABLE contacts (
    user_id    uuid NOT NULL,
    contact_id uuid NOT NULL,
    alias      text,
    PRIMARY KEY (user_id, contact_id)
);

-- From whom somebody wants nothing.
CREATE TABLE blocks (
    user_id    uuid NOT NULL,
    blocked_id uuid NOT NULL,
    PRIMARY KEY (user_id, blocked_id)
);

-- What people look like, where it is like anything.
CREATE TABLE pictures (
    -- In bytes.
    size          bigint NOT NULL,
    -- The person.
    owner_id      uuid PRIMARY KEY,
    attachment_id uuid NOT NULL,
    -- Who sealed it.
    author_id     uuid NOT NULL,
    media_type    text NOT NULL,
    -- NULL once its author was erased.
    name          text
);
