"""Every tariff a quote was ever made by, as its file's text: an old charge can be explained and settled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.accounting.tariff_file import parse_tariff
from daemon.kernel.errors import NotFound

if TYPE_CHECKING:
    from daemon.accounting.tariff import Tariff
    from daemon.db.database import Database
    from daemon.db.unit import Unit


class TariffStore:
    """Versions of tariffs by name and digest."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def remember(self, unit: Unit, tariff: Tariff, *, at_us: int) -> None:
        """Append this version unless it is known."""
        unit.add(
            """INSERT INTO tariff_version(name, digest, content, since_us)
               SELECT :name, :digest, :content, :at
                WHERE NOT EXISTS(SELECT 1 FROM tariff_version WHERE name=:name AND digest=:digest)""",
            name=tariff.name,
            digest=tariff.digest,
            content=tariff.source,
            at=at_us,
        )

    async def version(self, name: str, digest: str) -> Tariff:
        """The tariff as it was.

        Raises:
            NotFound: no quote was ever made by it.
        """
        row = await self._db.read_one(
            "SELECT content FROM tariff_version WHERE name=:name AND digest=:digest", name=name, digest=digest
        )
        if row is None:
            raise NotFound("There is no such tariff version.")
        return parse_tariff(row["content"], f"{name}.toml")
