-- name: lists
-- One that is being removed has a space in its name (see Catalog.remove_list).
SELECT json_group_array(json_array(name, description, created_at, sunset_mails, sunset_ms)) FROM (
  SELECT * FROM list WHERE (?1 = '' OR name = ?1) AND name NOT LIKE '% %' ORDER BY name);

-- name: add_list
INSERT INTO list (name, description, created_at, sunset_mails, sunset_ms)
VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (name) DO NOTHING;

-- name: change_list
UPDATE list SET description = coalesce(?2, description),
  sunset_mails = CASE ?3 WHEN 1 THEN ?4 ELSE sunset_mails END,
  sunset_ms = CASE ?3 WHEN 1 THEN ?5 ELSE sunset_ms END
WHERE name = ?1;

-- name: list_id
SELECT id FROM list WHERE name = ?1 AND name NOT LIKE '% %';

-- name: jobs_of_list
-- Jobs that still read the list, or only one topic of it.
SELECT count(*), min(name) FROM job WHERE contact_list = ?1 AND (?2 = '' OR topic = ?2)
  AND state IN ('receiving', 'open', 'paused');

-- name: retire_list
UPDATE list SET name = name || ' removed ' || id WHERE id = ?1;

-- name: retired_lists
SELECT id, substr(name, 1, instr(name, ' ') - 1) FROM list WHERE name LIKE '% %';

-- name: piece_of_list
SELECT json_group_array(json_array(address, coalesce(last_sent_at, created_at))) FROM (
  SELECT * FROM contact WHERE list_id = ?1 ORDER BY address LIMIT ?2);

-- name: drop_topics
DELETE FROM topic WHERE list_id = ?1;

-- name: drop_list
DELETE FROM list WHERE id = ?1;

-- name: topics
SELECT json_group_array(json_array(number, name, display_name, description, opt_in)) FROM (
  SELECT * FROM topic WHERE list_id = ?1 AND removed_at IS NULL ORDER BY id);

-- name: topics_of
SELECT json_group_array(json_array(number, name, display_name, description, opt_in)) FROM (
  SELECT t.* FROM list cl CROSS JOIN topic t ON t.list_id = cl.id AND t.removed_at IS NULL
  WHERE cl.name = ?1 ORDER BY t.id);

-- name: free_number
-- The lowest number that no topic of the list has, removed ones included; none when all are taken.
WITH RECURSIVE n (number) AS (SELECT 0 UNION ALL SELECT number + 1 FROM n WHERE number < 61)
SELECT min(number) FROM n WHERE number NOT IN (SELECT number FROM topic WHERE list_id = ?1);

-- name: add_topic
INSERT INTO topic (list_id, number, name, display_name, description, opt_in)
VALUES (?1, ?2, ?3, ?4, ?5, ?6);

-- name: change_topic
UPDATE topic SET display_name = ?3, description = ?4, opt_in = ?5
WHERE list_id = ?1 AND name = ?2 AND removed_at IS NULL;

-- name: retire_topic
UPDATE topic SET removed_at = ?3 WHERE list_id = ?1 AND name = ?2 AND removed_at IS NULL;

-- name: retired_topics
SELECT id, list_id, number FROM topic WHERE removed_at IS NOT NULL;

-- name: clear_topic
-- One piece of the contacts, in the order of addresses; returns where the next one begins.
UPDATE contact SET topics_in = topics_in & ~(1 << ?2), topics_out = topics_out & ~(1 << ?2)
WHERE list_id = ?1 AND address > ?3 AND address <= ?4 AND (topics_in | topics_out) >> ?2 & 1;

-- name: end_of_piece
SELECT max(address) FROM (
  SELECT address FROM contact WHERE list_id = ?1 AND address > ?2 ORDER BY address LIMIT ?3);

-- name: drop_topic
DELETE FROM topic WHERE id = ?1;

-- name: tally
SELECT json_group_array(json_array(topics_in, topics_out, gone, unengaged, number)) FROM (
  SELECT c.topics_in, c.topics_out, c.unsubscribed_at IS NOT NULL AS gone,
    coalesce(c.mails_since >= cl.sunset_mails
      AND coalesce(c.reacted_at, c.created_at) <= ?2 - cl.sunset_ms, 0) AS unengaged,
    count(*) AS number
  FROM list cl CROSS JOIN contact c ON c.list_id = cl.id WHERE cl.name = ?1 GROUP BY 1, 2, 3, 4);
