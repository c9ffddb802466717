"""Rates: the tariffs and profiles in force, and the tariffs of old quotes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.kernel.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.accounting.allowance import Profile
    from daemon.accounting.tariff import Tariff
    from daemon.accounting.tariff_store import TariffStore
    from daemon.db.unit import Unit


class NoTariff(Conflict):
    """A printer names a tariff that the configuration does not have: nothing is priced until it is mended."""

    code = "tariff-missing"


class ConfiguredRates:
    """What the configuration says (`workflows.parts.Rates`); unknown profiles follow the default."""

    def __init__(
        self,
        tariffs: Mapping[str, Tariff],
        profiles: Mapping[str, Profile],
        store: TariffStore,
        *,
        default_profile: str,
    ) -> None:
        self._tariffs = tariffs
        self._profiles = profiles
        self._store = store
        self._default_profile = default_profile

    def tariff(self, name: str) -> Tariff:
        """By name.

        Raises:
            NoTariff: the configuration has none of that name.
        """
        found = self._tariffs.get(name)
        if found is None:
            raise NoTariff(f"There is no tariff {name!r}. Nothing was charged.", tariff=name)
        return found

    async def tariff_at(self, ref: str) -> Tariff:
        """The tariff a quote was made by (`name@digest`), also after the file has changed."""
        name, _, digest = ref.rpartition("@")
        now = self._tariffs.get(name)
        if now is not None and now.digest == digest:
            return now
        return await self._store.version(name, digest)

    @property
    def tariffs(self) -> Mapping[str, Tariff]:
        """Every tariff in force, by name."""
        return self._tariffs

    @property
    def profiles(self) -> Mapping[str, Profile]:
        """Every profile in force, by name."""
        return self._profiles

    def profile(self, name: str) -> Profile:
        """By name, else the default."""
        return self._profiles.get(name) or self._profiles[self._default_profile]

    def remember(self, unit: Unit, name: str, *, at_us: int) -> None:
        """Append the tariff in force to the unit that quotes by it."""
        self._store.remember(unit, self.tariff(name), at_us=at_us)


def ref_of(name: str, digest: str) -> str:
    """How a delivery names its tariff."""
    return f"{name}@{digest}"
