-- Cards, terminals and the console: what signing in by a tap needs beyond the main job.

-- ===== cards =====
ALTER TABLE card ADD COLUMN format TEXT NOT NULL DEFAULT '';      -- the card format it was read by; '' = the house's default
ALTER TABLE card ADD COLUMN sealed BLOB;                          -- the raw read in the secret box (auth.card_store), NULL where a site keeps none
ALTER TABLE card ADD COLUMN created_by TEXT NOT NULL DEFAULT '';  -- actor, as the audit names them
ALTER TABLE card ADD COLUMN expiry_told_at_us INTEGER;            -- the end of a temporary card is told once
CREATE INDEX card_person ON card(person_id);
CREATE TABLE card_proof(                 -- the last day (site's zone) a card was completed by its password at a terminal
  card_id       INTEGER NOT NULL REFERENCES card(id) ON DELETE CASCADE,
  terminal_id   INTEGER NOT NULL REFERENCES terminal(id),
  day           TEXT NOT NULL,
  PRIMARY KEY(card_id, terminal_id)
) STRICT;
ALTER TABLE person ADD COLUMN release_on_tap INTEGER CHECK(release_on_tap IN (0,1));  -- NULL: as the site says
ALTER TABLE session ADD COLUMN card_id INTEGER REFERENCES card(id) ON DELETE SET NULL;  -- the card that was tapped for it
ALTER TABLE session RENAME COLUMN method TO method_1;
ALTER TABLE session ADD COLUMN method TEXT NOT NULL DEFAULT 'pin'
  CHECK(method IN ('pin','card','card+password','password','code'));  -- code: PIN and a code by mail
UPDATE session SET method=method_1;
ALTER TABLE session DROP COLUMN method_1;
CREATE INDEX session_terminal ON session(terminal_id) WHERE ended_at_us IS NULL;
CREATE TABLE sign_in_code(               -- the one mailed code a person may have open, good at the terminal it was asked at
  person_id     INTEGER PRIMARY KEY REFERENCES person(id),
  terminal_id   INTEGER NOT NULL REFERENCES terminal(id),
  hash          BLOB NOT NULL,           -- HMAC: eight digits are soon tried without the key
  key_id        TEXT NOT NULL,
  asked_at_us   INTEGER NOT NULL,
  asked         INTEGER NOT NULL,        -- how often in the hour that began at since_us
  since_us      INTEGER NOT NULL,
  expires_at_us INTEGER NOT NULL,
  failures      INTEGER NOT NULL DEFAULT 0,
  used_at_us    INTEGER
) STRICT;

-- ===== terminals =====
ALTER TABLE terminal RENAME COLUMN policy TO policy_1;
ALTER TABLE terminal ADD COLUMN policy TEXT NOT NULL DEFAULT 'site'
  CHECK(policy IN ('site','card','card+password','daily','none'));  -- daily: password at the first use in a day
UPDATE terminal SET policy=policy_1;
ALTER TABLE terminal DROP COLUMN policy_1;
ALTER TABLE terminal ADD COLUMN opening_hours TEXT NOT NULL DEFAULT '';   -- '' = always open
ALTER TABLE terminal ADD COLUMN readers TEXT NOT NULL DEFAULT '[]';       -- JSON [{"name","kind","state","code"}] as last heard
ALTER TABLE terminal ADD COLUMN screen TEXT NOT NULL DEFAULT '{}';        -- JSON {"width","height","dpi"} as last heard
ALTER TABLE terminal ADD COLUMN replaced_key BLOB;  -- the key before this one: whoever still signs with it is told that it is over
ALTER TABLE terminal_printer ADD COLUMN reader TEXT NOT NULL DEFAULT '';  -- a tap on this reader means this printer
ALTER TABLE terminal_printer ADD COLUMN place INTEGER NOT NULL DEFAULT 0; -- the order they were named in
UPDATE terminal_printer SET place=rowid;
CREATE TABLE terminal_command(           -- what an operator asked a terminal to do; pushed, answered once, kept a month
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  public_id     TEXT NOT NULL UNIQUE,
  terminal_id   INTEGER NOT NULL REFERENCES terminal(id),
  kind          TEXT NOT NULL CHECK(kind IN ('identify','restart','log')),
  asked_by      TEXT NOT NULL,
  asked_at_us   INTEGER NOT NULL,
  expires_at_us INTEGER NOT NULL,
  done_at_us    INTEGER,
  answer        TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX terminal_command_open ON terminal_command(terminal_id) WHERE done_at_us IS NULL;
CREATE TABLE terminal_outage(            -- a terminal that was not heard of, or a reader it missed; kept for a while
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  terminal_id   INTEGER NOT NULL REFERENCES terminal(id),
  reader        TEXT NOT NULL DEFAULT '',           -- '' = the terminal itself
  code          TEXT NOT NULL DEFAULT '',           -- why, as the terminal said it (unplugged, service-down, ...)
  began_at_us   INTEGER NOT NULL,
  ended_at_us   INTEGER
) STRICT;
CREATE UNIQUE INDEX terminal_outage_open ON terminal_outage(terminal_id, reader) WHERE ended_at_us IS NULL;

-- ===== deliveries =====
ALTER TABLE delivery ADD COLUMN recall_until_us INTEGER;  -- decided as not printed: taken back from its printer, should that still have it
ALTER TABLE delivery ADD COLUMN impressions_promised INTEGER NOT NULL DEFAULT 0;  -- quoted sides: volume steps count what is under way
CREATE INDEX delivery_recall ON delivery(recall_until_us) WHERE recall_until_us IS NOT NULL;

-- ===== ledger =====
ALTER TABLE ledger_block ADD COLUMN notes BLOB;  -- 16 bytes per reason in the block (db/chain.py); NULL: sealed before reasons were
CREATE TRIGGER note_sealed BEFORE INSERT ON transfer_note BEGIN
  SELECT RAISE(ABORT,'ledger:append-only') WHERE EXISTS(SELECT 1 FROM transfer WHERE idempotency_key=NEW.idempotency_key
    AND id<=(SELECT max(last_id) FROM ledger_block));
END;

-- ===== console =====
CREATE TABLE console_session(
  hash          BLOB PRIMARY KEY,        -- of the cookie's value; a new one at sign-in and whenever the person proves themselves again
  person_id     INTEGER NOT NULL REFERENCES person(id),
  epoch         INTEGER NOT NULL,        -- the person's, when it was opened: whatever moves it on ends the session
  csrf          TEXT NOT NULL,           -- what forms of this session carry; kept when the cookie's value changes
  host          TEXT NOT NULL DEFAULT '',
  opened_at_us  INTEGER NOT NULL,
  proven_at_us  INTEGER NOT NULL,        -- when the password was last given: dangerous changes ask for it anew
  expires_at_us INTEGER NOT NULL,
  absolute_us   INTEGER NOT NULL,        -- never extended past this
  ended_at_us   INTEGER
) STRICT;
CREATE INDEX console_session_person ON console_session(person_id) WHERE ended_at_us IS NULL;
CREATE INDEX person_email ON person(lower(email)) WHERE email<>'';
CREATE INDEX credential_failing ON credential(person_id) WHERE failures>0 OR is_disabled=1;
CREATE INDEX event_printer ON event(subject, at_us) WHERE topic='printer.changed';
CREATE INDEX audit_subject ON audit(subject, id);
-- Finding somebody by a part of what they are called reads this and not the people.
CREATE INDEX person_find ON person(name, display_name, email, pin, is_active, removed_at_us);
