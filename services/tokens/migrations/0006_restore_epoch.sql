-- Which restore of the database this is; the configuration names the one that it should be.
CREATE TABLE restore_epoch (
    id    BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    epoch TEXT   NOT NULL
);
INSERT INTO restore_epoch (id, epoch) VALUES (1, '');
