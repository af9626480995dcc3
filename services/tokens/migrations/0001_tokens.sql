-- Grants, their sealed credentials, and everything that keeps a rotated token from being lost or spent twice.
-- Portable between SQLite and PostgreSQL; times are unix milliseconds, 0 = none or unknown; JSON is TEXT.

CREATE TABLE grants (
    id                        TEXT   NOT NULL PRIMARY KEY,
    workspace_id              TEXT   NOT NULL,
    connector                 TEXT   NOT NULL,
    platform_user_id          TEXT   NOT NULL,
    user_name                 TEXT   NOT NULL,
    generation                BIGINT NOT NULL CHECK (generation > 0),
    version                   BIGINT NOT NULL CHECK (version > 0),
    -- active, suspect, dead, revoked
    state                     TEXT   NOT NULL,
    -- NULL = destroyed
    sealed_credential         BYTEA,
    renewal                   TEXT   NOT NULL,
    has_refresh_token         BIGINT NOT NULL,
    issued_at_ms              BIGINT NOT NULL,
    access_expires_at_ms      BIGINT NOT NULL,
    refresh_expires_at_ms     BIGINT NOT NULL,
    data_access_expires_at_ms BIGINT NOT NULL,
    granted_scopes            TEXT   NOT NULL,
    dead                      TEXT,
    last_error                TEXT,
    refusals                  BIGINT NOT NULL,
    troubles                  BIGINT NOT NULL,
    last_attempt_at_ms        BIGINT NOT NULL,
    last_refreshed_at_ms      BIGINT NOT NULL,
    next_refresh_at_ms        BIGINT NOT NULL,
    checked_at_ms             BIGINT NOT NULL,
    next_check_at_ms          BIGINT NOT NULL,
    check_delayed             BIGINT NOT NULL,
    derive_pending            BIGINT NOT NULL,
    connected_at_ms           BIGINT NOT NULL,
    -- The earliest of all that is to be done with the grant; NULL = never anything.
    next_due_at_ms            BIGINT
);
CREATE UNIQUE INDEX grants_person ON grants (workspace_id, connector, platform_user_id);
CREATE INDEX grants_platform_user ON grants (platform_user_id);
-- Finding what is due is a range scan of this index, however many grants there are.
CREATE INDEX grants_due ON grants (next_due_at_ms) WHERE next_due_at_ms IS NOT NULL;

-- One account on its grant. A detached one stays as a row without tokens: it answers a repeated Detach.
CREATE TABLE attachments (
    account_id            TEXT   NOT NULL PRIMARY KEY,
    workspace_id          TEXT   NOT NULL,
    grant_id              TEXT   NOT NULL REFERENCES grants (id),
    platform_account_id   TEXT   NOT NULL,
    kind                  TEXT   NOT NULL,
    sealed_derived        BYTEA,
    derived_expires_at_ms BIGINT NOT NULL,
    can_publish           BIGINT NOT NULL,
    problem               TEXT   NOT NULL,
    -- attached, detached
    state                 TEXT   NOT NULL,
    -- What became of the access at the platform after a detach: shared, queued, unsupported, done; empty while attached.
    revocation            TEXT   NOT NULL
);
CREATE INDEX attachments_grant ON attachments (grant_id);

-- One authorization code traded, by connect session.
CREATE TABLE exchanges (
    session_id        TEXT   NOT NULL PRIMARY KEY,
    workspace_id      TEXT   NOT NULL,
    connector         TEXT   NOT NULL,
    -- open, received, exchanged, discovered, attached, failed, discarded
    state             TEXT   NOT NULL,
    platform_user_id  TEXT   NOT NULL,
    grant_id          TEXT,
    error             TEXT,
    sealed_request    BYTEA,
    sealed_receipt    BYTEA,
    sealed_credential BYTEA,
    sealed_discovery  BYTEA,
    started_at_ms     BIGINT NOT NULL,
    updated_at_ms     BIGINT NOT NULL
);
CREATE INDEX exchanges_open ON exchanges (updated_at_ms) WHERE state IN ('open', 'received', 'exchanged');
CREATE INDEX exchanges_age ON exchanges (started_at_ms);

