"""Who asks, and may they: one dependency for every route. Deny by default.

A request over the admin socket comes from the uid the kernel names; its mode (0600) has already decided who can
connect. Every other request needs `Authorization: Bearer TOKEN`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Header, Query, Request

from daemon.auth import permissions
from daemon.auth.permissions import Actor
from daemon.auth.tokens import NotSignedIn
from daemon.kernel.errors import BadInput
from daemon.web.api.services import ApiServices
from daemon.web.guard import PEER_UID

KEY_CHARS_MAX = 200
PAGE_MAX = 500
PAGE_DEFAULT = 100


def services_of(request: Request) -> ApiServices:
    """The services of the application this request came to."""
    found: ApiServices = request.app.state.services
    return found


Services = Annotated[ApiServices, Depends(services_of)]


async def actor_of(request: Request, services: Services) -> Actor:
    """Whoever asks.

    Raises:
        NotSignedIn: nobody we know.
    """
    uid = request.scope.get("state", {}).get(PEER_UID)
    if uid is not None:
        return permissions.actor(f"local:{uid}", [("admin", permissions.EVERY_SITE)])
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer":
        raise NotSignedIn("send an API token: Authorization: Bearer TOKEN")
    return await services.tokens.actor(token.strip())


def needs(permission: str) -> Callable[[Actor], Awaitable[Actor]]:
    """A dependency that lets only holders of `permission` go on."""
    if permission not in permissions.PERMISSIONS:
        raise ValueError(f"no such permission: {permission}")

    async def check(actor: Annotated[Actor, Depends(actor_of)]) -> Actor:
        actor.require(permission)
        return actor

    return check


def idempotency_key(
    key: Annotated[
        str,
        Header(alias="Idempotency-Key", description="Your own name for this change; the same key changes once."),
    ] = "",
) -> str:
    """The caller's key, required where money moves.

    Raises:
        BadInput: missing, too long, or not printable ASCII.
    """
    if not key or len(key) > KEY_CHARS_MAX or not key.isascii() or not key.isprintable():
        raise BadInput(
            f"send Idempotency-Key: 1 to {KEY_CHARS_MAX} printable characters", code="idempotency-key-needed"
        )
    return key


IdempotencyKey = Annotated[str, Depends(idempotency_key)]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="Items on this page.")]
After = Annotated[str, Query(max_length=40, pattern=r"^[0-9]*$", description="`next` of the page before.")]


def position(after: str) -> int:
    """The row a page continues behind."""
    return int(after) if after else 0
