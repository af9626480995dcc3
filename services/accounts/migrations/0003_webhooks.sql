-- Where a workspace's events are sent.
CREATE TABLE webhook_endpoints (
    workspace_id      TEXT   NOT NULL,
    id                TEXT   NOT NULL,
    url               TEXT   NOT NULL,
    description       TEXT   NOT NULL,
    -- JSON list of types; empty = all that are for webhooks.
    event_types       TEXT   NOT NULL,
    -- enabled | disabled (by a person) | given_up (by the hub)
    status            TEXT   NOT NULL,
    -- What signs, sealed, and the one before it while it signs too. The former one's generation is one less.
    secret            BYTEA  NOT NULL,
    secret_generation BIGINT NOT NULL,
    former_secret     BYTEA  NOT NULL,
    former_until_ms   BIGINT NOT NULL DEFAULT 0,
    created_at_ms     BIGINT NOT NULL,
    created_by_name   TEXT   NOT NULL,
    last_success_at_ms BIGINT NOT NULL DEFAULT 0,
    failing_since_ms  BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace_id, id)
);

-- One event for one endpoint, written in the transaction that makes the event.
CREATE TABLE webhook_deliveries (
    workspace_id    TEXT   NOT NULL,
    endpoint_id     TEXT   NOT NULL,
    -- `msg_…`, the same for every try.
    id              TEXT   NOT NULL,
    -- Number of the event; an endpoint that answers gets them in this order.
    position        BIGINT NOT NULL,
    type            TEXT   NOT NULL,
    body            TEXT   NOT NULL,
    -- pending | delivered | dead
    status          TEXT   NOT NULL,
    attempts        BIGINT NOT NULL DEFAULT 0,
    created_at_ms   BIGINT NOT NULL,
    due_at_ms       BIGINT NOT NULL,
    leased_until_ms BIGINT NOT NULL DEFAULT 0,
    -- Instance that sends it now; its next life takes over at once.
    leased_by       TEXT   NOT NULL DEFAULT '',
    ended_at_ms     BIGINT NOT NULL DEFAULT 0,
    last_status     BIGINT NOT NULL DEFAULT 0,
    last_error      TEXT   NOT NULL DEFAULT '',
    PRIMARY KEY (workspace_id, endpoint_id, id)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_at_ms) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (endpoint_id, position) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (ended_at_ms) WHERE status <> 'pending';
