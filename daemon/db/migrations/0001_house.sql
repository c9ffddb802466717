-- Migration 1: the whole house. STRICT tables; times are microseconds UTC (`_us`); public ids are random text.
-- Numbered, applied in one transaction, fingerprinted afterwards (see db/migrate.py). Never edit once released: add 0002.

-- ===== installation =====
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

-- Idempotent requests: same key + same digest = same answer; other digest = conflict. Kept for ever.
CREATE TABLE request(
  key    BLOB PRIMARY KEY CHECK(length(key)=16),
  digest BLOB NOT NULL CHECK(length(digest)=8),
  answer TEXT NOT NULL,
  at_us  INTEGER NOT NULL
) STRICT;
CREATE TRIGGER request_new BEFORE INSERT ON request BEGIN
  SELECT RAISE(ABORT,'ledger:duplicate') WHERE EXISTS(SELECT 1 FROM request WHERE key=NEW.key);
END;
CREATE TRIGGER request_no_update BEFORE UPDATE ON request BEGIN SELECT RAISE(ABORT,'ledger:append-only'); END;
CREATE TRIGGER request_no_delete BEFORE DELETE ON request BEGIN SELECT RAISE(ABORT,'ledger:append-only'); END;

CREATE TABLE event(
  seq     INTEGER PRIMARY KEY AUTOINCREMENT,
  topic   TEXT NOT NULL,
  subject TEXT NOT NULL,
  user_id INTEGER,
  at_us   INTEGER NOT NULL
) STRICT;

CREATE TABLE audit(
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  at_us   INTEGER NOT NULL,
  actor   TEXT NOT NULL,                 -- local:<uid>, token:<name>, user:<id>, terminal:<id>, system
  action  TEXT NOT NULL,                 -- user.added, account.adjusted, ...
  subject TEXT NOT NULL,
  detail  TEXT NOT NULL DEFAULT '{}',    -- JSON, before/after/reason; never a secret
  prev    BLOB NOT NULL,
  hash    BLOB NOT NULL
) STRICT;
CREATE TRIGGER audit_new BEFORE INSERT ON audit BEGIN
  SELECT RAISE(ABORT,'audit:append-only') WHERE EXISTS(SELECT 1 FROM audit WHERE id=NEW.id);
END;
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT,'audit:append-only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT,'audit:append-only'); END;

-- ===== people =====
CREATE TABLE person(
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  public_id     TEXT NOT NULL UNIQUE,
  name          TEXT NOT NULL UNIQUE,    -- network name, NFC, case-folded
  display_name  TEXT NOT NULL DEFAULT '',
  email         TEXT NOT NULL DEFAULT '',
  is_active     INTEGER NOT NULL DEFAULT 1 CHECK(is_active IN (0,1)),
  pin           TEXT UNIQUE,             -- a number at the keypad, not a secret
  profile       TEXT NOT NULL,
  site          TEXT NOT NULL DEFAULT 'main',
  language      TEXT NOT NULL DEFAULT '',
  origin        TEXT NOT NULL DEFAULT 'admin' CHECK(origin IN ('admin','first-print','import','invite')),
  session_epoch INTEGER NOT NULL DEFAULT 1,
  created_at_us INTEGER NOT NULL,
  last_submitted_at_us INTEGER,
  last_released_at_us  INTEGER,
  removed_at_us INTEGER
) STRICT;
CREATE TABLE person_alias(name TEXT PRIMARY KEY, person_id INTEGER NOT NULL REFERENCES person(id)) STRICT;
CREATE TABLE role_grant(
  person_id INTEGER NOT NULL REFERENCES person(id), role TEXT NOT NULL, site TEXT NOT NULL DEFAULT '*',
  PRIMARY KEY(person_id, role, site)
) STRICT;

