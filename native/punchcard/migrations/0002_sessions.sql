-- The sessions of the web page. A session ends with its token.
CREATE TABLE sessions (
  -- SHA-256 of the secret in the cookie. Its first eight bytes, as an integer, find the row.
  hash BLOB PRIMARY KEY,
  prefix INTEGER NOT NULL,
  token TEXT NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_prefix ON sessions (prefix);
