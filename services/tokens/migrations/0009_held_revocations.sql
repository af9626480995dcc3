-- Until when nobody begins it: written by a sign-in of the workspace, which might be of the same person.
ALTER TABLE revocations ADD COLUMN held_until_ms BIGINT NOT NULL DEFAULT 0;
CREATE INDEX revocations_workspace ON revocations (workspace_id) WHERE ends_all = 1 AND state = 'queued';
CREATE INDEX exchanges_workspace ON exchanges (workspace_id);
