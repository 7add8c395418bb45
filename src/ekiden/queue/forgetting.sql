-- name: of_person
-- Deliveries to an address in one batch of intake, with what their states allow.
SELECT json_group_array(json_array(d.id, d.lane_id, l.job_id, d.state))
FROM payload p CROSS JOIN delivery d ON d.id = p.id CROSS JOIN lane l ON l.id = d.lane_id
CROSS JOIN job j ON j.id = l.job_id
WHERE p.id BETWEEN ?1 AND ?2 AND coalesce(p.address, p.recipient) = ?3 AND j.state <> 'receiving';

-- name: forget_payloads
UPDATE payload SET recipient = 'erased@' || (SELECT l.destination FROM delivery d
    CROSS JOIN lane l ON l.id = d.lane_id WHERE d.id = payload.id),
  address = NULL, merge = CAST('{}' AS BLOB)
WHERE id IN (SELECT value FROM json_each(?1));

-- name: forget_replies
-- Receivers repeat the address in what they say.
UPDATE attempt SET reply = '' WHERE id IN (
  WITH RECURSIVE chain (seq) AS (
    SELECT last_attempt FROM delivery WHERE id IN (SELECT value FROM json_each(?1))
      AND last_attempt IS NOT NULL
    UNION ALL
    SELECT t.previous FROM chain JOIN attempt t ON t.id = chain.seq WHERE t.previous IS NOT NULL)
  SELECT seq FROM chain);
