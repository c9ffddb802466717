"""Job rows: reads, and the statements a workflow appends to its unit. The only place that knows the job table's SQL."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

from daemon.jobs.facts import DocumentFacts
from daemon.jobs.job import Job
from daemon.jobs.ticket import Ticket
from daemon.kernel.counts import Counts, MediaCount
from daemon.kernel.money import Amount, unit_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.db.database import Database
    from daemon.db.unit import Row, Unit
    from daemon.jobs.draft import Draft
    from daemon.jobs.lifecycle import Step
    from daemon.jobs.spool import SpoolEntry

LIST_MAX = 500
"""Rows one listing returns at most; the caller pages with `after_id`."""

QUEUED_MAX = 1000
"""Counting further would make a full house slower than an empty one."""

_COLUMNS = """j.*, d.octets AS octets, d.format AS format, coalesce(p.name, j.claimed_name) AS owner_name
  FROM job j LEFT JOIN document d ON d.job_id=j.id LEFT JOIN person p ON p.id=j.person_id"""


class Box(Protocol):
    """Seals small values under the installation's secret key (`daemon.auth.keys`)."""

    def seal(self, plain: bytes) -> bytes: ...

    def open(self, sealed: bytes) -> bytes: ...


def id_of(answer: str) -> int:
    """The job-id in the answer of a unit that was asked for it by `answer_id`."""
    return int(json.loads(answer)["id"])


def counts_to_json(counts: Counts) -> str:
    """Compact JSON of counts."""
    rows = [[m.media, m.impressions, m.color_impressions, m.sheets, m.duplex_sheets] for m in counts.by_media]
    return json.dumps(rows, separators=(",", ":"))


def counts_from_json(text: str) -> Counts:
    """The inverse of `counts_to_json`."""
    return Counts(tuple(MediaCount(*row) for row in json.loads(text)))


def amount_from_json(text: str | None) -> Amount | None:
    """An amount written by `json.dumps(amount.to_json())`, or None."""
    if not text:
        return None
    raw = json.loads(text)
    return Amount(unit_of(raw["unit"]), raw["amount"])


