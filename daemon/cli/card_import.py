"""`holdfast card import`: a file of cards, tried row by row and written only when asked to."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from daemon.cli.cards import READER_FORMAT
from daemon.cli.client import Api, with_api
from daemon.cli.command import DIFFERENCE, OK, Command, Context, UsageError, argument
from daemon.cli.output import plain, say, say_json

IMPORT_BYTES_MAX = 32 * 1024 * 1024
IMPORT_ROWS_MAX = 200_000
IMPORT_BATCH = 500
IMPORT_COLUMNS = ("user", "card", "format", "label", "expires")


def import_file(context: Context) -> int:
    options = context.options
    if options.apply and options.dry_run:
        raise UsageError("either --apply or --dry-run")
    file = Path(options.file)
    rows = read_rows(file, options.reader_format)

    async def send(api: Api) -> dict[str, Any]:
        total: dict[str, Any] = {"items": [], "applied": options.apply, "added": 0, "unchanged": 0, "refused": 0}
        for start in range(0, len(rows), IMPORT_BATCH):
            body = {"rows": rows[start : start + IMPORT_BATCH], "apply": options.apply}
            done = await api.post("/cards/import", body)
            total["items"] += done["items"]
            for key in ("added", "unchanged", "refused"):
                total[key] += done[key]
        return total

    found = with_api(context.settings(), send)
    if context.as_json:
        say_json(found)
    else:
        _tell_import(found, file.name)
    return DIFFERENCE if found["refused"] else OK


def _tell_import(found: dict[str, Any], name: str) -> None:
    for item in found["items"]:
        if item["state"] == "refused":
            say(f"{name}:{item['line']}: {plain(item['user'])}: {plain(item['message'])}")
    done = "added" if found["applied"] else "would be added"
    say(f"{found['added']} {done}, {found['unchanged']} there already, {found['refused']} refused.")
    if not found["applied"]:
        say("Nothing was written. The same with --apply adds what can be added.")


def read_rows(file: Path, format_name: str) -> list[dict[str, Any]]:
    """The rows of a file with the columns user, card and, where wanted, format, label, expires.

    UTF-8; comma, semicolon or tab between columns; the first line names them. Blank lines are skipped.

    Raises:
        UsageError: not such a file; `details` lists every problem with its line.
    """
    try:
        if file.stat().st_size > IMPORT_BYTES_MAX:
            raise UsageError(f"{file} is larger than {IMPORT_BYTES_MAX} bytes")
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read as UTF-8 text: {error}") from error
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    problems: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        problems += [_problem(file, 1, name, message) for name, message in _wrong_columns(names)]
        for values in reader if not problems else ():
            if any(value.strip() for value in values):
                rows.append(_row(names, values, reader.line_num, format_name))
                if len(values) > len(names):
                    problems.append(_problem(file, reader.line_num, "", "has more values than there are columns"))
    except csv.Error as error:
        problems.append(_problem(file, reader.line_num, "", str(error)))
    if len(rows) > IMPORT_ROWS_MAX:
        problems.append(_problem(file, 0, "", f"has more than {IMPORT_ROWS_MAX} rows"))
    if problems:
        raise UsageError(f"{file} is no list of cards", details=problems)
    return rows


def _wrong_columns(names: list[str]) -> list[tuple[str, str]]:
    known = ", ".join(IMPORT_COLUMNS)
    found = [(name, f"is no column; there are: {known}") for name in names if name not in IMPORT_COLUMNS]
    found += [(name, "is needed") for name in ("user", "card") if name not in names]
    return found + [(name, "stands there twice") for name in sorted({n for n in names if names.count(n) > 1})]


def _row(names: list[str], values: list[str], line: int, format_name: str) -> dict[str, Any]:
    given = dict(zip(names, values, strict=False))
    return {
        "line": line,
        "user": given.get("user", "").strip()[:256],
        "raw": given.get("card", ""),
        "format": given.get("format", "").strip()[:64] or format_name,
        "label": given.get("label", "").strip()[:256],
        "expires": given.get("expires", "").strip()[:64],
    }


def _problem(file: Path, line: int, key: str, message: str) -> dict[str, Any]:
    return {"file": str(file), "line": line, "key": key, "message": message}


COMMANDS = (
    Command(
        ("card", "import"),
        "Try a file of cards, row by row, and with --apply write what can be written; exit 1 when rows are refused.",
        import_file,
        ("holdfast card import cards.csv", "holdfast card import cards.csv --reader-format h10301 --apply --json"),
        (
            argument("file", metavar="FILE.csv", help="columns user, card and, where wanted, format, label, expires"),
            READER_FORMAT,
            argument("--dry-run", action="store_true", help="only try; what happens without --apply anyway"),
            argument("--apply", action="store_true", help="write the rows that are fine"),
        ),
    ),
)
