-- What every generation of a view has. Unqualified names: it lies in whatever schema it is made for.

CREATE TABLE generation (
    id         uuid NOT NULL,
    epoch      uuid NOT NULL,
    version    integer NOT NULL,
    -- Until when it is kept while another one serves; of the one that serves it means nothing.
    keep_until timestamptz NOT NULL
);
CREATE UNIQUE INDEX generation_is_one ON generation ((true));

CREATE TABLE checkpoint (
    sequence  bigint NOT NULL,
    partition integer PRIMARY KEY,
    event_id  uuid
);
