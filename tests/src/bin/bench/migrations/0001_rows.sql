-- What the bare loop commits.
CREATE TABLE rows (
    id    BIGINT NOT NULL PRIMARY KEY,
    times BIGINT NOT NULL
);
