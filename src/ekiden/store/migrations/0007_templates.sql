-- Stored templates. A version is written once and never changed; the number of one that was removed
-- is never used again, so that "welcome@3" means one text for ever.
CREATE TABLE template (
  name TEXT NOT NULL CHECK (name <> '' AND instr(name, '@') = 0),
  version INTEGER NOT NULL CHECK (version > 0),
  created_at INTEGER NOT NULL,
  note TEXT NOT NULL,
  configuration_set TEXT NOT NULL,        -- of jobs that name none; '' for none
  digest BLOB NOT NULL CHECK (length(digest) = 32),
  content BLOB,                           -- NULL once it has been removed
  removed_at INTEGER,
  PRIMARY KEY (name, version),
  CHECK ((content IS NULL) = (removed_at IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- The version that a job was made of, as "welcome@3"; its text is in the job's content.
ALTER TABLE job ADD COLUMN template TEXT NOT NULL DEFAULT '';
