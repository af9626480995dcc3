CREATE TABLE things (
    id     TEXT   NOT NULL PRIMARY KEY,
    sealed BYTEA,
    note   TEXT,
    count  BIGINT NOT NULL DEFAULT 0,
    at_ms  BIGINT
);

CREATE TABLE outbox (
    topic           TEXT   NOT NULL,
    key             TEXT   NOT NULL,
    seq             BIGINT NOT NULL,
    payload         BYTEA  NOT NULL,
    due_at_ms       BIGINT NOT NULL,
    leased_until_ms BIGINT NOT NULL DEFAULT 0,
    failures        BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (topic, key, seq)
);

CREATE INDEX outbox_due ON outbox (topic, due_at_ms);
