-- One row per workspace: its plan and how much of it is in use. Every change of slots updates this row first, which
-- serialises the changes of one workspace and makes the limit exact.
CREATE TABLE workspaces (
    id            TEXT   NOT NULL PRIMARY KEY,
    plan          TEXT   NOT NULL,
    -- Slots held by accounts that are not locked.
    held          BIGINT NOT NULL DEFAULT 0 CHECK (held >= 0),
    -- Slots reserved by unfinished connect sessions.
    reserved      BIGINT NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    -- Raised by one with every change of plan or locks.
    version       BIGINT NOT NULL DEFAULT 1,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL
);

CREATE TABLE slots (
    workspace_id  TEXT   NOT NULL,
    -- A connect session's id or an account's.
    holder_id     TEXT   NOT NULL,
    -- session | account
    kind          TEXT   NOT NULL,
    platform      TEXT   NOT NULL DEFAULT '',
    -- reserved | waiting (sessions: with and without a slot of their own), held | locked (accounts)
    state         TEXT   NOT NULL,
    -- Whose session it is.
    user_id       TEXT   NOT NULL DEFAULT '',
    -- End of a session's reservation; 0 for accounts.
    expires_at_ms BIGINT NOT NULL DEFAULT 0,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, holder_id)
);
CREATE INDEX slots_lapsing ON slots (expires_at_ms) WHERE kind = 'session';

-- Read and written by kit::outbox.
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
