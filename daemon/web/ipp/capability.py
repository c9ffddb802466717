"""What a queue can do: documents it takes, job template attributes with defaults and supported values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.ipp import build
from daemon.ipp.registry import Operation
from daemon.jobs.queues import HOLD_KEYWORDS
from daemon.web.ipp import ticket_in
from daemon.web.ipp.compression import SUPPORTED as COMPRESSIONS
from daemon.web.ipp.job_attributes import UP_SINCE_US
from daemon.web.ipp.queues import Loaded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.ipp.build import Values
    from daemon.web.ipp.queues import MediaSize, QueueView

OPERATIONS = (
    Operation.PRINT_JOB, Operation.VALIDATE_JOB, Operation.CREATE_JOB, Operation.SEND_DOCUMENT, Operation.CANCEL_JOB,
    Operation.GET_JOB_ATTRIBUTES, Operation.GET_JOBS, Operation.GET_PRINTER_ATTRIBUTES, Operation.HOLD_JOB,
    Operation.RELEASE_JOB, Operation.SET_JOB_ATTRIBUTES, Operation.CANCEL_MY_JOBS, Operation.CLOSE_JOB,
    Operation.IDENTIFY_PRINTER,
)  # fmt: skip
"""PWG 5100.14 section 4.1 requires all of these but Hold-Job, Release-Job and Set-Job-Attributes."""

FORMATS = ("application/octet-stream", "application/pdf", "image/pwg-raster", "image/urf", "image/jpeg")
OPERATION_TIME_OUT_S = 600
"""A Create-Job whose document does not come is dropped after this many seconds (`workflows.submit`)."""
CONFIGURED_AT_US = UP_SINCE_US + 1_000_000
MARGIN = 423
"""4.23 mm, what nearly every device leaves blank, in hundredths of a millimetre."""
DOCUMENT_PASSWORD_BYTES_MAX = 1023
"""PWG 5100.13 wants the attribute with PDF; one that is sent comes back as ignored, and the document as refused."""
PASSWORD_BYTES_MAX = 255
PASSWORD_LENGTH = (4, 255)
K_OCTETS_MAX = 2_097_151
SETTABLE = ("job-hold-until", "job-name", "job-priority", "copies", "print-color-mode", "sides")
URF = ("V1.4", "CP1", "W8", "SRGB24", "RS300-600", "DM1", "IS1", "MT1", "PQ3-4-5")
OUTPUT_TRAY = (
    "type=unRemovableBin;maxcapacity=100;remaining=-2;status=0;"
    "stackingorder=firstToLast;pagedelivery=faceDown;name=auto;"
)
SUPPLIES = ("index=1;class=supplyThatIsConsumed;type=toner;unit=percent;maxcapacity=100;level=-2;colorantname=black;",)
SUPPLY_NAMES = ("Black toner of the printers behind this queue",)
FINISHING_NAMES = {code: name for name, code in ticket_in.TEMPLATES.items()}


def creation_attributes(queue: QueueView) -> tuple[str, ...]:
    """job-creation-attributes-supported."""
    silent = {"job-impressions", "job-k-octets", "job-media-sheets", "job-pages"}
    names = {name for name in ticket_in.READERS if name not in silent}
    if not queue.finishings:
        names.discard("finishings-col")
    return tuple(sorted(names | {"job-name", "job-password", "job-password-encryption"}))


def tray(queue: QueueView, name: str) -> str:
    """One printer-input-tray value (PWG 5100.13 section 5.6.6); its level is not known for the printers behind."""
    size = queue.default_media
    return (
        f"type=sheetFeedAutoRemovableTray;mediafeed={size.height};mediaxfeed={size.width};"
        f"maxcapacity=250;level=-2;status=0;name={name};"
    )


def documents(queue: QueueView) -> dict[str, Values]:
    """What is taken, and how well it prints."""
    return {
        "color-supported": build.boolean(queue.has_color),
        "pages-per-minute": build.integer(queue.pages_per_minute),
        "compression-supported": build.keyword(*COMPRESSIONS),
        "document-format-default": build.mime(FORMATS[0]),
        "document-format-supported": build.mime(*FORMATS),
        "document-format-preferred": build.mime("application/pdf"),
        "document-password-supported": build.integer(DOCUMENT_PASSWORD_BYTES_MAX),
        "pdf-versions-supported": build.keyword("adobe-1.3", "adobe-1.4", "adobe-1.5", "adobe-1.6", "iso-32000-1_2008"),
        "pdl-override-supported": build.keyword("attempted"),
        "pwg-raster-document-resolution-supported": build.resolution(300, 600),
        "pwg-raster-document-sheet-back": build.keyword("normal"),
        "pwg-raster-document-type-supported": build.keyword(
            *(("black_1", "sgray_8", "srgb_8", "srgb_16") if queue.has_color else ("black_1", "sgray_8"))
        ),
        "urf-supported": build.keyword(*URF),
        "job-k-octets-supported": build.range_of((0, K_OCTETS_MAX)),
        "job-impressions-supported": build.range_of((0, 2_147_483_647)),
        "job-password-supported": build.integer(PASSWORD_BYTES_MAX),
        "job-password-length-supported": build.range_of(PASSWORD_LENGTH),
        "job-password-encryption-supported": build.keyword("none", "sha2-256"),
        "job-password-repertoire-configured": build.keyword("iana_us-ascii_digits"),
        "job-password-repertoire-supported": build.keyword("iana_us-ascii_digits", "iana_utf-8_any"),
        "mopria-certified": build.text("1.3"),
        **({"pages-per-minute-color": build.integer(queue.pages_per_minute)} if queue.has_color else {}),
        **({"printer-mandatory-job-attributes": build.keyword("job-account-id")} if queue.needs_account else {}),
    }


def template(queue: QueueView) -> dict[str, Values]:
    """Job template attributes: default and supported values (RFC 8011 section 5.2)."""
    holds = HOLD_KEYWORDS if queue.has_day_parts else ("no-hold", "indefinite")
    return {
        "copies-default": build.integer(1),
        "copies-supported": build.range_of((1, queue.copies_max)),
        "job-account-id-default": build.no_value(),
        "job-account-id-supported": build.boolean(is_true=True),
        "job-accounting-user-id-default": build.no_value(),
        "job-accounting-user-id-supported": build.boolean(is_true=True),
        "job-hold-until-default": build.keyword("indefinite" if queue.is_held else "no-hold"),
        "job-hold-until-supported": build.keyword(*holds),
        "job-priority-default": build.integer(50),
        "job-priority-supported": build.integer(100),
        "job-release-action-default": build.keyword("owner-authorized" if queue.is_held else "none"),
        "job-release-action-supported": build.keyword("none", "job-password", "owner-authorized"),
        "job-sheets-default": build.keyword("none"),
        "job-sheets-supported": build.keyword("none"),
        "multiple-document-handling-default": build.keyword(ticket_in.HANDLING[0]),
        "multiple-document-handling-supported": build.keyword(*ticket_in.HANDLING),
        "number-up-default": build.integer(1),
        "number-up-supported": build.integer(*ticket_in.NUMBER_UP),
        "orientation-requested-default": build.no_value(),
        "orientation-requested-supported": build.enum(*ticket_in.ORIENTATIONS),
        "output-bin-default": build.keyword("auto"),
        "output-bin-supported": build.keyword("auto"),
        "overrides-supported": build.keyword("document-number", "document-numbers", "pages"),  # suites want either
        "page-ranges-supported": build.boolean(is_true=True),
        "print-color-mode-default": build.keyword("auto"),
        "print-color-mode-supported": build.keyword(*ticket_in.supported_color_modes(queue)),
        "print-content-optimize-default": build.keyword("auto"),
        "print-content-optimize-supported": build.keyword("auto"),
        # Not a registered printer attribute: the distribution's ipp-1.1.test looks for the qualities under this name.
        "print-quality": build.enum(*ticket_in.QUALITIES),
        "print-quality-default": build.enum(4),
        "print-quality-supported": build.enum(*ticket_in.QUALITIES),
        "print-rendering-intent-default": build.keyword("auto"),
        "print-rendering-intent-supported": build.keyword("auto"),
        "print-scaling-default": build.keyword("auto"),
        "print-scaling-supported": build.keyword(*ticket_in.SCALINGS),
        "printer-resolution-default": build.resolution(ticket_in.RESOLUTIONS[-1]),
        "printer-resolution-supported": build.resolution(*ticket_in.RESOLUTIONS),
        "sides-default": build.keyword("one-sided"),
        "sides-supported": build.keyword(*ticket_in.supported_sides(queue)),
        **_finishings(queue),
        **_media(queue),
    }


def _finishings(queue: QueueView) -> dict[str, Values]:
    """More than `none` brings the collection's attributes with it (PWG 5100.1-2022)."""
    codes = (3, *queue.finishings)
    found = {"finishings-default": build.enum(3), "finishings-supported": build.enum(*codes)}
    if not queue.finishings:
        return found
    names = tuple(FINISHING_NAMES[code] for code in codes if code in FINISHING_NAMES)
    cols = tuple({"finishing-template": build.keyword(name)} for name in names)
    return found | {
        "finishings-ready": build.enum(*codes),
        "finishing-template-supported": build.keyword(*names),
        "finishings-col-supported": build.keyword("finishing-template"),
        "finishings-col-default": build.collection(cols[0]),
        "finishings-col-ready": build.collection(*cols),
        "finishings-col-database": build.collection(*cols),
    }


