-- What was done with mails after they arrived, and who may ask over HTTP.

-- An outbox for the event log, as `attempt` is. delivery_id NULL: about no delivery that is known.
CREATE TABLE reaction (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('open', 'click', 'unsubscribe', 'subscription')),
  job_id INTEGER,
  delivery_id INTEGER,
  recipient TEXT NOT NULL,
  row INTEGER NOT NULL DEFAULT 0,
  url TEXT NOT NULL DEFAULT '',
  agent TEXT NOT NULL DEFAULT '',
  user_agent TEXT NOT NULL DEFAULT '',
  ip TEXT NOT NULL DEFAULT '',
  times INTEGER NOT NULL DEFAULT 1 CHECK (times > 0),
  choice TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(choice))
) STRICT;
CREATE INDEX reaction_of ON reaction (delivery_id) WHERE delivery_id IS NOT NULL;
CREATE INDEX reaction_age ON reaction (at);

-- How often a delivery was opened or a link of it clicked (url '': any link), by people or machines.
CREATE TABLE seen (
  delivery_id INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('open', 'click')),
  url TEXT NOT NULL,
  human INTEGER NOT NULL CHECK (human IN (0, 1)),
  job_id INTEGER NOT NULL,
  times INTEGER NOT NULL CHECK (times > 0),
  first_at INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  PRIMARY KEY (delivery_id, kind, url, human)
) STRICT, WITHOUT ROWID;

-- The same by job: all that is kept in privacy mode, and what stays when deliveries are folded away.
CREATE TABLE reaction_total (
  job_id INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('open', 'click', 'unsubscribe')),
  url TEXT NOT NULL,
  human INTEGER NOT NULL CHECK (human IN (0, 1)),
  times INTEGER NOT NULL CHECK (times > 0),
  deliveries INTEGER NOT NULL CHECK (deliveries >= 0),  -- different ones; 0 in privacy mode
  PRIMARY KEY (job_id, kind, url, human)
) STRICT, WITHOUT ROWID;

-- Who may use the admin API. Only a hash is kept: a token is shown once.
CREATE TABLE api_token (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE CHECK (name <> ''),
  hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
  scopes TEXT NOT NULL CHECK (json_type(scopes) = 'array'),
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  used_at INTEGER,
  revoked_at INTEGER
) STRICT;

-- What was submitted over HTTP under an Idempotency-Key, and the answer it got.
CREATE TABLE submission (
  token_id INTEGER NOT NULL,
  key TEXT NOT NULL,
  digest BLOB NOT NULL CHECK (length(digest) = 32),
  spool_name TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (token_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX submission_age ON submission (at);
