"""The SQL of every movement: how each kind of transfer finds its accounts, its amount and its predecessor.

One `INSERT ... SELECT` per movement, in the portable subset (named parameters, CASE instead of engine functions). The
guards of migration 1 check each row again; what is written here only asks for the right thing.
"""

_COLUMNS = """idempotency_key, request_digest, job_id, leg, kind, unit_id, debit_account_id, credit_account_id,
    amount, pending_id, reverses_id, at_us, expires_at_us"""
_REVENUE = "(SELECT id FROM account WHERE kind='sink' AND owner='' AND pot='revenue' AND unit_id=a.unit_id)"
_SPENDABLE = "a.credits_posted-a.debits_posted-a.debits_pending-a.available_min"

# No row when somebody's overrun is unsettled: their next release is refused until it is.
RESERVE = f"""INSERT INTO transfer({_COLUMNS})
  SELECT :key, :digest, :job_id, :leg, 'pending', a.unit_id, a.id, {_REVENUE}, :amount, NULL, NULL, :at_us,
         :expires_at_us
    FROM account a WHERE a.id=:account_id
     AND NOT EXISTS(SELECT 1 FROM account o
                     WHERE o.kind='overrun' AND o.owner=a.owner AND o.credits_posted<o.debits_posted)"""

RESOLVE = f"""INSERT INTO transfer({_COLUMNS})
  SELECT :key, :digest, p.job_id, p.leg, :kind, p.unit_id, p.debit_account_id, p.credit_account_id, :amount, p.id,
         NULL, :at_us, NULL
    FROM transfer p WHERE p.idempotency_key=:pending_key"""

# A reservation that has expired is returned already; one that was posted is refused by the guard.
VOID = RESOLVE + " AND NOT EXISTS(SELECT 1 FROM transfer r WHERE r.pending_id=p.id AND r.kind='expire')"
POST_OPEN = RESOLVE + " AND NOT EXISTS(SELECT 1 FROM transfer r WHERE r.idempotency_key=:key)"

# The answer came after the reservation expired: the money is no longer set aside, so take what is there.
LATE_TAKEN = f"""INSERT INTO transfer({_COLUMNS})
  SELECT :key, :digest, p.job_id, p.leg, 'direct', p.unit_id, a.id, p.credit_account_id,
         CASE WHEN {_SPENDABLE}<:amount THEN {_SPENDABLE} ELSE :amount END, NULL, NULL, :at_us, NULL
    FROM transfer p JOIN transfer r ON r.pending_id=p.id AND r.kind='expire' JOIN account a ON a.id=p.debit_account_id
   WHERE p.idempotency_key=:pending_key AND :amount>0 AND {_SPENDABLE}>0
     AND NOT EXISTS(SELECT 1 FROM transfer t WHERE t.idempotency_key IN (:key, :overrun_key))"""
LATE_OVERRUN = f"""INSERT INTO transfer({_COLUMNS})
  SELECT :overrun_key, :digest, p.job_id, p.leg, 'direct', p.unit_id, o.id, p.credit_account_id,
         :amount-coalesce(t.amount, 0), NULL, NULL, :at_us, NULL
    FROM transfer p JOIN transfer r ON r.pending_id=p.id AND r.kind='expire' JOIN account a ON a.id=p.debit_account_id
    JOIN account o ON o.kind='overrun' AND o.owner=a.owner AND o.pot='overrun' AND o.unit_id=a.unit_id
    LEFT JOIN transfer t ON t.idempotency_key=:key
   WHERE p.idempotency_key=:pending_key AND :amount>coalesce(t.amount, 0)
     AND NOT EXISTS(SELECT 1 FROM transfer x WHERE x.idempotency_key=:overrun_key)"""
POSTED = """SELECT 1 FROM transfer p JOIN transfer r ON r.pending_id=p.id WHERE p.idempotency_key=:pending_key
   AND ((r.kind='post' AND r.amount=:amount)
     OR (r.kind='expire' AND :amount=coalesce((SELECT sum(t.amount) FROM transfer t
           WHERE t.idempotency_key IN (:key, :overrun_key)), 0)))"""

