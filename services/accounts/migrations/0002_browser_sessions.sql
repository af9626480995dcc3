-- Browsers that signed in at the OpenID Connect provider. Neither a cookie nor a token of the provider stands here in clear.
CREATE TABLE browser_sessions (
    -- SHA-256 of the cookie, hex.
    id_hash           TEXT   NOT NULL PRIMARY KEY,
    user_id           TEXT   NOT NULL,
    user_name         TEXT   NOT NULL,
    -- JSON: pairs of workspace and role.
    memberships       TEXT   NOT NULL,
    -- The provider's tokens, sealed by the gateway.
    sealed_credential BYTEA  NOT NULL,
    created_at_ms     BIGINT NOT NULL,
    seen_at_ms        BIGINT NOT NULL,
    confirmed_at_ms   BIGINT NOT NULL,
    ends_at_ms        BIGINT NOT NULL,
    -- Until when one gateway alone may spend the refresh token.
    leased_until_ms   BIGINT NOT NULL DEFAULT 0,
    version           BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX browser_sessions_of_user ON browser_sessions (user_id, created_at_ms);
CREATE INDEX browser_sessions_by_end ON browser_sessions (ends_at_ms);
