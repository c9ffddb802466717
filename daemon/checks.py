"""Everything that must be right before anything starts: settings, tariffs, secrets' files.

`config check` and the daemon run the same function, so a check that passes is a daemon that starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.accounting.pricing import Tariff, parse_tariff
from daemon.kernel.errors import BadInput
from daemon.kernel.money import unit_of
from daemon.settings import Origin, Problem, Settings, load_with_origins, refusal
from daemon.settings.secrets import private_problem

TARIFF_BYTES_MAX = 262_144
TARIFF_FILES_MAX = 200


@dataclass(frozen=True, slots=True)
class Checked:
    """Settings that hold together, and the tariffs they name."""

    settings: Settings
    tariffs: Mapping[str, Tariff]
    files: tuple[Path, ...]


def check_installation(
    path: Path, *, environment: Mapping[str, str] | None = None, flags: Mapping[str, str] | None = None
) -> Checked:
    """Read and cross-check everything.

    Raises:
        BadInput: code `bad-config`; `details` lists every problem with file, line, key and message.
    """
    problems: list[Problem] = []
    loaded = load_with_origins(path, environment=environment, flags=flags, problems=problems)
    settings = loaded.settings
    tariffs, files = _read_tariffs(settings, problems)
    for key, message in (*_cross(settings, tariffs, has_tariff_problems=bool(problems)), *_secrets(settings)):
        origin = loaded.origins.get(key, Origin())
        problems.append(Problem(origin.file or str(path), origin.line, key, message))
    if problems:
        raise refusal(problems)
    return Checked(settings, tariffs, (*loaded.files, *files))


def _read_tariffs(settings: Settings, problems: list[Problem]) -> tuple[dict[str, Tariff], list[Path]]:
    """Every NAME.toml of the tariffs directory; each problem is noted with its file and line."""
    found: dict[str, Tariff] = {}
    files = sorted(settings.tariffs.dir.glob("*.toml"))[:TARIFF_FILES_MAX]
    for file in files:
        try:
            if file.stat().st_size > TARIFF_BYTES_MAX:
                problems.append(Problem(str(file), 0, "", f"larger than {TARIFF_BYTES_MAX} bytes"))
                continue
            found[file.stem] = parse_tariff(file.read_text("utf-8"), str(file))
        except BadInput as wrong:
            problems.extend(_tariff_problem(detail, file) for detail in wrong.data.get("details", ()))
        except (OSError, UnicodeDecodeError) as error:
            problems.append(Problem(str(file), 0, "", f"cannot be read: {error}"))
    return found, files


def _tariff_problem(detail: Mapping[str, Any], file: Path) -> Problem:
    line = int(detail.get("line") or 0)
    key, message = str(detail.get("key", "")), str(detail.get("message", ""))
    return Problem(str(detail.get("file") or file), line, key, message, str(detail.get("suggestion", "")))


def _cross(
    settings: Settings, tariffs: Mapping[str, Tariff], *, has_tariff_problems: bool
) -> Iterator[tuple[str, str]]:
    """What single options cannot know of each other."""
    default = settings.tariffs.default
    if default not in tariffs and not (has_tariff_problems and (settings.tariffs.dir / f"{default}.toml").exists()):
        names = ", ".join(sorted(tariffs)) or "none"
        yield "tariffs.default", f"no {default}.toml in {settings.tariffs.dir}; there are: {names}"
    currencies = {t.unit.code: name for name, t in tariffs.items()}
    for profile_name, profile in settings.profiles.items():
        for index, pot in enumerate(profile.pots):
            unit = unit_of(pot.unit)
            if unit.is_money and currencies and unit.code not in currencies:
                key = f"profiles.{profile_name}.pots.{index}.unit"
                yield key, f"no tariff has prices in {unit.code}; tariffs use {', '.join(sorted(currencies))}"


def _secrets(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.mail.password_file != Path():
        problem = private_problem(settings.mail.password_file)
        if problem:
            yield "mail.password_file", f"{settings.mail.password_file} {problem}"
