-- Contact lists, topics, contacts, consent; identities; what is left of a person who was erased.

-- sunset: who got sunset_mails without a reaction, the last one sunset_ms ago, is not mailed.
CREATE TABLE list (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE CHECK (name <> ''),
  description TEXT NOT NULL DEFAULT '',
  created_at INTEGER NOT NULL,
  sunset_mails INTEGER CHECK (sunset_mails > 0),
  sunset_ms INTEGER CHECK (sunset_ms > 0),
  CHECK ((sunset_mails IS NULL) = (sunset_ms IS NULL))
) STRICT;

-- number: its bit in a contact's two masks. A removed topic keeps its number until no mask has it.
CREATE TABLE topic (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  list_id INTEGER NOT NULL REFERENCES list (id),
  number INTEGER NOT NULL CHECK (number BETWEEN 0 AND 61),
  name TEXT NOT NULL CHECK (name <> ''),
  display_name TEXT NOT NULL,
  description TEXT NOT NULL,
  opt_in INTEGER NOT NULL CHECK (opt_in IN (0, 1)),  -- the default of contacts who have not chosen
  removed_at INTEGER,
  UNIQUE (list_id, number)
) STRICT;
CREATE UNIQUE INDEX topic_name ON topic (list_id, name) WHERE removed_at IS NULL;

-- One row answers every question that a claim asks. topics_in, topics_out: a bit for each topic that
-- the contact chose or left; neither bit: the topic's default holds.
CREATE TABLE contact (
  list_id INTEGER NOT NULL REFERENCES list (id),
  address TEXT NOT NULL,
  attributes TEXT NOT NULL DEFAULT '{}' CHECK (json_type(attributes) = 'object'),
  topics_in INTEGER NOT NULL DEFAULT 0 CHECK (topics_in >= 0),
  topics_out INTEGER NOT NULL DEFAULT 0 CHECK (topics_out >= 0),
  unsubscribed_at INTEGER,
  created_at INTEGER NOT NULL,
  last_sent_at INTEGER,
  mails INTEGER NOT NULL DEFAULT 0,         -- delivered
  mails_since INTEGER NOT NULL DEFAULT 0,   -- delivered since the last reaction
  reacted_at INTEGER,
  opened_at INTEGER,
  clicked_at INTEGER,
  replied_at INTEGER,
  PRIMARY KEY (list_id, address),
  CHECK (topics_in & topics_out = 0),
  CHECK (mails_since BETWEEN 0 AND mails),
  CHECK (reacted_at IS NOT NULL OR coalesce(opened_at, clicked_at, replied_at) IS NULL)
) STRICT, WITHOUT ROWID;

-- What people read when they agreed: stored once however many agreed to it.
CREATE TABLE consent_form (
  id INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE
) STRICT;

-- topic '': the whole list. keep_until: set when the contact is removed; it outlives the contact.
CREATE TABLE consent (
  address TEXT NOT NULL,
  list TEXT NOT NULL,
  at INTEGER NOT NULL,
  topic TEXT NOT NULL,
  act TEXT NOT NULL CHECK (act IN ('given', 'withdrawn')),
  method TEXT NOT NULL CHECK (method IN ('', 'single', 'confirmed', 'written', 'business',
    'published')),
  source TEXT NOT NULL,
  form_id INTEGER REFERENCES consent_form (id),
  ip TEXT NOT NULL,
  recorded_at INTEGER NOT NULL,
  keep_until INTEGER,
  PRIMARY KEY (address, list, at, topic, act)
) STRICT, WITHOUT ROWID;
CREATE INDEX consent_end ON consent (keep_until) WHERE keep_until IS NOT NULL;

-- A keyed hash per erased address: it says "do not mail" and nothing else.
CREATE TABLE erasure_key (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  key BLOB NOT NULL CHECK (length(key) = 32)
) STRICT;
INSERT INTO erasure_key (id, key) VALUES (1, randomblob(32));
CREATE TABLE erased (
  hash TEXT PRIMARY KEY CHECK (length(hash) = 64),  -- hexadecimal
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A From address or domain. code_hash: of the code that a confirmation mail carries.
CREATE TABLE identity (
  name TEXT PRIMARY KEY CHECK (name <> ''),
  created_at INTEGER NOT NULL,
  verified_at INTEGER,
  method TEXT NOT NULL DEFAULT '' CHECK (method IN ('', 'dns', 'mail')),
  code_hash TEXT UNIQUE,
  code_expires_at INTEGER,
  CHECK ((verified_at IS NULL) = (method = '')),
  CHECK ((code_hash IS NULL) = (code_expires_at IS NULL))
) STRICT, WITHOUT ROWID;

-- What a job says of them. passed_reasons: suppressions that do not hold for it.
ALTER TABLE job ADD COLUMN contact_list TEXT NOT NULL DEFAULT '';
ALTER TABLE job ADD COLUMN topic TEXT NOT NULL DEFAULT '';
ALTER TABLE job ADD COLUMN passed_reasons TEXT NOT NULL DEFAULT '[]'
  CHECK (json_valid(passed_reasons));
CREATE INDEX job_list ON job (contact_list) WHERE contact_list <> '';
