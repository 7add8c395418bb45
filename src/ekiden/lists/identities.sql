-- name: identities
SELECT name, created_at, verified_at, method, code_expires_at FROM identity
WHERE (?1 = '' OR name = ?1) ORDER BY name;

-- name: add_identity
INSERT INTO identity (name, created_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING;

-- name: drop_identity
DELETE FROM identity WHERE name = ?1;

-- name: verify_identity
UPDATE identity SET verified_at = ?2, method = ?3, code_hash = NULL, code_expires_at = NULL
WHERE name = ?1;

-- name: unverify_identity
UPDATE identity SET verified_at = NULL, method = '' WHERE name = ?1 AND method = 'dns';

-- name: set_code
UPDATE identity SET code_hash = ?2, code_expires_at = ?3 WHERE name = ?1;

-- name: of_code
SELECT name FROM identity WHERE code_hash = ?1 AND code_expires_at > ?2;

-- name: covered
SELECT EXISTS (SELECT 1 FROM identity WHERE verified_at IS NOT NULL
  AND name IN (SELECT value FROM json_each(?1)));
