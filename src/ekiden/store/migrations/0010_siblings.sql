-- Rows that choose a configuration set of their own are a job beside the one they came with, its
-- sibling: a set has a pool, a priority, a lifetime, limits, and those are a job's.
ALTER TABLE job ADD COLUMN head_id INTEGER;                       -- NULL but in a sibling
ALTER TABLE job ADD COLUMN siblings INTEGER NOT NULL DEFAULT 0;   -- of this job, once it is open
CREATE INDEX job_head ON job (head_id) WHERE head_id IS NOT NULL;
