"""Forms from our own pages: read within limits, and refused when they came from anywhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from daemon.kernel.errors import Refusal

if TYPE_CHECKING:
    from starlette.requests import Request

FORM_BYTES_MAX = 65_536
FORM_FIELDS_MAX = 200
CSRF_FIELD = "form_token"


class FormTooLarge(Refusal):
    """More than any of these forms holds."""

    code = "body-too-large"


class Form:
    """Fields as sent; a field that was not sent is empty."""

    def __init__(self, fields: Mapping[str, list[str]]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        return next(iter(self._fields.get(name, ())), "")

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def all(self, name: str) -> list[str]:
        """Every value of a field that may come several times (check boxes)."""
        return list(self._fields.get(name, ()))

    def pairs(self) -> list[tuple[str, str]]:
        """Everything in order, to be sent once more."""
        return [(name, value) for name, values in self._fields.items() for value in values]

    def line(self, name: str, chars_max: int = 300) -> str:
        """One trimmed line, cut to what such a field may hold."""
        return " ".join(self[name].split())[:chars_max]


EMPTY = Form({})


async def read_form(request: Request) -> Form:
    """The fields of a form.

    Raises:
        FormTooLarge: more than these forms hold.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES_MAX:
            raise FormTooLarge
    try:
        return Form(parse_qs(body.decode(), keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX))
    except ValueError:
        return EMPTY


def is_own_page(request: Request) -> bool:
    """Whether a form came from our own page, as the browser itself says.

    Sec-Fetch-Site must say so where it is sent, and Origin must not name another place. (`null` is what a browser sends
    under Referrer-Policy `no-referrer`: it says nothing.) Without both it was no browser, and no browser's cookie is in
    danger; the form's own token is asked for as well.
    """
    site = request.headers.get("sec-fetch-site", "")
    origin = request.headers.get("origin", "")
    if site and (site != "same-origin" or origin in ("", "null")):
        return site == "same-origin"
    return not origin or origin == f"https://{request.headers.get('host', '')}"
