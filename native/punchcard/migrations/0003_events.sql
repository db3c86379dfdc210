-- The number of the events of drivers that are kept, and the bytes of their data.
ALTER TABLE jobs ADD COLUMN events_kept INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN event_bytes INTEGER NOT NULL DEFAULT 0;
UPDATE jobs SET
  events_kept = (SELECT count(*) FROM events WHERE job = jobs.id AND type <> 'state'),
  event_bytes = (SELECT coalesce(sum(length(data)), 0) FROM events WHERE job = jobs.id AND type <> 'state');
CREATE INDEX events_type ON events (job, type, seq);
