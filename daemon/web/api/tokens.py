"""/api/v1/tokens: who may use this API from elsewhere."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from daemon.auth import permissions as p
from daemon.auth.permissions import Actor
from daemon.auth.token_store import ApiToken
from daemon.kernel.clock import US_PER_S, rfc3339
from daemon.web.api.access import Services, needs

router = APIRouter(prefix="/tokens", tags=["tokens"])

DAY_US = 86_400 * US_PER_S

Writes = Annotated[Actor, Depends(needs(p.TOKENS_WRITE))]


class NewToken(BaseModel):
    """A token to make: its name in the audit, its role, and how many days it is good for (0: no end)."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=64)
    role: str = Field(max_length=64)
    days: int = Field(365, ge=0, le=3650)


def _shape(token: ApiToken) -> dict[str, Any]:
    return {
        "name": token.name,
        "role": token.role,
        "created_at": rfc3339(token.created_at_us),
        "expires_at": rfc3339(token.expires_at_us),
        "last_used_at": rfc3339(token.last_used_at_us),
        "revoked_at": rfc3339(token.revoked_at_us),
    }


@router.get("")
async def list_tokens(services: Services, _actor: Writes) -> dict[str, Any]:
    """Every token ever made; never their values."""
    return {"items": [_shape(token) for token in await services.tokens.list()], "next": None}


@router.post("", status_code=201)
async def add_token(services: Services, actor: Writes, new: NewToken) -> dict[str, Any]:
    """Make a token; its value is in this answer and nowhere else."""
    expires = services.clock.now_us() + new.days * DAY_US if new.days else None
    made = await services.tokens.create(new.name, role=new.role, actor=actor.name, expires_at_us=expires)
    return {"name": new.name, "role": new.role, "expires_at": rfc3339(expires), "token": made.token}


@router.post("/{name}/revoke")
async def revoke_token(services: Services, actor: Writes, name: str) -> dict[str, Any]:
    """End a token at once."""
    await services.tokens.revoke(name, actor=actor.name)
    return {"name": name, "revoked": True}
