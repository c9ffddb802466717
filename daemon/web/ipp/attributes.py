"""What a queue says about itself: the printer attributes of IPP Everywhere and of what clients need besides.

Everything that does not change with time is made and encoded once per queue and address; the live part is spliced in.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from daemon.ipp import build
from daemon.ipp.codec import encode_attributes
from daemon.ipp.message import Attributes, Group
from daemon.ipp.registry import GroupTag
from daemon.web.ipp import capability
from daemon.web.ipp.job_attributes import up_time_s
from daemon.web.ipp.pages import ICON_SIZES
from daemon.web.ipp.queues import QueueView, Rule

if TYPE_CHECKING:
    from collections.abc import Collection

    from daemon.ipp.build import Values
    from daemon.web.ipp.addresses import Base
    from daemon.web.ipp.backend import QueueStatus

CACHED_MAX = 128
ONLY_BY_NAME = frozenset({"media-col-database"})
"""Left out of `all` and of every group (PWG 5100.7: it is long, and clients ask for it when they want it)."""

LIVE_TEMPLATE = frozenset({"media-ready", "media-col-ready"})
"""Job template attributes that change with time."""


@dataclass(frozen=True, slots=True)
class Static:
    """The unchanging attributes, the template group's names, and everything but ONLY_BY_NAME encoded."""

    attributes: Attributes
    template: frozenset[str]
    encoded: bytes


def printer_group(
    queue: QueueView,
    base: Base,
    status: QueueStatus,
    *,
    now_us: int,
    requested: Collection[str],
    identity_key: str = "",
) -> Group:
    """The printer group of an answer, with what `requested` names: attributes, groups, or nothing for all."""
    static = _static(queue, base, identity_key)
    live = build.attributes(_live(queue, status, now_us=now_us))
    names = set(requested) or {"all"}
    if "all" in names and not names & ONLY_BY_NAME:
        return Group(GroupTag.PRINTER, live, static.encoded)
    chosen: Attributes = {}
    for name, attribute in (live | static.attributes).items():
        is_template = name in static.template or name in LIVE_TEMPLATE
        in_group = ("job-template" in names) if is_template else ("printer-description" in names)
        if name in names or (name not in ONLY_BY_NAME and ("all" in names or in_group)):
            chosen[name] = attribute
    return Group(GroupTag.PRINTER, chosen)


def _live(queue: QueueView, status: QueueStatus, *, now_us: int) -> dict[str, Values]:
    return {
        "printer-state": build.enum(status.state),
        "printer-state-reasons": build.keyword(*(status.reasons or ("none",))),
        "printer-state-message": build.text(status.message),
        "printer-state-change-time": build.integer(up_time_s(status.changed_at_us or now_us)),
        "printer-state-change-date-time": build.date_time(status.changed_at_us or now_us),
        "printer-is-accepting-jobs": build.boolean(queue.is_accepting and status.is_accepting),
        "queued-job-count": build.integer(status.queued_jobs),
        "printer-up-time": build.integer(up_time_s(now_us)),
        "printer-current-time": build.date_time(now_us),
        **capability.ready_media(queue, status.loaded),
    }


@lru_cache(maxsize=CACHED_MAX)
def _static(queue: QueueView, base: Base, identity_key: str) -> Static:
    template = capability.template(queue)
    values = _protocol(queue) | _description(queue, base, identity_key) | capability.documents(queue) | template
    attributes = build.attributes(values)
    usual = [attribute for name, attribute in attributes.items() if name not in ONLY_BY_NAME]
    return Static(attributes, frozenset(template), encode_attributes(usual))


def printer_uuid(queue: QueueView, identity_key: str) -> str:
    """The queue's UUID; a personal address has one of its own, for clients that keep printers apart by it."""
    if not identity_key:
        return queue.uuid
    return uuid.uuid5(uuid.UUID(queue.uuid.removeprefix("urn:uuid:")), identity_key).urn


