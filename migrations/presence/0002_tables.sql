-- Who is connected where.

-- Each person once for each gateway that they have devices at.
CREATE TABLE connections (
    user_id    uuid NOT NULL,
    gateway_id uuid NOT NULL,
    PRIMARY KEY (user_id, gateway_id)
);

-- When somebody was last told to have come or gone.
CREATE TABLE seen (
    at      timestamptz NOT NULL,
    user_id uuid PRIMARY KEY
);
-- By gateway: one that is lost ends all of its own.
CREATE INDEX connections_gateway ON connections (gateway_id);
-- By time: who was there in a day or an hour.
CREATE INDEX seen_at ON seen (at);
