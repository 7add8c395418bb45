-- name: interrupted
-- ?1: the id to go on after; ?2: how many. Leases fit JSON's integers as SQLite writes them.
SELECT json_group_array(json_array(id, lease))
FROM (SELECT id, lease FROM delivery WHERE state = 1 AND id > ?1 ORDER BY id LIMIT ?2);
