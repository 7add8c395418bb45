-- What the scheduler learned of each path, kept across restarts. Its shape is the scheduler's.

CREATE TABLE path_memory (
  path TEXT PRIMARY KEY,
  learned TEXT NOT NULL CHECK (json_valid(learned)),
  at INTEGER NOT NULL
) WITHOUT ROWID;
