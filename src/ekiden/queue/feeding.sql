-- name: lanes_due
-- The place after (due_at, id) is two ranges: SQLite would search a comparison of row values by its
-- first column only, and a million lanes may be due at one time. The index carries job_id, so lanes
-- of jobs that are not open are passed over without reading them.
SELECT json_group_array(json_array(id, job_id, destination, priority, ready, due_at)) FROM (
  SELECT * FROM (
    SELECT l.* FROM lane l CROSS JOIN job j ON j.id = l.job_id
    WHERE l.priority = :priority AND l.ready > 0 AND l.due_at = :due_at AND l.id > :id
      AND l.due_at <= :until AND j.state = 'open'
      AND NOT EXISTS (SELECT 1 FROM suspension s
        WHERE l.destination GLOB s.pattern AND (s.until IS NULL OR s.until > :until))
    ORDER BY l.id LIMIT :limit)
  UNION ALL
  SELECT * FROM (
    SELECT l.* FROM lane l CROSS JOIN job j ON j.id = l.job_id
    WHERE l.priority = :priority AND l.ready > 0 AND l.due_at > :due_at
      AND l.due_at <= :until AND j.state = 'open'
      AND NOT EXISTS (SELECT 1 FROM suspension s
        WHERE l.destination GLOB s.pattern AND (s.until IS NULL OR s.until > :until))
    ORDER BY l.due_at, l.id LIMIT :limit)
  LIMIT :limit);

-- name: windows
-- ?1: [[lane, after due, after id]]; two ranges, as above. The last attempt is read of what has one: who
-- was greylisted comes back from the same source.
SELECT json_group_array(json_array(r.value ->> 0, json((
  SELECT json_group_array(json_array(id, due_at, (
    SELECT a.source FROM attempt a WHERE a.id = last_attempt AND a.class = 'greylisted'))) FROM (
    SELECT * FROM (
      SELECT d.id, d.due_at, d.last_attempt FROM delivery d
      WHERE d.lane_id = r.value ->> 0 AND d.state = 0 AND d.due_at = r.value ->> 1
        AND d.id > r.value ->> 2 AND d.due_at <= ?2
      ORDER BY d.id LIMIT ?3)
    UNION ALL
    SELECT * FROM (
      SELECT d.id, d.due_at, d.last_attempt FROM delivery d
      WHERE d.lane_id = r.value ->> 0 AND d.state = 0 AND d.due_at > r.value ->> 1
        AND d.due_at <= ?2
      ORDER BY d.due_at, d.id LIMIT ?3)
    LIMIT ?3)))))
FROM json_each(?1) r;

-- name: next_due
SELECT json_group_array(json_array(value,
  (SELECT min(due_at) FROM delivery WHERE lane_id = value AND state = 0)))
FROM json_each(?1);

-- name: park
-- ?1: [[lane, due or null]]; null: when its next delivery is due.
UPDATE lane SET due_at = coalesce(p.value ->> 1,
  (SELECT min(d.due_at) FROM delivery d WHERE d.lane_id = lane.id AND d.state = 0), due_at)
FROM json_each(?1) p WHERE lane.id = p.value ->> 0;

-- name: put_off_lanes
-- ?1: [[lane, job, the time at which limits of ours let it go]].
UPDATE lane SET put_off = max(lane.put_off, p.value ->> 2 + j.patience_ms)
FROM json_each(?1) p CROSS JOIN job j ON j.id = p.value ->> 1 AND j.patience_ms IS NOT NULL
WHERE lane.id = p.value ->> 0;

-- name: put_off_job
UPDATE job SET put_off = max(put_off, p.until + patience_ms)
FROM (SELECT value ->> 1 AS job, max(value ->> 2) AS until FROM json_each(?1) GROUP BY 1) p
WHERE job.id = p.job AND patience_ms IS NOT NULL;

-- name: earliest_of_lanes
SELECT min(due_at) FROM lane WHERE ready > 0 AND id IN (SELECT value FROM json_each(?1));

-- name: suspend
INSERT INTO suspension (pattern, until, reason, at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (pattern) DO UPDATE SET until = excluded.until, reason = excluded.reason,
  at = excluded.at;

-- name: unsuspend
DELETE FROM suspension WHERE pattern = ?1;

-- name: lapsed
SELECT pattern FROM suspension WHERE until <= ?1;

-- name: suspensions
SELECT json_group_array(json_array(pattern, until, reason, at)) FROM suspension;

-- name: earliest_of_pattern
SELECT min(due_at) FROM lane WHERE ready > 0 AND destination GLOB ?1;

-- name: put_aside
-- Lanes that are looked at only after something of theirs has become due.
SELECT id FROM lane l WHERE l.id > ?2 AND l.ready > 0 AND l.destination GLOB ?1
  AND l.due_at > (SELECT min(d.due_at) FROM delivery d WHERE d.lane_id = l.id AND d.state = 0)
ORDER BY l.id LIMIT ?3;

-- name: lanes_waiting
-- Every lane of an open job with something ready, due or not, in the order of ids.
SELECT json_group_array(json_array(id, job_id, destination, ready)) FROM (
  SELECT l.id, l.job_id, l.destination, l.ready FROM lane l CROSS JOIN job j ON j.id = l.job_id
  WHERE l.id > ?1 AND l.ready > 0 AND j.state = 'open' ORDER BY l.id LIMIT ?2);
