-- The queue, first version. Times are whole milliseconds since 1970 (six bytes, exact through JSON).
-- Delivery states are small integers, in the order of ekiden.queue.model.State:
-- 0 ready, 1 sending, 2 held, 3 delivered, 4 bounced, 5 expired, 6 suppressed, 7 cancelled.

CREATE TABLE job (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uid TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('receiving', 'open', 'paused', 'done', 'cancelled')),
  priority INTEGER NOT NULL CHECK (priority IN (0, 1)),
  mail_from TEXT NOT NULL,
  from_domain TEXT NOT NULL,
  configuration_set TEXT NOT NULL,
  pool TEXT NOT NULL,
  spool_name TEXT NOT NULL,
  suppression_scopes TEXT NOT NULL CHECK (json_valid(suppression_scopes)),
  created_at INTEGER NOT NULL,
  send_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  deliver_by INTEGER,
  pace_messages INTEGER,
  pace_ms INTEGER,
  opened_at INTEGER,
  finished_at INTEGER,  -- every row is final and the result is written
  folded_at INTEGER,    -- its deliveries were deleted; the counts below stay
  refused INTEGER NOT NULL DEFAULT 0,
  duplicates INTEGER NOT NULL DEFAULT 0,
  total INTEGER NOT NULL DEFAULT 0,
  ready INTEGER NOT NULL DEFAULT 0,
  sending INTEGER NOT NULL DEFAULT 0,
  held INTEGER NOT NULL DEFAULT 0,
  delivered INTEGER NOT NULL DEFAULT 0,
  bounced INTEGER NOT NULL DEFAULT 0,
  expired INTEGER NOT NULL DEFAULT 0,
  suppressed INTEGER NOT NULL DEFAULT 0,
  cancelled INTEGER NOT NULL DEFAULT 0,
  CHECK (min(ready, sending, held, delivered, bounced, expired, suppressed, cancelled) >= 0),
  CHECK (total = ready + sending + held + delivered + bounced + expired + suppressed + cancelled),
  CHECK ((pace_messages IS NULL) = (pace_ms IS NULL)),
  CHECK (opened_at IS NOT NULL OR state IN ('receiving', 'cancelled')),
  CHECK (state <> 'done' OR (finished_at IS NOT NULL AND ready + sending + held = 0)),
  CHECK (finished_at IS NULL OR state IN ('done', 'cancelled')),
  CHECK (folded_at IS NULL OR finished_at IS NOT NULL)
) STRICT;
CREATE INDEX job_name ON job (name);
CREATE INDEX job_state ON job (state, id);
-- What the reports wait for: nothing pending any more and no result written yet.
CREATE INDEX job_ended ON job (id)
  WHERE finished_at IS NULL AND ready = 0 AND sending = 0 AND held = 0;
CREATE INDEX job_fold ON job (finished_at) WHERE finished_at IS NOT NULL AND folded_at IS NULL;

CREATE TABLE job_content (
  job_id INTEGER PRIMARY KEY REFERENCES job (id) ON DELETE CASCADE,
  content BLOB NOT NULL
) STRICT;

-- One job's deliveries to one destination. due_at: the earliest time the lane is worth looking at.
CREATE TABLE lane (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job_id INTEGER NOT NULL REFERENCES job (id),
  destination TEXT NOT NULL,
  priority INTEGER NOT NULL,
  due_at INTEGER NOT NULL,
  ready INTEGER NOT NULL DEFAULT 0,
  sending INTEGER NOT NULL DEFAULT 0,
  held INTEGER NOT NULL DEFAULT 0,
  delivered INTEGER NOT NULL DEFAULT 0,
  bounced INTEGER NOT NULL DEFAULT 0,
  expired INTEGER NOT NULL DEFAULT 0,
  suppressed INTEGER NOT NULL DEFAULT 0,
  cancelled INTEGER NOT NULL DEFAULT 0,
  CHECK (min(ready, sending, held, delivered, bounced, expired, suppressed, cancelled) >= 0),
  UNIQUE (job_id, destination)
) STRICT;
CREATE INDEX lane_timeline ON lane (priority, due_at, id, job_id) WHERE ready > 0;
CREATE INDEX lane_of_job ON lane (job_id, due_at) WHERE ready > 0;
CREATE INDEX lane_held ON lane (job_id) WHERE held > 0;

