-- State of one daemon. `data` columns hold msgpack; times are nanoseconds since the epoch.
CREATE TABLE positions (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE sources (name TEXT PRIMARY KEY, clock INTEGER NOT NULL, seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE groups (rule TEXT NOT NULL, key TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (rule, key)) WITHOUT ROWID;
CREATE TABLE ended (rule TEXT NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL, muted_until INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (rule, key)) WITHOUT ROWID;
CREATE TABLE incidents (id TEXT PRIMARY KEY, data BLOB NOT NULL, resolved_at INTEGER);
CREATE INDEX incidents_open ON incidents (id) WHERE resolved_at IS NULL;
CREATE INDEX incidents_resolved ON incidents (resolved_at) WHERE resolved_at IS NOT NULL;
-- What happened to incidents, in order.
CREATE TABLE timeline (id INTEGER PRIMARY KEY, incident TEXT NOT NULL, data BLOB NOT NULL);
CREATE INDEX timeline_incident ON timeline (incident);
CREATE TABLE rules (name TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE engine (only INTEGER PRIMARY KEY CHECK (only = 1), data BLOB NOT NULL);
CREATE TABLE outbox (id INTEGER PRIMARY KEY, incident TEXT NOT NULL, settled_at INTEGER, data BLOB NOT NULL);
CREATE INDEX outbox_unsettled ON outbox (id) WHERE settled_at IS NULL;
CREATE INDEX outbox_incident ON outbox (incident);
-- PagerDuty keys that open incidents were opened with, by fingerprint: a resolve must use the same key.
CREATE TABLE secrets (fingerprint TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- The last records that could not be decoded, redacted. Ids are consecutive: all up to one are deleted at a time.
CREATE TABLE rejected (
  id INTEGER PRIMARY KEY, arrival INTEGER NOT NULL, input TEXT NOT NULL, source TEXT NOT NULL, reason TEXT NOT NULL,
  sample TEXT NOT NULL
);
-- Silences of people; those of the configuration are not in here.
CREATE TABLE silences (id TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
-- Webhooks taken from PagerDuty, by their own id. Without `data` they are worked off, and kept to know a repeat.
CREATE TABLE webhooks (id TEXT PRIMARY KEY, arrival INTEGER NOT NULL, data BLOB) WITHOUT ROWID;
-- PagerDuty's ids of our incidents: grouping puts several of ours into one of its, and a `:high` alert has one of its own.
CREATE TABLE pagerduty (id TEXT NOT NULL, incident TEXT NOT NULL, PRIMARY KEY (id, incident)) WITHOUT ROWID;
CREATE INDEX pagerduty_incident ON pagerduty (incident);
