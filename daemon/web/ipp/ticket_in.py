"""Job template attributes of a request -> a ticket, and what of them the queue does not support.

RFC 8011 section 4.1.7: an attribute nobody here knows comes back with the value `unsupported`, a known one with the
values that are not supported. Whether that refuses the job is for `ipp-attribute-fidelity` to say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from daemon.ipp import build
from daemon.ipp.message import Attribute, Attributes, Group, Localized, Range, Resolution
from daemon.ipp.registry import allowed_tags
from daemon.jobs.queues import HOLD_KEYWORDS
from daemon.jobs.ticket import LONG_EDGE, ONE_SIDED, SHORT_EDGE, Ticket
from daemon.web.ipp.queues import MediaSize, QueueView

SIZE_TOLERANCE = 100
"""Hundredths of a millimetre by which a client's paper size may miss ours."""
MARGIN_MAX = 10_000
RANGES_MAX = 1000
OUT_OF_BAND = range(0x10, 0x20)
COLOR_MODES = ("auto", "color", "monochrome")
NUMBER_UP = (1, 2, 4, 6, 9, 16)
QUALITIES = (3, 4, 5)
ORIENTATIONS = (3, 4, 5, 6)
RESOLUTIONS = (300, 600)
SCALINGS = ("auto", "auto-fit", "fill", "fit", "none")
HANDLING = ("separate-documents-collated-copies", "separate-documents-uncollated-copies")
FINISHING_NONE = 3
TEMPLATES = {"none": 3, "staple": 4, "punch": 5}
"""finishing-template of a finishings-col -> the enum (PWG 5100.1)."""
MEDIA_COL_MEMBERS = (
    "media-bottom-margin", "media-left-margin", "media-right-margin", "media-size", "media-size-name",
    "media-source", "media-top-margin", "media-type",
)  # fmt: skip


class NotSupported(Exception):
    """The value is not supported."""


@dataclass(slots=True)
class TicketIn:
    """A ticket read from a request; `unsupported` goes into the answer's unsupported group."""

    ticket: Ticket
    unsupported: Attributes = field(default_factory=dict)
    hold_until: str = "no-hold"
    priority: int = 50
    account_ref: str = ""
    accounting_name: str = ""


def read_ticket(wanted: Group, queue: QueueView) -> TicketIn:
    """The ticket the attributes ask for; what is not supported keeps its default."""
    fields: dict[str, Any] = {}
    unsupported: Attributes = {}
    for attribute in wanted:
        reader = READERS.get(attribute.name)
        if reader is None:
            unsupported[attribute.name] = Attribute(attribute.name, build.unsupported())
            continue
        try:
            tags = allowed_tags(attribute.name)
            if tags is not None and any(value.tag not in tags for value in attribute.values):
                raise NotSupported
            fields.update(reader(attribute, queue))
        except (NotSupported, ValueError, TypeError):
            unsupported[attribute.name] = attribute
    extra = {
        key: fields.pop(key) for key in ("hold_until", "priority", "account_ref", "accounting_name") if key in fields
    }
    return TicketIn(ticket=Ticket(**fields), unsupported=unsupported, **extra)


def wrongly_typed(wanted: Group) -> Attributes:
    """Attributes a job can be created with whose values have a tag their registered syntax does not know.

    Out-of-band values (RFC 8010 section 3.5.2: 0x10 to 0x1F) are no mistake of type; they are merely not supported.
    """
    found: Attributes = {}
    for attribute in wanted:
        tags = allowed_tags(attribute.name) if attribute.name in READERS else None
        if tags is not None and any(v.tag not in tags and v.tag not in OUT_OF_BAND for v in attribute.values):
            found[attribute.name] = attribute
    return found


Reader = Callable[[Attribute, QueueView], dict[str, Any]]


def _one(attribute: Attribute) -> Any:
    if len(attribute.values) != 1:
        raise NotSupported
    value = attribute.values[0].value
    return value.text if isinstance(value, Localized) else value


def _word(target: str, allowed: tuple[str, ...]) -> Reader:
    def read(attribute: Attribute, _queue: QueueView) -> dict[str, Any]:
        word = _one(attribute)
        if word not in allowed:
            raise NotSupported
        return {target: word} if target else {}

    return read


def _number(target: str, allowed: tuple[int, ...]) -> Reader:
    def read(attribute: Attribute, _queue: QueueView) -> dict[str, Any]:
        number = _one(attribute)
        if number not in allowed:
            raise NotSupported
        return {target: number}

    return read


def _copies(attribute: Attribute, queue: QueueView) -> dict[str, Any]:
    copies = _one(attribute)
    if not 1 <= copies <= queue.copies_max:
        raise NotSupported
    return {"copies": copies}


def _sides(attribute: Attribute, queue: QueueView) -> dict[str, Any]:
    sides = _one(attribute)
    if sides not in supported_sides(queue):
        raise NotSupported
    return {"sides": sides}


def supported_sides(queue: QueueView) -> tuple[str, ...]:
    """sides-supported."""
    return (ONE_SIDED, LONG_EDGE, SHORT_EDGE) if queue.has_duplex else (ONE_SIDED,)


def supported_color_modes(queue: QueueView) -> tuple[str, ...]:
    """print-color-mode-supported."""
    return COLOR_MODES if queue.has_color else ("auto", "monochrome")


def _color_mode(attribute: Attribute, queue: QueueView) -> dict[str, Any]:
    mode = _one(attribute)
    if mode not in supported_color_modes(queue):
        raise NotSupported
    return {"print_color_mode": mode}