-- The hot part of a delivery: what claims and results rewrite, kept narrow. lane_id is not a
-- foreign key: deleting a lane would have to look for children that only a partial index knows.
CREATE TABLE delivery (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  lane_id INTEGER NOT NULL,
  state INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 7),
  due_at INTEGER,
  attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  doubts INTEGER NOT NULL DEFAULT 0 CHECK (doubts >= 0),
  lease INTEGER,
  finished_at INTEGER,
  last_attempt INTEGER,
  CHECK (state <> 0 OR due_at IS NOT NULL),
  CHECK ((state = 1) = (lease IS NOT NULL)),
  CHECK ((state >= 3) = (finished_at IS NOT NULL))
) STRICT;
CREATE INDEX delivery_ready ON delivery (lane_id, due_at) WHERE state = 0;
CREATE INDEX delivery_sending ON delivery (id) WHERE state = 1;
CREATE INDEX delivery_held ON delivery (lane_id) WHERE state = 2;

-- The cold part, written once. address: the suppression key, NULL when it is the recipient itself.
CREATE TABLE payload (
  id INTEGER PRIMARY KEY,
  recipient TEXT NOT NULL,
  address TEXT,
  merge BLOB NOT NULL,
  row INTEGER NOT NULL
) STRICT;

-- One batch of intake: deliveries first_id..last_id all belong to job_id. `prints` holds the CRC-32
-- of each address, so that a recipient is found without an index that every row would pay for.
CREATE TABLE run (
  id INTEGER PRIMARY KEY,
  job_id INTEGER NOT NULL REFERENCES job (id),
  first_id INTEGER NOT NULL,
  last_id INTEGER NOT NULL,
  prints BLOB NOT NULL,
  CHECK (first_id <= last_id)
) STRICT;
CREATE UNIQUE INDEX run_of_job ON run (job_id, first_id);

-- What happened to deliveries, in order: the history of each (a chain through `previous`, so that no
-- index is needed) and the event log's outbox. tried = 0: a fate without a try.
CREATE TABLE attempt (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  delivery_id INTEGER NOT NULL,
  previous INTEGER,
  number INTEGER NOT NULL,
  fate INTEGER NOT NULL CHECK (fate BETWEEN 0 AND 7),  -- the state it led to; 0 = deferred
  due_at INTEGER,                                      -- of the next try, when deferred
  tried INTEGER NOT NULL CHECK (tried IN (0, 1)),
  in_doubt INTEGER NOT NULL CHECK (in_doubt IN (0, 1)),
  at INTEGER NOT NULL,
  ms INTEGER NOT NULL,
  source TEXT NOT NULL,
  site TEXT NOT NULL,
  host TEXT NOT NULL,
  stage TEXT NOT NULL,
  code INTEGER NOT NULL,
  reply TEXT NOT NULL,
  class TEXT NOT NULL,
  rule TEXT NOT NULL,
  outcome TEXT NOT NULL,
  tls TEXT NOT NULL,
  size INTEGER NOT NULL,
  CHECK ((fate = 0) = (due_at IS NOT NULL))
) STRICT;

-- An address may be suppressed for several reasons at once; removing one leaves the others.
CREATE TABLE suppression (
  address TEXT NOT NULL,
  scope TEXT NOT NULL,
  reason TEXT NOT NULL CHECK (reason IN ('hard_bounce', 'soft_bounces', 'complaint', 'unsubscribe',
    'unengaged', 'manual', 'import')),
  job_id INTEGER,
  at INTEGER NOT NULL,
  note TEXT NOT NULL,
  PRIMARY KEY (address, scope, reason)
) STRICT, WITHOUT ROWID;

CREATE TABLE soft_bounce (
  address TEXT PRIMARY KEY,
  count INTEGER NOT NULL CHECK (count > 0),
  first_at INTEGER NOT NULL,
  last_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE suspension (
  pattern TEXT PRIMARY KEY,
  until INTEGER,  -- NULL: until somebody resumes it
  reason TEXT NOT NULL,
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How far each reader of the outbox has come: fold never deletes what one has not seen.
CREATE TABLE mark (
  reader TEXT PRIMARY KEY,
  seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
