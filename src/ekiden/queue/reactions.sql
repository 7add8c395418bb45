-- name: reached_by
-- ?1: delivery ids. Whom each went to, when it was delivered, and the identity of its job.
SELECT json_group_array(json_array(d.id, p.recipient, p.row, j.id, j.uid, j.contact_list, j.topic,
  j.from_domain, CASE WHEN d.state = 3 THEN d.finished_at END, coalesce(p.address, p.recipient)))
FROM json_each(?1) i CROSS JOIN delivery d ON d.id = i.value CROSS JOIN payload p ON p.id = d.id
CROSS JOIN lane l ON l.id = d.lane_id CROSS JOIN job j ON j.id = l.job_id;

-- name: saw
-- One more time; answers how often it was.
INSERT INTO seen (delivery_id, kind, url, human, job_id, times, first_at, last_at)
VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?6)
ON CONFLICT DO UPDATE SET times = times + 1, last_at = max(last_at, excluded.last_at)
RETURNING times;

-- name: add_total
INSERT INTO reaction_total (job_id, kind, url, human, times, deliveries) VALUES (?1, ?2, ?3, ?4, 1, ?5)
ON CONFLICT DO UPDATE SET times = times + 1, deliveries = deliveries + excluded.deliveries;

-- name: links_counted
SELECT count(*) FROM reaction_total WHERE job_id = ?1 AND kind = ?2 AND human = ?3;

-- name: add_reaction
INSERT INTO reaction (at, kind, job_id, delivery_id, recipient, row, url, agent, user_agent, ip,
  times, choice) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12);

-- name: reactions_after
SELECT json_group_array(json_array(id, at, kind, job_id, delivery_id, recipient, row, url, agent,
  user_agent, ip, times, json(choice))) FROM (
  SELECT * FROM reaction WHERE id > ?1 ORDER BY id LIMIT ?2);

-- name: reaction_totals
SELECT kind, url, human, times, deliveries FROM reaction_total WHERE job_id = ?1
ORDER BY kind, deliveries DESC, times DESC, url LIMIT ?2;

-- name: reactions_of
SELECT kind, url, human, times, first_at, last_at FROM seen WHERE delivery_id = ?1
ORDER BY first_at LIMIT 1000;

-- name: drop_reactions
DELETE FROM reaction WHERE id IN (SELECT id FROM reaction WHERE at < ?1 AND id <= coalesce(
  (SELECT min(seq) FROM mark WHERE reader LIKE '%.reactions'), 9223372036854775807) LIMIT ?2);

-- name: drop_seen
DELETE FROM seen WHERE delivery_id BETWEEN ?1 AND ?2;

-- name: drop_marks
-- Readers that are not there any more; ?1: the names of those that are, up to their last dot.
DELETE FROM mark WHERE reader LIKE 'webhook.%' AND NOT EXISTS (
  SELECT 1 FROM json_each(?1) WHERE mark.reader LIKE value || '.%');

-- name: uid_of_job
SELECT uid FROM job WHERE id = ?1;

-- name: forget_reactions
-- ?1: delivery ids; who they were is blanked, what was done with their mail still counts.
UPDATE reaction SET recipient = '', url = '', user_agent = '', ip = '', choice = '{}'
WHERE delivery_id IN (SELECT value FROM json_each(?1));

-- name: history_ends
SELECT coalesce((SELECT max(id) FROM attempt), 0), coalesce((SELECT max(last_id) FROM run), 0),
  coalesce((SELECT max(id) FROM notice), 0), coalesce((SELECT max(id) FROM reaction), 0);

-- name: message_of
SELECT l.job_id, p.recipient, CAST(p.merge AS TEXT) FROM delivery d
CROSS JOIN payload p ON p.id = d.id CROSS JOIN lane l ON l.id = d.lane_id WHERE d.id = ?1;