-- One try to renew a grant's credential, from the generation that it found.
CREATE TABLE attempts (
    id                TEXT   NOT NULL PRIMARY KEY,
    workspace_id      TEXT   NOT NULL,
    grant_id          TEXT   NOT NULL REFERENCES grants (id),
    parent_generation BIGINT NOT NULL,
    -- Name of the process, and which life of it.
    owner             TEXT   NOT NULL,
    incarnation       TEXT   NOT NULL,
    protocol_version  BIGINT NOT NULL,
    why               TEXT   NOT NULL,
    -- The attempt without an answer that this one repeats.
    retry_of          TEXT,
    -- Sent with a refresh token out of quarantine.
    salvage_id        TEXT,
    -- open, unknown, applied, refused, transient, abandoned
    state             TEXT   NOT NULL,
    outcome           TEXT   NOT NULL,
    sealed_receipt    BYTEA,
    started_at_ms     BIGINT NOT NULL,
    deadline_at_ms    BIGINT NOT NULL,
    received_at_ms    BIGINT NOT NULL,
    finished_at_ms    BIGINT NOT NULL
);
-- At most one attempt of a grant may be without an outcome: whatever a lock says.
CREATE UNIQUE INDEX attempts_one_open ON attempts (grant_id) WHERE state IN ('open', 'unknown');
CREATE INDEX attempts_unfinished ON attempts (started_at_ms) WHERE state IN ('open', 'unknown');
CREATE INDEX attempts_lineage ON attempts (grant_id, parent_generation);
CREATE INDEX attempts_age ON attempts (started_at_ms);

-- Refresh tokens found in 2xx answers that could not be used otherwise. Tried before the stored one, never thrown away untried.
CREATE TABLE quarantine (
    id           TEXT   NOT NULL PRIMARY KEY,
    workspace_id TEXT   NOT NULL,
    grant_id     TEXT   NOT NULL REFERENCES grants (id),
    -- waiting, refused, sibling
    state        TEXT   NOT NULL,
    sealed_token BYTEA  NOT NULL,
    found_at_ms  BIGINT NOT NULL
);
CREATE INDEX quarantine_grant ON quarantine (grant_id);

-- Credentials to be ended at their platform.
CREATE TABLE revocations (
    id                TEXT   NOT NULL PRIMARY KEY,
    workspace_id      TEXT   NOT NULL,
    connector         TEXT   NOT NULL,
    platform_user_id  TEXT   NOT NULL,
    -- Ends every grant of the person at the platform: dropped when there is a live one again.
    ends_all          BIGINT NOT NULL,
    grant_id          TEXT,
    account_id        TEXT,
    -- queued, done, unsupported, dropped, given_up
    state             TEXT   NOT NULL,
    sealed_credential BYTEA,
    last_error        TEXT,
    failures          BIGINT NOT NULL,
    created_at_ms     BIGINT NOT NULL,
    due_at_ms         BIGINT NOT NULL
);
CREATE INDEX revocations_due ON revocations (due_at_ms) WHERE state = 'queued';
CREATE INDEX revocations_grant ON revocations (grant_id);

-- Announcements of platforms that were applied, by event id.
CREATE TABLE platform_events (
    event_id      TEXT   NOT NULL PRIMARY KEY,
    applied_at_ms BIGINT NOT NULL
);

-- Who was given a token, and when.
CREATE TABLE token_reads (
    id           TEXT   NOT NULL PRIMARY KEY,
    caller       TEXT   NOT NULL,
    workspace_id TEXT   NOT NULL,
    account_id   TEXT   NOT NULL,
    grant_id     TEXT   NOT NULL,
    generation   BIGINT NOT NULL,
    read_at_ms   BIGINT NOT NULL
);
CREATE INDEX token_reads_grant ON token_reads (grant_id, read_at_ms);
CREATE INDEX token_reads_age ON token_reads (read_at_ms);

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
