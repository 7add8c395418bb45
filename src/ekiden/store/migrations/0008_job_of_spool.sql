-- Whoever submitted over HTTP asks what became of the entry by its name.
CREATE INDEX job_of_spool ON job (spool_name) WHERE spool_name <> '';
