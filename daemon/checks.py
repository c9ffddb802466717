"""Everything that must be right before anything starts: settings, tariffs, card formats, secrets' files.

`config check` and the daemon run the same function, so a check that passes is a daemon that starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from daemon.accounting.pricing import Tariff, parse_tariff
from daemon.auth.card_formats import CardFormat, Formats, parse_format
from daemon.kernel.errors import BadInput
from daemon.kernel.money import unit_of
from daemon.settings import Origin, Problem, Settings, load_with_origins, refusal
from daemon.settings.secrets import private_problem

DATA_BYTES_MAX = 262_144
"""Of one tariff or card format file."""
DATA_FILES_MAX = 200

Read = TypeVar("Read", Tariff, CardFormat)


@dataclass(frozen=True, slots=True)
class Checked:
    """Settings that hold together, and the tariffs and card formats they name."""

    settings: Settings
    tariffs: Mapping[str, Tariff]
    files: tuple[Path, ...]
    formats: Formats = field(default_factory=Formats)
    origins: Mapping[str, Origin] = field(default_factory=dict)


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
    tariffs, tariff_files = _read_all(settings.tariffs.dir, parse_tariff, problems)
    formats, format_files = _read_all(settings.cards.formats_dir, parse_format, problems)
    cross = _cross(settings, tariffs, has_data_problems=bool(problems))
    for key, message in (*cross, *_card_formats(settings, formats), *_secrets(settings)):
        origin = loaded.origins.get(key, Origin())
        problems.append(Problem(origin.file or str(path), origin.line, key, message))
    if problems:
        raise refusal(problems)
    files = (*loaded.files, *tariff_files, *format_files)
    return Checked(settings, tariffs, files, Formats(formats.values()), loaded.origins)


def read_formats(directory: Path) -> Formats:
    """The card formats of a directory; none when it does not exist.

    Raises:
        BadInput: code `bad-config`; `details` lists every problem with file, line, key and message.
    """
    problems: list[Problem] = []
    found, _ = _read_all(directory, parse_format, problems)
    if problems:
        raise refusal(problems)
    return Formats(found.values())


def _read_all(
    directory: Path, parse: Callable[[str, str], Read], problems: list[Problem]
) -> tuple[dict[str, Read], list[Path]]:
    """Every NAME.toml of a directory; each problem is noted with its file and line."""
    found: dict[str, Read] = {}
    files = sorted(directory.glob("*.toml"))[:DATA_FILES_MAX]
    for file in files:
        try:
            if file.stat().st_size > DATA_BYTES_MAX:
                problems.append(Problem(str(file), 0, "", f"larger than {DATA_BYTES_MAX} bytes"))
                continue
            found[file.stem] = parse(file.read_text("utf-8"), str(file))
        except BadInput as wrong:
            problems.extend(_data_problem(detail, file) for detail in wrong.data.get("details", ()))
        except (OSError, UnicodeDecodeError) as error:
            problems.append(Problem(str(file), 0, "", f"cannot be read: {error}"))
    return found, files


def _data_problem(detail: Mapping[str, Any], file: Path) -> Problem:
    line = int(detail.get("line") or 0)
    key, message = str(detail.get("key", "")), str(detail.get("message", ""))
    return Problem(str(detail.get("file") or file), line, key, message, str(detail.get("suggestion", "")))


def _cross(settings: Settings, tariffs: Mapping[str, Tariff], *, has_data_problems: bool) -> Iterator[tuple[str, str]]:
    """What single options cannot know of each other."""
    default = settings.tariffs.default
    if default not in tariffs and not (has_data_problems and (settings.tariffs.dir / f"{default}.toml").exists()):
        names = ", ".join(sorted(tariffs)) or "none"
        yield "tariffs.default", f"no {default}.toml in {settings.tariffs.dir}; there are: {names}"
    currencies = {t.unit.code: name for name, t in tariffs.items()}
    for profile_name, profile in settings.profiles.items():
        for index, pot in enumerate(profile.pots):
            unit = unit_of(pot.unit)
            if unit.is_money and currencies and unit.code not in currencies:
                key = f"profiles.{profile_name}.pots.{index}.unit"
                yield key, f"no tariff has prices in {unit.code}; tariffs use {', '.join(sorted(currencies))}"


def _card_formats(settings: Settings, formats: Mapping[str, CardFormat]) -> Iterator[tuple[str, str]]:
    """Formats that settings name and that neither stand in the directory nor are built in."""
    directory = settings.cards.formats_dir
    named = {"cards.default_format": settings.cards.default_format}
    named |= {f"cards.readers.{at}.format": rule.format for at, rule in enumerate(settings.cards.readers)}
    for key, name in named.items():
        if name not in Formats(formats.values()) and not (directory / f"{name}.toml").exists():
            names = ", ".join(sorted(Formats(formats.values())))
            yield key, f"no {name}.toml in {directory}; there are: {names}"


def _secrets(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.mail.password_file != Path():
        problem = private_problem(settings.mail.password_file)
        if problem:
            yield "mail.password_file", f"{settings.mail.password_file} {problem}"
