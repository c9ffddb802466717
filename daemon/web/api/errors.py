"""How refusals look over HTTP: one table. What is not in it is a bug and answers 500 without details."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from daemon.kernel.errors import BadInput, Conflict, Forbidden, NotFound, Refusal, Unavailable

KINDS: Sequence[tuple[type[Refusal], int]] = ((BadInput, 400), (NotFound, 404), (Forbidden, 403), (Conflict, 409))
"""Status by the kind of refusal; any other rule that says no is 422."""

CODES = {
    "sign-in-failed": 401,
    "session-ended": 401,
    "not-signed-in": 401,
    "too-many-tries": 429,
    "not-found": 404,
    "conflict": 409,
    "idempotency-conflict": 409,
    "name-taken": 409,
    "pin-taken": 409,
    "unchanged": 409,
    "credential-moved": 409,
    "job-not-held": 409,
    "not-possible": 409,
    "ledger:duplicate": 409,
    "ledger:resolved": 409,
}
"""Status by code, where the kind does not say it."""

RULE_SAYS_NO = 422
NOT_NOW = 503
RETRY_AFTER_S = 5
_WORDS = {400: "bad-request", 404: "not-found", 405: "method-not-allowed", 413: "body-too-large"}


def status_of(refusal: Refusal) -> int:
    """The HTTP status of a refusal."""
    if refusal.code in CODES:
        return CODES[refusal.code]
    return next((status for kind, status in KINDS if isinstance(refusal, kind)), RULE_SAYS_NO)


def _shape(error: Refusal | Unavailable) -> dict[str, Any]:
    data = {key: value for key, value in error.data.items() if _is_plain(value)}
    return {"error": {"code": error.code, "message": error.message, "details": data.pop("details", []), **data}}


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(k, str) and _is_plain(v) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return isinstance(value, (str, int, bool, float, type(None)))


async def _on_refusal(_request: Request, refusal: Exception) -> JSONResponse:
    assert isinstance(refusal, Refusal)
    status = status_of(refusal)
    headers: dict[str, str] = {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="holdfast"'
    if status == 429:
        headers["Retry-After"] = str(refusal.data.get("retry_after_s", RETRY_AFTER_S))
    return JSONResponse(_shape(refusal), status, headers=headers)


async def _on_unavailable(_request: Request, unavailable: Exception) -> JSONResponse:
    assert isinstance(unavailable, Unavailable)
    wait = str(unavailable.data.get("retry_after_s", RETRY_AFTER_S))
    return JSONResponse(_shape(unavailable), NOT_NOW, headers={"Retry-After": wait})


async def _on_invalid(_request: Request, invalid: Exception) -> JSONResponse:
    assert isinstance(invalid, RequestValidationError)
    details = [
        {"file": "", "line": 0, "key": ".".join(str(p) for p in one["loc"][1:]), "message": one["msg"]}
        for one in invalid.errors()
    ]
    error = {"code": "bad-input", "message": "the request cannot be understood", "details": details}
    return JSONResponse({"error": error}, 400)


async def _on_http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = _WORDS.get(error.status_code, "refused")
    return JSONResponse(
        {"error": {"code": code, "message": str(error.detail), "details": []}}, error.status_code, headers=error.headers
    )


async def _on_bug(_request: Request, _error: Exception) -> JSONResponse:
    """The client gets a number to name; the traceback goes to the log, where the door writes it."""
    known = structlog.contextvars.get_contextvars()
    error = {"code": "internal-error", "message": "a bug; the log has the details", "details": []}
    return JSONResponse({"error": error | {"request_id": known.get("request_id", "")}}, 500)


def install(app: FastAPI) -> None:
    """Register the table with an application."""
    app.add_exception_handler(Refusal, _on_refusal)
    app.add_exception_handler(Unavailable, _on_unavailable)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_bug)
