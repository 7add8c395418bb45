-- name: job_counts
SELECT state, count(*) FROM job GROUP BY state;

-- name: delivery_counts
SELECT coalesce(sum(ready), 0), coalesce(sum(sending), 0), coalesce(sum(held), 0),
  coalesce(sum(delivered), 0), coalesce(sum(bounced), 0), coalesce(sum(expired), 0),
  coalesce(sum(suppressed), 0), coalesce(sum(cancelled), 0)
FROM job WHERE state IN ('open', 'paused') OR (state = 'cancelled' AND finished_at IS NULL);

-- name: backlog
-- Deferred ones are counted where they lie, so only for the destinations shown.
SELECT json_group_array(json_array(destination, ready, sending, held, oldest,
  (SELECT count(*) FROM lane l CROSS JOIN delivery d ON d.lane_id = l.id AND d.state = 0
     AND d.due_at > :now WHERE l.destination = b.destination AND l.ready > 0 AND d.attempts > 0
     AND l.job_id IN (SELECT id FROM job WHERE state IN ('open', 'paused'))),
  (SELECT min(d.due_at) FROM lane l CROSS JOIN delivery d ON d.lane_id = l.id AND d.state = 0
     WHERE l.destination = b.destination AND l.ready > 0
     AND l.job_id IN (SELECT id FROM job WHERE state IN ('open', 'paused'))),
  (SELECT s.reason FROM suspension s
    WHERE b.destination GLOB s.pattern AND (s.until IS NULL OR s.until > :now) LIMIT 1),
  paused, begins, aside))
FROM (
  SELECT l.destination, sum(l.ready) AS ready, sum(l.sending) AS sending, sum(l.held) AS held,
    min(j.created_at) AS oldest,
    CASE WHEN sum(iif(j.state = 'open', l.ready, 0)) = 0
      THEN max(iif(j.state = 'paused' AND l.ready > 0, j.name, NULL)) END AS paused,
    min(iif(j.state = 'open' AND l.ready > 0, j.send_at, NULL)) AS begins,
    min(iif(j.state = 'open' AND l.ready > 0, l.due_at, NULL)) AS aside
  FROM job j CROSS JOIN lane l ON l.job_id = j.id
  WHERE j.state IN ('open', 'paused') AND l.destination GLOB :pattern
    AND l.ready + l.sending + l.held > 0
  GROUP BY l.destination ORDER BY sum(l.ready + l.sending + l.held) DESC, l.destination
  LIMIT :limit) b;

-- name: runs_after
SELECT first_id, last_id FROM run WHERE job_id = ?1 AND last_id > ?2 ORDER BY first_id LIMIT 64;

-- name: runs_with
-- Where an address may be: its print is searched for in every batch's prints.
SELECT first_id, last_id FROM run WHERE instr(prints, ?1) > 0 ORDER BY first_id;

-- name: report_rows
SELECT json_group_array(json_array(id, recipient, destination, row, state, attempts, doubts, due_at,
  finished_at, code, reply, class))
FROM (
  SELECT d.id, p.recipient, l.destination, p.row, d.state, d.attempts, d.doubts, d.due_at,
    d.finished_at, a.code, a.reply, a.class
  FROM delivery d CROSS JOIN payload p ON p.id = d.id CROSS JOIN lane l ON l.id = d.lane_id
  LEFT JOIN attempt a ON a.id = d.last_attempt
  WHERE d.id BETWEEN ?1 AND ?2 ORDER BY d.id LIMIT ?3);

-- name: of_address
SELECT json_group_array(json_array(d.id, p.recipient, l.destination, p.row, d.state, d.attempts,
  d.doubts, d.due_at, d.finished_at, coalesce(a.code, 0), coalesce(a.reply, ''),
  coalesce(a.class, ''), j.uid, j.name, d.last_attempt))
FROM payload p CROSS JOIN delivery d ON d.id = p.id CROSS JOIN lane l ON l.id = d.lane_id
CROSS JOIN job j ON j.id = l.job_id LEFT JOIN attempt a ON a.id = d.last_attempt
WHERE p.id BETWEEN ?1 AND ?2 AND coalesce(p.address, p.recipient) = ?3 AND j.state <> 'receiving';