EXCESS_TAKEN = f"""INSERT INTO transfer({_COLUMNS})
  SELECT :key, :digest, :job_id, 0, 'direct', a.unit_id, a.id, {_REVENUE},
         CASE WHEN {_SPENDABLE}<:amount-s.taken THEN {_SPENDABLE} ELSE :amount-s.taken END, NULL, NULL, :at_us, NULL
    FROM account a, (SELECT coalesce(sum(amount), 0) AS taken FROM transfer WHERE idempotency_key IN (%s)) s
   WHERE a.id=:account_id AND {_SPENDABLE}>0 AND :amount>s.taken
     AND NOT EXISTS(SELECT 1 FROM transfer x WHERE x.idempotency_key IN (:key, :overrun_key))"""
# One surplus per delivery and unit: asked for again it is the same amount, or refused.
EXCESS_OTHER = "SELECT 1 FROM transfer WHERE idempotency_key IN (%s, :overrun_key) AND request_digest<>:digest"
EXCESS_OVERRUN = f"""INSERT INTO transfer({_COLUMNS})
  SELECT :overrun_key, :digest, :job_id, 0, 'direct', a.unit_id, a.id, {_REVENUE}, :amount-s.taken, NULL, NULL,
         :at_us, NULL
    FROM account a, (SELECT coalesce(sum(amount), 0) AS taken FROM transfer WHERE idempotency_key IN (%s)) s
   WHERE a.kind='overrun' AND a.owner=:owner
     AND a.pot='overrun' AND :amount>s.taken
     AND a.unit_id=(SELECT id FROM unit WHERE code=:unit_code)
     AND NOT EXISTS(SELECT 1 FROM transfer x WHERE x.idempotency_key=:overrun_key)"""

GIVE = f"""INSERT INTO transfer({_COLUMNS})
  SELECT :key, :digest, 0, 0, 'direct', a.unit_id, h.id, a.id, :amount, NULL, NULL, :at_us, NULL
    FROM account a JOIN account h ON h.owner='' AND h.kind='source' AND h.pot=:pot AND h.unit_id=a.unit_id
   WHERE a.id=:account_id"""
TAKE = f"""INSERT INTO transfer({_COLUMNS})
  SELECT :key, :digest, 0, 0, 'direct', a.unit_id, a.id, h.id, :amount, NULL, NULL, :at_us, NULL
    FROM account a JOIN account h ON h.owner='' AND h.kind='source' AND h.pot=:pot AND h.unit_id=a.unit_id
   WHERE a.id=:account_id"""
GRANT = GIVE + " AND NOT EXISTS(SELECT 1 FROM transfer t WHERE t.idempotency_key=:key)"
# Only in the write that made the grant (its note comes last), whatever the cap is later; never more than it gave.
_OVER = "a.credits_posted-a.debits_posted-a.debits_pending-:cap"
CLIP = f"""INSERT INTO transfer({_COLUMNS})
  SELECT :key, :digest, 0, 0, 'direct', a.unit_id, a.id, h.id,
         CASE WHEN {_OVER}<g.amount THEN {_OVER} ELSE g.amount END, NULL, NULL, :at_us, NULL
    FROM transfer g JOIN account a ON a.id=g.credit_account_id
    JOIN account h ON h.owner='' AND h.kind='sink' AND h.pot='expired' AND h.unit_id=a.unit_id
   WHERE g.idempotency_key=:grant_key AND {_OVER}>0
     AND NOT EXISTS(SELECT 1 FROM transfer_note n WHERE n.idempotency_key=:grant_key)"""
