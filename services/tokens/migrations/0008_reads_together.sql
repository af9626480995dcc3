-- What one caller was given of one generation in one moment is one row: how often, from when until when.
ALTER TABLE token_reads ADD COLUMN reads BIGINT NOT NULL DEFAULT 1;
ALTER TABLE token_reads ADD COLUMN last_read_at_ms BIGINT NOT NULL DEFAULT 0;