def uris(queue: QueueView, base: Base) -> tuple[tuple[str, str, str], ...]:
    """(address, authentication, security) for each way in; an authenticated queue is offered over TLS only."""
    asks = "basic" if queue.rule is Rule.AUTHENTICATED else "requesting-user-name"
    ways = []
    if base.ports.ipps:
        ways.append((base.printer_uri("ipps"), asks, "tls"))
    if base.ports.ipp and (queue.rule is not Rule.AUTHENTICATED or not base.ports.ipps):
        ways.append((base.printer_uri("ipp"), asks, "none"))
    return tuple(ways)


def _protocol(queue: QueueView) -> dict[str, Values]:
    """What is spoken (RFC 8011 section 5.4, PWG 5100.13, 5100.14)."""
    return {
        "charset-configured": build.charset("utf-8"),
        "charset-supported": build.charset("us-ascii", "utf-8"),
        "natural-language-configured": build.language("en"),
        "generated-natural-language-supported": build.language("en"),
        "ipp-versions-supported": build.keyword("1.0", "1.1", "2.0"),
        "ipp-features-supported": build.keyword("ipp-everywhere"),
        "operations-supported": build.enum(*capability.OPERATIONS),
        "printer-get-attributes-supported": build.keyword("document-format"),
        "which-jobs-supported": build.keyword("completed", "not-completed", "all"),
        "job-ids-supported": build.boolean(is_true=True),
        "multiple-document-jobs-supported": build.boolean(is_true=False),
        "multiple-operation-time-out": build.integer(capability.OPERATION_TIME_OUT_S),
        "multiple-operation-time-out-action": build.keyword("abort-job"),
        "preferred-attributes-supported": build.boolean(is_true=False),
        "job-creation-attributes-supported": build.keyword(*capability.creation_attributes(queue)),
        "job-settable-attributes-supported": build.keyword(*capability.SETTABLE),
        "job-privacy-attributes": build.keyword("all"),
        "job-privacy-scope": build.keyword("owner"),
        "identify-actions-default": build.keyword("display"),
        "identify-actions-supported": build.keyword("display"),
    }  # fmt: skip


def _description(queue: QueueView, base: Base, identity_key: str) -> dict[str, Values]:
    """Who and where it is."""
    ways = uris(queue, base)
    device_id = f"MFG:Holdfast;MDL:{queue.make_and_model};CMD:PDF,PWG,URF,JPEG;"
    return {
        "printer-uri-supported": build.uri(*(way[0] for way in ways)),
        "uri-authentication-supported": build.keyword(*(way[1] for way in ways)),
        "uri-security-supported": build.keyword(*(way[2] for way in ways)),
        "printer-name": build.name(queue.name),
        "printer-info": build.text(queue.title),
        "printer-location": build.text(queue.location),
        "printer-make-and-model": build.text(queue.make_and_model),
        "printer-organization": build.text(queue.organization),
        "printer-organizational-unit": build.text(""),
        "printer-geo-location": build.unknown(),
        "printer-uuid": build.uri(printer_uuid(queue, identity_key)),
        "printer-device-id": build.text(device_id),
        "printer-dns-sd-name": build.name(queue.title),
        "printer-kind": build.keyword("document"),
        "printer-more-info": build.uri(base.page("")),
        "printer-supply-info-uri": build.uri(base.page("supplies")),
        "printer-icons": build.uri(*(base.page(f"icon-{size}.png") for size in ICON_SIZES)),
        "printer-strings-uri": build.uri(base.page("strings/en.strings")),
        "printer-strings-languages-supported": build.language("en"),
        "printer-config-change-time": build.integer(1),
        "printer-config-change-date-time": build.date_time(capability.CONFIGURED_AT_US),
        "printer-firmware-name": build.name("holdfast"),
        "printer-firmware-string-version": build.text(queue.firmware_version),
        "printer-firmware-version": build.octets(queue.firmware_version),
        "printer-input-tray": build.octets(*(capability.tray(queue, name) for name in queue.media_sources)),
        "printer-output-tray": build.octets(capability.OUTPUT_TRAY),
        "printer-supply": build.octets(*capability.SUPPLIES),
        "printer-supply-description": build.text(*capability.SUPPLY_NAMES),
    }
