-- name: addressee
SELECT d.id, l.job_id, p.recipient, coalesce(p.address, p.recipient), l.destination, j.from_domain,
  j.configuration_set, d.state, coalesce(a.source, ''), coalesce(a.site, ''), coalesce(a.host, '')
FROM delivery d CROSS JOIN payload p ON p.id = d.id CROSS JOIN lane l ON l.id = d.lane_id
CROSS JOIN job j ON j.id = l.job_id
LEFT JOIN attempt a ON a.id = d.last_attempt
WHERE d.id = ?1 AND j.state <> 'receiving';

-- name: add_report
INSERT INTO report (delivery_id, kind, digest, address, at, expires_at)
SELECT d.id, ?2, ?3, ?4, ?5, ?6 FROM delivery d CROSS JOIN payload p ON p.id = d.id
WHERE d.id = ?1 AND coalesce(p.address, p.recipient) = ?4
ON CONFLICT (delivery_id, kind) DO NOTHING;

-- name: report_attempt
-- The report as a row of the history: the event log and `ekiden delivery` find it there.
INSERT INTO attempt (id, delivery_id, previous, number, fate, due_at, tried, in_doubt, at, ms, source,
  site, host, stage, code, reply, class, rule, outcome, tls, size)
SELECT ?2, id, last_attempt, attempts, ?3, NULL, 1, 0, ?4, 0, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,
  '', 0
FROM delivery WHERE id = ?1;

-- name: link_attempt
UPDATE delivery SET last_attempt = ?2 WHERE id = ?1;

-- name: soft_reports
-- How many soft reports an address has had since ?2, the first and the last of them.
SELECT count(*), min(at), max(at) FROM report WHERE kind = 'soft' AND address = ?1 AND at >= ?2;

-- name: drop_reports
DELETE FROM report WHERE (delivery_id, kind) IN (
  SELECT delivery_id, kind FROM report WHERE expires_at < ?1 LIMIT ?2);

-- name: count_inbound
INSERT INTO inbound_count (outcome, number, last_at)
SELECT value ->> 0, value ->> 1, ?2 FROM json_each(?1) WHERE true
ON CONFLICT (outcome) DO UPDATE SET number = number + excluded.number, last_at = excluded.last_at;

-- name: inbound_counts
SELECT outcome, number, last_at FROM inbound_count ORDER BY outcome;

-- name: add_notice
INSERT INTO notice (at, scope, job_id, detail) VALUES (?1, ?2, ?3, ?4);

-- name: add_refused_rows
-- ?1: [[kind, recipient, row, reason]]
INSERT INTO notice (at, scope, job_id, detail, kind, recipient, row)
SELECT ?2, 'job:' || ?3, ?3, value ->> 3, value ->> 0, value ->> 1, value ->> 2
FROM json_each(?1) WHERE true ORDER BY key;

-- name: notices_after
SELECT json_group_array(json_array(id, at, scope, job_id, detail, kind, recipient, row)) FROM (
  SELECT * FROM notice WHERE id > ?1 ORDER BY id LIMIT ?2);

-- name: drop_notices
-- Of the first ?2, those that are old: they came in order of time, so the others are not.
DELETE FROM notice WHERE id IN (SELECT id FROM notice ORDER BY id LIMIT ?2) AND at < ?1
  AND id <= coalesce(
    (SELECT min(seq) FROM mark WHERE reader LIKE '%.notices'), 9223372036854775807);

-- name: job_of
SELECT l.job_id FROM delivery d CROSS JOIN lane l ON l.id = d.lane_id WHERE d.id = ?1;
