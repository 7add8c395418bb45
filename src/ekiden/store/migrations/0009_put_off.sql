-- Waiting for limits of our own (a relay's quota, a warm-up) is not being retried: it puts ends off.
-- patience_ms: for how long a delivery is retried once those limits let it go; NULL when the end of
-- its job is firm (deliver_by, or a set's own lifetime). put_off: the later end, 0 for none.
ALTER TABLE job ADD COLUMN patience_ms INTEGER CHECK (patience_ms > 0);
ALTER TABLE job ADD COLUMN put_off INTEGER NOT NULL DEFAULT 0
  CHECK (put_off = 0 OR patience_ms IS NOT NULL);
ALTER TABLE lane ADD COLUMN put_off INTEGER NOT NULL DEFAULT 0;
