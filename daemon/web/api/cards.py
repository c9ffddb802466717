"""/api/v1/cards: enrolled cards. Numbers go in and never come out."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from daemon.auth import permissions as p
from daemon.auth.permissions import Actor
from daemon.kernel.errors import BadInput
from daemon.web.api.access import PAGE_DEFAULT, After, Limit, Services, needs, position
from daemon.web.api.services import ApiServices
from daemon.workflows.card_enrolment import CardDraft, Linked
from daemon.workflows.card_import import ROWS_MAX, ImportRow
from daemon.workflows.card_survey import TEXT_BYTES_MAX

router = APIRouter(prefix="/cards", tags=["cards"])
of_user_router = APIRouter(prefix="/users", tags=["cards"])

Reads = Annotated[Actor, Depends(needs(p.CARDS_READ))]
Writes = Annotated[Actor, Depends(needs(p.CARDS_WRITE))]
Blocks = Annotated[Actor, Depends(needs(p.CARDS_BLOCK))]

RAW_CHARS_MAX = 65_536
"""Taken this far so that a too long read is refused as what it is: no card."""


class _Card(BaseModel):
    """A card as typed; `format` names a card format, empty means the site's default."""

    model_config = ConfigDict(extra="forbid")

    format: str = Field("", max_length=64)
    label: str = Field("", max_length=256)
    expires: str = Field("", max_length=64, description="A day, an RFC 3339 time or a span (+8h); empty: no end.")


class NewCard(_Card):
    """A card to add: `raw` as the reader gives it, or `tapped_at`: the unknown card tapped last at that terminal."""

    user: str = Field(max_length=256)
    raw: str = Field("", max_length=RAW_CHARS_MAX, repr=False)
    tapped_at: str = Field("", max_length=128)


class CardChange(BaseModel):
    """What to change; an empty `expires` means that the card does not end."""

    model_config = ConfigDict(extra="forbid")

    label: str | None = Field(None, max_length=256)
    expires: str | None = Field(None, max_length=64)


class Row(_Card):
    """A row of a file."""

    line: int = Field(0, ge=0)
    user: str = Field(max_length=256)
    raw: str = Field(max_length=RAW_CHARS_MAX, repr=False)


class Rows(BaseModel):
    """Rows to try, or with `apply` to write."""

    model_config = ConfigDict(extra="forbid")

    rows: list[Row] = Field(max_length=ROWS_MAX)
    apply: bool = False


class Trial(BaseModel):
    """What to try instead of the format called `format`: another by name (`to`), or the `text` of a file."""

    model_config = ConfigDict(extra="forbid")

    format: str = Field("", max_length=64)
    to: str = Field("", max_length=64)
    text: str = Field("", max_length=TEXT_BYTES_MAX)
    file: str = Field("format.toml", max_length=256)


class Reformat(BaseModel):
    """From which format to which."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    source: str = Field(alias="from", max_length=64)
    to: str = Field(max_length=64)


def _linked(services: ApiServices, linked: Linked) -> dict[str, Any]:
    desk = services.cards.desk
    counted = {"cards": linked.cards, "cards_max": linked.cards_max, "new": linked.is_new}
    return {**desk.shape(linked.card), **counted, "notice": desk.notice(linked.card)}


@router.get("")
async def list_cards(
    services: Services, _actor: Reads, limit: Limit = PAGE_DEFAULT, after: After = "", user: str = ""
) -> dict[str, Any]:
    """Cards in the order they were added, of everybody or of one person (by id or network name)."""
    desk = services.cards.desk
    found = await desk.page(user=user[:256], after_id=position(after), limit=limit)
    return {
        "items": [desk.shape(card) for card in found],
        "next": str(found[-1].id) if len(found) == limit else None,
    }


@router.post("", status_code=201)
async def add_card(services: Services, actor: Writes, new: NewCard) -> dict[str, Any]:
    """Give somebody a card. The person's own card again changes nothing and answers the same card, `new` false."""
    enrolment = services.cards.enrolment
    if bool(new.raw) == bool(new.tapped_at):
        raise BadInput("either raw or tapped_at")
    expires_at_us = enrolment.expiry(new.expires)
    if new.tapped_at:
        linked = await enrolment.give_stranger(
            new.user, new.tapped_at, label=new.label, expires_at_us=expires_at_us, actor=actor
        )
    else:
        draft = CardDraft(new.raw, new.format, new.label, expires_at_us)
        linked = await enrolment.add(new.user, draft, actor=actor)
    return _linked(services, linked)


