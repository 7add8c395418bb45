-- name: failures
-- What became of a job's deliveries that were not delivered, by state and class, with an example.
SELECT json_group_array(json_array(state, class, rule, number, code, reply)) FROM (
  SELECT d.state, coalesce(a.class, '') AS class, coalesce(a.rule, '') AS rule, count(*) AS number,
    max(coalesce(a.code, 0)) AS code, max(coalesce(a.reply, '')) AS reply
  FROM run r CROSS JOIN delivery d ON d.id BETWEEN r.first_id AND r.last_id
  LEFT JOIN attempt a ON a.id = d.last_attempt
  WHERE r.job_id IN (SELECT id FROM job WHERE id = ?1 OR head_id = ?1)
    AND d.state <> 3 AND (d.state > 1 OR d.last_attempt IS NOT NULL)
  GROUP BY 1, 2, 3 ORDER BY number DESC, class LIMIT ?2);

-- name: newest_notices
SELECT id, at, scope, job_id, detail FROM notice WHERE kind = '' ORDER BY id DESC LIMIT ?1;

-- name: job_of_spool
SELECT max(id) FROM job WHERE spool_name = ?1 AND spool_name <> '' AND state <> 'receiving';
