-- What makes the journal evidence, and what the broker refused.
-- compatible: 2

-- Heads of the chain that the device key has signed (buffer/checkpoints.py).
CREATE TABLE checkpoints (
  sequence INTEGER PRIMARY KEY, -- the last record that it speaks of
  link BLOB NOT NULL,           -- of that record, 32 bytes
  at TEXT NOT NULL,             -- RFC 3339, UTC, as the wall clock stood
  key BLOB NOT NULL,            -- the public key, 32 bytes
  signature BLOB NOT NULL       -- Ed25519, 64 bytes
);

-- A folded run is signed with what comes before it, for the hashes between are gone.
ALTER TABLE folded ADD COLUMN before BLOB;     -- link of the record before `first`
ALTER TABLE folded ADD COLUMN signature BLOB;  -- Ed25519, 64 bytes; NULL where no key was at hand

-- Records that the broker refused for what they are: set aside, in nobody's way.
CREATE TABLE refused (
  sequence INTEGER PRIMARY KEY,
  code INTEGER NOT NULL,        -- MQTT v5 reason code
  reason TEXT NOT NULL          -- its name in the standard
);

-- Where the engine's time stood, once an hour: how old a record is, whatever the wall clock says.
CREATE TABLE hours (
  sequence INTEGER PRIMARY KEY, -- the last record committed then
  tick REAL NOT NULL            -- seconds
);

-- Records that went with a damaged file. What can still be read of it is put into `records` with
-- its old sequence and link, and leaves this table: while that goes on, the rest of it is here too.
-- The table `journal` has a row for each chain; its id is empty where it is not known.
CREATE TABLE lost (
  first INTEGER PRIMARY KEY,
  file TEXT,                    -- the name it was set aside as; NULL when nothing more can be read
  last INTEGER NOT NULL
);
