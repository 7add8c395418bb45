-- name: job_columns
SELECT json_group_array(json_array(id, uid, name, state, priority, mail_from, from_domain,
  configuration_set, pool, created_at, send_at, max(expires_at, put_off), deliver_by, pace_messages,
  pace_ms, spool_name, total, refused, duplicates, json(suppression_scopes), opened_at, finished_at,
  json_array(ready, sending, held, delivered, bounced, expired, suppressed, cancelled),
  contact_list, topic, template, patience_ms, coalesce(head_id, 0), siblings))
FROM

-- name: jobs_by_id
(SELECT * FROM job WHERE id = ?1)

-- name: jobs_by_uid
(SELECT * FROM job WHERE uid = ?1)

-- name: jobs_by_name
(SELECT * FROM job WHERE name = ?1 AND head_id IS NULL ORDER BY id DESC LIMIT 1)

-- name: jobs_by_state
(SELECT * FROM job WHERE state IN (SELECT value FROM json_each(?1)) ORDER BY id DESC LIMIT ?2)

-- name: heads_by_state
(SELECT * FROM job WHERE id IN (
  -- Jobs of which this is the state, or that of a sibling. +state: siblings are few and have an index
  -- of their own; by their state every job there ever was would be looked at.
  SELECT id FROM (SELECT id FROM job WHERE head_id IS NULL
    AND state IN (SELECT value FROM json_each(?1)) ORDER BY id DESC LIMIT ?2)
  UNION SELECT head_id FROM job WHERE head_id IS NOT NULL
    AND +state IN (SELECT value FROM json_each(?1))) ORDER BY id DESC LIMIT ?2)

-- name: siblings_of
(SELECT * FROM job WHERE head_id IN (SELECT value FROM json_each(?1)) ORDER BY id)

-- name: jobs_ended
(SELECT * FROM job
  -- A job ends when its siblings have nothing pending either; they end with it.
  WHERE finished_at IS NULL AND ready = 0 AND sending = 0 AND held = 0
  AND state IN ('open', 'paused', 'cancelled') AND head_id IS NULL
  AND (siblings = 0 OR NOT EXISTS (SELECT 1 FROM job s
    WHERE s.head_id = job.id AND s.ready + s.sending + s.held > 0)) ORDER BY id LIMIT ?1)

-- name: add_job
INSERT INTO job (uid, name, state, priority, mail_from, from_domain, configuration_set, pool,
  spool_name, suppression_scopes, created_at, send_at, expires_at, deliver_by, pace_messages, pace_ms,
  refused, contact_list, topic, passed_reasons, template, patience_ms, head_id)
VALUES (:uid, :name, 'receiving', :priority, :mail_from, :from_domain, :configuration_set, :pool,
  :spool_name, :scopes, :created_at, :send_at, :expires_at, :deliver_by, :pace_messages, :pace_ms,
  :refused, :contact_list, :topic, :passed_reasons, :template, :patience_ms, :head_id)
RETURNING id;

-- name: add_content
INSERT INTO job_content (job_id, content) VALUES (?1, ?2);

-- name: content
-- A sibling's is that of the job it came with.
SELECT content FROM job_content
WHERE job_id = coalesce((SELECT head_id FROM job WHERE id = ?1), ?1);

-- name: open_job
-- What the sender's own pace takes is not counted against the lifetime, where that is not firm; it is
-- a pace of all siblings together.
UPDATE job SET state = 'open', opened_at = ?2, refused = ?3,
  siblings = (SELECT count(*) FROM job s WHERE s.head_id = ?1),
  expires_at = expires_at + iif(patience_ms IS NULL, 0, coalesce(
    (total + (SELECT coalesce(sum(s.total), 0) FROM job s WHERE s.head_id = ?1))
    / pace_messages * pace_ms, 0))
WHERE id = ?1 AND state = 'receiving';

-- name: open_siblings
UPDATE job SET state = 'open', opened_at = ?2,
  expires_at = expires_at + iif(patience_ms IS NULL, 0, coalesce(
    (SELECT sum(s.total) FROM job s WHERE s.id = ?1 OR s.head_id = ?1)
    / pace_messages * pace_ms, 0))
