-- The token that made a token over HTTP, with which the token ends.
ALTER TABLE tokens ADD COLUMN parent TEXT REFERENCES tokens (id) ON DELETE CASCADE;
CREATE INDEX tokens_parent ON tokens (parent);
CREATE INDEX tokens_user ON tokens (user);
