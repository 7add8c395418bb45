-- What the engine keeps across restarts, by kind (path, road, count, ...) and name. Each state has
-- the shape of its owner; here it is only JSON.

CREATE TABLE engine_memory (
  kind TEXT NOT NULL CHECK (kind <> ''),
  name TEXT NOT NULL,
  state TEXT NOT NULL CHECK (json_valid(state)),
  at INTEGER NOT NULL,
  PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

INSERT INTO engine_memory (kind, name, state, at) SELECT 'path', path, learned, at FROM path_memory;
DROP TABLE path_memory;
