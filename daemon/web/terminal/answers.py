"""How the terminal API answers: one table from refusals to HTTP statuses, and JSON that nobody caches.

Where money could have moved and did not, the error says `"charged": false`. What is not in the table and not one of
the kinds below is 422: a rule said no, and the screen shows why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

from daemon.kernel.clock import rfc3339
from daemon.kernel.errors import BadInput, Conflict, Forbidden, NotFound, Refusal, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_STORE = {"Cache-Control": "no-store"}
RULE_SAYS_NO = 422
NOT_NOW = 503
RETRY_AFTER_S = 2

CODES: dict[str, int] = {
    "sign-in-failed": 401,
    "session-ended": 401,
    "not-signed-in": 401,
    "revoked": 401,
    "terminal-unknown": 401,
    "clock-skew": 401,
    "replayed": 401,
    "terminal-closed": 403,
    "command-over": 409,
    "enrolment-failed": 403,
    "cards-not-accepted": 403,
    "step-up-needed": 403,
    "card-link-expired": 410,
    "card-taken": 409,
    "card-limit-reached": 422,
    "card-unreadable": 422,
    "not-found": 404,
    "link-spent": 410,
    "too-many-tries": 429,
    "body-too-large": 413,
    "credential-moved": 409,
    "job-not-held": 409,
    "name-taken": 409,
    "idempotency-conflict": 409,
    "ledger:duplicate": 409,
    "ledger:resolved": 409,
    "printer-stopped": 422,
    "printer-unreachable": 422,
}
"""Status by code, before the kind is asked."""

KINDS: tuple[tuple[type[Refusal], int], ...] = ((BadInput, 400), (NotFound, 404), (Forbidden, 403), (Conflict, 409))


def status_of(problem: Refusal | Unavailable) -> int:
    """The HTTP status a refusal is answered with."""
    if problem.code in CODES:
        return CODES[problem.code]
    if isinstance(problem, Unavailable):
        return NOT_NOW
    return next((status for kind, status in KINDS if isinstance(problem, kind)), RULE_SAYS_NO)


def ok(content: Mapping[str, Any], *, status: int = 200) -> JSONResponse:
    """An answer."""
    return JSONResponse(dict(content), status_code=status, headers=NO_STORE)


def refused(problem: Refusal | Unavailable, *, money: bool = False) -> JSONResponse:
    """A refusal. `money`: the request could have charged somebody, and has not."""
    status = status_of(problem)
    error: dict[str, Any] = {key: value for key, value in problem.data.items() if key != "now_us" and _is_plain(value)}
    error |= {"code": problem.code, "message": problem.message, "details": problem.data.get("details", [])}
    if "now_us" in problem.data:
        error["now"] = rfc3339(problem.data["now_us"])
    if money:
        error["charged"] = False
    headers = dict(NO_STORE)
    if status in (429, NOT_NOW):
        headers["Retry-After"] = str(problem.data.get("retry_after_s", RETRY_AFTER_S))
    return JSONResponse({"error": error}, status_code=status, headers=headers)


def _is_plain(value: object) -> bool:
    """Whether a refusal's datum can be shown: plain JSON values only."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, (str, int, bool))
