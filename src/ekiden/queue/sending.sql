-- name: claim_candidates
-- ?1: ids; ?2: now. The last column says why a delivery is not sent, '' for no reason: by the
-- suppression (a primary-key look-up; transactional mail passes the reasons that are about bulk;
-- `+`: scopes are taken out of JSON for an address that is suppressed, not for every one),
-- else by the job's list (another one, and the precedence of lists.model.refusal).
SELECT json_group_array(json_array(d.id, l.job_id, d.lane_id, p.recipient, l.destination,
  CAST(p.merge AS TEXT), p.row, d.attempts + 1, d.doubts, j.state = 'open',
  coalesce(p.address, p.recipient),
  coalesce((SELECT s.reason FROM suppression s
      WHERE s.address = coalesce(p.address, p.recipient)
        AND +s.scope IN (SELECT value FROM json_each(j.suppression_scopes))
        AND (j.priority > 0 OR s.reason NOT IN ('unsubscribe', 'unengaged'))
        AND s.reason NOT IN (SELECT value FROM json_each(j.passed_reasons))
      ORDER BY s.at LIMIT 1),
    CASE WHEN j.contact_list = '' THEN '' ELSE coalesce((
      SELECT CASE
        WHEN c.unsubscribed_at IS NOT NULL THEN 'unsubscribed'
        WHEN c.topics_out >> t.number & 1 THEN 'opted_out'
        WHEN j.topic <> '' AND NOT coalesce(t.opt_in, 0)
          AND NOT coalesce(c.topics_in >> t.number & 1, 0) THEN 'not_opted_in'
        WHEN j.priority > 0 AND c.mails_since >= cl.sunset_mails
          AND coalesce(c.reacted_at, c.created_at) <= ?2 - cl.sunset_ms THEN 'unengaged'
        ELSE '' END
      FROM list cl
      LEFT JOIN topic t ON t.list_id = cl.id AND t.name = j.topic AND t.removed_at IS NULL
      LEFT JOIN contact c ON c.list_id = cl.id AND c.address = coalesce(p.address, p.recipient)
      WHERE cl.name = j.contact_list), 'not_opted_in') END)))
FROM json_each(?1) i
CROSS JOIN delivery d ON d.id = i.value AND d.state = 0
CROSS JOIN payload p ON p.id = d.id
CROSS JOIN lane l ON l.id = d.lane_id
CROSS JOIN job j ON j.id = l.job_id;

-- name: claim
UPDATE delivery SET state = 1, lease = ?2, attempts = attempts + 1
WHERE id IN (SELECT value FROM json_each(?1)) AND state = 0;

-- name: leased
-- ?1: [[id, lease]]. Who still holds its lease, and what is needed to settle it.
SELECT json_group_array(json_array(d.id, d.lane_id, l.job_id, j.state, d.attempts, d.doubts,
  d.last_attempt, d.due_at, j.contact_list, coalesce(p.address, p.recipient)))
FROM json_each(?1) i
CROSS JOIN delivery d ON d.id = i.value ->> 0 AND d.state = 1 AND d.lease = i.value ->> 1
CROSS JOIN payload p ON p.id = d.id
CROSS JOIN lane l ON l.id = d.lane_id
CROSS JOIN job j ON j.id = l.job_id;

-- name: in_flight
-- What was being sent when the process died: the fields of Claimed, without merge data.
SELECT json_group_array(json_array(d.id, l.job_id, d.lane_id, p.recipient, l.destination, p.row,
  d.attempts, d.doubts, d.lease))
FROM (SELECT * FROM delivery WHERE state = 1 ORDER BY id LIMIT ?1) d
CROSS JOIN payload p ON p.id = d.id CROSS JOIN lane l ON l.id = d.lane_id;

-- name: settle
-- For `Tx.each`.
WITH s (id, lease, state, due_at, attempts, doubts, finished_at, last_attempt) AS (
  VALUES (?, ?, ?, ?, ?, ?, ?, ?))
UPDATE delivery SET state = s.state, lease = NULL, due_at = s.due_at, attempts = s.attempts,
  doubts = s.doubts, finished_at = s.finished_at, last_attempt = s.last_attempt
FROM s WHERE delivery.id = s.id AND delivery.state = 1 AND delivery.lease = s.lease;

-- name: add_attempts
-- For `Tx.each`: taken apart from JSON, 21 columns cost three times as much.
INSERT INTO attempt (id, delivery_id, previous, number, fate, due_at, tried, in_doubt, at, ms, source,
  site, host, stage, code, reply, class, rule, outcome, tls, size)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: suppress
-- ?1: [[address, reason, job, note]]; the first note of a reason is kept.
INSERT INTO suppression (address, scope, reason, job_id, at, note)
SELECT value ->> 0, 'all', value ->> 1, value ->> 2, ?2, value ->> 3 FROM json_each(?1) WHERE true
ON CONFLICT DO NOTHING;

-- name: count_soft
INSERT INTO soft_bounce (address, count, first_at, last_at)
SELECT value ->> 0, value ->> 1, ?2, ?2 FROM json_each(?1) WHERE true
ON CONFLICT (address) DO UPDATE SET count = count + excluded.count,
  last_at = max(last_at, excluded.last_at);

-- name: soft_enough
SELECT json_group_array(json_array(address, count)) FROM soft_bounce
WHERE address IN (SELECT value ->> 0 FROM json_each(?1)) AND count >= ?2
  AND last_at - first_at >= ?3;

-- name: clear_soft
DELETE FROM soft_bounce WHERE address IN (SELECT value FROM json_each(?1));

-- name: reached
-- ?1: [[list, address]]: delivered; who was not on the list is now.
INSERT INTO contact (list_id, address, created_at, last_sent_at, mails, mails_since)
SELECT cl.id, r.value ->> 1, ?2, ?2, 1, 1
FROM json_each(?1) r CROSS JOIN list cl ON cl.name = r.value ->> 0 WHERE true
ON CONFLICT (list_id, address) DO UPDATE SET last_sent_at = max(coalesce(last_sent_at, 0), ?2),
  mails = mails + 1, mails_since = mails_since + 1;
