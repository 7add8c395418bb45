-- name: job_columns
SELECT json_group_array(json_array(id, uid, name, state, priority, mail_from, from_domain,
  configuration_set, pool, created_at, send_at, expires_at, deliver_by, pace_messages, pace_ms,
  spool_name, total, refused, duplicates, json(suppression_scopes), opened_at, finished_at,
  json_array(ready, sending, held, delivered, bounced, expired, suppressed, cancelled),
  contact_list, topic, template))
FROM

-- name: jobs_by_id
(SELECT * FROM job WHERE id = ?1)

-- name: jobs_by_uid
(SELECT * FROM job WHERE uid = ?1)

-- name: jobs_by_name
(SELECT * FROM job WHERE name = ?1 ORDER BY id DESC LIMIT 1)

-- name: jobs_by_state
(SELECT * FROM job WHERE state IN (SELECT value FROM json_each(?1)) ORDER BY id DESC LIMIT ?2)

-- name: jobs_ended
(SELECT * FROM job WHERE finished_at IS NULL AND ready = 0 AND sending = 0 AND held = 0
  AND state IN ('open', 'paused', 'cancelled') ORDER BY id LIMIT ?1)

-- name: add_job
INSERT INTO job (uid, name, state, priority, mail_from, from_domain, configuration_set, pool,
  spool_name, suppression_scopes, created_at, send_at, expires_at, deliver_by, pace_messages, pace_ms,
  refused, contact_list, topic, passed_reasons, template)
VALUES (:uid, :name, 'receiving', :priority, :mail_from, :from_domain, :configuration_set, :pool,
  :spool_name, :scopes, :created_at, :send_at, :expires_at, :deliver_by, :pace_messages, :pace_ms,
  :refused, :contact_list, :topic, :passed_reasons, :template)
RETURNING id;

-- name: add_content
INSERT INTO job_content (job_id, content) VALUES (?1, ?2);

-- name: content
SELECT content FROM job_content WHERE job_id = ?1;

-- name: open_job
UPDATE job SET state = 'open', opened_at = ?2, refused = ?3 WHERE id = ?1 AND state = 'receiving';

-- name: set_job_state
UPDATE job SET state = ?3 WHERE id = ?1 AND state IN (SELECT value FROM json_each(?2));

-- name: finish_job
UPDATE job SET finished_at = ?2, state = CASE state WHEN 'cancelled' THEN state ELSE 'done' END
WHERE id = ?1 AND finished_at IS NULL AND ready = 0 AND sending = 0 AND held = 0
  AND state IN ('open', 'paused', 'cancelled');

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
SELECT id FROM job WHERE state IN ('open', 'paused') AND ready > 0 AND expires_at <= ?1 ORDER BY id;

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
