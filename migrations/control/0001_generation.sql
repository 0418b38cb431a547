-- What every generation of a view has. Unqualified names: it lies in whatever schema it is made for.

CREATE TABLE generation (
    id         uuid NOT NULL,
    epoch      uuid NOT NULL,
    version    integer NOT NULL,
    -- Which part of the partitions it holds, as 0/3: rows of others lie in other databases.
    share      text NOT NULL,
    -- Until when it is kept while another one serves; of the one that serves it means nothing.
    keep_until timestamptz NOT NULL
);
CREATE UNIQUE INDEX generation_is_one ON generation ((true));

CREATE TABLE checkpoint (
    sequence  bigint NOT NULL,
    partition integer PRIMARY KEY,
    event_id  uuid
);

-- The facts that could not be applied: of their aggregate nothing is applied from there on. Of facts that have no order,
-- as receipts, only that one: they name no aggregate.
CREATE TABLE quarantine (
    sequence     bigint NOT NULL,
    partition    integer NOT NULL,
    aggregate_id uuid,
    event_id     uuid NOT NULL,
    reason       text NOT NULL,
    PRIMARY KEY (partition, sequence)
);
CREATE INDEX quarantine_aggregate ON quarantine (aggregate_id);