_DEBT = "o.debits_posted-o.credits_posted"
RECOVER = f"""INSERT INTO transfer({_COLUMNS})
  SELECT :key, :digest, 0, 0, 'direct', a.unit_id, a.id, o.id,
         CASE WHEN {_SPENDABLE}<{_DEBT} THEN {_SPENDABLE} ELSE {_DEBT} END, NULL, NULL, :at_us, NULL
    FROM account a JOIN account o ON o.kind='overrun' AND o.owner=a.owner AND o.pot='overrun' AND o.unit_id=a.unit_id
   WHERE a.id=:account_id AND {_SPENDABLE}>0 AND {_DEBT}>0
     AND NOT EXISTS(SELECT 1 FROM transfer t WHERE t.idempotency_key=:key)"""
# An override: what is owed is covered and paid (RECOVER), then exactly `to` is left available; reserved money stays.
_SHORT = f""":to-(a.credits_posted-a.debits_posted-a.debits_pending)
    +coalesce((SELECT {_DEBT} FROM account o WHERE o.kind='overrun' AND o.owner=a.owner AND o.pot='overrun'
                 AND o.unit_id=a.unit_id AND {_DEBT}>0), 0)"""
_LONG = "a.credits_posted-a.debits_posted-a.debits_pending-:to"
_FROM_HOUSE = """FROM account a JOIN account h ON h.owner='' AND h.kind='source' AND h.pot=:pot AND h.unit_id=a.unit_id
   WHERE a.id=:account_id AND NOT EXISTS(SELECT 1 FROM transfer t WHERE t.idempotency_key=:key)"""
GIVE_UP_TO = f"""INSERT INTO transfer({_COLUMNS})
  SELECT :key, :digest, 0, 0, 'direct', a.unit_id, h.id, a.id, {_SHORT}, NULL, NULL, :at_us, NULL
    {_FROM_HOUSE} AND {_SHORT}>0"""
TAKE_DOWN_TO = f"""INSERT INTO transfer({_COLUMNS})
  SELECT :key, :digest, 0, 0, 'direct', a.unit_id, a.id, h.id, {_LONG}, NULL, NULL, :at_us, NULL
    {_FROM_HOUSE} AND {_LONG}>0"""
OVERRIDDEN = """SELECT a.credits_posted-a.debits_posted AS balance,
    a.credits_posted-a.debits_posted-a.debits_pending AS available,
    coalesce((SELECT CASE WHEN t.debit_account_id=a.id THEN -t.amount ELSE t.amount END
                FROM transfer t WHERE t.idempotency_key=:key), 0) AS moved
  FROM account a WHERE a.id=:account_id"""
REFUND = f"""INSERT INTO transfer({_COLUMNS})
  SELECT :key, :digest, o.job_id, o.leg, 'reversal', o.unit_id, o.credit_account_id, o.debit_account_id,
         coalesce(:amount, o.amount-(SELECT coalesce(sum(r.amount), 0) FROM transfer r WHERE r.reverses_id=o.id)),
         NULL, o.id, :at_us, NULL
    FROM transfer o WHERE o.idempotency_key=:transfer_key AND o.kind IN ('direct', 'post')"""
NOTE = """INSERT INTO transfer_note(idempotency_key, reason, actor)
  SELECT t.idempotency_key, :reason, :actor FROM transfer t WHERE t.idempotency_key=:key
     AND NOT EXISTS(SELECT 1 FROM transfer_note n WHERE n.idempotency_key=:key)"""
BALANCE = "SELECT credits_posted-debits_posted AS balance FROM account WHERE id=:account_id"
EXPIRED = """SELECT p.idempotency_key, d.public_id, p.job_id FROM delivery d JOIN delivery_leg l ON l.delivery_id=d.id
    JOIN transfer p ON p.idempotency_key=l.pending_key
   WHERE d.phase IN ('reserved', 'sending', 'printing', 'uncertain') AND p.expires_at_us<=:now_us
     AND NOT EXISTS(SELECT 1 FROM transfer r WHERE r.pending_id=p.id) ORDER BY p.id LIMIT :count"""