class JobStore:
    """Jobs and their documents."""

    def __init__(self, db: Database, box: Box) -> None:
        self._db = db
        self._box = box

    # ----- statements -----
    def insert(self, unit: Unit, draft: Draft, entry: SpoolEntry | None, *, document_format: str = "") -> None:
        """Append a new job, with its document where that is already in the spool."""
        unit.add(
            """INSERT INTO job(public_id,queue,person_id,claimed_name,name,host,state,reasons,ticket,account_ref,
                 password_hash,claim_code,priority,hold_until,hold_until_us,created_at_us,held_until_us)
               VALUES(:public_id,:queue,:person_id,:claimed_name,:name,:host,:state,:reasons,:ticket,:account_ref,
                 :password_hash,:claim_code,:priority,:hold_until,:hold_until_us,:created_at_us,:held_until_us)""",
            rows=1,
            public_id=draft.public_id,
            queue=draft.queue,
            person_id=draft.person_id,
            claimed_name=draft.claimed_name,
            name=self._box.seal(draft.title.encode()),
            host=draft.host,
            state=draft.step.state,
            reasons=json.dumps(draft.step.reasons),
            ticket=json.dumps(draft.ticket.to_json()),
            account_ref=draft.account_ref,
            password_hash=draft.password_hash,
            claim_code=draft.claim_code,
            priority=draft.priority,
            hold_until=draft.hold_until,
            hold_until_us=draft.hold_until_us,
            created_at_us=draft.created_at_us,
            held_until_us=draft.held_until_us,
        )
        if entry is not None:
            self.attach(unit, draft.public_id, entry, document_format=document_format)
        if draft.person_id is not None:
            unit.add(
                "UPDATE person SET last_submitted_at_us=:at WHERE id=:id", at=draft.created_at_us, id=draft.person_id
            )

    def answer_id(self, unit: Unit, draft: Draft) -> None:
        """Have the unit answer with the new job's id (`id_of`)."""
        unit.answer_with("SELECT id FROM job WHERE public_id=:id", id=draft.public_id)

    def attach(self, unit: Unit, public_id: str, entry: SpoolEntry, *, document_format: str) -> None:
        """Append the document of a job; a second document meets the primary key and refuses the unit."""
        unit.add(
            """INSERT INTO document(job_id,spool_node,spool_name,format,octets,wrapped_key,day)
               SELECT id,'local',:spool_name,:format,:octets,:wrapped_key,:day FROM job WHERE public_id=:public_id""",
            rows=1,
            refusal="not-found",
            spool_name=entry.name,
            format=document_format,
            octets=entry.octets,
            wrapped_key=entry.wrapped_key,
            day=entry.day,
            public_id=public_id,
        )

    def move(self, unit: Unit, job: Job, step: Step, **changes: object) -> None:
        """Append the step of a job that must still be exactly as read; else the unit is refused as `job-not-held`."""
        columns = {"state": step.state, "reasons": json.dumps(step.reasons), **changes}
        sets = ", ".join(f"{name}=:set_{name}" for name in columns)
        unit.add(
            f"UPDATE job SET {sets}, version=version+1 WHERE id=:job_id AND version=:version",
            rows=1,
            refusal="job-not-held",
            job_id=job.id,
            version=job.version,
            **{f"set_{name}": value for name, value in columns.items()},
        )

    def set_facts(
        self, unit: Unit, job: Job, facts: DocumentFacts, *, ticket: Ticket, counts: Counts, price: Amount | None
    ) -> None:
        """Append what the document is; `ticket` has what a raster file's own headers ask for.

        Refused as `job-not-held` when the job changed meanwhile: its ticket may be another by now.
        """
        unit.add(
            """UPDATE job SET facts=:facts, ticket=:ticket, counts=:counts, price=:price, version=version+1
                WHERE id=:id AND version=:version AND facts IS NULL AND state='pending-held'""",
            rows=1,
            refusal="job-not-held",
            version=job.version,
            facts=json.dumps(facts.to_json()),
            ticket=json.dumps(ticket.to_json()),
            counts=counts_to_json(counts),
            price=json.dumps(price.to_json()) if price else None,
            id=job.id,
        )

    def forget_document(self, unit: Unit, job_id: int) -> None:
        """Append the end of a document's row and of any undo; the file is removed after the commit.

        Only of a job that has ended: one that came back at the last moment (undo) keeps its document.
        """
        ended = "state IN ('canceled','aborted','completed')"
        unit.add(
            f"DELETE FROM document WHERE job_id=:id AND EXISTS(SELECT 1 FROM job WHERE id=:id AND {ended})", id=job_id
        )
        unit.add(f"UPDATE job SET undo_until_us=NULL WHERE id=:id AND {ended}", id=job_id)

    def seal_title(self, title: str) -> bytes:
        """The stored form of a title."""
        return self._box.seal(title.encode())

    # ----- reads -----
    async def by_id(self, job_id: int) -> Job | None:
        """The job with that IPP job-id."""
        return self._one(await self._db.read_one(f"SELECT {_COLUMNS} WHERE j.id=:id", id=job_id))

    async def by_public(self, public_id: str) -> Job | None:
        """The job with that public id."""
        return self._one(await self._db.read_one(f"SELECT {_COLUMNS} WHERE j.public_id=:id", id=public_id))

    async def by_claim_code(self, code: str) -> Job | None:
        """The unclaimed held job that carries this code."""
        return self._one(
            await self._db.read_one(
                f"SELECT {_COLUMNS} WHERE j.claim_code=:code AND j.person_id IS NULL AND j.state='pending-held'",
                code=code,
            )
        )

    async def many(self, public_ids: Sequence[str]) -> list[Job]:
        """The jobs with these public ids, in id order; unknown ids are left out."""
        names = {f"p{i}": value for i, value in enumerate(public_ids)}
        marks = ",".join(f":{n}" for n in names)
        rows = await self._db.read(f"SELECT {_COLUMNS} WHERE j.public_id IN ({marks}) ORDER BY j.id", **names)
        return [self._job(r) for r in rows]

    async def held_of(self, person_id: int) -> list[Job]:
        """A person's held jobs, oldest first, at most LIST_MAX."""
        rows = await self._db.read(
            f"SELECT {_COLUMNS} WHERE j.person_id=:id AND j.state='pending-held' ORDER BY j.id LIMIT :most",
            id=person_id,
            most=LIST_MAX,
        )
        return [self._job(r) for r in rows]

    async def held_count(self, person_id: int) -> int:
        """How many jobs a person has held."""
        row = await self._db.read_one(
            "SELECT count(*) AS n FROM job WHERE person_id=:id AND state='pending-held'", id=person_id
        )
        return int(row["n"]) if row else 0

    async def waiting_under(self, name: str) -> list[Job]:
        """Held jobs nobody owns yet that claim this network name."""
        rows = await self._db.read(
            f"""SELECT {_COLUMNS} WHERE j.person_id IS NULL AND j.claimed_name=:name AND j.state='pending-held'
                ORDER BY j.id""",
            name=name,
        )
        return [self._job(r) for r in rows]

    async def search(
        self,
        where: Mapping[str, Any],
        *,
        states: Sequence[str],
        after_id: int = 0,
        limit: int = LIST_MAX,
        newest_first: bool = False,
    ) -> list[Job]:
        """Jobs that equal `where` column by column and are in `states` (empty: any), paged by id."""
        params: dict[str, object] = {f"w_{k}": v for k, v in where.items()} | {f"s{i}": s for i, s in enumerate(states)}
        clauses = [f"j.{k}=:w_{k}" for k in where]
        if states:
            clauses.append("j.state IN (" + ",".join(f":s{i}" for i in range(len(states))) + ")")
        if after_id:
            clauses.append("j.id<:after" if newest_first else "j.id>:after")
            params["after"] = after_id
        text = " AND ".join(clauses) or "1=1"
        order = "DESC" if newest_first else "ASC"
        rows = await self._db.read(
            f"SELECT {_COLUMNS} WHERE {text} ORDER BY j.id {order} LIMIT :most", most=min(limit, LIST_MAX), **params
        )
        return [self._job(r) for r in rows]

    async def unread(self, limit: int) -> list[Job]:
        """Held jobs with a document that nobody has looked into yet, oldest first."""
        rows = await self._db.read(
            f"""SELECT {_COLUMNS} WHERE j.facts IS NULL AND j.state='pending-held' AND d.job_id IS NOT NULL
                ORDER BY j.id LIMIT :most""",
            most=limit,
        )
        return [self._job(r) for r in rows]

    async def due(self, kind: str, now_us: int, limit: int) -> list[Job]:
        """Jobs whose time has come: kind `expiry`, `undo` (deletion is final) or `hold` (own hold time is over)."""
        column, where = {
            "expiry": ("held_until_us", "j.state='pending-held'"),
            "undo": ("undo_until_us", "j.undo_until_us IS NOT NULL"),
            "hold": ("hold_until_us", "j.state='pending-held' AND j.hold_until_us IS NOT NULL"),
        }[kind]
        # In the order of its own index: by id the whole house would be walked to find that nothing is due.
        rows = await self._db.read(
            f"SELECT {_COLUMNS} WHERE {where} AND j.{column}<=:now ORDER BY j.{column} LIMIT :most",
            now=now_us,
            most=limit,
        )
        return [self._job(r) for r in rows]

    async def incomplete(self, before_us: int, limit: int) -> list[Job]:
        """Jobs created before then that still have no document."""
        rows = await self._db.read(
            f"""SELECT {_COLUMNS} WHERE j.facts IS NULL AND j.state='pending-held' AND d.job_id IS NULL
                AND j.created_at_us<:before ORDER BY j.id LIMIT :most""",
            before=before_us,
            most=limit,
        )
        return [self._job(r) for r in rows]

    async def to_warn(self, queue: str, soon_us: int, limit: int) -> list[Job]:
        """Held, owned jobs of a queue that expire until then and whose owner has not been told."""
        rows = await self._db.read(
            f"""SELECT {_COLUMNS} WHERE j.state='pending-held' AND j.person_id IS NOT NULL AND j.warned_at_us IS NULL
                AND j.queue||''=:queue AND j.held_until_us<=:soon ORDER BY j.held_until_us LIMIT :most""",
            queue=queue,
            soon=soon_us,
            most=limit,
        )
        return [self._job(r) for r in rows]

    async def entry_of(self, job_id: int) -> SpoolEntry | None:
        """Where a job's document lies in the spool, or None when it is gone."""
        from daemon.jobs.spool import SpoolEntry

        row = await self._db.read_one("SELECT * FROM document WHERE job_id=:id", id=job_id)
        if row is None:
            return None
        return SpoolEntry(name=row["spool_name"], octets=row["octets"], wrapped_key=row["wrapped_key"], day=row["day"])

    async def spool_names(self) -> tuple[set[str], set[str]]:
        """Names of all spooled documents and the days whose keys are needed."""
        rows = await self._db.read("SELECT spool_name, day FROM document")
        return {r["spool_name"] for r in rows}, {r["day"] for r in rows}

    async def counts_of_queue(self, queue: str) -> dict[str, int]:
        """How many jobs of a queue are not final, by state; held ones are counted to QUEUED_MAX only."""
        rows = await self._db.read(
            """SELECT state, count(*) AS n FROM
                 (SELECT state FROM job WHERE queue=:queue AND state='pending-held' LIMIT :most) AS held GROUP BY state
               UNION ALL SELECT state, count(*) AS n FROM job
                WHERE queue=:queue AND state IN ('pending','processing','processing-stopped') GROUP BY state""",
            queue=queue,
            most=QUEUED_MAX,
        )
        return {r["state"]: r["n"] for r in rows}

    async def counts_by_state(self) -> dict[str, int]:
        """How many jobs are not final, by state."""
        rows = await self._db.read(
            """SELECT state, count(*) AS n FROM job
                WHERE state IN ('pending-held','pending','processing','processing-stopped') GROUP BY state"""
        )
        return {r["state"]: r["n"] for r in rows}

    def _one(self, row: Row | None) -> Job | None:
        return None if row is None else self._job(row)

    def _job(self, row: Row) -> Job:
        return Job(
            id=row["id"],
            public_id=row["public_id"],
            queue=row["queue"],
            person_id=row["person_id"],
            claimed_name=row["claimed_name"],
            owner_name=row["owner_name"],
            title=self._box.open(row["name"]).decode(),
            host=row["host"],
            state=row["state"],
            reasons=tuple(json.loads(row["reasons"])),
            version=row["version"],
            ticket=Ticket.from_json(json.loads(row["ticket"])),
            facts=DocumentFacts.from_json(json.loads(row["facts"])) if row["facts"] else None,
            counts=counts_from_json(row["counts"]) if row["counts"] else None,
            price=amount_from_json(row["price"]),
            account_ref=row["account_ref"],
            password_hash=row["password_hash"],
            claim_code=row["claim_code"],
            priority=row["priority"],
            hold_until=row["hold_until"],
            hold_until_us=row["hold_until_us"],
            created_at_us=row["created_at_us"],
            held_until_us=row["held_until_us"],
            processing_at_us=row["processing_at_us"],
            completed_at_us=row["completed_at_us"],
            printed_impressions=row["printed_impressions"],
            printed_sheets=row["printed_sheets"],
            is_uncertain=bool(row["is_uncertain"]),
            is_estimated=bool(row["is_estimated"]),
            printer_id=row["printer_id"],
            message=row["message"],
            undo_until_us=row["undo_until_us"],
            octets=row["octets"] or 0,
            format=row["format"] or "",
        )
