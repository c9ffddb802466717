"""Person rows: reads, and the statements a workflow appends to its unit."""

from __future__ import annotations

from daemon.db.database import Database
from daemon.db.unit import Row, Unit
from daemon.people.person import CardLabel, NewPerson, Person

PAGE_MAX = 500
"""Rows of one listing; the caller pages with `after_id`."""

_COLUMNS = """id, public_id, name, display_name, email, is_active, coalesce(pin,'') AS pin, profile, site, language,
  origin, session_epoch, created_at_us, last_submitted_at_us, last_released_at_us, release_on_tap"""
_LIVING = "removed_at_us IS NULL"
_CALLED = "name||' '||display_name||' '||email"
_STATES = {
    "": "1=1",
    "active": "is_active=1",
    "disabled": "is_active=0",
    "locked": "id IN (SELECT person_id FROM credential WHERE is_disabled=1)",
}


def _holding(text: str) -> str:
    """A LIKE pattern for any text with this in it."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _person(row: Row) -> Person:
    values = {key: row[key] for key in Person.__slots__}
    values["is_active"] = bool(values["is_active"])
    values["release_on_tap"] = None if values["release_on_tap"] is None else bool(values["release_on_tap"])
    return Person(**values)


def _holds(column: str, name: str) -> str:
    """Whether a column holds the text `:name`, which is not empty; engines have no one word for it."""
    return f"replace({column},:{name},'')<>{column}"


class PeopleStore:
    """People, their other names, roles and the labels of their cards."""

    def __init__(self, db: Database) -> None:
        self._db = db

    # ----- statements -----
    def insert(self, unit: Unit, new: NewPerson) -> None:
        """Append somebody new; a taken name or PIN refuses the unit as `name-taken`."""
        unit.add(
            """INSERT INTO person(public_id,name,display_name,email,pin,profile,site,language,origin,created_at_us)
               SELECT :public_id,:name,:display_name,:email,nullif(:pin,''),:profile,:site,:language,:origin,:at
                WHERE NOT EXISTS(SELECT 1 FROM person_alias WHERE name=:name)""",
            rows=1,
            refusal="name-taken",
            public_id=new.public_id,
            name=new.name,
            display_name=new.display_name,
            email=new.email,
            pin=new.pin,
            profile=new.profile,
            site=new.site,
            language=new.language,
            origin=new.origin,
            at=new.created_at_us,
        )

    def set_active(self, unit: Unit, person: Person, *, is_active: bool) -> None:
        """Append the switch; refused as `unchanged` when it stands there already."""
        unit.add(
            "UPDATE person SET is_active=:active WHERE id=:id AND is_active<>:active",
            rows=1,
            refusal="unchanged",
            active=int(is_active),
            id=person.id,
        )

    def mark_released(self, unit: Unit, person: Person, *, at_us: int) -> None:
        """Append when the person last released a job; refused as `not-authorized` if they were disabled meanwhile."""
        unit.add(
            "UPDATE person SET last_released_at_us=:at WHERE id=:id AND is_active=1",
            rows=1,
            refusal="not-authorized",
            at=at_us,
            id=person.id,
        )

    def set_contact(self, unit: Unit, person: Person, *, display_name: str, email: str) -> None:
        """Append another full name and mail address; refused as `conflict` when they are no longer as `person` says."""
        unit.add(
            """UPDATE person SET display_name=:display_name, email=:email
                WHERE id=:id AND display_name=:display_before AND email=:email_before""",
            rows=1,
            display_name=display_name,
            email=email,
            id=person.id,
            display_before=person.display_name,
            email_before=person.email,
        )

    def replace_pin(self, unit: Unit, person: Person, pin: str) -> None:
        """Append another PIN; refused as `pin-taken` when somebody has it, or the old one is gone already."""
        unit.add(
            """UPDATE person SET pin=:pin WHERE id=:id AND coalesce(pin,'')=:before
                AND NOT EXISTS(SELECT 1 FROM person WHERE pin=:pin)""",
            rows=1,
            refusal="pin-taken",
            pin=pin,
            id=person.id,
            before=person.pin,
        )

    def revoke_role(self, unit: Unit, public_id: str, role: str, *, site: str = "*") -> None:
        """Append the end of a role; nothing happens where it was not granted."""
        unit.add(
            """DELETE FROM role_grant WHERE role=:role AND site=:site
                AND person_id=(SELECT id FROM person WHERE public_id=:public_id)""",
            role=role,
            site=site,
            public_id=public_id,
        )

    def require_holder(self, unit: Unit, role: str) -> None:
        """Append that somebody active with a password still has this role everywhere; else refused as `last-admin`."""
        unit.require(
            """SELECT 1 AS one FROM role_grant g JOIN person p ON p.id=g.person_id
                 JOIN credential c ON c.person_id=p.id AND c.kind='password' AND c.is_disabled=0
                WHERE g.role=:role AND g.site='*' AND p.is_active=1 AND p.removed_at_us IS NULL LIMIT 1""",
            refusal="last-admin",
            role=role,
        )

    def set_release_on_tap(self, unit: Unit, person: Person, wish: bool | None) -> None:
        """Append what the person wishes for their taps; None follows the site."""
        value = None if wish is None else int(wish)
        unit.add("UPDATE person SET release_on_tap=:wish WHERE id=:id", rows=1, wish=value, id=person.id)

    def set_profile(self, unit: Unit, person: Person, profile: str) -> None:
        """Append another profile."""
        unit.add("UPDATE person SET profile=:profile WHERE id=:id", rows=1, profile=profile, id=person.id)

    def add_alias(self, unit: Unit, person: Person, alias: str) -> None:
        """Append another network name; refused when it is somebody's."""
        unit.add(
            """INSERT INTO person_alias(name, person_id)
               SELECT :name, :id WHERE NOT EXISTS(SELECT 1 FROM person WHERE name=:name)""",
            rows=1,
            refusal="name-taken",
            name=alias,
            id=person.id,
        )

    def grant_role(self, unit: Unit, public_id: str, role: str, *, site: str = "*") -> None:
        """Append a role, once."""
        unit.add(
            """INSERT INTO role_grant(person_id, role, site)
               SELECT id, :role, :site FROM person WHERE public_id=:public_id
               ON CONFLICT(person_id, role, site) DO NOTHING""",
            role=role,
            site=site,
            public_id=public_id,
        )

    def set_up(self, unit: Unit, role: str) -> None:
        """Append that the house has had its first holder of this role; refused as `setup-done` the second time."""
        unit.add(
            """INSERT INTO meta(key, value) SELECT 'first:'||:role, '1'
                WHERE NOT EXISTS(SELECT 1 FROM meta WHERE key='first:'||:role)""",
            rows=1,
            refusal="setup-done",
            role=role,
        )

    # ----- reads -----
    async def was_set_up(self, role: str) -> bool:
        """Whether anybody has, or had at set-up, this role everywhere."""
        row = await self._db.read_one(
            """SELECT 1 AS one FROM meta WHERE key='first:'||:role
               UNION ALL SELECT 1 FROM role_grant WHERE role=:role AND site='*'""",
            role=role,
        )
        return row is not None

    async def by_id(self, person_id: int) -> Person | None:
        """The person with this row id."""
        row = await self._db.read_one(f"SELECT {_COLUMNS} FROM person WHERE id=:id AND {_LIVING}", id=person_id)
        return _person(row) if row else None

    async def by_public(self, public_id: str) -> Person | None:
        """The person with this public id."""
        row = await self._db.read_one(f"SELECT {_COLUMNS} FROM person WHERE public_id=:id AND {_LIVING}", id=public_id)
        return _person(row) if row else None

    async def by_name(self, name: str) -> Person | None:
        """The person with this normalised network name or alias."""
        row = await self._db.read_one(
            f"""SELECT {_COLUMNS} FROM person WHERE {_LIVING}
                AND id=coalesce((SELECT id FROM person WHERE name=:name),
                                (SELECT person_id FROM person_alias WHERE name=:name))""",
            name=name,
        )
        return _person(row) if row else None

    async def page(self, *, after_id: int = 0, limit: int = PAGE_MAX, contains: str = "") -> list[Person]:
        """People in order of creation, from `after_id` on; `contains` looks in names."""
        rows = await self._db.read(
            f"""SELECT {_COLUMNS} FROM person WHERE {_LIVING} AND id>:after
                 AND (:contains='' OR {_holds("name", "contains")} OR {_holds("lower(display_name)", "contains")})
                ORDER BY id LIMIT :most""",
            after=after_id,
            contains=contains,
            most=max(1, min(limit, PAGE_MAX)),
        )
        return [_person(row) for row in rows]

    async def search(self, text: str, *, state: str = "", after: str = "", limit: int = PAGE_MAX) -> list[Person]:
        """People by name whose name, full name, mail address or other name holds `text`, or whose PIN it is.

        `state`: active, disabled, locked (a password of theirs is switched off), or empty for all.
        """
        spellings = {text.casefold()} if text.isascii() else {text.casefold(), text, text.title()}
        params: dict[str, object] = {f"t{n}": _holding(one) for n, one in enumerate(sorted(spellings))}
        holds = " OR ".join(f"{_CALLED} LIKE :{name} ESCAPE '\\'" for name in params)
        alias = " OR ".join(f"name LIKE :{name} ESCAPE '\\'" for name in params)
        found = f"(pin=:text OR {holds} OR id IN (SELECT person_id FROM person_alias WHERE {alias}))" if text else "1=1"
        ids = await self._db.read(
            f"""SELECT id FROM person WHERE {_LIVING} AND name>:after AND {found} AND {_STATES[state]}
                ORDER BY name LIMIT :most""",
            **({**params, "text": text} if text else {}),
            after=after,
            most=max(1, min(limit, PAGE_MAX)),
        )
        if not ids:
            return []
        marks = {f"i{n}": row["id"] for n, row in enumerate(ids)}
        among = ",".join(f":{name}" for name in marks)
        rows = await self._db.read(f"SELECT {_COLUMNS} FROM person WHERE id IN ({among}) ORDER BY name", **marks)
        return [_person(row) for row in rows]

    async def has_pin(self, pin: str) -> bool:
        """Whether somebody, removed or not, has this PIN."""
        return await self._db.read_one("SELECT 1 AS one FROM person WHERE pin=:pin", pin=pin) is not None

    async def roles(self, person_id: int) -> list[str]:
        """Roles granted to the person; one for a single site is written `role@site`."""
        rows = await self._db.read("SELECT role, site FROM role_grant WHERE person_id=:id ORDER BY role", id=person_id)
        return [r["role"] if r["site"] == "*" else f"{r['role']}@{r['site']}" for r in rows]

    async def cards(self, person_id: int) -> list[CardLabel]:
        """Cards that are not blocked, by label."""
        rows = await self._db.read(
            "SELECT public_id, label FROM card WHERE person_id=:id AND blocked_at_us IS NULL ORDER BY id", id=person_id
        )
        return [CardLabel(r["public_id"], r["label"]) for r in rows]

    async def has_password(self, person_id: int) -> bool:
        """Whether the person can sign in with a password of their own."""
        row = await self._db.read_one(
            "SELECT 1 AS one FROM credential WHERE person_id=:id AND kind='password'", id=person_id
        )
        return row is not None

    async def locks(self, person_id: int, *, now_us: int) -> dict[str, str]:
        """By kind of password: `disabled` after too many failures, or `waiting` while a wait runs; else left out."""
        rows = await self._db.read(
            """SELECT kind, is_disabled FROM credential
                WHERE person_id=:id AND (is_disabled=1 OR locked_until_us>:now) ORDER BY kind""",
            id=person_id,
            now=now_us,
        )
        return {r["kind"]: "disabled" if r["is_disabled"] else "waiting" for r in rows}

    async def count(self) -> int:
        """How many people there are."""
        row = await self._db.read_one(f"SELECT count(*) AS n FROM person WHERE {_LIVING}")
        return int(row["n"]) if row else 0

    async def aliases(self, person_id: int) -> list[str]:
        """Other network names of the person."""
        rows = await self._db.read("SELECT name FROM person_alias WHERE person_id=:id ORDER BY name", id=person_id)
        return [r["name"] for r in rows]
