-- The trace that an attempt was claimed in, as a traceparent: whoever goes on with it goes on in its trace.
ALTER TABLE attempts ADD COLUMN trace TEXT NOT NULL DEFAULT '';
