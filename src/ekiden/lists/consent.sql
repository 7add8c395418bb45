-- name: add_forms
INSERT INTO consent_form (text) SELECT value FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING;

-- name: form_ids
SELECT json_group_object(f.text, f.id) FROM json_each(?1) j CROSS JOIN consent_form f
ON f.text = j.value;

-- name: add_consents
-- ?1: [[address, at, topic]], alike in all else; the same record twice is one.
INSERT INTO consent (address, list, at, topic, act, method, source, form_id, ip, recorded_at)
SELECT value ->> 0, ?2, value ->> 1, value ->> 2, ?3, ?4, ?5, ?6, ?7, ?8
FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING;

-- name: without_consent
SELECT count(*) FROM json_each(?1) j WHERE NOT EXISTS (
  SELECT 1 FROM consent s WHERE s.address = j.value AND s.list = ?2 AND s.act = 'given');

-- name: consents
SELECT json_group_array(json_array(at, act, topic, method, source, text, ip, list)) FROM (
  SELECT s.*, coalesce(f.text, '') AS text FROM consent s LEFT JOIN consent_form f ON f.id = s.form_id
  WHERE s.address = ?1 AND (?2 = '' OR s.list = ?2) ORDER BY s.list, s.at, s.topic);

-- name: keep_consents
-- ?1: [[address, last sent]]; the records of contacts that are being removed.
UPDATE consent SET keep_until = (j.value ->> 1) + ?3 FROM json_each(?1) j
WHERE consent.address = j.value ->> 0 AND consent.list = ?2;

-- name: drop_consents
-- What is kept long enough, if the person has not come back to the list.
DELETE FROM consent WHERE (address, list, at, topic, act) IN (
  SELECT address, list, at, topic, act FROM consent s WHERE keep_until < ?1 AND NOT EXISTS (
    SELECT 1 FROM list cl CROSS JOIN contact c ON c.list_id = cl.id AND c.address = s.address
    WHERE cl.name = s.list) LIMIT ?2);

-- name: lists_of
SELECT json_group_array(json_array(cl.id, cl.name)) FROM list cl CROSS JOIN contact c
ON c.list_id = cl.id AND c.address = ?1 WHERE cl.name NOT LIKE '% %';

-- name: erase_contacts
DELETE FROM contact WHERE address = ?1 AND list_id IN (SELECT id FROM list);

-- name: erase_consents
DELETE FROM consent WHERE address = ?1;

-- name: erase_suppressions
DELETE FROM suppression WHERE address = ?1;

-- name: erase_soft
DELETE FROM soft_bounce WHERE address = ?1;

-- name: erase_reports
DELETE FROM report WHERE address = ?1;
