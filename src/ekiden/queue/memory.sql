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

-- name: found_limits
-- Paths that have found a rate or a length of sessions, the latest first; of what `Learned` has.
SELECT name, state FROM engine_memory
WHERE kind = ?1
  AND (json_array_length(state, '$.speed') > 0 OR json_array_length(state, '$.length') > 0)
ORDER BY at DESC, name LIMIT ?2;

-- name: count_road
-- What came back later from a source's mail to a provider: [bounces, complaints], ever growing.
INSERT INTO engine_memory (kind, name, state, at) VALUES (?1, ?2, json_array(?3, ?4), ?5)
ON CONFLICT (kind, name) DO UPDATE SET at = excluded.at, state =
  json_array((state ->> 0) + (excluded.state ->> 0), (state ->> 1) + (excluded.state ->> 1));

-- name: memory_of
SELECT state FROM engine_memory WHERE kind = ?1 AND name = ?2;
