-- name: find
SELECT scope, reason, job_id, at, note FROM suppression
WHERE address = ?1 AND scope IN (SELECT value FROM json_each(?2)) ORDER BY at;

-- name: find_many
-- ?1: addresses. The small list leads, the primary key answers.
SELECT json_group_array(value) FROM json_each(?1) a
WHERE EXISTS (SELECT 1 FROM suppression s WHERE s.address = a.value
  AND s.scope IN (SELECT value FROM json_each(?2)));

-- name: page
SELECT json_group_array(json_array(address, scope, reason, job_id, at, note)) FROM (
  SELECT * FROM suppression WHERE (address, scope, reason) > (?1, ?2, ?3)
    AND address GLOB ?4 AND (?5 = '' OR reason = ?5)
  ORDER BY address, scope, reason LIMIT ?6);

-- name: add
-- ?1: [[address, scope, reason, job, at, note]]; what is there already keeps its time and note.
INSERT INTO suppression (address, scope, reason, job_id, at, note)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5
FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING;

-- name: remove
DELETE FROM suppression WHERE address = ?1 AND (?2 = '' OR scope = ?2) AND (?3 = '' OR reason = ?3);

-- name: forget_soft
DELETE FROM soft_bounce WHERE address = ?1;

-- name: counts
SELECT reason, count(*) FROM suppression GROUP BY reason;

-- name: soft
SELECT count, first_at, last_at FROM soft_bounce WHERE address = ?1;