CREATE TABLE credential(
  person_id     INTEGER NOT NULL REFERENCES person(id),
  kind          TEXT NOT NULL CHECK(kind IN ('password','keypad-password')),
  hash          TEXT NOT NULL,           -- argon2id(HMAC(pepper, secret)), encoded
  key_id        TEXT NOT NULL,           -- which pepper
  failures      INTEGER NOT NULL DEFAULT 0,
  last_failure_us INTEGER,
  locked_until_us INTEGER,
  is_disabled   INTEGER NOT NULL DEFAULT 0 CHECK(is_disabled IN (0,1)),
  changed_at_us INTEGER NOT NULL,
  PRIMARY KEY(person_id, kind)
) STRICT;
CREATE TABLE mailed_token(               -- password links and the like: single use, hashed
  hash          BLOB PRIMARY KEY,
  kind          TEXT NOT NULL,
  person_id     INTEGER NOT NULL REFERENCES person(id),
  expires_at_us INTEGER NOT NULL,
  used_at_us    INTEGER
) STRICT;
CREATE TABLE card(
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  public_id     TEXT NOT NULL UNIQUE,
  person_id     INTEGER NOT NULL REFERENCES person(id),
  hash          BLOB NOT NULL UNIQUE,    -- HMAC of the normalised number; the number is nowhere
  key_id        TEXT NOT NULL,
  label         TEXT NOT NULL DEFAULT '',
  created_at_us INTEGER NOT NULL,
  expires_at_us INTEGER,
  blocked_at_us INTEGER,
  last_used_at_us INTEGER
) STRICT;
CREATE TABLE api_token(
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  name          TEXT NOT NULL,
  hash          BLOB NOT NULL UNIQUE,
  role          TEXT NOT NULL,
  created_at_us INTEGER NOT NULL,
  expires_at_us INTEGER,
  last_used_at_us INTEGER,
  revoked_at_us INTEGER
) STRICT;
CREATE TABLE personal_address(           -- the secret per-person queue address
  hash          BLOB PRIMARY KEY,
  person_id     INTEGER NOT NULL REFERENCES person(id),
  created_at_us INTEGER NOT NULL,
  revoked_at_us INTEGER
) STRICT;

-- ===== devices =====
CREATE TABLE printer(
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  public_id     TEXT NOT NULL UNIQUE,
  name          TEXT NOT NULL UNIQUE,
  uri           TEXT NOT NULL,
  tls           TEXT NOT NULL DEFAULT 'verify',   -- verify | pin:SHA256
  tariff        TEXT NOT NULL DEFAULT 'standard',
  location      TEXT NOT NULL DEFAULT '',
  site          TEXT NOT NULL DEFAULT 'main',
  snmp          TEXT NOT NULL DEFAULT '',         -- JSON {"host","port","community_ref"}; '' = no counter
  state         TEXT NOT NULL DEFAULT 'unknown' CHECK(state IN ('unknown','idle','processing','stopped','unreachable')),
  reasons       TEXT NOT NULL DEFAULT '[]',       -- JSON list of printer-state-reasons
  is_accepting  INTEGER NOT NULL DEFAULT 0 CHECK(is_accepting IN (0,1)),
  capabilities  TEXT NOT NULL DEFAULT '{}',       -- JSON of devices.capabilities.Capabilities
  uuid          TEXT NOT NULL DEFAULT '',
  up_time_s     INTEGER,
  checked_at_us INTEGER,
  created_at_us INTEGER NOT NULL,
  removed_at_us INTEGER
) STRICT;
CREATE TABLE terminal(
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  public_id     TEXT NOT NULL UNIQUE,
  name          TEXT NOT NULL UNIQUE,
  site          TEXT NOT NULL DEFAULT 'main',
  policy        TEXT NOT NULL DEFAULT 'card+password' CHECK(policy IN ('card','card+password','none')),
  public_key    BLOB,                    -- Ed25519, 32 bytes, once enrolled
  counter       INTEGER NOT NULL DEFAULT 0,
  version       TEXT NOT NULL DEFAULT '',
  created_at_us INTEGER NOT NULL,
  enrolled_at_us INTEGER,
  last_seen_us  INTEGER,
  revoked_at_us INTEGER,
  paused_until_us INTEGER                -- too many failed sign-ins
) STRICT;
CREATE TABLE terminal_printer(
  terminal_id INTEGER NOT NULL REFERENCES terminal(id), printer_id INTEGER NOT NULL REFERENCES printer(id),
  PRIMARY KEY(terminal_id, printer_id)
) STRICT;
CREATE TABLE terminal_code(              -- one try, short-lived; the code keys an HMAC, so its boxed form is kept until used
  terminal_id   INTEGER PRIMARY KEY REFERENCES terminal(id),
  locator       TEXT NOT NULL UNIQUE,    -- first characters of the code, not secret
  boxed         BLOB NOT NULL,           -- the rest, in the secret box
  expires_at_us INTEGER NOT NULL,
  tried_at_us   INTEGER
) STRICT;
CREATE TABLE sign_in_failure(            -- per terminal and global throttles survive a restart; kept one day
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  at_us         INTEGER NOT NULL,
  terminal_id   INTEGER,
  person_id     INTEGER,
  method        TEXT NOT NULL,
  source        TEXT NOT NULL DEFAULT ''  -- what is throttled: terminal:<id>, or host:<address> for Basic
) STRICT;
CREATE INDEX sign_in_failure_at ON sign_in_failure(at_us);
CREATE TABLE session(
  hash          BLOB PRIMARY KEY,        -- of the bearer value
  person_id     INTEGER NOT NULL REFERENCES person(id),
  terminal_id   INTEGER REFERENCES terminal(id),
  method        TEXT NOT NULL CHECK(method IN ('pin','card','card+password','password')),
  epoch         INTEGER NOT NULL,
  opened_at_us  INTEGER NOT NULL,
  expires_at_us INTEGER NOT NULL,
  absolute_us   INTEGER NOT NULL,        -- never extended past this
  ended_at_us   INTEGER
) STRICT;
CREATE INDEX session_person ON session(person_id) WHERE ended_at_us IS NULL;

