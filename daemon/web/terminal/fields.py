"""Reading a request's JSON: types, lengths and counts checked, every problem reported at once. Pure."""

from __future__ import annotations

import json
from typing import Any

from daemon.kernel.errors import BadInput
from daemon.kernel.money import AMOUNT_MAX, Amount, unit_of

IDS_MAX = 200
ID_CHARS_MAX = 64
TEXT_CHARS_MAX = 1024
KEY_CHARS_MAX = 200
CODE_CHARS_MAX = 255
CHANGE_WORDS = ("print_color_mode", "sides")


class Fields:
    """One JSON object being read. Ask for every field, then `done`."""

    def __init__(self, body: bytes) -> None:
        self._problems: list[dict[str, Any]] = []
        try:
            value = json.loads(body or b"{}")
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise BadInput("the body is not a JSON object", details=[_problem("", "must be a JSON object")])
        self._value: dict[str, Any] = value

    def __contains__(self, key: str) -> bool:
        return key in self._value

    @property
    def plain(self) -> dict[str, Any]:
        """All of it as it came, for a reader that takes what it understands."""
        return self._value

    def text(self, key: str, *, most: int = TEXT_CHARS_MAX, needed: bool = True) -> str:
        """A text of at most `most` characters; empty where it is absent and not `needed`."""
        value = self._value.get(key)
        if value is None and not needed:
            return ""
        if not isinstance(value, str) or len(value) > most or (needed and not value):
            self._wrong(key, f"must be a text of 1 to {most} characters")
            return ""
        return value

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self._value.get(key)
        if not isinstance(value, bool):
            self._wrong(key, "must be true or false")
            return False
        return value

    def ids(self, key: str) -> tuple[str, ...]:
        """1 to 200 ids, each once, in the order given."""
        value = self._value.get(key)
        if not isinstance(value, list) or not 1 <= len(value) <= IDS_MAX or not all(map(_is_id, value)):
            self._wrong(key, f"must be a list of 1 to {IDS_MAX} ids")
            return ()
        return tuple(dict.fromkeys(value))

    def texts(self, key: str) -> dict[str, str]:
        """An object from ids to short texts; empty where absent."""
        value = self._value.get(key, {})
        is_good = isinstance(value, dict) and len(value) <= IDS_MAX
        if not is_good or not all(
            _is_id(k) and isinstance(v, str) and len(v) <= CODE_CHARS_MAX for k, v in value.items()
        ):
            self._wrong(key, "must be an object of texts by id")
            return {}
        return dict(value)

    def changes(self) -> dict[str, dict[str, Any]]:
        """`changes`: by job id, any of print_color_mode, sides, copies."""
        value = self._value.get("changes", {})
        if not isinstance(value, dict) or len(value) > IDS_MAX:
            self._wrong("changes", "must be an object by job id")
            return {}
        for job_id, change in value.items():
            if not _is_id(job_id) or not isinstance(change, dict):
                self._wrong("changes", "must be an object by job id")
                continue
            for key, wanted in change.items():
                is_word = key in CHANGE_WORDS and isinstance(wanted, str) and len(wanted) <= ID_CHARS_MAX
                is_copies = key == "copies" and isinstance(wanted, int) and not isinstance(wanted, bool)
                if not (is_word or is_copies):
                    self._wrong(f"changes.{job_id}.{key}"[:120], "cannot be changed like this")
        return dict(value)

    def amount(self, key: str) -> Amount | None:
        """An amount as every answer prints it (`unit`, `amount`, and its `scale` if given); None where absent."""
        value = self._value.get(key)
        if value is None:
            return None
        try:
            unit, steps = unit_of(value["unit"]), value["amount"]
            is_good = isinstance(steps, int) and not isinstance(steps, bool) and abs(steps) <= AMOUNT_MAX
            if is_good and value.get("scale", unit.scale) == unit.scale:
                return Amount(unit, steps)
        except (TypeError, KeyError, ValueError, AttributeError):
            pass
        self._wrong(key, "must be an amount: unit, amount, scale")
        return None

    def done(self) -> None:
        """End of the reading.

        Raises:
            BadInput: with every problem in `details`.
        """
        if self._problems:
            raise BadInput("the request cannot be understood", details=self._problems)

    def _wrong(self, key: str, message: str) -> None:
        self._problems.append(_problem(key, message))


def _problem(key: str, message: str) -> dict[str, Any]:
    return {"file": "", "line": 0, "key": key, "message": message}


def _is_id(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= ID_CHARS_MAX and value.isascii() and value.isprintable()