def _media(queue: QueueView) -> dict[str, Values]:
    sizes = {size.name: size for size in queue.media}
    margin = build.integer(MARGIN)
    return {
        "media-default": build.keyword(queue.default_media.name),
        "media-supported": build.keyword(*sizes),
        "media-size-supported": build.collection(*(_size(size) for size in queue.media)),
        "media-col-default": build.collection(_loaded(queue, queue.default_media, queue.media_sources[0])),
        "media-col-database": build.collection(*(_col(size) for size in queue.media)),
        "media-col-supported": build.keyword(*ticket_in.MEDIA_COL_MEMBERS),
        "media-bottom-margin-supported": margin,
        "media-left-margin-supported": margin,
        "media-right-margin-supported": margin,
        "media-top-margin-supported": margin,
        "media-source-supported": build.keyword(*queue.media_sources),
        "media-type-supported": build.keyword(*queue.media_types),
    }


def ready_media(queue: QueueView, loaded: Sequence[Loaded] | None) -> dict[str, Values]:
    """What is loaded now: `loaded` by the printer's own word, None for the queue's own assumption (RFC 8011 5.2.11)."""
    if loaded is None:
        sizes = {size.name: size for size in queue.media}
        known = tuple(sizes[name] for name in queue.ready_media if name in sizes) or (queue.default_media,)
        loaded = [Loaded(size) for size in known]
    if not loaded:
        return {"media-ready": build.no_value(), "media-col-ready": build.no_value()}
    trays = [
        paper.source if paper.source in queue.media_sources else _source(queue, i) for i, paper in enumerate(loaded)
    ]
    cols = (_loaded(queue, paper.size, tray) for paper, tray in zip(loaded, trays, strict=True))
    return {
        "media-ready": build.keyword(*dict.fromkeys(paper.size.name for paper in loaded)),
        "media-col-ready": build.collection(*cols),
    }


def _source(queue: QueueView, index: int) -> str:
    """The tray of the index-th loaded size: `auto` is none."""
    trays = queue.media_sources[1:] or queue.media_sources
    return trays[min(index, len(trays) - 1)]


def _size(size: MediaSize) -> dict[str, Values]:
    return {"x-dimension": build.integer(size.width), "y-dimension": build.integer(size.height)}


def _col(size: MediaSize) -> dict[str, Values]:
    margin = build.integer(MARGIN)
    return {
        "media-size": build.collection(_size(size)),
        "media-size-name": build.keyword(size.name),
        "media-bottom-margin": margin,
        "media-left-margin": margin,
        "media-right-margin": margin,
        "media-top-margin": margin,
    }


def _loaded(queue: QueueView, size: MediaSize, source: str) -> dict[str, Values]:
    kind = queue.media_types[1] if len(queue.media_types) > 1 else queue.media_types[0]
    return _col(size) | {"media-source": build.keyword(source), "media-type": build.keyword(kind)}
