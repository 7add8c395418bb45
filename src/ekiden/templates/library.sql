-- name: newest
-- Of the versions that are still there; the number of the highest that ever was, and its digest.
SELECT max(version), max(CASE WHEN content IS NOT NULL THEN version END) FROM template WHERE name = ?1;

-- name: add_version
INSERT INTO template (name, version, created_at, note, configuration_set, digest, content)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7);

-- name: digest_of
SELECT digest FROM template WHERE name = ?1 AND version = ?2;

-- name: version
-- ?2 NULL is the newest one.
SELECT name, version, created_at, note, configuration_set, content, (
    SELECT count(*) FROM template v WHERE v.name = t.name AND v.content IS NOT NULL)
FROM template t WHERE name = ?1 AND content IS NOT NULL AND (?2 IS NULL OR version = ?2)
ORDER BY version DESC LIMIT 1;

-- name: names
-- The newest version of each.
SELECT name, max(version), created_at, note, configuration_set, count(*)
FROM template WHERE content IS NOT NULL GROUP BY name ORDER BY name;

-- name: versions
SELECT name, version, created_at, note, configuration_set, count(*) OVER ()
FROM template WHERE name = ?1 AND content IS NOT NULL ORDER BY version DESC;

-- name: remove
UPDATE template SET content = NULL, removed_at = ?3
WHERE name = ?1 AND content IS NOT NULL AND (?2 IS NULL OR version = ?2);
