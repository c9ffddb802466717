"""Signing in at a terminal, linking the card just tapped, and what somebody wishes for their taps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.auth.identity import PasswordNeeded, Rights, StepUpNeeded
from daemon.auth.tickets import TICKET_CHARS_MAX
from daemon.kernel.clock import rfc3339
from daemon.web.terminal.answers import ok
from daemon.web.terminal.fields import CODE_CHARS_MAX, ID_CHARS_MAX
from daemon.wire.messages import BODY_BYTES_MAX

if TYPE_CHECKING:
    from starlette.responses import Response

    from daemon.auth.identity import SignedIn
    from daemon.web.terminal.door import Call

RAW_CHARS_MAX = BODY_BYTES_MAX
"""Any read is taken this far, so that a too long one is refused and counted as what it is: no card."""
PIN_CHARS_MAX = 32


async def open_session(call: Call) -> Response:
    """POST session: PIN and password, a card, the password after a card, or a code by mail; while it is open."""
    call.services.hours.check(call.terminal)
    fields, sign_in = call.fields, call.services.sign_in
    signed_in: SignedIn | PasswordNeeded
    reader = ""
    if "ticket" in fields:
        ticket, secret = fields.text("ticket", most=TICKET_CHARS_MAX), fields.text("password")
        reader = fields.text("reader", most=ID_CHARS_MAX, needed=False)
        fields.done()
        signed_in = await sign_in.by_ticket(ticket, secret, terminal=call.terminal)
    elif "raw" in fields:
        raw = fields.text("raw", most=RAW_CHARS_MAX)
        reader = fields.text("reader", most=ID_CHARS_MAX, needed=False)
        fields.done()
        signed_in = await sign_in.by_card(raw, terminal=call.terminal, reader=reader)
    elif "code" in fields:
        pin, secret = fields.text("pin", most=PIN_CHARS_MAX), fields.text("code", most=CODE_CHARS_MAX)
        fields.done()
        signed_in = await sign_in.by_code(pin, secret, terminal=call.terminal)
    else:
        pin, secret = fields.text("pin", most=PIN_CHARS_MAX), fields.text("password")
        fields.done()
        signed_in = await sign_in.by_pin(pin, secret, terminal=call.terminal)
    if isinstance(signed_in, PasswordNeeded):
        return ok({"password_needed": True, "ticket": signed_in.ticket})
    return ok(await _session(call, signed_in, reader))


async def step_up(call: Call) -> Response:
    """POST step-up: the password in a card's session; the session in the answer takes its place."""
    fields = call.fields
    secret = fields.text("password")
    fields.done()
    signed_in = await call.services.sign_in.step_up(call.signed_in, secret, terminal=call.terminal)
    return ok(await _session(call, signed_in, ""))


async def _session(call: Call, signed_in: SignedIn, reader: str) -> dict[str, Any]:
    subject, session, services = signed_in.subject, signed_in.session, call.services
    rules = services.sign_in.cards.rules
    rights = rules.rights(session.method)
    cap = await services.backend.cost_cap(session)
    answer: dict[str, Any] = {
        "session": signed_in.token,
        "user": {
            "user_id": subject.public_id,
            "name": subject.name,
            "display_name": subject.display_name or subject.name,
            "language": subject.language,
        },
        "method": session.method,
        "expires_at": rfc3339(session.expires_at_us),
        "idle_s": services.screen.idle_s,
        "may": {
            "release": rights.release,
            "delete": rights.delete,
            "change": rights.change,
            "claim": rights.claim,
            "link": rights.link,
            "titles": rights.titles,
            "prefer": rights.prefer,
        },
        "prefers": {"release_on_tap": rules.releases_on_tap("card", wish=subject.release_on_tap)},
        "release_on_tap": rules.releases_on_tap(session.method, wish=subject.release_on_tap),
        "cost_cap": cap.to_json() if cap is not None else None,
        "password_needed": False,
    }
    printer_id = await services.backend.printer_of_reader(call.terminal, reader) if reader else ""
    return answer | ({"printer_id": printer_id} if printer_id else {})


async def ask_code(call: Call) -> Response:
    """POST code: mail a code to whoever has this PIN, if they may have one. The answer is always the same."""
    call.services.hours.check(call.terminal)
    fields = call.fields
    pin = fields.text("pin", most=PIN_CHARS_MAX)
    fields.done()
    until = await call.services.sign_in.codes.ask(pin, terminal=call.terminal)
    return ok({"expires_at": rfc3339(until)})


async def link(call: Call) -> Response:
    """POST link: the unknown card of a tap before, for whoever signed in with a password since."""
    fields = call.fields
    ticket = fields.text("ticket", most=TICKET_CHARS_MAX)
    label = fields.text("label", needed=False)
    fields.done()
    linked = await call.services.cards.link(call.signed_in, call.terminal, ticket=ticket, label=label)
    return ok(
        {
            "card_id": linked.card.public_id,
            "label": linked.card.label,
            "cards": linked.cards,
            "cards_max": linked.cards_max,
        }
    )


async def preferences(call: Call) -> Response:
    """POST preferences: whether a tap begins to print everything that waits."""
    fields = call.fields
    wish = fields.flag("release_on_tap")
    fields.done()
    needs(call, "prefer")
    person = await call.services.people.find(call.signed_in.person_public_id)
    await call.services.people.wish(person, release_on_tap=wish, actor=f"user:{person.public_id}")
    return ok({"release_on_tap": wish})


def needs(call: Call, right: str) -> None:
    """Go on only if this kind of session may.

    Raises:
        StepUpNeeded: a card alone may not; the password opens it.
    """
    rights: Rights = call.services.sign_in.cards.rules.rights(call.signed_in.method)
    if not getattr(rights, right):
        raise StepUpNeeded("Sign in with your password for this.")
