"""/api/v1/accounts and /api/v1/ledger: what people have, and whether the books are right."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from daemon.auth import permissions as p
from daemon.auth.permissions import Actor
from daemon.web.api.access import PAGE_DEFAULT, After, IdempotencyKey, Limit, Services, needs, position

router = APIRouter(prefix="/accounts", tags=["accounts"])
ledger_router = APIRouter(prefix="/ledger", tags=["ledger"])

Reads = Annotated[Actor, Depends(needs(p.ACCOUNTS_READ))]
Adjusts = Annotated[Actor, Depends(needs(p.ACCOUNTS_ADJUST))]
ReadsBooks = Annotated[Actor, Depends(needs(p.LEDGER_READ))]


class Adjustment(BaseModel):
    """`amount` in whole units as decimal text: `50`, `2.50`, `-3`."""

    model_config = ConfigDict(extra="forbid")

    unit: str = Field(max_length=16)
    amount: str = Field(max_length=40)
    reason: str = Field(min_length=1, max_length=500)
    pot: str = Field("", max_length=64)


class Override(BaseModel):
    """`to`: what is to be available, in whole units as decimal text: `50`, `2.50`, `0`."""

    model_config = ConfigDict(extra="forbid")

    unit: str = Field(max_length=16)
    to: str = Field(max_length=40)
    reason: str = Field(min_length=1, max_length=500)
    pot: str = Field("", max_length=64)


@router.get("/{user}")
async def show_account(services: Services, _actor: Reads, user: str) -> dict[str, Any]:
    """A person's pots."""
    return await services.accounts.show(await services.people.find(user))


@router.post("/{user}/adjust")
async def adjust_account(
    services: Services, actor: Adjusts, user: str, change: Adjustment, key: IdempotencyKey
) -> dict[str, Any]:
    """Add to a pot, or take from it. The same key changes once; with another amount it is a conflict."""
    person = await services.people.find(user)
    return await services.accounts.adjust(
        person,
        unit_code=change.unit,
        amount=change.amount,
        pot=change.pot,
        reason=change.reason,
        key=key,
        actor=actor.name,
    )


@router.post("/{user}/override")
async def override_account(
    services: Services, actor: Adjusts, user: str, change: Override, key: IdempotencyKey
) -> dict[str, Any]:
    """Set what is available in a pot, whatever is there; reserved money is untouched. The same key changes once."""
    person = await services.people.find(user)
    return await services.accounts.override(
        person,
        unit_code=change.unit,
        to=change.to,
        pot=change.pot,
        reason=change.reason,
        key=key,
        actor=actor.name,
    )


@router.get("/{user}/statement")
async def show_statement(
    services: Services, _actor: Reads, user: str, limit: Limit = PAGE_DEFAULT, after: After = ""
) -> dict[str, Any]:
    """Every movement, oldest first."""
    person = await services.people.find(user)
    items, following = await services.accounts.statement(person, after=position(after), limit=limit)
    return {"items": items, "next": str(following) if following else None}


@ledger_router.get("/verify")
async def verify_ledger(services: Services, _actor: ReadsBooks) -> dict[str, Any]:
    """Rebuild every balance from the transfers and check the chain; differences are named."""
    return await services.accounts.verify()