-- name: attempt_columns
SELECT json_group_array(json_array(a.id, a.delivery_id, l.job_id, p.recipient, l.destination, p.row,
  a.number, a.fate, a.due_at, a.tried, a.in_doubt, a.at, a.ms, a.source, a.site, a.host, a.stage,
  a.code, a.reply, a.class, a.rule, a.outcome, a.tls, a.size))
FROM

-- name: attempts_after
(SELECT * FROM attempt WHERE id > ?1 ORDER BY id LIMIT ?2) a
CROSS JOIN delivery d ON d.id = a.delivery_id CROSS JOIN payload p ON p.id = d.id
CROSS JOIN lane l ON l.id = d.lane_id

-- name: attempts_chain
(WITH RECURSIVE chain (seq, step) AS (
   SELECT ?1, 0 UNION ALL
   SELECT t.previous, step + 1 FROM chain JOIN attempt t ON t.id = chain.seq
   WHERE t.previous IS NOT NULL)
 SELECT t.* FROM chain JOIN attempt t ON t.id = chain.seq ORDER BY t.id) a
CROSS JOIN delivery d ON d.id = a.delivery_id CROSS JOIN payload p ON p.id = d.id
CROSS JOIN lane l ON l.id = d.lane_id

-- name: accepted_after
-- Up to the first delivery of a job that is still being received: ids below it may yet be opened.
SELECT json_group_array(json_array(id, job_id, recipient, destination, row, opened_at)) FROM (
  SELECT d.id, l.job_id, p.recipient, l.destination, p.row, j.opened_at
  FROM delivery d CROSS JOIN payload p ON p.id = d.id CROSS JOIN lane l ON l.id = d.lane_id
  CROSS JOIN job j ON j.id = l.job_id
  WHERE d.id > ?1 AND d.id < coalesce((SELECT min(r.first_id) FROM job w
    CROSS JOIN run r ON r.job_id = w.id WHERE w.state = 'receiving'), 9223372036854775807)
  ORDER BY d.id LIMIT ?2);

-- name: mark
SELECT seq FROM mark WHERE reader = ?1;

-- name: set_mark
-- A place only moves on: who gave up a batch (end_mark) does not get the rest of it after all.
INSERT INTO mark (reader, seq) VALUES (?1, ?2)
ON CONFLICT (reader) DO UPDATE SET seq = max(seq, excluded.seq);

-- name: foldable
SELECT id FROM job WHERE finished_at <= ?1 AND folded_at IS NULL ORDER BY finished_at LIMIT 1;

-- name: piece_of_run
SELECT id, first_id, min(last_id, first_id + ?2 - 1), last_id FROM run
WHERE job_id = ?1 ORDER BY first_id LIMIT 1;

-- name: unread_attempt
-- Whether a reader of the outbox has not come past the last attempts of these deliveries, or (one
-- called NAME.accepted, whose place is a delivery's id) past the deliveries themselves.
SELECT coalesce(max(last_attempt), 0) > coalesce(
    (SELECT min(seq) FROM mark
     WHERE reader NOT LIKE '%.accepted' AND reader NOT LIKE '%.notices'
       AND reader NOT LIKE '%.reactions'), 9223372036854775807)
  OR coalesce(max(id), 0) > coalesce(
    (SELECT min(seq) FROM mark WHERE reader LIKE '%.accepted'), 9223372036854775807)
FROM delivery WHERE id BETWEEN ?1 AND ?2;

-- name: drop_attempts
DELETE FROM attempt WHERE id IN (
  WITH RECURSIVE chain (seq) AS (
    SELECT last_attempt FROM delivery WHERE id BETWEEN ?1 AND ?2 AND last_attempt IS NOT NULL
    UNION ALL
    SELECT t.previous FROM chain JOIN attempt t ON t.id = chain.seq WHERE t.previous IS NOT NULL)
  SELECT seq FROM chain);

-- name: shorten_run
UPDATE run SET first_id = ?2 WHERE id = ?1;

-- name: mark_folded
UPDATE job SET folded_at = ?2 WHERE id = ?1;