-- ===== jobs =====
CREATE TABLE job(
  id            INTEGER PRIMARY KEY AUTOINCREMENT,  -- IPP job-id
  public_id     TEXT NOT NULL UNIQUE,
  queue         TEXT NOT NULL,
  person_id     INTEGER REFERENCES person(id),      -- NULL: not yet claimed
  claimed_name  TEXT NOT NULL DEFAULT '',           -- requesting-user-name, a claim
  name          BLOB NOT NULL,                      -- job-name, encrypted with the job's title key (see jobs.store)
  host          TEXT NOT NULL DEFAULT '',
  state         TEXT NOT NULL CHECK(state IN ('pending','pending-held','processing','processing-stopped','canceled','aborted','completed')),
  reasons       TEXT NOT NULL,                      -- JSON list of job-state-reasons
  version       INTEGER NOT NULL DEFAULT 1,         -- every change adds one; a stale writer meets zero rows
  ticket        TEXT NOT NULL,                      -- JSON of jobs.ticket.Ticket
  facts         TEXT,                               -- JSON of jobs.facts.DocumentFacts; NULL until analysed
  counts        TEXT,                               -- JSON of kernel.counts.Counts for the ticket
  price         TEXT,                               -- JSON Amount of the last quote in the owner's first unit
  account_ref   TEXT NOT NULL DEFAULT '',           -- job-account-id
  password_hash TEXT NOT NULL DEFAULT '',           -- job-password (screens: job code)
  claim_code    TEXT UNIQUE,                        -- queue rule `code`
  priority      INTEGER NOT NULL DEFAULT 50,
  hold_until    TEXT NOT NULL DEFAULT 'indefinite', -- job-hold-until
  hold_until_us INTEGER,                            -- when that lets go
  created_at_us INTEGER NOT NULL,
  held_until_us INTEGER NOT NULL,                   -- expiry; fixed at submission
  warned_at_us  INTEGER,
  processing_at_us INTEGER,
  completed_at_us  INTEGER,
  printed_impressions INTEGER,
  printed_sheets      INTEGER,
  is_uncertain  INTEGER NOT NULL DEFAULT 0 CHECK(is_uncertain IN (0,1)),
  is_estimated  INTEGER NOT NULL DEFAULT 0 CHECK(is_estimated IN (0,1)),
  printer_id    INTEGER REFERENCES printer(id),     -- where it went last
  message       TEXT NOT NULL DEFAULT '',           -- job-state-message: why it ended as it did
  undo_until_us INTEGER,                            -- deleted by its owner, may come back until then
  CHECK(id>0)
) STRICT;
CREATE INDEX job_held    ON job(person_id, state) WHERE state='pending-held';
CREATE INDEX job_unclaimed ON job(claimed_name) WHERE person_id IS NULL AND state='pending-held';
CREATE INDEX job_expiry  ON job(held_until_us) WHERE state='pending-held';
CREATE INDEX job_hold    ON job(hold_until_us) WHERE state='pending-held' AND hold_until_us IS NOT NULL;
CREATE INDEX job_active  ON job(state) WHERE state IN ('pending','processing','processing-stopped');
CREATE INDEX job_person  ON job(person_id, id);
CREATE INDEX job_queue   ON job(queue, state, id);
CREATE INDEX job_undo    ON job(undo_until_us) WHERE undo_until_us IS NOT NULL;
CREATE INDEX job_unread  ON job(id) WHERE facts IS NULL AND state='pending-held';

