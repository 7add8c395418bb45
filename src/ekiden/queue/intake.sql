-- name: receiving
SELECT id, uid FROM job WHERE state = 'receiving' ORDER BY id;

-- name: receiving_job
SELECT state, priority, max(created_at, send_at) FROM job WHERE id = ?1;

-- name: last_delivery
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'delivery'), 0);

-- name: add_lanes
-- ?1: [[destination, how many]]
INSERT INTO lane (job_id, destination, priority, due_at, ready)
SELECT ?2, value ->> 0, ?3, ?4, value ->> 1 FROM json_each(?1) WHERE true
ON CONFLICT (job_id, destination) DO UPDATE SET ready = ready + excluded.ready;

-- name: lane_ids
SELECT json_group_array(id) FROM (
  SELECT l.id FROM json_each(?1) j CROSS JOIN lane l
  ON l.job_id = ?2 AND l.destination = j.value ->> 0 ORDER BY j.key);

-- name: add_deliveries
-- ?1: the lane of each; key is the place in the batch, so ids are first_id, first_id + 1, ...
INSERT INTO delivery (id, lane_id, due_at) SELECT ?2 + key, value, ?3 FROM json_each(?1);

-- name: add_payloads
-- ?1: recipients; ?2: first id; ?3: all merge data end to end; ?4: 28 digits for each: where its
-- merge data starts, how long it is, its row. Slices of BLOB parameters cost the same anywhere in
-- them and need no escaping, so merge data arrives byte for byte. A slice of nothing is NULL.
INSERT INTO payload (id, recipient, merge, row)
SELECT ?2 + key, value,
  coalesce(substr(?3, CAST(CAST(substr(?4, key * 28 + 1, 10) AS TEXT) AS INTEGER),
    CAST(CAST(substr(?4, key * 28 + 11, 8) AS TEXT) AS INTEGER)), x''),
  CAST(CAST(substr(?4, key * 28 + 19, 10) AS TEXT) AS INTEGER)
FROM json_each(?1);

-- name: add_addresses
-- Only where the key differs from the recipient as written.
UPDATE payload SET address = j.value ->> 1 FROM json_each(?1) j WHERE payload.id = j.value ->> 0;

-- name: add_run
INSERT INTO run (job_id, first_id, last_id, prints) VALUES (?1, ?2, ?3, ?4);

-- name: count_received
UPDATE job SET ready = ready + ?2, total = total + ?2, duplicates = duplicates + ?3 WHERE id = ?1;

-- name: stored_addresses
SELECT json_group_array(json_array(p.id, coalesce(p.address, p.recipient)))
FROM json_each(?1) j CROSS JOIN payload p ON p.id = j.value;

-- name: next_run
SELECT id, first_id, last_id FROM run WHERE job_id = ?1 ORDER BY first_id LIMIT 1;

-- name: drop_payloads
DELETE FROM payload WHERE id BETWEEN ?1 AND ?2;

-- name: drop_deliveries
DELETE FROM delivery WHERE id BETWEEN ?1 AND ?2;

-- name: drop_run
DELETE FROM run WHERE id = ?1;

-- name: drop_lanes
DELETE FROM lane WHERE id IN (SELECT id FROM lane WHERE job_id = ?1 LIMIT ?2);

-- name: drop_content
DELETE FROM job_content WHERE job_id = ?1;

-- name: uncount
UPDATE job SET total = 0, ready = 0 WHERE id = ?1;

-- name: drop_job
DELETE FROM job WHERE id = ?1 AND state = 'receiving';

-- name: list_topic
-- Whether the list exists, and whether the topic does within it.
SELECT 1, ?2 = '' OR EXISTS (SELECT 1 FROM topic t
  WHERE t.list_id = cl.id AND t.name = ?2 AND t.removed_at IS NULL)
FROM list cl WHERE cl.name = ?1;

-- name: sift
-- ?1: addresses; ?2: the job's scopes; ?3: its priority; ?4: reasons that do not hold for it. The
-- precedence is that of claim_candidates. {address: reason} of those that are not mailed.
SELECT json_group_object(address, reason) FROM (
  SELECT a.value AS address, (SELECT s.reason FROM suppression s
      WHERE s.address = a.value AND s.scope IN (SELECT value FROM json_each(?2))
        AND (?3 > 0 OR s.reason NOT IN ('unsubscribe', 'unengaged'))
        AND s.reason NOT IN (SELECT value FROM json_each(?4))
      ORDER BY s.at LIMIT 1) AS reason
  FROM json_each(?1) a) WHERE reason IS NOT NULL;

-- name: still_ready
SELECT json_group_array(id) FROM delivery
WHERE id IN (SELECT value FROM json_each(?1)) AND state = 0;
