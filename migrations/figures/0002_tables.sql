-- How many people do how much. Nothing here says who anybody is.

CREATE TABLE days (
    messages  bigint NOT NULL,
    signed_up bigint NOT NULL,
    -- UTC.
    day       date PRIMARY KEY
);

-- How many different people there are of a kind, as a HyperLogLog: 4,096 registers of a byte, that merge by their maxima.
CREATE TABLE sketches (
    -- `active`: who did something on the day; `wrote`: who wrote on it; `stayed`: those of who signed up in the week that
    -- begins with the day, who did something so many weeks later, up to 12.
    kind      text NOT NULL,
    day       date NOT NULL,
    weeks     smallint NOT NULL,
    registers bytea NOT NULL,
    PRIMARY KEY (kind, day, weeks)
);
-- In the row itself: they are read byte by byte.
ALTER TABLE sketches ALTER registers SET STORAGE PLAIN;

-- How many members each group has, 0 where all have left, and how many groups have so many.
CREATE TABLE groups (
    thread_id uuid PRIMARY KEY,
    size      integer NOT NULL
) WITH (fillfactor = 75);
CREATE TABLE group_sizes (
    groups bigint NOT NULL,
    size   integer PRIMARY KEY
);

CREATE VIEW registers AS
SELECT kind, day, weeks, slot, get_byte(registers, slot) AS rank FROM sketches CROSS JOIN generate_series(0, 4095) AS slot;

-- For so many people do registers stand, of which so many are empty, and the others weigh 2^-rank each: Ertl 2017
-- (arXiv:1702.01284), algorithm 6, without the term for registers that are full. 1.6 % off, as a rule; of few, exact.
CREATE FUNCTION people(empty bigint, weight double precision) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN weight IS NULL THEN 0 ELSE round(4096.0 * 4096 / (2 * ln(2::double precision) * (weight + 4096 * CASE
        WHEN empty = 0 THEN 0
        ELSE empty / 4096.0 + (
            SELECT sum(exp(greatest(2 ^ k * ln(empty / 4096.0::double precision), -700)) * 2 ^ (k - 1))
            FROM generate_series(1, 20) AS k)
    END))) END;

-- What dashboards ask for, a row a day: messages, who signed up, and how many different people did something or wrote.
CREATE VIEW daily AS
WITH people AS (
    SELECT kind, day, people(count(*) FILTER (WHERE rank = 0), sum(2.0::double precision ^ -rank) FILTER (WHERE rank > 0))
    FROM registers WHERE kind IN ('active', 'wrote') GROUP BY kind, day
)
SELECT days.day, days.messages, days.signed_up, coalesce(active.people, 0) AS active, coalesce(wrote.people, 0) AS wrote
FROM days
LEFT JOIN people AS active ON active.day = days.day AND active.kind = 'active'
LEFT JOIN people AS wrote ON wrote.day = days.day AND wrote.kind = 'wrote';

-- How many different people did something in the 30 days up to each; a day costs 30.
CREATE VIEW monthly AS
SELECT days.day, people(count(*) FILTER (WHERE rank = 0), sum(2.0::double precision ^ -rank) FILTER (WHERE rank > 0)) AS active
FROM days
CROSS JOIN LATERAL (
    SELECT max(rank) AS rank FROM registers
    WHERE kind = 'active' AND registers.day BETWEEN days.day - 29 AND days.day GROUP BY slot
) AS month
GROUP BY days.day;

-- Of those who signed up in a week, which is called by its Monday, how many did something so many weeks later.
CREATE VIEW retention AS
SELECT day AS week, weeks,
       (SELECT sum(signed_up) FROM days WHERE days.day BETWEEN registers.day AND registers.day + 6)::bigint AS signed_up,
       people(count(*) FILTER (WHERE rank = 0), sum(2.0::double precision ^ -rank) FILTER (WHERE rank > 0)) AS stayed
FROM registers WHERE kind = 'stayed' GROUP BY day, weeks;

-- Who may read figures and nothing else, where operators have made such a role.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'herald_figures') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO herald_figures', current_schema());
        GRANT SELECT ON daily, monthly, retention, group_sizes TO herald_figures;
    END IF;
END
$$;
