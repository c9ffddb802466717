"""What to send to a printer so that a ticket comes true on it: format, changes to the document, attributes. Pure.

Principles:

- A document that needs no change is passed through byte for byte, with the ticket as IPP attributes.
- What decides the price is done in the document, never left to the printer: page-ranges, number-up and grey are applied
  by us and not sent as attributes a second time. Only print-color-mode is also sent, and only as a promise kept.
  (A printer without colour makes grey by itself; there a colour document is simply priced as monochrome.)
- Copies and sides are the printer's work where it can do them; a raster file's headers are made to agree.
- What the owner asked for and the printer cannot do is refused before anything is reserved, every wish by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from daemon.jobs import counting
from daemon.jobs.delivery_format import RESOLUTION_PREFERRED, choose_target
from daemon.jobs.facts import COLOUR_ASSUMED, PAGE_COUNT_DIFFERS, RASTER_FORMATS, DocumentFacts, media_size_um
from daemon.jobs.ticket import ONE_SIDED, Ticket
from daemon.kernel.errors import Refusal

if TYPE_CHECKING:
    from daemon.jobs.abilities import Capabilities

_STAPLE, _PUNCH = 4, 5
_FINISHING_FAMILIES: tuple[tuple[str, str, frozenset[int]], ...] = (
    ("cannot-staple", "this printer cannot staple", frozenset({4, *range(20, 24), *range(28, 36)})),
    ("cannot-punch", "this printer cannot punch holes", frozenset({5, *range(70, 90)})),
    ("cannot-fold", "this printer cannot fold", frozenset({10, *range(90, 104)})),
    ("cannot-stitch", "this printer cannot stitch", frozenset({8, 9, *range(24, 28)})),
    ("cannot-bind", "this printer cannot bind", frozenset({7, *range(50, 54)})),
    ("cannot-trim", "this printer cannot trim", frozenset({11, *range(60, 65)})),
)
"""IPP finishings enums (PWG 5100.1) by what a person calls them."""


@dataclass(frozen=True, slots=True)
class Unmet:
    """One wish the printer cannot fulfil: a stable code, what was wanted, a plain English sentence."""

    code: str
    wanted: str
    message: str


class CannotPrint(Refusal):
    """This printer cannot do what the ticket asks. `code` is the first wish's; `data["reasons"]` lists all of them."""

    code = "cannot-print"

    def __init__(self, reasons: Sequence[Unmet]) -> None:
        self.reasons = tuple(reasons)
        plain = [{"code": r.code, "wanted": r.wanted, "message": r.message} for r in self.reasons]
        super().__init__("; ".join(r.message for r in self.reasons), code=self.reasons[0].code, reasons=plain)


@dataclass(frozen=True, slots=True)
class DeliveryPlan:
    """How one document travels to one printer.

    `ticket` is what is really going to happen (a colour document on a printer without colour is monochrome): price it
    with `counting.count(facts, plan.ticket)`. `pages` are (first, last) pairs, empty for all; `number_up`, `is_grey`
    and `copies` (copies written into the document) are changes to the document. `media_um` is the sheet every page is
    fitted to, None for each page's own size. The raster fields matter for raster output only. `attributes` are the job
    template attributes to send, by IPP name, in plain values (an int for an enum, a dict for a collection).
    """

    ticket: Ticket
    source: str
    format: str
    pages: tuple[tuple[int, int], ...] = ()
    number_up: int = 1
    is_grey: bool = False
    copies: int = 1
    media_um: tuple[int, int] | None = None
    raster_type: str = ""
    resolution: tuple[int, int] = (RESOLUTION_PREFERRED, RESOLUTION_PREFERRED)
    sheet_back: str = "normal"
    is_rewritten: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_pass_through(self) -> bool:
        """True when the printer gets the spooled bytes unchanged."""
        return (
            self.source == self.format
            and not self.pages
            and self.number_up == 1
            and not self.is_grey
            and self.copies == 1
            and not self.is_rewritten
        )


