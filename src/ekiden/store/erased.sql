-- name: erasure_key
-- The key; no row while nobody was erased, so that the question costs next to nothing.
SELECT key FROM erasure_key WHERE EXISTS (SELECT 1 FROM erased);

-- name: erasure_key_always
SELECT key FROM erasure_key;

-- name: erased_of
-- ?1: hashes in hexadecimal
SELECT json_group_array(j.value) FROM json_each(?1) j
WHERE EXISTS (SELECT 1 FROM erased e WHERE e.hash = j.value);

-- name: erase
INSERT INTO erased (hash, at) VALUES (?1, ?2) ON CONFLICT DO NOTHING;

-- name: unerase
DELETE FROM erased WHERE hash = ?1;
