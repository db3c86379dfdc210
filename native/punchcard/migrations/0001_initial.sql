-- Times are milliseconds since 1970-01-01 UTC.

CREATE TABLE users (
  name TEXT PRIMARY KEY,
  role TEXT NOT NULL CHECK (role IN ('user', 'admin')),
  programs INTEGER NOT NULL DEFAULT 0,
  -- Null: the server's default.
  running INTEGER,
  queued INTEGER,
  upload_bytes INTEGER,
  log_bytes INTEGER,
  retention_days INTEGER,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE tokens (
  id TEXT PRIMARY KEY,
  user TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
  label TEXT NOT NULL,
  -- SHA-256 of the token. Its first eight bytes, as an integer, find the row.
  hash BLOB NOT NULL UNIQUE,
  prefix INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  revoked_at INTEGER
) STRICT;
CREATE INDEX tokens_prefix ON tokens (prefix);

CREATE TABLE uploads (
  id TEXT PRIMARY KEY,
  user TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
  size INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  extension TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  -- The time of the last upload of these bytes, or of the last job that refers to them.
  used_at INTEGER NOT NULL,
  UNIQUE (user, sha256, extension)
) STRICT;

CREATE TABLE jobs (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  user TEXT NOT NULL REFERENCES users (name),
  token TEXT NOT NULL,
  cluster TEXT NOT NULL,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT,
  attempt INTEGER NOT NULL DEFAULT 0,
  retries INTEGER NOT NULL,
  cancel_requested INTEGER NOT NULL DEFAULT 0,
  request TEXT NOT NULL,
  idempotency_key TEXT NOT NULL,
  request_hash BLOB NOT NULL,
  resubmitted_from TEXT,
  application_id TEXT,
  exit_code INTEGER,
  progress TEXT,
  -- The bytes of the attempt's event file that are in the table of events.
  events_read INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  finished_at INTEGER,
  UNIQUE (user, idempotency_key)
) STRICT;
CREATE INDEX jobs_state ON jobs (state);
CREATE INDEX jobs_user ON jobs (user, seq);

CREATE TABLE job_uploads (
  job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  upload TEXT NOT NULL REFERENCES uploads (id),
  PRIMARY KEY (job, upload)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_uploads_upload ON job_uploads (upload);

CREATE TABLE events (
  job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  seq INTEGER NOT NULL,
  time INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  type TEXT NOT NULL,
  data TEXT NOT NULL,
  PRIMARY KEY (job, seq)
) STRICT, WITHOUT ROWID;
