"""Every SQL statement of the stores, taken from their source: the texts they hand to the database, evaluated."""

from __future__ import annotations

import ast
import importlib
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CALLS = frozenset({"read", "read_one", "add", "require", "answer_with", "_pages"})
WORDS = ("SELECT ", "INSERT ", "UPDATE ", "DELETE ")

UNFINISHED = re.compile(r"%s|[{}]| AND\s*$")
"""A constant that is completed where it is used."""

FILLERS = {
    "sets": "message=:set_message",
    "marks": ":a, :b",
    "hashes": [b"", b""],
    "ended": "state='completed'",
    "text": "j.queue=:queue AND j.state IN (:a, :b)",
    "order": "DESC",
    "whose": "AND c.person_id=:person",
    "same": False,
    "column": "held_until_us",
    "where": "1=1",
}
"""What stands for the parts that are put together at run time; each is of the shape the code makes."""
OTHERS = {
    "daemon/jobs/store.py": {"where": "j.state='pending-held'"},
    "daemon/auth/card_store.py": {"where": "c.id=:id"},
    "daemon/people/store.py": {
        "found": r"""(pin=:text OR name||' '||display_name||' '||email LIKE :t0 ESCAPE '\'
            OR id IN (SELECT person_id FROM person_alias WHERE name LIKE :t0 ESCAPE '\'))""",
        "state": "locked",
        "among": ":i0, :i1",
    },
    "daemon/jobs/delivery_store.py": {"sets": "phase=:set_phase"},
}
BUILT_ELSEWHERE = frozenset({"queries", "sql", "query", "statement", "keys"})
"""Names whose text is a constant of the module, or a statement given by a caller, collected there."""


@dataclass(frozen=True, slots=True)
class Found:
    """One statement and where it stands."""

    where: str
    sql: str


def statements() -> tuple[list[Found], list[str]]:
    """All statements, and the places whose text could not be told from the source."""
    found: dict[str, Found] = {}
    untold = []
    for path in sorted((ROOT / "daemon").rglob("*.py")):
        source = path.read_text("utf-8")
        relative = str(path.relative_to(ROOT))
        if not any(word in source for word in WORDS) or not relative.endswith(("store.py", "audit_log.py", "unit.py")):
            continue
        module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for where, sql in _of_module(relative, source, vars(module), untold):
            found.setdefault(sql, Found(where, sql))
    return list(found.values()), untold


def _of_module(relative, source, names, untold):
    for name, value in names.items():
        if isinstance(value, str) and value.lstrip().startswith(WORDS) and not UNFINISHED.search(value):
            yield f"{relative}:{name}", value
    fillers = FILLERS | OTHERS.get(relative, {})
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        if node.func.attr not in CALLS or (isinstance(node.args[0], ast.Name) and node.args[0].id in BUILT_ELSEWHERE):
            continue
        try:
            code = compile(ast.Expression(node.args[0]), relative, "eval")
            value = eval(code, {**names, **fillers})  # noqa: S307  -- our own source
        except Exception:  # noqa: BLE001  -- whatever it needs from its function
            untold.append(f"{relative}:{node.lineno} {ast.unparse(node.args[0])[:80]}")
            continue
        if isinstance(value, str) and value.lstrip().startswith(WORDS) and "%s" not in value:
            yield f"{relative}:{node.lineno}", value