@router.get("/unknown")
async def unknown_cards(services: Services, _actor: Reads) -> dict[str, Any]:
    """Unknown cards tapped in the last minutes, newest first: where and when; `tapped_at` gives one to somebody."""
    return {"items": services.cards.enrolment.strangers(), "next": None}


@router.post("/import")
async def import_cards(services: Services, actor: Writes, given: Rows) -> dict[str, Any]:
    """Try rows, or write those that are fine. Every row is answered by its line."""
    rows = [
        ImportRow(line=row.line, user=row.user, raw=row.raw, format=row.format, label=row.label, expires=row.expires)
        for row in given.rows
    ]
    return await services.cards.importer.run(rows, apply=given.apply, actor=actor)


@router.get("/check")
async def check_cards(services: Services, _actor: Reads) -> dict[str, Any]:
    """Cards that are easily taken for each other."""
    return await services.cards.survey.check()


@router.post("/dry-run")
async def try_format(services: Services, _actor: Reads, trial: Trial) -> dict[str, Any]:
    """What a changed card format would do to the cards enrolled by it. Nothing is changed."""
    if bool(trial.to) == bool(trial.text):
        raise BadInput("either to or text")
    return await services.cards.survey.dry_run(trial.format, text=trial.text, file=trial.file, to=trial.to)


@router.post("/reformat")
async def reformat_cards(services: Services, actor: Writes, given: Reformat) -> dict[str, Any]:
    """Cards of one format are known by another from now on; those that cannot move are named."""
    return await services.cards.keys.reformat(given.source, given.to, actor=actor)


@router.post("/rekey")
async def rekey_cards(services: Services, actor: Writes) -> dict[str, Any]:
    """A new key for stored card numbers; nobody enrols anything again."""
    return await services.cards.keys.rekey(actor=actor)


@router.get("/{card}")
async def show_card(services: Services, _actor: Reads, card: str) -> dict[str, Any]:
    """One card, by id."""
    return await services.cards.desk.show(card)


@router.patch("/{card}")
async def change_card(services: Services, actor: Writes, card: str, change: CardChange) -> dict[str, Any]:
    """Another label or end; what is left out stays."""
    desk = services.cards.desk
    return desk.shape(await desk.describe(card, label=change.label, expires=change.expires, actor=actor))


@router.post("/{card}/block")
async def block_card(services: Services, actor: Blocks, card: str) -> dict[str, Any]:
    """Lost: it opens nothing any more, everywhere and at once. Repeating it changes nothing."""
    desk = services.cards.desk
    return desk.shape(await desk.block(card, actor=actor))


@router.post("/{card}/unblock")
async def unblock_card(services: Services, actor: Writes, card: str) -> dict[str, Any]:
    """Found: it works again. Repeating it changes nothing."""
    desk = services.cards.desk
    return desk.shape(await desk.unblock(card, actor=actor))


@router.delete("/{card}")
async def remove_card(services: Services, actor: Writes, card: str) -> dict[str, Any]:
    """Forget a card; it can be linked anew, by anybody."""
    desk = services.cards.desk
    return {**desk.shape(await desk.remove(card, actor=actor)), "state": "removed"}


@of_user_router.get("/{user}/cards")
async def cards_of_user(services: Services, _actor: Reads, user: str) -> dict[str, Any]:
    """All cards of one person, blocked and expired ones too."""
    desk = services.cards.desk
    return {"items": [desk.shape(card) for card in await desk.page(user=user)], "next": None}