def plan(ticket: Ticket, facts: DocumentFacts, capabilities: Capabilities) -> DeliveryPlan:
    """The way to print `facts` under `ticket` on a printer.

    Raises:
        CannotPrint: the printer cannot do all of it; every unmet wish is named.
    """
    unmet = [*_unmet_finishings(ticket, capabilities), *_unmet_paper(ticket, capabilities)]
    actual = _settled_ticket(ticket, facts, capabilities, unmet)
    target = choose_target(actual, facts, capabilities)
    if target is None:
        wanted = facts.format
        unmet.append(
            Unmet("cannot-format", wanted, "this printer takes none of the formats this document can be sent in")
        )
    if unmet or target is None:
        raise CannotPrint(unmet)
    chosen = counting.selected_pages(facts, actual)
    everything = ((1, facts.page_count),)
    by_printer = capabilities.copies_max >= actual.copies and _can_order(actual, capabilities)
    copies = 1 if by_printer else actual.copies
    draft = DeliveryPlan(
        ticket=actual,
        source=facts.format,
        format=target.format,
        pages=() if chosen == everything else chosen,
        number_up=actual.number_up,
        is_grey=target.needs_grey or (facts.is_color and ticket.is_monochrome),
        copies=copies,
        media_um=media_size_um(counting.ticket_media(actual)),
        raster_type=target.raster_type,
        resolution=target.resolution,
        sheet_back=target.sheet_back,
        attributes=_attributes(actual, capabilities, copies_sent=1 if copies > 1 else actual.copies),
    )
    return replace(draft, is_rewritten=True) if _needs_rewriting(draft, facts) else draft


def _can_order(ticket: Ticket, capabilities: Capabilities) -> bool:
    """True when the printer puts several copies out in the order asked for (collated is every printer's default)."""
    if ticket.copies == 1 or ticket.is_collated:
        return True
    return ticket.multiple_document_handling in capabilities.document_handlings


def _needs_rewriting(draft: DeliveryPlan, facts: DocumentFacts) -> bool:
    """True when the file as it is would not print what is priced.

    A raster file's headers may contradict the plan; of a PDF whose page count is doubtful the printer might find more
    pages than were counted, or fewer.
    """
    if PAGE_COUNT_DIFFERS in facts.flags:
        return True
    if facts.format not in RASTER_FORMATS or draft.format != facts.format:
        return False
    if facts.copies > 1 and facts.copies != draft.attributes.get("copies", 1):
        return True
    wanted = draft.ticket.sides if draft.ticket.is_two_sided else ""
    return facts.sides != wanted or (bool(wanted) and draft.sheet_back != "normal")


# ----- what cannot be done -----


def _unmet_finishings(ticket: Ticket, capabilities: Capabilities) -> list[Unmet]:
    return [
        _finishing_problem(code)
        for code in ticket.finishing_codes
        if _finishing_to_send(code, capabilities.finishings) is None
    ]


def _finishing_problem(code: int) -> Unmet:
    for name, message, family in _FINISHING_FAMILIES:
        if code in family:
            return Unmet(name, str(code), message)
    return Unmet("cannot-finish", str(code), "this printer cannot finish the sheets as asked")


def _finishing_to_send(code: int, supported: Sequence[int]) -> int | None:
    """The enum to send for a wish: itself, or for plain `staple` and `punch` any position the printer has."""
    if code in supported:
        return code
    if code in (_STAPLE, _PUNCH):
        family = next(codes for _, _, codes in _FINISHING_FAMILIES if code in codes)
        return next((other for other in supported if other in family), None)
    return None


def _unmet_paper(ticket: Ticket, capabilities: Capabilities) -> list[Unmet]:
    unmet: list[Unmet] = []
    media = counting.ticket_media(ticket)
    if media and capabilities.media_supported and not _takes(capabilities.media_supported, media):
        unmet.append(Unmet("media-not-supported", media, "this printer does not take this paper size"))
    elif media and capabilities.media_ready and media not in capabilities.media_ready:
        unmet.append(Unmet("media-not-loaded", media, "this paper size is not loaded in the printer"))
    source = ticket.wanted_source
    if source and capabilities.media_sources and source not in capabilities.media_sources:
        unmet.append(Unmet("cannot-tray", source, "this printer does not have the tray asked for"))
    kind = str(ticket.media_col.get("media_type", ""))
    if kind and kind != "auto" and capabilities.media_types and kind not in capabilities.media_types:
        unmet.append(Unmet("cannot-media-type", kind, "this printer does not take this kind of paper"))
    tray = ticket.output_bin
    if tray and tray != "auto" and capabilities.output_bins and tray not in capabilities.output_bins:
        unmet.append(Unmet("cannot-output-bin", tray, "this printer does not have the output tray asked for"))
    return unmet


