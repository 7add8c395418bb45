-- Rows that were refused when their job came in, for the event log: they are no deliveries.
ALTER TABLE notice ADD COLUMN kind TEXT NOT NULL DEFAULT ''
  CHECK (kind IN ('', 'rejected', 'rendering_failure'));
ALTER TABLE notice ADD COLUMN recipient TEXT NOT NULL DEFAULT '';
ALTER TABLE notice ADD COLUMN row INTEGER NOT NULL DEFAULT 0;
