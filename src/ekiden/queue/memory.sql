-- name: remember
INSERT INTO engine_memory (kind, name, state, at)
SELECT ?1, value ->> 0, value ->> 1, ?3 FROM json_each(?2) WHERE true
ON CONFLICT (kind, name) DO UPDATE SET state = excluded.state, at = excluded.at;

-- name: forget_memory
DELETE FROM engine_memory WHERE kind = ?1 AND at < ?2;

-- name: drop_memory
DELETE FROM engine_memory WHERE kind = ?1 AND name IN (SELECT value FROM json_each(?2));

-- name: memory
SELECT name, state FROM engine_memory WHERE kind = ?1;

-- name: count_road
-- What came back later from a source's mail to a provider: [bounces, complaints], ever growing.
INSERT INTO engine_memory (kind, name, state, at) VALUES (?1, ?2, json_array(?3, ?4), ?5)
ON CONFLICT (kind, name) DO UPDATE SET at = excluded.at, state =
  json_array((state ->> 0) + (excluded.state ->> 0), (state ->> 1) + (excluded.state ->> 1));

-- name: memory_of
SELECT state FROM engine_memory WHERE kind = ?1 AND name = ?2;
