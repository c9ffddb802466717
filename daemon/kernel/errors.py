"""The two expected kinds of failure. Everything else is a bug and fails loudly.

A *Refusal* is the answer "no, because": raised beside the rule, told to the person, never retried.
*Unavailable* is the answer "not now": raised only in I/O modules, retried within bounds.
"""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """A rule said no. `code` is stable (the IPP registry's keyword where one exists); `data` is typed per code.

    Subclass it once per different reaction. `code` may be given per instance where one reaction has several names.
    """

    code = "refused"

    def __init__(self, message: str = "", /, *, code: str | None = None, **data: Any) -> None:
        if code is not None:
            self.code = code
        self.message = message or self.code.replace("-", " ")
        self.data = data
        super().__init__(self.message)


class NotFound(Refusal):
    """No such thing, or not visible to whoever asks: the two must look alike."""

    code = "not-found"


class Forbidden(Refusal):
    """Known, but not allowed to do this."""

    code = "forbidden"


class Conflict(Refusal):
    """The state is not the one the request was made for (changed meanwhile, already done, key reused)."""

    code = "conflict"


class BadInput(Refusal):
    """What came in cannot be understood; `data["details"]` lists every problem found."""

    code = "bad-input"


class Unavailable(Exception):
    """A part outside this process did not answer. `code` names the part; the caller may try again later."""

    code = "unavailable"

    def __init__(self, message: str = "", /, *, code: str | None = None, **data: Any) -> None:
        if code is not None:
            self.code = code
        self.message = message or self.code.replace("-", " ")
        self.data = data
        super().__init__(self.message)


class StorageFull(Unavailable):
    """The disk is full; nothing was changed and nothing acknowledged is lost."""

    code = "storage-full"


class Busy(Unavailable):
    """A named limit is reached; try again after `data["retry_after_s"]`."""

    code = "busy"
