-- name: move_lanes
-- A lane that was empty is due when its new delivery is; one that was not, at the earlier time.
UPDATE lane SET
  ready = ready + (m.value ->> 2), sending = sending + (m.value ->> 3),
  held = held + (m.value ->> 4), delivered = delivered + (m.value ->> 5),
  bounced = bounced + (m.value ->> 6), expired = expired + (m.value ->> 7),
  suppressed = suppressed + (m.value ->> 8), cancelled = cancelled + (m.value ->> 9),
  due_at = CASE
    WHEN m.value ->> 1 IS NULL THEN due_at
    WHEN ready = 0 THEN m.value ->> 1
    ELSE min(due_at, m.value ->> 1) END
FROM json_each(?1) m WHERE lane.id = m.value ->> 0;

-- name: move_jobs
UPDATE job SET
  ready = ready + (m.value ->> 1), sending = sending + (m.value ->> 2),
  held = held + (m.value ->> 3), delivered = delivered + (m.value ->> 4),
  bounced = bounced + (m.value ->> 5), expired = expired + (m.value ->> 6),
  suppressed = suppressed + (m.value ->> 7), cancelled = cancelled + (m.value ->> 8)
FROM json_each(?1) m WHERE job.id = m.value ->> 0;
