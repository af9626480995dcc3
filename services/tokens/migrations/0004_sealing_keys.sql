-- Ids of keys that may have sealed something in this database. A ring without one of them is refused at the start.
CREATE TABLE sealing_keys (
    id TEXT NOT NULL PRIMARY KEY
);
