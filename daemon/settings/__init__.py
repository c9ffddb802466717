"""Settings: one frozen object, read once at start.

Flags win over the environment (`HOLDFAST__SECTION__KEY`), the environment over the file and its `conf.d/*.toml`
(in name order, later wins), files over defaults. Everything wrong is reported at once. Secrets are never values
here: an option ending in `_file` names a file, and systemd credentials come before it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from daemon.kernel.errors import BadInput
from daemon.kernel.money import parse_amount, unit_of
from daemon.settings.build import Builder
from daemon.settings.cards import CardReader, Cards
from daemon.settings.console import Console
from daemon.settings.house import (
    Analysis,
    Kiosk,
    People,
    Pot,
    Profile,
    Queue,
    Release,
    SignIn,
    Spool,
    Tariffs,
    Term,
)
from daemon.settings.options import named, section
from daemon.settings.secrets import SecretMissing, read_secret
from daemon.settings.server import DnsSd, Log, Mail, Metrics, Printers, Server
from daemon.settings.source import Origin, Problem, merge, put_environment, put_flags, read_toml

CONFIG_NAME = "holdfast.toml"
DEFAULT_QUEUE = "findme"
EVERY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104  -- compared with, not bound to

__all__ = [
    "CONFIG_NAME", "DEFAULT_QUEUE", "Analysis", "CardReader", "Cards", "Console", "DnsSd", "Kiosk", "Loaded", "Log",
    "Mail", "Metrics", "Origin", "People", "Pot", "Printers", "Problem", "Profile", "Queue", "Release", "SecretMissing",
    "Server", "Settings", "SignIn", "Spool", "Tariffs", "Term", "load", "load_with_origins", "read_secret",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set; what is not here is decided by the house."""

    server: Server = section(Server, "Where the daemon lives and listens.")
    queues: Mapping[str, Queue] = named(
        {DEFAULT_QUEUE: Queue(title="Find me")}, "The print queues. The first is the one `init` names in its addresses."
    )
    profiles: Mapping[str, Profile] = named(
        {"standard": Profile(pots=(Pot(amount=Decimal(200), period="monthly", cap=Decimal(400)),))},
        "What kinds of people are given to spend.",
    )
    tariffs: Tariffs = section(Tariffs, "What a page costs.")
    people: People = section(People, "How people come to exist.")
    sign_in: SignIn = section(SignIn, "Passwords, sessions and what happens after wrong ones.")
    console: Console = section(Console, "Sessions in a browser.")
    cards: Cards = section(Cards, "What a card opens, how its number is read, and who may link one.")
    kiosk: Kiosk = section(Kiosk, "What terminals are told.")
    spool: Spool = section(Spool, "Held documents.")
    analysis: Analysis = section(Analysis, "Reading documents in a confined process.")
    release: Release = section(Release, "Delivery to printers and what happens when it goes wrong.")
    printers: Printers = section(Printers, "What printer addresses may point at.")
    mail: Mail = section(Mail, "How notices leave.")
    metrics: Metrics = section(Metrics, "Prometheus figures.")
    dns_sd: DnsSd = section(DnsSd, "Announcement on the local network.")
    log: Log = section(Log, "What goes to standard error.")

    def check(self) -> Iterator[tuple[str, str]]:
        if not self.queues:
            yield "queues", "needs at least one queue"
        addresses = self.dns_sd.interfaces or self.server.bind
        if self.dns_sd.enabled and EVERY_ADDRESS & set(addresses):
            yield "dns_sd.interfaces", "name the addresses to announce on: server.bind stands for all of them"
        yield from self._check_card_cap()
        if self.people.default_profile not in self.profiles:
            names = ", ".join(sorted(self.profiles)) or "none"
            yield (
                "people.default_profile",
                f"no profile {self.people.default_profile!r} in [profiles]; there are: {names}",
            )

    def _check_card_cap(self) -> Iterator[tuple[str, str]]:
        """The cap is an amount in the unit each profile's price is shown in: its first pot's."""
        for name, profile in self.profiles.items():
            pot = next(iter(profile.pots), None) if self.kiosk is not None and profile is not None else None
            if pot is not None and self.kiosk.card_cost_cap:
                try:
                    parse_amount(self.kiosk.card_cost_cap, unit_of(pot.unit))
                except ValueError as error:
                    yield "kiosk.card_cost_cap", f"does not fit the first pot of profile {name!r}: {error}"

    @property
    def state_dir(self) -> Path:
        """Short for `server.state_dir`."""
        return self.server.state_dir

    @property
    def admin_socket(self) -> Path:
        """Where the running daemon answers commands of this machine."""
        return self.server.state_dir / "admin.sock"

    def urls(self) -> dict[str, str]:
        """The addresses as `init` and the ready line print them; printer addresses name the first queue."""
        return self.server.urls(next(iter(self.queues)))


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings with the origin of each option (`server.base_port` -> where it was set)."""

    settings: Settings
    origins: Mapping[str, Origin]
    files: tuple[Path, ...]


def load_with_origins(
    path: Path,
    *,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
    problems: list[Problem] | None = None,
) -> Loaded:
    """Read `path`, its `conf.d/*.toml`, the environment and `flags`.

    With `problems` given, what is wrong is added there and defaults stand in, so that a caller can add its own
    findings before refusing.

    Raises:
        BadInput: something is wrong and no `problems` list was given; `details` holds every problem.
    """
    found: list[Problem] = [] if problems is None else problems
    tree = read_toml(path, found)
    files = [path]
    for extra in sorted((path.parent / "conf.d").glob("*.toml")):
        merge(tree, read_toml(extra, found))
        files.append(extra)
    put_environment(tree, os.environ if environment is None else environment)
    put_flags(tree, flags or {})
    origins: dict[str, Origin] = {}
    server = tree.values.setdefault("server", {})
    if isinstance(server, dict) and "state_dir" not in server:
        server["state_dir"] = "."
        tree.origins["server", "state_dir"] = Origin()
    builder = Builder(tree=tree, base_dir=path.parent.absolute(), problems=found, origins=origins)
    settings = builder.build(Settings, tree.values)
    if problems is None and found:
        raise refusal(found)
    return Loaded(settings, origins, tuple(files))


def load(
    path: Path, *, environment: Mapping[str, str] | None = None, flags: Mapping[str, str] | None = None
) -> Settings:
    """The settings of one installation; see `load_with_origins`."""
    return load_with_origins(path, environment=environment, flags=flags).settings


def refusal(problems: list[Problem]) -> BadInput:
    """All problems as one refusal, code `bad-config`."""
    count = len(problems)
    message = f"the configuration has {count} problem{'s' if count != 1 else ''}"
    return BadInput(message, code="bad-config", details=[p.to_json() for p in problems])
