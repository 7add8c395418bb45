-- name: tallies
-- ?1: scopes
SELECT json_group_array(json_array(r.scope, r.sent, r.bounced, r.complained, r.standing, r.reason,
  r.since, r.at))
FROM json_each(?1) s CROSS JOIN reputation r ON r.scope = s.value;

-- name: set_tallies
-- ?1: [[scope, sent, bounced, complained]]
INSERT INTO reputation (scope, sent, bounced, complained, since, at)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, ?2, ?2 FROM json_each(?1) WHERE true
ON CONFLICT (scope) DO UPDATE SET sent = excluded.sent, bounced = excluded.bounced,
  complained = excluded.complained, at = excluded.at, judged = 0;

-- name: unjudged
SELECT json_group_array(json_array(scope, sent, bounced, complained, standing, reason, since, at))
FROM (SELECT * FROM reputation WHERE judged = 0 LIMIT ?1);

-- name: judged
UPDATE reputation SET judged = 1 WHERE scope IN (SELECT value FROM json_each(?1));

-- name: set_standing
-- A stopped scope is left by resume alone.
UPDATE reputation SET standing = ?2, reason = ?3, since = ?4
WHERE scope = ?1 AND standing <> 'stopped' AND standing <> ?2;

-- name: standings
SELECT json_group_array(json_array(scope, sent, bounced, complained, standing, reason, since, at))
FROM (SELECT * FROM reputation WHERE (?1 = '' OR standing = ?1)
  ORDER BY standing = 'stopped' DESC, standing = 'warning' DESC, sent DESC, scope LIMIT ?2);

-- name: resume_scope
UPDATE reputation SET standing = 'healthy', reason = '', since = ?2, sent = 0, bounced = 0,
  complained = 0, judged = 1
WHERE scope = ?1 AND standing = 'stopped';

-- name: open_jobs_of
SELECT json_group_array(id) FROM job WHERE state = 'open' AND (
  'sender:' || from_domain = ?1 OR 'job:' || id = ?1
  OR 'set:' || (CASE configuration_set WHEN '' THEN 'default' ELSE configuration_set END) = ?1);

-- name: pause_jobs
UPDATE job SET state = 'paused' WHERE state = 'open' AND id IN (SELECT value FROM json_each(?1));

-- name: note_stopped
INSERT INTO stopped_job (scope, job_id) SELECT ?1, value FROM json_each(?2) WHERE true
ON CONFLICT DO NOTHING;

-- name: jobs_freed
-- Jobs that this scope alone keeps paused.
SELECT json_group_array(s.job_id) FROM stopped_job s CROSS JOIN job j ON j.id = s.job_id
WHERE s.scope = ?1 AND j.state = 'paused'
  AND NOT EXISTS (SELECT 1 FROM stopped_job o WHERE o.job_id = s.job_id AND o.scope <> ?1);

-- name: drop_stopped
DELETE FROM stopped_job WHERE scope = ?1;

-- name: drop_old_tallies
DELETE FROM reputation WHERE scope IN (SELECT scope FROM reputation
  WHERE at < ?1 AND standing <> 'stopped' AND scope LIKE 'job:%' LIMIT ?2);

-- name: offer_lanes
UPDATE lane SET due_at = ?1 WHERE ready > 0 AND due_at > ?1 AND due_at <= ?2;

-- name: stop_scope
INSERT INTO reputation (scope, standing, reason, since, at, judged) VALUES (?1, 'stopped', ?2, ?3, ?3, 1)
ON CONFLICT (scope) DO UPDATE SET standing = 'stopped', reason = ?2, since = ?3, judged = 1
WHERE standing <> 'stopped';