WHERE head_id = ?1 AND state = 'receiving';

-- name: set_job_state
UPDATE job SET state = ?3 WHERE id = ?1 AND state IN (SELECT value FROM json_each(?2));

-- name: finish_job
UPDATE job SET finished_at = ?2, state = CASE state WHEN 'cancelled' THEN state ELSE 'done' END
WHERE (id = ?1 OR head_id = ?1) AND finished_at IS NULL AND ready = 0 AND sending = 0 AND held = 0
  AND state IN ('open', 'paused', 'cancelled')
  AND NOT EXISTS (SELECT 1 FROM job s WHERE s.head_id = ?1 AND s.ready + s.sending + s.held > 0);

-- name: earliest_of_job
SELECT min(due_at) FROM lane WHERE job_id = ?1 AND ready > 0;

-- name: ready_of_job
-- Walks the job's lanes that still have something ready; ?2 rows at most.
SELECT json_group_array(json_array(id, lane_id)) FROM (
  SELECT d.id, d.lane_id FROM lane l CROSS JOIN delivery d ON d.lane_id = l.id AND d.state = 0
  WHERE l.job_id = ?1 AND l.ready > 0 LIMIT ?2);

-- name: held_of_job
SELECT json_group_array(json_array(id, lane_id)) FROM (
  SELECT d.id, d.lane_id FROM lane l CROSS JOIN delivery d ON d.lane_id = l.id AND d.state = 2
  WHERE l.job_id = ?1 AND l.held > 0 LIMIT ?2);

-- name: unfinished_cancels
SELECT id FROM job WHERE finished_at IS NULL AND state = 'cancelled' AND ready > 0;

-- name: past_expiry
SELECT id FROM job WHERE state IN ('open', 'paused') AND ready > 0 AND expires_at <= ?1
  AND put_off <= ?1 ORDER BY id;

-- name: put_off_jobs
SELECT id FROM job WHERE state IN ('open', 'paused') AND ready > 0 AND expires_at <= ?1
  AND put_off > ?1 ORDER BY id;

-- name: spent
-- ?1: a job whose end was put off; ?2: now; ?3: rows at most. What waits in a lane whose own end was
-- not, or has been retried for as long as any delivery is, counted from its first attempt.
SELECT json_group_array(json_array(id, lane_id)) FROM (
  SELECT d.id, d.lane_id FROM job j CROSS JOIN lane l ON l.job_id = j.id AND l.ready > 0
  CROSS JOIN delivery d ON d.lane_id = l.id AND d.state = 0
  WHERE j.id = ?1 AND (l.put_off <= ?2 OR (d.attempts > 0 AND j.patience_ms <= ?2 - (
    WITH RECURSIVE past (previous, at) AS (
      SELECT a.previous, a.at FROM attempt a WHERE a.id = d.last_attempt
      UNION ALL SELECT a.previous, a.at FROM past p CROSS JOIN attempt a ON a.id = p.previous)
    SELECT min(at) FROM past)))
  LIMIT ?3);

-- name: end_rows
-- ?1: [[id, lane, attempt id, why]]; a ready or held row becomes final without a try.
UPDATE delivery SET state = ?2, due_at = NULL, finished_at = ?3, last_attempt = j.value ->> 2
FROM json_each(?1) j WHERE delivery.id = j.value ->> 0 AND delivery.state IN (0, 2);

-- name: fates
-- The history of fates without a try; before the rows change, so `previous` is theirs.
INSERT INTO attempt (id, delivery_id, previous, number, fate, due_at, tried, in_doubt, at, ms, source,
  site, host, stage, code, reply, class, rule, outcome, tls, size)
SELECT j.value ->> 2, d.id, d.last_attempt, d.attempts, ?2, NULL, 0, 0, ?3, 0, '', '', '', '', 0, '',
  j.value ->> 3, '', '', '', 0
FROM json_each(?1) j CROSS JOIN delivery d ON d.id = j.value ->> 0;

-- name: free_rows
UPDATE delivery SET state = 0, due_at = ?2 WHERE state = 2
  AND id IN (SELECT value ->> 0 FROM json_each(?1));

-- name: last_seq
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'attempt'), 0);