def _media(attribute: Attribute, queue: QueueView) -> dict[str, Any]:
    name = _one(attribute)
    if name in queue.media_sources and name != "auto":
        return {"media_source": name}
    if all(size.name != name for size in queue.media):
        raise NotSupported
    return {"media": name}


def _media_col(attribute: Attribute, queue: QueueView) -> dict[str, Any]:
    members = _one(attribute)
    found: dict[str, Any] = {}
    fields: dict[str, Any] = {"media_col": found}
    for member in members.values():
        if member.name not in MEDIA_COL_MEMBERS:
            raise NotSupported
        value = _one(member)
        if member.name == "media-size":
            size = match_size(queue, value["x-dimension"].first, value["y-dimension"].first)
            found["media_size"] = {"x_dimension": size.width, "y_dimension": size.height}
            fields["media"] = size.name
            continue
        allowed = {"media-source": queue.media_sources, "media-type": queue.media_types,
                   "media-size-name": tuple(size.name for size in queue.media)}.get(member.name)  # fmt: skip
        if (allowed is not None and value not in allowed) or (allowed is None and not 0 <= value <= MARGIN_MAX):
            raise NotSupported
        found[member.name.replace("-", "_")] = value
        if member.name == "media-size-name":
            fields.setdefault("media", value)
        if member.name == "media-source" and value != "auto":
            fields["media_source"] = value
    return fields


def match_size(queue: QueueView, width: Any, height: Any) -> MediaSize:
    """The queue's size within SIZE_TOLERANCE of the given one.

    Raises:
        NotSupported: none is.
    """
    if not isinstance(width, int) or not isinstance(height, int):
        raise NotSupported
    for size in queue.media:
        if abs(size.width - width) <= SIZE_TOLERANCE and abs(size.height - height) <= SIZE_TOLERANCE:
            return size
    raise NotSupported


def _page_ranges(attribute: Attribute, _queue: QueueView) -> dict[str, Any]:
    """RFC 8011 section 5.2.7: ascending, not overlapping."""
    ranges = [value.value for value in attribute.values]
    last = 0
    if len(ranges) > RANGES_MAX:
        raise NotSupported
    for one in ranges:
        if not isinstance(one, Range) or one.lower <= last or one.upper < one.lower:
            raise NotSupported
        last = one.upper
    return {"page_ranges": tuple((one.lower, one.upper) for one in ranges)}


def _finishings(attribute: Attribute, queue: QueueView) -> dict[str, Any]:
    codes = tuple(dict.fromkeys(value.value for value in attribute.values))
    if any(code != FINISHING_NONE and code not in queue.finishings for code in codes):
        raise NotSupported
    return {"finishings": tuple(code for code in codes if code != FINISHING_NONE) or (FINISHING_NONE,)}


def _finishings_col(attribute: Attribute, queue: QueueView) -> dict[str, Any]:
    """Each collection names a template (PWG 5100.1 section 5.2); other members would need a finisher's details."""
    codes = []
    for value in attribute.values:
        if set(value.value) != {"finishing-template"}:
            raise NotSupported
        code = TEMPLATES.get(_one(value.value["finishing-template"]), 0)
        if code != FINISHING_NONE and code not in queue.finishings:
            raise NotSupported
        codes.append(code)
    return {"finishings": tuple(code for code in dict.fromkeys(codes) if code != FINISHING_NONE) or (FINISHING_NONE,)}


def _resolution(attribute: Attribute, _queue: QueueView) -> dict[str, Any]:
    value = _one(attribute)
    if not isinstance(value, Resolution) or value.units != 3 or value.x != value.y or value.x not in RESOLUTIONS:
        raise NotSupported
    return {"resolution": (value.x, value.y)}


def _priority(attribute: Attribute, _queue: QueueView) -> dict[str, Any]:
    number = _one(attribute)
    if not 1 <= number <= 100:
        raise NotSupported
    return {"priority": number}


def _text(target: str) -> Reader:
    def read(attribute: Attribute, _queue: QueueView) -> dict[str, Any]:
        return {target: str(_one(attribute))}

    return read


def _anything(_attribute: Attribute, _queue: QueueView) -> dict[str, Any]:
    """Told to us, of no consequence."""
    return {}


READERS: dict[str, Reader] = {
    "copies": _copies,
    "sides": _sides,
    "print-color-mode": _color_mode,
    "media": _media,
    "media-col": _media_col,
    "page-ranges": _page_ranges,
    "number-up": _number("number_up", NUMBER_UP),
    "finishings": _finishings,
    "finishings-col": _finishings_col,
    "output-bin": _word("output_bin", ("auto",)),
    "print-quality": _number("print_quality", QUALITIES),
    "orientation-requested": _number("orientation", ORIENTATIONS),
    "printer-resolution": _resolution,
    "multiple-document-handling": _word("multiple_document_handling", HANDLING),
    "print-scaling": _word("print_scaling", SCALINGS),
    "print-content-optimize": _word("", ("auto",)),
    "print-rendering-intent": _word("", ("auto",)),
    "job-sheets": _word("", ("none",)),
    "job-hold-until": _word("hold_until", HOLD_KEYWORDS),
    "job-priority": _priority,
    "job-account-id": _text("account_ref"),
    "job-accounting-user-id": _text("accounting_name"),
    "job-release-action": _word("", ("none", "job-password", "owner-authorized")),
    "job-impressions": _anything,
    "job-k-octets": _anything,
    "job-media-sheets": _anything,
    "job-pages": _anything,
    "ipp-attribute-fidelity": _anything,
}
"""Every attribute a job may be created with, and how it is read."""
