-- The time before which the next attempt of a waiting job does not start.
ALTER TABLE jobs ADD COLUMN not_before INTEGER;
