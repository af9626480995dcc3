-- Attempts that were given up are few; their late answers are looked for all the time.
CREATE INDEX attempts_given_up ON attempts (started_at_ms) WHERE state = 'abandoned';
