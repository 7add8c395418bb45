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
SELECT kind, url, human, sum(times) AS times, sum(deliveries) AS deliveries FROM reaction_total
WHERE job_id IN (SELECT id FROM job WHERE id = ?1 OR head_id = ?1) GROUP BY kind, url, human
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
-- Destinations that are not there any more; ?1: the names of the readers that are.
DELETE FROM mark WHERE reader LIKE 'to.%' AND NOT EXISTS (
  SELECT 1 FROM json_each(?1) WHERE substr(mark.reader, 1, length(value) + 1) = value || '.');

-- name: begin_mark
-- Where the history ends now, for a reader that has no place yet.
INSERT INTO mark (reader, seq) VALUES
  (?1 || '.attempts', coalesce((SELECT max(id) FROM attempt), 0)),
  (?1 || '.accepted', coalesce((SELECT max(last_id) FROM run), 0)),
  (?1 || '.notices', coalesce((SELECT max(id) FROM notice), 0)),
  (?1 || '.reactions', coalesce((SELECT max(id) FROM reaction), 0))
ON CONFLICT (reader) DO NOTHING;

-- name: end_mark
-- The same for one that gives up what it has not read.
UPDATE mark SET seq = CASE reader
  WHEN ?1 || '.attempts' THEN coalesce((SELECT max(id) FROM attempt), seq)
  WHEN ?1 || '.accepted' THEN coalesce((SELECT max(last_id) FROM run), seq)
  WHEN ?1 || '.notices' THEN coalesce((SELECT max(id) FROM notice), seq)
  ELSE coalesce((SELECT max(id) FROM reaction), seq) END
WHERE reader IN (?1 || '.attempts', ?1 || '.accepted', ?1 || '.notices', ?1 || '.reactions');

-- name: lags
-- How many rows each destination has before it, and when the oldest of them (accepted deliveries
-- aside, whose time is their job's) was written.
SELECT json_group_array(json_array(reader, behind, since)) FROM (
  SELECT substr(m.reader, 4, instr(substr(m.reader, 4), '.') - 1) AS reader,
    sum(CASE substr(m.reader, instr(substr(m.reader, 4), '.') + 4)
      WHEN 'attempts' THEN (SELECT max(coalesce(max(id), 0) - m.seq, 0) FROM attempt)
      WHEN 'accepted' THEN (SELECT max(coalesce(max(last_id), 0) - m.seq, 0) FROM run)
      WHEN 'notices' THEN (SELECT max(coalesce(max(id), 0) - m.seq, 0) FROM notice)
      ELSE (SELECT max(coalesce(max(id), 0) - m.seq, 0) FROM reaction) END) AS behind,
    min(CASE substr(m.reader, instr(substr(m.reader, 4), '.') + 4)
      WHEN 'attempts' THEN (SELECT at FROM attempt WHERE id > m.seq ORDER BY id LIMIT 1)
      WHEN 'notices' THEN (SELECT at FROM notice WHERE id > m.seq ORDER BY id LIMIT 1)
      WHEN 'reactions' THEN (SELECT at FROM reaction WHERE id > m.seq ORDER BY id LIMIT 1)
      END) AS since
  FROM mark m WHERE m.reader LIKE 'to.%' GROUP BY 1 ORDER BY 1);

-- name: uid_of_job
SELECT uid FROM job WHERE id = ?1;

-- name: forget_reactions
-- ?1: delivery ids; who they were is blanked, what was done with their mail still counts.
UPDATE reaction SET recipient = '', url = '', user_agent = '', ip = '', choice = '{}'
WHERE delivery_id IN (SELECT value FROM json_each(?1));

-- name: message_of
SELECT l.job_id, p.recipient, CAST(p.merge AS TEXT) FROM delivery d
CROSS JOIN payload p ON p.id = d.id CROSS JOIN lane l ON l.id = d.lane_id WHERE d.id = ?1;
