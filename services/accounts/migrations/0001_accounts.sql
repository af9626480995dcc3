-- One row per workspace. Every transaction that changes something a client may see updates `seq` first: writers of one
-- workspace wait for each other, so that event numbers have no gaps and a reader never skips one.
CREATE TABLE workspaces (
    id                  TEXT   NOT NULL PRIMARY KEY,
    -- Number of the last event; the version of everything in the workspace.
    seq                 BIGINT NOT NULL DEFAULT 0,
    -- Events up to this one are no longer kept for resuming.
    pruned_through      BIGINT NOT NULL DEFAULT 0,
    -- Version of the last plan change that was applied.
    plan_version        BIGINT NOT NULL DEFAULT 0,
    -- When a check was last asked for by a person, and by an open page.
    asked_check_at_ms   BIGINT NOT NULL DEFAULT 0,
    open_check_at_ms    BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE accounts (
    id                   TEXT   NOT NULL PRIMARY KEY,
    workspace_id         TEXT   NOT NULL,
    platform             TEXT   NOT NULL,
    connector            TEXT   NOT NULL,
    kind                 TEXT   NOT NULL,
    platform_account_id  TEXT   NOT NULL,
    display_name         TEXT   NOT NULL,
    username             TEXT   NOT NULL,
    avatar_url           TEXT   NOT NULL,
    -- new (seen, never connected: invisible) | connected | disconnected
    status               TEXT   NOT NULL,
    connected_at_ms      BIGINT NOT NULL DEFAULT 0,
    connected_by_id      TEXT   NOT NULL DEFAULT '',
    connected_by_name    TEXT   NOT NULL DEFAULT '',
    disconnected_at_ms   BIGINT NOT NULL DEFAULT 0,
    -- The grant that it hangs on, or last hung on.
    grant_id             TEXT   NOT NULL DEFAULT '',
    -- healthy | needs_reconnect
    health               TEXT   NOT NULL DEFAULT 'healthy',
    health_since_ms      BIGINT NOT NULL DEFAULT 0,
    -- Reasons, limits and publish capability as JSON (model::health::Assessment).
    assessment           TEXT   NOT NULL DEFAULT '{}',
    -- The end that "expires soon" was last announced for.
    announced_end_ms     BIGINT NOT NULL DEFAULT 0,
    plan_locked          BIGINT NOT NULL DEFAULT 0,
    scheduled_count      BIGINT NOT NULL DEFAULT 0,
    scheduled_next_at_ms BIGINT NOT NULL DEFAULT 0,
    asked_check_at_ms    BIGINT NOT NULL DEFAULT 0,
    -- proto tokens.v1.RevocationState after a disconnect.
    revocation           BIGINT NOT NULL DEFAULT 0,
    -- What a disconnect still has to do elsewhere; tried again until both are 0.
    detach_due           BIGINT NOT NULL DEFAULT 0,
    release_due          BIGINT NOT NULL DEFAULT 0,
    cleanup_at_ms        BIGINT NOT NULL DEFAULT 0,
    version              BIGINT NOT NULL DEFAULT 1,
    UNIQUE (workspace_id, platform, platform_account_id)
);
CREATE INDEX accounts_by_grant ON accounts (workspace_id, grant_id);
CREATE INDEX accounts_cleanup ON accounts (cleanup_at_ms) WHERE detach_due + release_due > 0;

-- What tokens told last of each grant: dates, scopes, state; never a credential.
CREATE TABLE grants (
    workspace_id TEXT   NOT NULL,
    id           TEXT   NOT NULL,
    version      BIGINT NOT NULL,
    -- proto tokens.v1.Grant
    snapshot     BYTEA  NOT NULL,
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE sessions (
    id                    TEXT   NOT NULL PRIMARY KEY,
    workspace_id          TEXT   NOT NULL,
    -- SHA-256 of the OAuth state and of the browser's transaction cookie, hex.
    state_hash            TEXT   NOT NULL UNIQUE,
    browser_hash          TEXT   NOT NULL,
    user_id               TEXT   NOT NULL,
    user_name             TEXT   NOT NULL,
    intent                TEXT   NOT NULL,
    platform              TEXT   NOT NULL,
    connector             TEXT   NOT NULL,
    account_ids           TEXT   NOT NULL,
    channel               TEXT   NOT NULL,
    return_to             TEXT   NOT NULL,
    redirect_uri          TEXT   NOT NULL,
    sealed_verifier       BYTEA  NOT NULL,
    -- pending | authorizing | choosing | completed | failed | cancelled | expired
    status                TEXT   NOT NULL,
    created_at_ms         BIGINT NOT NULL,
    expires_at_ms         BIGINT NOT NULL,
    -- While authorizing: which step is next (exchange | parked | attach) and until when its worker has it.
    step                  TEXT   NOT NULL DEFAULT '',
    worker                TEXT   NOT NULL DEFAULT '',
    leased_until_ms       BIGINT NOT NULL DEFAULT 0,
    -- SHA-256 of a native session's completion code, hex; empty once used.
    completion_hash       TEXT   NOT NULL DEFAULT '',
    completion_until_ms   BIGINT NOT NULL DEFAULT 0,
    -- JSON: what the sign-in reaches, what was picked, what came of it.
    destinations          TEXT   NOT NULL DEFAULT '[]',
    picks                 TEXT   NOT NULL DEFAULT '[]',
    skipped               TEXT   NOT NULL DEFAULT '[]',
    results               TEXT   NOT NULL DEFAULT '[]',
    problem               TEXT   NOT NULL DEFAULT '',
    -- What an ended session still has to give back elsewhere; tried again until both are 0.
    discard_due           BIGINT NOT NULL DEFAULT 0,
    release_due           BIGINT NOT NULL DEFAULT 0,
    cleanup_at_ms         BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX sessions_open ON sessions (status, expires_at_ms) WHERE status IN ('pending', 'authorizing', 'choosing');
CREATE INDEX sessions_cleanup ON sessions (cleanup_at_ms) WHERE discard_due + release_due > 0;

CREATE TABLE events (
    workspace_id   TEXT   NOT NULL,
    id             BIGINT NOT NULL,
    type           TEXT   NOT NULL,
    occurred_at_ms BIGINT NOT NULL,
    account_id     TEXT   NOT NULL DEFAULT '',
    account_name   TEXT   NOT NULL DEFAULT '',
    actor_name     TEXT   NOT NULL DEFAULT '',
    toast          TEXT   NOT NULL DEFAULT '',
    data           TEXT   NOT NULL DEFAULT '{}',
    -- Belongs to an account's history and is kept longer than the others.
    notable        BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX events_of_account ON events (workspace_id, account_id, id) WHERE notable = 1;
CREATE INDEX events_by_age ON events (occurred_at_ms);

CREATE TABLE notifications (
    workspace_id   TEXT   NOT NULL,
    id             TEXT   NOT NULL,
    account_id     TEXT   NOT NULL,
    account_name   TEXT   NOT NULL,
    kind           TEXT   NOT NULL,
    occurred_at_ms BIGINT NOT NULL,
    actor_name     TEXT   NOT NULL DEFAULT '',
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX notifications_of_account ON notifications (workspace_id, account_id, kind, occurred_at_ms);

CREATE TABLE notification_reads (
    workspace_id    TEXT NOT NULL,
    notification_id TEXT NOT NULL,
    user_id         TEXT NOT NULL,
    PRIMARY KEY (workspace_id, user_id, notification_id)
);

CREATE TABLE posts (
    workspace_id     TEXT   NOT NULL,
    account_id       TEXT   NOT NULL,
    platform_post_id TEXT   NOT NULL,
    published_at_ms  BIGINT NOT NULL,
    -- proto platforms.v1.Post
    post             BYTEA  NOT NULL,
    PRIMARY KEY (workspace_id, account_id, platform_post_id)
);
CREATE INDEX posts_newest ON posts (workspace_id, account_id, published_at_ms, platform_post_id);

CREATE TABLE preferences (
    user_id  TEXT NOT NULL PRIMARY KEY,
    locale   TEXT NOT NULL DEFAULT '',
    timezone TEXT NOT NULL DEFAULT '',
    tours    TEXT NOT NULL DEFAULT '{}'
);

-- Idempotency keys of the HTTP API.
CREATE TABLE requests (
    workspace_id  TEXT   NOT NULL,
    key           TEXT   NOT NULL,
    request_hash  TEXT   NOT NULL,
    claimed_at_ms BIGINT NOT NULL,
    -- proto accounts.v1.StoredAnswer; empty while the first request runs.
    answer        BYTEA  NOT NULL,
    PRIMARY KEY (workspace_id, key)
);
CREATE INDEX requests_by_age ON requests (claimed_at_ms);
