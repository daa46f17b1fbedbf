-- The journal: every record once, in the order of handling, chained by hash (buffer/chain.py).
-- Appending touches the last page of `records` and nothing else.
-- compatible: 1

CREATE TABLE journal (
  id TEXT NOT NULL,          -- 32 hex digits, random: one for each file
  first INTEGER NOT NULL     -- sequence of its first record
);

CREATE TABLE kinds (kind INTEGER PRIMARY KEY, name TEXT NOT NULL);
INSERT INTO kinds VALUES (0, 'event'), (1, 'edge'), (2, 'decision'), (3, 'order'),
                         (4, 'outcome'), (5, 'trace'), (6, 'snapshot'), (7, 'gap');

CREATE TABLE topics (topic INTEGER PRIMARY KEY, name TEXT NOT NULL);

CREATE TABLE records (
  sequence INTEGER PRIMARY KEY,
  priority INTEGER NOT NULL, -- 0 life_safety … 4 telemetry
  kind INTEGER NOT NULL,     -- kinds.kind
  topic INTEGER,             -- topics.topic; NULL is never published
  previous INTEGER,          -- sequence of the published record of this priority before it
  id NOT NULL,               -- 16 bytes for 32 hex digits, else text
  link BLOB NOT NULL,        -- 32 bytes
  body BLOB NOT NULL
);

-- What stays of an evicted record, so that the chain can still be checked.
CREATE TABLE evicted (
  sequence INTEGER PRIMARY KEY,
  priority INTEGER NOT NULL,
  hash BLOB NOT NULL         -- SHA-256 of the body
);

-- Runs of evicted records whose hashes are gone too: the link of the last stands for all of them.
CREATE TABLE folded (
  first INTEGER PRIMARY KEY,
  last INTEGER NOT NULL,
  link BLOB NOT NULL
);

-- Which published records the broker has not acknowledged: spans of one priority each.
-- The last span of a priority is open: what came after `last` belongs to it.
CREATE TABLE unsent (
  priority INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  count INTEGER NOT NULL,    -- records of that priority from first to last; 0 only in an open span
  PRIMARY KEY (priority, first)
) WITHOUT ROWID;

-- Numbers that a scan could find too, as of the record `through`; saved now and then.
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;

-- For people: sqlite3 journal.db 'SELECT * FROM readable ORDER BY sequence DESC LIMIT 10'
CREATE VIEW readable AS
  SELECT sequence, priority, kinds.name AS kind, topics.name AS topic,
         CASE typeof(id) WHEN 'blob' THEN lower(hex(id)) ELSE id END AS id,
         CAST(body AS TEXT) AS body, lower(hex(link)) AS link
  FROM records JOIN kinds USING (kind) LEFT JOIN topics USING (topic);
