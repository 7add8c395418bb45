-- name: tokens
SELECT id, name, hash, scopes, created_at, expires_at, used_at, revoked_at FROM api_token ORDER BY id;

-- name: add_token
INSERT INTO api_token (name, hash, scopes, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (name) DO NOTHING;

-- name: token_rest
-- The old secret lives on under another name; the token keeps its number, and with it its keys.
UPDATE api_token SET hash = ?2, used_at = NULL, created_at = ?3, expires_at = ?4 WHERE name = ?1;

-- name: revoke_token
UPDATE api_token SET revoked_at = ?2
WHERE (name = ?1 OR name GLOB ?1 || '~*') AND revoked_at IS NULL;

-- name: drop_token
DELETE FROM api_token WHERE name = ?1 AND revoked_at IS NOT NULL;

-- name: token_used
UPDATE api_token SET used_at = ?2 WHERE id = ?1;

-- name: find_submission
SELECT digest, spool_name FROM submission WHERE token_id = ?1 AND key = ?2;

-- name: add_submission
INSERT INTO submission (token_id, key, digest, spool_name, at) VALUES (?1, ?2, ?3, ?4, ?5);

-- name: drop_submissions
DELETE FROM submission WHERE at < ?1;
