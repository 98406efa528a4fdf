ALTER TABLE ended ADD COLUMN muted_until INTEGER NOT NULL DEFAULT 0;
CREATE TABLE timeline (id INTEGER PRIMARY KEY, incident TEXT NOT NULL, data BLOB NOT NULL);
CREATE INDEX timeline_incident ON timeline (incident);
