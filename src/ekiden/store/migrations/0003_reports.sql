-- What comes back after a delivery: reports, the rates they add up to, and what people must hear of.

-- One report of a kind for a delivery counts, however often and in however many shapes it comes.
-- expires_at: when its return address does; a later copy is refused for that, so the row may go.
CREATE TABLE report (
  delivery_id INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('hard', 'soft', 'other', 'complaint')),
  digest BLOB NOT NULL CHECK (length(digest) = 32),  -- SHA-256 of the mail that counted
  address TEXT NOT NULL,
  at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (delivery_id, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX report_soft ON report (address, at) WHERE kind = 'soft';
CREATE INDEX report_expiry ON report (expires_at);

-- What became of incoming mail, by outcome.
CREATE TABLE inbound_count (
  outcome TEXT PRIMARY KEY,
  number INTEGER NOT NULL CHECK (number > 0),
  last_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Rates over a representative volume: when `sent` passes twice that volume, all three are halved.
CREATE TABLE reputation (
  scope TEXT PRIMARY KEY,  -- sender:X, source:X, provider:X, set:X, job:ID
  sent REAL NOT NULL DEFAULT 0,
  bounced REAL NOT NULL DEFAULT 0,
  complained REAL NOT NULL DEFAULT 0,
  standing TEXT NOT NULL DEFAULT 'healthy'
    CHECK (standing IN ('healthy', 'fair', 'warning', 'stopped')),
  reason TEXT NOT NULL DEFAULT '',
  since INTEGER NOT NULL,
  at INTEGER NOT NULL,
  judged INTEGER NOT NULL DEFAULT 0 CHECK (judged IN (0, 1)),
  CHECK (min(sent, bounced, complained) >= 0)
) STRICT, WITHOUT ROWID;
CREATE INDEX reputation_unjudged ON reputation (scope) WHERE judged = 0;
CREATE INDEX reputation_age ON reputation (at);

-- Jobs that a stopped scope paused, so that resuming it resumes them and no others.
CREATE TABLE stopped_job (
  scope TEXT NOT NULL,
  job_id INTEGER NOT NULL,
  PRIMARY KEY (scope, job_id)
) STRICT, WITHOUT ROWID;

-- What the operator must hear of and no delivery tells: an outbox for the event log, as `attempt` is.
CREATE TABLE notice (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  scope TEXT NOT NULL,
  job_id INTEGER,
  detail TEXT NOT NULL
) STRICT;
