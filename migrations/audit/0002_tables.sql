-- Who did what to whom, and when; messages are not deeds.

CREATE TABLE deeds (
    at           timestamptz NOT NULL,
    sequence     bigint NOT NULL,
    partition    integer NOT NULL,
    -- A fact may concern several people: a row for each, from 0.
    place        integer NOT NULL,
    -- The person or the thread that it happened to; NULL: the deployment.
    aggregate_id uuid,
    -- NULL: the system.
    by_id        uuid,
    -- Whom else it concerns.
    user_id      uuid,
    kind         text NOT NULL,
    -- NULL too once its author was erased.
    detail       text,
    PRIMARY KEY (partition, sequence, place)
);

-- What people told the operators of.
CREATE TABLE reports (
    at          timestamptz NOT NULL,
    resolved_at timestamptz,
    sequence    bigint NOT NULL,
    partition   integer NOT NULL,
    number      integer NOT NULL,
    reporter_id uuid NOT NULL,
    thread_id   uuid NOT NULL,
    resolved_by uuid,
    -- NULL once the reporter was erased.
    reason      text,
    resolution  text,
    PRIMARY KEY (partition, sequence)
);
-- The open ones of a person are few.
CREATE INDEX reports_open ON reports (reporter_id, thread_id, number) WHERE resolved_at IS NULL;
