-- name: remember_paths
INSERT INTO path_memory (path, learned, at)
SELECT value ->> 0, value ->> 1, ?2 FROM json_each(?1) WHERE true
ON CONFLICT (path) DO UPDATE SET learned = excluded.learned, at = excluded.at;

-- name: forget_paths
DELETE FROM path_memory WHERE at < ?1;

-- name: path_memory
SELECT path, learned FROM path_memory;