CREATE TABLE document(
  job_id        INTEGER PRIMARY KEY REFERENCES job(id),
  spool_node    TEXT NOT NULL,
  spool_name    TEXT NOT NULL UNIQUE,    -- server-made; the file in the spool directory
  format        TEXT NOT NULL,           -- what it is, by its bytes
  octets        INTEGER NOT NULL,        -- plain size
  wrapped_key   BLOB NOT NULL,           -- the job's key, wrapped by the key of `day`
  day           TEXT NOT NULL            -- key file that is destroyed with the day's last job
) STRICT;
CREATE INDEX document_day ON document(day);

-- One row per try to print. Written before the first byte leaves.
CREATE TABLE delivery(
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  public_id     TEXT NOT NULL UNIQUE,
  job_id        INTEGER NOT NULL REFERENCES job(id),
  printer_id    INTEGER NOT NULL REFERENCES printer(id),
  terminal_id   INTEGER REFERENCES terminal(id),
  person_id     INTEGER NOT NULL REFERENCES person(id),   -- who pays
  actor         TEXT NOT NULL,                            -- who released
  daemon_id     TEXT NOT NULL,
  fence         INTEGER NOT NULL DEFAULT 1,
  lease_until_us INTEGER NOT NULL,
  phase         TEXT NOT NULL CHECK(phase IN ('reserved','sending','printing','settled','voided','uncertain')),
  ticket        TEXT NOT NULL,           -- what was released (after downgrades)
  counts        TEXT NOT NULL,           -- quoted counts
  quote         TEXT NOT NULL,           -- JSON of accounting.pricing.Quote; the statement's "why"
  tariff        TEXT NOT NULL,           -- name@digest
  printer_job_id  INTEGER,
  printer_job_uuid TEXT NOT NULL DEFAULT '',
  printer_uuid  TEXT NOT NULL DEFAULT '',
  printer_up_time_s INTEGER,
  counter_before INTEGER,                -- SNMP life count before the first byte
  last_state    TEXT NOT NULL DEFAULT '',
  last_reasons  TEXT NOT NULL DEFAULT '[]',
  impressions   INTEGER,                 -- largest seen
  color_impressions INTEGER,
  sheets        INTEGER,
  created_at_us INTEGER NOT NULL,
  sent_at_us    INTEGER,                 -- written before the first byte
  ended_at_us   INTEGER,
  decide_at_us  INTEGER,                 -- uncertain: when the policy decides
  result        TEXT NOT NULL DEFAULT '',-- JSON: counts charged, basis (reported|counter|quote), amounts
  is_estimated  INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX delivery_one_live ON delivery(job_id) WHERE phase IN ('reserved','sending','printing','uncertain');
CREATE INDEX delivery_live ON delivery(phase) WHERE phase IN ('reserved','sending','printing','uncertain');
CREATE INDEX delivery_job ON delivery(job_id, id);
CREATE INDEX delivery_person ON delivery(person_id, id);
CREATE INDEX delivery_printer ON delivery(printer_id, id);

CREATE TABLE delivery_leg(               -- which reservation belongs to which try, and in which pot
  delivery_id INTEGER NOT NULL REFERENCES delivery(id),
  leg         INTEGER NOT NULL,
  account_id  INTEGER NOT NULL,
  unit_code   TEXT NOT NULL,
  amount      INTEGER NOT NULL,
  pending_key BLOB NOT NULL UNIQUE,      -- idempotency key of the pending transfer
  PRIMARY KEY(delivery_id, leg)
) STRICT;

-- ===== notices =====
CREATE TABLE mail(
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  public_id     TEXT NOT NULL UNIQUE,
  dedupe_key    TEXT NOT NULL UNIQUE,    -- one event, one mail
  kind          TEXT NOT NULL,
  person_id     INTEGER,
  recipient     TEXT NOT NULL,
  subject       TEXT NOT NULL,
  text          TEXT NOT NULL,
  html          TEXT NOT NULL DEFAULT '',
  created_at_us INTEGER NOT NULL,
  next_try_us   INTEGER NOT NULL,
  attempts      INTEGER NOT NULL DEFAULT 0,
  sent_at_us    INTEGER,
  failed_at_us  INTEGER,
  error         TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX mail_due ON mail(next_try_us) WHERE sent_at_us IS NULL AND failed_at_us IS NULL;

-- ===== money =====
CREATE TABLE tariff_version(
  name TEXT NOT NULL, digest TEXT NOT NULL, content TEXT NOT NULL, since_us INTEGER NOT NULL,
  PRIMARY KEY(name, digest)
) STRICT;
CREATE TABLE grant_rule_state(           -- how far a person's period grants have been caught up
  person_id INTEGER NOT NULL REFERENCES person(id), pot TEXT NOT NULL, last_period TEXT NOT NULL, next_grant_us INTEGER,
  PRIMARY KEY(person_id, pot)
) STRICT;
CREATE INDEX grant_due ON grant_rule_state(next_grant_us);

CREATE TABLE unit(
  id    INTEGER PRIMARY KEY,
  code  TEXT NOT NULL UNIQUE,                                     -- 'pages', 'colour_pages', 'EUR'
  scale INTEGER NOT NULL CHECK(scale BETWEEN 0 AND 6)             -- amount = value * 10^scale; pages 0; money = ISO exponent + 2 (EUR 4)
) STRICT;

CREATE TABLE account(
  id             INTEGER PRIMARY KEY,
  unit_id        INTEGER NOT NULL REFERENCES unit(id),
  kind           TEXT NOT NULL CHECK(kind IN ('user','shared','source','sink','overrun')),
  owner          TEXT NOT NULL DEFAULT '',                       -- 'person:<id>', '' for the house's own
  pot            TEXT NOT NULL DEFAULT '',                       -- 'allowance', 'paid', 'revenue', 'grants', 'overrun', ...
  credits_posted INTEGER NOT NULL DEFAULT 0 CHECK(credits_posted BETWEEN 0 AND 4000000000000000000),
  debits_posted  INTEGER NOT NULL DEFAULT 0 CHECK(debits_posted  BETWEEN 0 AND 4000000000000000000),
  debits_pending INTEGER NOT NULL DEFAULT 0 CHECK(debits_pending BETWEEN 0 AND 4000000000000000000),
  available_min  INTEGER,                                         -- NULL: no limit; 0: prepaid; -500: overdraft of 500. An administrator's
                                                                  -- change leaves no trace here: write an audit row in the same transaction
  last_transfer_id INTEGER NOT NULL DEFAULT 0,                    -- last transfer that moved this row
  CONSTRAINT funds  CHECK(available_min IS NULL OR credits_posted-debits_posted-debits_pending>=available_min),
  CONSTRAINT finite CHECK(kind NOT IN ('user','shared') OR available_min IS NOT NULL),
  UNIQUE(kind,owner,pot,unit_id),
  UNIQUE(id,unit_id)                                              -- target of the composite keys below
) STRICT;

CREATE TABLE transfer(
  id              INTEGER PRIMARY KEY AUTOINCREMENT CHECK(id>0),  -- commit order; never reused
  idempotency_key BLOB NOT NULL UNIQUE CHECK(length(idempotency_key)=16), -- derived, one per leg: H(job, leg, phase)
  request_digest  BLOB NOT NULL CHECK(length(request_digest)=8),  -- same key + other digest = conflict
  job_id          INTEGER NOT NULL,                               -- 0: not about a job
  leg             INTEGER NOT NULL DEFAULT 0,
  kind            TEXT NOT NULL CHECK(kind IN ('direct','pending','post','void','expire','reversal')),
  unit_id         INTEGER NOT NULL,
  debit_account_id  INTEGER NOT NULL,
  credit_account_id INTEGER NOT NULL CHECK(credit_account_id<>debit_account_id),
  amount          INTEGER NOT NULL CHECK(amount>0 OR (amount=0 AND kind IN ('post','void','expire'))),
  pending_id      INTEGER REFERENCES transfer(id),                -- the reservation that this row resolves
  reverses_id     INTEGER REFERENCES transfer(id),                -- the direct/post that this row gives back
  at_us           INTEGER NOT NULL,                               -- microseconds UTC; the writer keeps it rising, the schema does not
  expires_at_us   INTEGER,
  CHECK((kind IN ('post','void','expire'))=(pending_id IS NOT NULL)),
  CHECK((kind='reversal')=(reverses_id IS NOT NULL)),
  CHECK((kind='pending')=(expires_at_us IS NOT NULL)),
  CHECK(expires_at_us IS NULL OR expires_at_us>at_us),
  FOREIGN KEY(debit_account_id,unit_id)  REFERENCES account(id,unit_id),  -- no transfer between units
  FOREIGN KEY(credit_account_id,unit_id) REFERENCES account(id,unit_id)
) STRICT;
CREATE UNIQUE INDEX transfer_one_resolution ON transfer(pending_id) WHERE pending_id IS NOT NULL;
CREATE INDEX transfer_reversals ON transfer(reverses_id) WHERE reverses_id IS NOT NULL;
CREATE INDEX transfer_job ON transfer(job_id);
-- A person's statement: what was taken from and given to an account, without the reservations.
CREATE INDEX transfer_taken ON transfer(debit_account_id, id) WHERE kind IN ('direct','post','reversal');
CREATE INDEX transfer_given ON transfer(credit_account_id, id) WHERE kind IN ('direct','reversal');

-- Guard 1, before the row exists. OR REPLACE deletes the row in its way without firing delete triggers, and OR IGNORE swallows
-- UNIQUE, so duplicates are refused by an explicit RAISE. A far-away explicit id would use up the id space for ever.
CREATE TRIGGER transfer_unique BEFORE INSERT ON transfer BEGIN
  SELECT RAISE(ABORT,'ledger:duplicate') WHERE EXISTS(SELECT 1 FROM transfer WHERE idempotency_key=NEW.idempotency_key);
  SELECT RAISE(ABORT,'ledger:id') WHERE NEW.id>0 AND NEW.id-coalesce((SELECT max(id) FROM transfer),0) NOT BETWEEN 1 AND 1000000;
  SELECT RAISE(ABORT,'ledger:resolved') WHERE NEW.pending_id IS NOT NULL
     AND EXISTS(SELECT 1 FROM transfer WHERE pending_id=NEW.pending_id);
END;

-- Guard 2, history is append-only.
CREATE TRIGGER transfer_no_update BEFORE UPDATE ON transfer BEGIN SELECT RAISE(ABORT,'ledger:append-only'); END;
CREATE TRIGGER transfer_no_delete BEFORE DELETE ON transfer BEGIN SELECT RAISE(ABORT,'ledger:append-only'); END;

-- Guard 3, each kind moves the balances itself and proves that it did. Two reasons: the conflict clause of the OUTER statement
-- (OR IGNORE, OR FAIL, OR REPLACE) replaces the one inside a trigger, so a CHECK on account may be skipped in silence;
-- and an UPDATE that meets no row is not an error. Hence: explicit funds test, then "did the row move" (last_transfer_id=NEW.id).
CREATE TRIGGER transfer_pending AFTER INSERT ON transfer WHEN NEW.kind='pending' BEGIN
  SELECT RAISE(ABORT,'ledger:funds') FROM account
   WHERE id=NEW.debit_account_id AND credits_posted-debits_posted-debits_pending-NEW.amount<available_min;
  UPDATE account SET debits_pending=debits_pending+NEW.amount, last_transfer_id=NEW.id
   WHERE id=NEW.debit_account_id AND unit_id=NEW.unit_id;
  SELECT RAISE(ABORT,'ledger:lost')
   WHERE NOT EXISTS(SELECT 1 FROM account WHERE id=NEW.debit_account_id AND last_transfer_id=NEW.id)
      OR NOT EXISTS(SELECT 1 FROM account WHERE id=NEW.credit_account_id AND unit_id=NEW.unit_id);
END;

CREATE TRIGGER transfer_moved AFTER INSERT ON transfer WHEN NEW.kind IN ('direct','reversal') BEGIN
  SELECT RAISE(ABORT,'ledger:funds') FROM account
   WHERE id=NEW.debit_account_id AND credits_posted-debits_posted-debits_pending-NEW.amount<available_min;
  -- a reversal is the opposite of one posted transfer, and all reversals of it together never give back more than it took
  SELECT RAISE(ABORT,'ledger:reversal') WHERE NEW.kind='reversal' AND NOT EXISTS(
     SELECT 1 FROM transfer o WHERE o.id=NEW.reverses_id AND o.kind IN ('direct','post') AND o.unit_id=NEW.unit_id
        AND o.debit_account_id=NEW.credit_account_id AND o.credit_account_id=NEW.debit_account_id AND o.job_id=NEW.job_id
        AND (SELECT sum(amount) FROM transfer WHERE reverses_id=o.id)<=o.amount);
  UPDATE account SET debits_posted=debits_posted+NEW.amount, last_transfer_id=NEW.id
   WHERE id=NEW.debit_account_id AND unit_id=NEW.unit_id;
  UPDATE account SET credits_posted=credits_posted+NEW.amount, last_transfer_id=NEW.id
   WHERE id=NEW.credit_account_id AND unit_id=NEW.unit_id;
  SELECT RAISE(ABORT,'ledger:lost') WHERE 2<>(SELECT count(*) FROM account
   WHERE id IN (NEW.debit_account_id,NEW.credit_account_id) AND last_transfer_id=NEW.id);
END;

-- post: 0..reserved, the rest returns; void and expire: amount 0; expire not before its time. Same accounts, unit and job as the
-- reservation. A post after expires_at_us is allowed while nobody has expired it: the paper is out.
CREATE TRIGGER transfer_resolved AFTER INSERT ON transfer WHEN NEW.kind IN ('post','void','expire') BEGIN
  SELECT RAISE(ABORT,'ledger:pending') WHERE NOT EXISTS(SELECT 1 FROM transfer p WHERE p.id=NEW.pending_id AND p.kind='pending'
     AND p.debit_account_id=NEW.debit_account_id AND p.credit_account_id=NEW.credit_account_id
     AND p.unit_id=NEW.unit_id AND p.job_id=NEW.job_id AND NEW.amount<=p.amount
     AND (NEW.kind='post' OR NEW.amount=0) AND (NEW.kind<>'expire' OR NEW.at_us>=p.expires_at_us));
  UPDATE account SET debits_pending=debits_pending-(SELECT amount FROM transfer WHERE id=NEW.pending_id),
                     debits_posted=debits_posted+NEW.amount, last_transfer_id=NEW.id
   WHERE id=NEW.debit_account_id AND unit_id=NEW.unit_id;
  UPDATE account SET credits_posted=credits_posted+NEW.amount, last_transfer_id=NEW.id
   WHERE id=NEW.credit_account_id AND unit_id=NEW.unit_id AND NEW.amount>0;
  SELECT RAISE(ABORT,'ledger:lost') WHERE (1+(NEW.amount>0))<>(SELECT count(*) FROM account
   WHERE id IN (NEW.debit_account_id,NEW.credit_account_id) AND last_transfer_id=NEW.id);
END;

-- Guard 4, a balance moves only by a transfer that explains the move exactly, and by each transfer once (last_transfer_id rises).
-- No column list on purpose: "UPDATE account SET rowid=..." changes id but would not match "UPDATE OF id".
CREATE TRIGGER account_guard BEFORE UPDATE ON account BEGIN
  SELECT RAISE(ABORT,'ledger:account') WHERE NEW.id<>OLD.id OR NEW.unit_id<>OLD.unit_id OR NEW.kind<>OLD.kind OR NEW.owner<>OLD.owner OR NEW.pot<>OLD.pot
   OR (NEW.kind IN ('user','shared') AND NEW.available_min IS NULL);
  SELECT RAISE(ABORT,'ledger:balance')
   WHERE (NEW.credits_posted<>OLD.credits_posted OR NEW.debits_posted<>OLD.debits_posted
      OR NEW.debits_pending<>OLD.debits_pending OR NEW.last_transfer_id<>OLD.last_transfer_id)
     AND (NEW.last_transfer_id<=OLD.last_transfer_id
      OR NOT EXISTS(SELECT 1 FROM transfer t LEFT JOIN transfer p ON p.id=t.pending_id WHERE t.id=NEW.last_transfer_id
       AND NEW.credits_posted-OLD.credits_posted = CASE WHEN t.credit_account_id=OLD.id AND t.kind<>'pending' THEN t.amount ELSE 0 END
       AND NEW.debits_posted -OLD.debits_posted  = CASE WHEN t.debit_account_id =OLD.id AND t.kind<>'pending' THEN t.amount ELSE 0 END
       AND NEW.debits_pending-OLD.debits_pending = CASE WHEN t.debit_account_id<>OLD.id THEN 0 WHEN t.kind='pending' THEN t.amount
                                                        WHEN p.id IS NOT NULL THEN -p.amount ELSE 0 END
       AND OLD.id IN (t.debit_account_id,t.credit_account_id)));
END;
-- Guard 5, an account is born empty, is never replaced and never deleted.
CREATE TRIGGER account_new BEFORE INSERT ON account BEGIN
  SELECT RAISE(ABORT,'ledger:account') WHERE NEW.credits_posted<>0 OR NEW.debits_posted<>0 OR NEW.debits_pending<>0
   OR NEW.last_transfer_id<>0 OR (NEW.kind IN ('user','shared') AND NEW.available_min IS NULL)
   OR EXISTS(SELECT 1 FROM account WHERE id=NEW.id)
   OR EXISTS(SELECT 1 FROM account WHERE kind=NEW.kind AND owner=NEW.owner AND pot=NEW.pot AND unit_id=NEW.unit_id);
END;
CREATE TRIGGER account_no_delete BEFORE DELETE ON account BEGIN SELECT RAISE(ABORT,'ledger:account'); END;

-- Guard 6, a unit never changes its meaning: another scale would multiply every stored amount.
CREATE TRIGGER unit_new       BEFORE INSERT ON unit BEGIN
  SELECT RAISE(ABORT,'ledger:unit') WHERE EXISTS(SELECT 1 FROM unit WHERE id=NEW.id OR code=NEW.code);
END;
CREATE TRIGGER unit_no_update BEFORE UPDATE ON unit BEGIN SELECT RAISE(ABORT,'ledger:unit'); END;
CREATE TRIGGER unit_no_delete BEFORE DELETE ON unit BEGIN SELECT RAISE(ABORT,'ledger:unit'); END;

-- The books check: must be empty. Recomputes every balance from the transfers (about 1 microsecond per transfer).
CREATE VIEW ledger_mismatch AS
  WITH c AS (SELECT credit_account_id a, sum(amount) x FROM transfer WHERE kind<>'pending' GROUP BY 1),
       d AS (SELECT debit_account_id  a, sum(amount) x FROM transfer WHERE kind<>'pending' GROUP BY 1),
       p AS (SELECT debit_account_id  a, sum(amount) x FROM transfer t WHERE kind='pending'
              AND NOT EXISTS(SELECT 1 FROM transfer r WHERE r.pending_id=t.id) GROUP BY 1)
  SELECT id account_id, credits_posted, debits_posted, debits_pending,
         coalesce(c.x,0) credits_expected, coalesce(d.x,0) debits_expected, coalesce(p.x,0) pending_expected
    FROM account LEFT JOIN c ON c.a=id LEFT JOIN d ON d.a=id LEFT JOIN p ON p.a=id
   WHERE credits_posted<>coalesce(c.x,0) OR debits_posted<>coalesce(d.x,0) OR debits_pending<>coalesce(p.x,0)
      OR (available_min IS NOT NULL AND credits_posted-debits_posted-debits_pending<available_min);

-- Tamper evidence: one block per commit over the transfers it added; see db/chain.py.
CREATE TABLE ledger_block(
  last_id  INTEGER PRIMARY KEY,
  first_id INTEGER NOT NULL CHECK(first_id BETWEEN 1 AND last_id),
  rows BLOB NOT NULL,                    -- 8 bytes per transfer in id order: a difference names its row
  prev BLOB NOT NULL, hash BLOB NOT NULL
) STRICT;
CREATE TRIGGER block_new BEFORE INSERT ON ledger_block BEGIN
  SELECT RAISE(ABORT,'ledger:append-only') WHERE EXISTS(SELECT 1 FROM ledger_block WHERE last_id>=NEW.first_id);
END;
CREATE TRIGGER block_no_update BEFORE UPDATE ON ledger_block BEGIN SELECT RAISE(ABORT,'ledger:append-only'); END;
CREATE TRIGGER block_no_delete BEFORE DELETE ON ledger_block BEGIN SELECT RAISE(ABORT,'ledger:append-only'); END;

-- Why a transfer that is not about a job was made (adjustments, overrides, grants): shown in the statement.
CREATE TABLE transfer_note(
  idempotency_key BLOB PRIMARY KEY REFERENCES transfer(idempotency_key), reason TEXT NOT NULL, actor TEXT NOT NULL
) STRICT;
CREATE TRIGGER note_new BEFORE INSERT ON transfer_note BEGIN
  SELECT RAISE(ABORT,'ledger:duplicate') WHERE EXISTS(SELECT 1 FROM transfer_note WHERE idempotency_key=NEW.idempotency_key);
END;
CREATE TRIGGER note_no_update BEFORE UPDATE ON transfer_note BEGIN SELECT RAISE(ABORT,'ledger:append-only'); END;
CREATE TRIGGER note_no_delete BEFORE DELETE ON transfer_note BEGIN SELECT RAISE(ABORT,'ledger:append-only'); END;
