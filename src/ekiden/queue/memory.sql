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
