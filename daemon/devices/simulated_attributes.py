"""The attributes of a simulated printer: those of an office device, so that clients meet what they will meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from daemon.ipp import build as b
from daemon.ipp.message import Attributes
from daemon.ipp.registry import Finishing, Operation

MARGIN: Final = 423
SIZES: Final = {
    "iso_a4_210x297mm": (21000, 29700),
    "iso_a3_297x420mm": (29700, 42000),
    "iso_a5_148x210mm": (14800, 21000),
    "na_letter_8.5x11in": (21590, 27940),
    "na_legal_8.5x14in": (21590, 35560),
    "na_index-4x6_4x6in": (10160, 15240),
}
OPERATIONS: Final = (
    Operation.PRINT_JOB,
    Operation.VALIDATE_JOB,
    Operation.CREATE_JOB,
    Operation.SEND_DOCUMENT,
    Operation.CANCEL_JOB,
    Operation.GET_JOB_ATTRIBUTES,
    Operation.GET_JOBS,
    Operation.GET_PRINTER_ATTRIBUTES,
    Operation.CANCEL_MY_JOBS,
    Operation.CLOSE_JOB,
    Operation.IDENTIFY_PRINTER,
)
PDF: Final = "application/pdf"
FORMATS: Final = (PDF, "image/pwg-raster", "image/urf", "image/jpeg")
TRAYS: Final = ("main", "alternate")


@dataclass(frozen=True, slots=True)
class Model:
    """What kind of printer it pretends to be."""

    name: str = "Simulated printer"
    is_color: bool = True
    is_duplex: bool = True
    formats: tuple[str, ...] = FORMATS
    finishings: tuple[int, ...] = (Finishing.NONE, Finishing.STAPLE, Finishing.PUNCH, Finishing.STAPLE_TOP_LEFT)
    media: tuple[str, ...] = tuple(SIZES)
    media_ready: tuple[str, ...] = ("iso_a4_210x297mm", "na_letter_8.5x11in")
    media_wait_s: float = 0.0
    """How long a job for paper that is not loaded stands still (media-needed) before somebody loads it; 0: never."""
    has_create_job: bool = True
    copies_max: int = 999
    dpi: int = 300
    location: str = "Simulated"


def _size(name: str) -> dict[str, b.Values]:
    x, y = SIZES[name]
    return {"x-dimension": b.integer(x), "y-dimension": b.integer(y)}


def _media_col(name: str, source: str) -> dict[str, b.Values]:
    margins = {f"media-{side}-margin": b.integer(MARGIN) for side in ("bottom", "left", "right", "top")}
    return {
        "media-size": b.collection(_size(name)),
        "media-size-name": b.keyword(name),
        **margins,
        "media-source": b.keyword(source),
        "media-type": b.keyword("stationery"),
    }


def static_attributes(model: Model, *, uris: list[str], uuid: str) -> Attributes:
    """Everything that does not change while the printer runs."""
    return b.attributes(
        {
            **_identity(model, uris, uuid),
            **_abilities(model),
            **_paper(model),
            **_formats(model),
            **_defaults(model),
        }
    )


def _identity(model: Model, uris: list[str], uuid: str) -> dict[str, b.Values]:
    pdl = ",".join(f.rpartition("/")[2].removeprefix("x-").upper() for f in model.formats)
    return {
        "printer-uri-supported": b.uri(*uris),
        "uri-security-supported": b.keyword(*("tls" if u.startswith("ipps") else "none" for u in uris)),
        "uri-authentication-supported": b.keyword(*("requesting-user-name" for _ in uris)),
        "printer-name": b.name(model.name),
        "printer-info": b.text(model.name),
        "printer-location": b.text(model.location),
        "printer-geo-location": b.unknown(),
        "printer-make-and-model": b.text("Holdfast Simulated Printer"),
        "printer-device-id": b.text(f"MFG:Holdfast;MDL:Simulated Printer;CMD:{pdl};"),
        "printer-dns-sd-name": b.name(model.name),
        "printer-uuid": b.uri(uuid),
        "printer-kind": b.keyword("document"),
        "printer-organization": b.text(""),
        "printer-organizational-unit": b.text(""),
        "printer-firmware-name": b.name("simulated"),
        "printer-firmware-string-version": b.text("1.0"),
        "printer-firmware-version": b.octets(b"\x01\x00"),
        "charset-configured": b.charset("utf-8"),
        "charset-supported": b.charset("us-ascii", "utf-8"),
        "natural-language-configured": b.language("en"),
        "generated-natural-language-supported": b.language("en"),
        "ipp-versions-supported": b.keyword("1.1", "2.0"),
        "ipp-features-supported": b.keyword("ipp-everywhere"),
        "printer-supply": b.octets(
            *(
                f"index={n};class=supplyThatIsConsumed;type=toner;unit=percent;maxcapacity=100;level=80;colorantname={c};"
                for n, c in enumerate(("black", "cyan", "magenta", "yellow") if model.is_color else ("black",), start=1)
            )
        ),
        "printer-supply-description": b.text(
            *(("Black", "Cyan", "Magenta", "Yellow") if model.is_color else ("Black",))
        ),
    }


def _abilities(model: Model) -> dict[str, b.Values]:
    without = () if model.has_create_job else (Operation.CREATE_JOB, Operation.SEND_DOCUMENT)
    sides = ("one-sided", "two-sided-long-edge", "two-sided-short-edge") if model.is_duplex else ("one-sided",)
    modes = ("auto", "color", "monochrome") if model.is_color else ("auto", "monochrome")
    return {
        "operations-supported": b.enum(*(op for op in OPERATIONS if op not in without)),
        "color-supported": b.boolean(model.is_color),
        "print-color-mode-supported": b.keyword(*modes),
        "sides-supported": b.keyword(*sides),
        "copies-supported": b.range_of((1, model.copies_max)),
        "page-ranges-supported": b.boolean(True),
        "number-up-supported": b.integer(1, 2, 4, 6, 9, 16),
        "finishings-supported": b.enum(*model.finishings),
        "finishings-ready": b.enum(*model.finishings),
        "print-quality-supported": b.enum(3, 4, 5),
        "print-scaling-supported": b.keyword("auto", "auto-fit", "fill", "fit", "none"),
        "print-content-optimize-supported": b.keyword("auto"),
        "print-rendering-intent-supported": b.keyword("auto"),
        "orientation-requested-supported": b.enum(3, 4, 5, 6),
        "output-bin-supported": b.keyword("face-down"),
        "multiple-document-handling-supported": b.keyword(
            "separate-documents-collated-copies", "separate-documents-uncollated-copies"
        ),
        "multiple-document-jobs-supported": b.boolean(False),
        "multiple-operation-time-out": b.integer(60),
        "multiple-operation-time-out-action": b.keyword("abort-job"),
        "compression-supported": b.keyword("none", "gzip", "deflate"),
        "which-jobs-supported": b.keyword("completed", "not-completed", "all"),
        "identify-actions-supported": b.keyword("display", "sound"),
        "job-ids-supported": b.boolean(True),
        "job-k-octets-supported": b.range_of((0, 2_097_151)),
        "preferred-attributes-supported": b.boolean(False),
        "pdl-override-supported": b.keyword("attempted"),
        "overrides-supported": b.keyword("document-numbers", "pages"),
        "printer-get-attributes-supported": b.keyword("document-format"),
        "pages-per-minute": b.integer(30),
        "pages-per-minute-color": b.integer(30 if model.is_color else 0),
        "printer-resolution-supported": b.resolution(model.dpi),
        "job-creation-attributes-supported": b.keyword(
            "copies", "finishings", "ipp-attribute-fidelity", "job-name", "media", "media-col",
            "multiple-document-handling", "number-up", "orientation-requested", "output-bin", "page-ranges",
            "print-color-mode", "print-content-optimize", "print-quality", "print-rendering-intent", "print-scaling",
            "printer-resolution", "sides",
        ),
    }  # fmt: skip


def _paper(model: Model) -> dict[str, b.Values]:
    ready = list(zip(model.media_ready, TRAYS, strict=False))
    margins = {f"media-{side}-margin-supported": b.integer(MARGIN) for side in ("bottom", "left", "right", "top")}
    return {
        "media-supported": b.keyword(*model.media),
        "media-ready": b.keyword(*model.media_ready),
        "media-default": b.keyword(model.media_ready[0]),
        "media-size-supported": b.collection(*(_size(name) for name in model.media)),
        "media-col-default": b.collection(_media_col(*ready[0])),
        "media-col-ready": b.collection(*(_media_col(name, source) for name, source in ready)),
        "media-col-supported": b.keyword(
            "media-bottom-margin", "media-left-margin", "media-right-margin", "media-size", "media-size-name",
            "media-source", "media-top-margin", "media-type",
        ),
        "media-source-supported": b.keyword("auto", *TRAYS),
        "media-type-supported": b.keyword("auto", "stationery"),
        **margins,
        "printer-input-tray": b.octets(
            *(
                f"type=sheetFeedAutoRemovableTray;mediafeed=0;mediaxfeed=0;maxcapacity=250;level=-2;status=0;name={name};"
                for name in ("auto", *TRAYS)
            )
        ),
        "printer-output-tray": b.octets(
            "type=unRemovableBin;maxcapacity=100;remaining=-2;status=0;stackingorder=firstToLast;"
            "pagedelivery=faceDown;name=face-down;"
        ),
    }  # fmt: skip


def _formats(model: Model) -> dict[str, b.Values]:
    values = {
        "document-format-supported": b.mime("application/octet-stream", *model.formats),
        "document-format-default": b.mime("application/octet-stream"),
    }
    if "image/pwg-raster" in model.formats:
        types = ("black_1", "sgray_8", "srgb_8") if model.is_color else ("black_1", "sgray_8")
        values["pwg-raster-document-resolution-supported"] = b.resolution(model.dpi)
        values["pwg-raster-document-type-supported"] = b.keyword(*types)
        values["pwg-raster-document-sheet-back"] = b.keyword("normal")
    if "image/urf" in model.formats:
        colors = ("SRGB24",) if model.is_color else ()
        duplex = ("DM1",) if model.is_duplex else ()
        values["urf-supported"] = b.keyword("V1.4", "CP1", "W8", *colors, *duplex, f"RS{model.dpi}", "IS1", "PQ3-4-5")
    return values


def _defaults(model: Model) -> dict[str, b.Values]:
    return {
        "copies-default": b.integer(1),
        "sides-default": b.keyword("one-sided"),
        "print-color-mode-default": b.keyword("auto"),
        "print-quality-default": b.enum(4),
        "print-scaling-default": b.keyword("auto"),
        "print-content-optimize-default": b.keyword("auto"),
        "print-rendering-intent-default": b.keyword("auto"),
        "finishings-default": b.enum(Finishing.NONE),
        "number-up-default": b.integer(1),
        "orientation-requested-default": b.no_value(),
        "output-bin-default": b.keyword("face-down"),
        "multiple-document-handling-default": b.keyword("separate-documents-collated-copies"),
        "identify-actions-default": b.keyword("display"),
        "printer-resolution-default": b.resolution(model.dpi),
    }