def _takes(supported: Sequence[str], media: str) -> bool:
    """True when a size is listed, or lies between the printer's custom_min and custom_max."""
    if media in supported:
        return True
    size = media_size_um(media)
    low = next((media_size_um(m) for m in supported if m.startswith(("custom_min", "roll_min"))), None)
    high = next((media_size_um(m) for m in supported if m.startswith(("custom_max", "roll_max"))), None)
    if size is None or low is None or high is None:
        return False
    return low[0] <= size[0] <= high[0] and low[1] <= size[1] <= high[1]


def _settled_ticket(ticket: Ticket, facts: DocumentFacts, capabilities: Capabilities, unmet: list[Unmet]) -> Ticket:
    """The ticket as this printer will carry it out; wishes it cannot keep are added to `unmet`."""
    actual = ticket
    says_color = bool(capabilities.is_color or capabilities.color_modes or capabilities.sides)
    if not ticket.is_monochrome and says_color and not capabilities.is_color:
        is_surely_color = facts.is_color and COLOUR_ASSUMED not in facts.flags
        if ticket.print_color_mode == "color" and is_surely_color:
            unmet.append(Unmet("cannot-color", "color", "this printer cannot print in colour"))
        actual = replace(actual, print_color_mode="monochrome")
    if ticket.is_two_sided and capabilities.sides and ticket.sides not in capabilities.sides:
        per_copy = counting.count(facts, replace(ticket, copies=1))
        if per_copy.duplex_sheets:
            unmet.append(Unmet("cannot-two-sided", ticket.sides, "this printer cannot print on both sides"))
        actual = replace(actual, sides=ONE_SIDED)
    if not counting.ticket_media(ticket) and capabilities.media_ready:
        needed = {run.page.media for run in counting.selected_runs(facts, ticket)}
        if not needed <= set(capabilities.media_ready):
            default = capabilities.media_default
            paper = default if default in capabilities.media_ready else capabilities.media_ready[0]
            actual = replace(actual, media=paper)
    return actual


# ----- what to say -----


def _attributes(ticket: Ticket, capabilities: Capabilities, *, copies_sent: int) -> dict[str, Any]:
    """Job template attributes by IPP name; only what the printer understands, never what is done already."""
    out: dict[str, Any] = {"copies": copies_sent}
    if ticket.sides in capabilities.sides:
        out["sides"] = ticket.sides
    mode = "monochrome" if ticket.is_monochrome else ticket.print_color_mode
    if mode in capabilities.color_modes:
        out["print-color-mode"] = mode
    if ticket.print_quality in capabilities.qualities:
        out["print-quality"] = ticket.print_quality
    finishings = [_finishing_to_send(code, capabilities.finishings) for code in ticket.finishing_codes]
    if finishings:
        out["finishings"] = tuple(code for code in finishings if code is not None)
    if ticket.output_bin and ticket.output_bin in capabilities.output_bins:
        out["output-bin"] = ticket.output_bin
    if copies_sent > 1 and ticket.multiple_document_handling in capabilities.document_handlings:
        out["multiple-document-handling"] = ticket.multiple_document_handling
    if ticket.print_scaling != "auto" and ticket.print_scaling in capabilities.scalings:
        out["print-scaling"] = ticket.print_scaling
    out.update(_paper_attributes(ticket, capabilities))
    return out


def _paper_attributes(ticket: Ticket, capabilities: Capabilities) -> dict[str, Any]:
    """`media-col` where a tray or kind of paper matters and the printer understands it, else `media` (never both)."""
    media = counting.ticket_media(ticket)
    members = set(capabilities.media_col_members)
    special: dict[str, Any] = {}
    if ticket.wanted_source and "media-source" in members:
        special["media-source"] = ticket.wanted_source
    kind = str(ticket.media_col.get("media_type", ""))
    if kind and kind != "auto" and "media-type" in members:
        special["media-type"] = kind
    size = media_size_um(media) if media else None
    if special:
        if size is not None and "media-size" in members:
            special["media-size"] = {"x-dimension": size[0] // 10, "y-dimension": size[1] // 10}
        return {"media-col": special}
    return {"media": media} if media else {}
