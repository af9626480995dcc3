-- Until when somebody may be at it, or when the last one was done with it: who signs in meanwhile waits for that.
ALTER TABLE revocations ADD COLUMN leased_until_ms BIGINT NOT NULL DEFAULT 0;
CREATE INDEX revocations_person ON revocations (platform_user_id) WHERE ends_all = 1;
