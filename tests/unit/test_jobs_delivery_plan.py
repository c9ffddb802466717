"""Delivery plans: pass through what can be, do in the document what decides the price, name every wish that cannot be met."""

from __future__ import annotations

import pytest

from daemon.devices.capabilities import Capabilities
from daemon.jobs.counting import count
from daemon.jobs.delivery_plan import CannotPrint, plan
from daemon.jobs.facts import JPEG, PDF, PWG, URF, DocumentFacts, PageFact
from daemon.jobs.ticket import Ticket

A4, A3, LETTER = "iso_a4_210x297mm", "iso_a3_297x420mm", "na_letter_8.5x11in"
TWO = "two-sided-long-edge"
ALL = {
    "formats": (PDF, PWG, URF, JPEG),
    "is_color": True,
    "color_modes": ("auto", "color", "monochrome"),
    "sides": ("one-sided", TWO, "two-sided-short-edge"),
    "copies_max": 99,
    "finishings": (3, 20, 70),
    "media_supported": (A4, A3, LETTER, "custom_min_76x127mm", "custom_max_297x432mm"),
    "media_ready": (A4, A3),
    "media_default": A4,
    "media_sources": ("auto", "tray-1"),
    "media_types": ("stationery",),
    "media_col_members": ("media-size", "media-source", "media-type"),
    "output_bins": ("face-down",),
    "qualities": (3, 4, 5),
    "scalings": ("auto", "fit"),
    "raster_types": ("sgray_8", "srgb_8"),
    "raster_resolutions": ((300, 300), (600, 600)),
    "urf": ("V1.4", "W8", "SRGB24", "RS300-600", "DM3"),
}


def printer(**changes) -> Capabilities:
    return Capabilities(**{**ALL, **changes})


def document(kind: str = PDF, *, is_color: bool = True, pages: int = 2, media: str = A4, **more) -> DocumentFacts:
    return DocumentFacts.of_pages(kind, [PageFact(media, is_color, 210_000, 297_000)] * pages, **more)


def raster(kind: str = PWG, *, rasters: tuple[str, ...] = ("srgb_8@300x300",), **more) -> DocumentFacts:
    return document(kind, rasters=rasters, **more)


def test_nothing_to_change_is_passed_through():
    """A plain job goes as it is, with its wishes as attributes."""
    way = plan(Ticket(copies=3, sides=TWO, print_quality=5), document(), printer())
    assert way.is_pass_through
    assert way.format == PDF
    assert way.attributes == {"copies": 3, "sides": TWO, "print-color-mode": "auto", "print-quality": 5}


@pytest.mark.parametrize(
    ("ticket", "name", "value"),
    [
        (Ticket(page_ranges=((1, 1),)), "pages", ((1, 1),)),
        (Ticket(number_up=2), "number_up", 2),
        (Ticket(print_color_mode="monochrome"), "is_grey", True),
    ],
)
def test_what_decides_the_price_is_done_in_the_document(ticket, name, value):
    """Ranges, number-up and grey change the document and are not asked of the printer again."""
    way = plan(ticket, document(), printer())
    assert not way.is_pass_through
    assert getattr(way, name) == value
    assert {"page-ranges", "number-up"}.isdisjoint(way.attributes)


def test_grey_pages_need_no_change_to_be_grey():
    """A monochrome ticket for a grey document is passed through, and said to the printer."""
    way = plan(Ticket(print_color_mode="monochrome"), document(is_color=False), printer())
    assert way.is_pass_through
    assert way.attributes["print-color-mode"] == "monochrome"


def test_copies_are_written_where_the_printer_makes_none():
    """Too many copies for the printer, or an order it does not know, are written into the document."""
    way = plan(Ticket(copies=3), document(), printer(copies_max=1))
    assert (way.copies, way.attributes["copies"]) == (3, 1)
    sheetwise = Ticket(copies=3, multiple_document_handling="separate-documents-uncollated-copies")
    assert plan(sheetwise, document(), printer()).copies == 3
    way = plan(sheetwise, document(), printer(document_handlings=(sheetwise.multiple_document_handling,)))
    assert way.copies == 1
    assert way.attributes["multiple-document-handling"] == sheetwise.multiple_document_handling


UNMET = [
    (Ticket(finishings=(4,)), {"finishings": (3,)}, "cannot-staple"),
    (Ticket(finishings=(28,)), {}, "cannot-staple"),
    (Ticket(finishings=(5,)), {"finishings": (3,)}, "cannot-punch"),
    (Ticket(finishings=(74,)), {}, "cannot-punch"),
    (Ticket(finishings=(10,)), {}, "cannot-fold"),
    (Ticket(finishings=(8,)), {}, "cannot-stitch"),
    (Ticket(finishings=(50,)), {}, "cannot-bind"),
    (Ticket(finishings=(60,)), {}, "cannot-trim"),
    (Ticket(finishings=(16,)), {}, "cannot-finish"),
    (Ticket(sides=TWO), {"sides": ("one-sided",)}, "cannot-two-sided"),
    (Ticket(print_color_mode="color"), {"is_color": False}, "cannot-color"),
    (Ticket(media=LETTER), {}, "media-not-loaded"),
    (Ticket(media="iso_a2_420x594mm"), {}, "media-not-supported"),
    (Ticket(media_source="tray-9"), {}, "cannot-tray"),
    (Ticket(media_col={"media_type": "transparency"}), {}, "cannot-media-type"),
    (Ticket(output_bin="stacker-1"), {}, "cannot-output-bin"),
    (Ticket(), {"formats": ("application/postscript",)}, "cannot-format"),
]


@pytest.mark.parametrize(("ticket", "changes", "code"), UNMET)
def test_unmet_wishes_are_named(ticket, changes, code):
    """Each wish a printer cannot keep has its own code and sentence."""
    with pytest.raises(CannotPrint) as caught:
        plan(ticket, document(), printer(**changes))
    assert caught.value.code == code
    assert [r["code"] for r in caught.value.data["reasons"]] == [code]
    assert caught.value.message


def test_all_unmet_wishes_are_named_at_once():
    """Several impossible wishes are told together."""
    ticket = Ticket(finishings=(4, 5), media=LETTER, sides=TWO)
    with pytest.raises(CannotPrint) as caught:
        plan(ticket, document(), printer(finishings=(3,), sides=("one-sided",)))
    codes = {r.code for r in caught.value.reasons}
    assert codes == {"cannot-staple", "cannot-punch", "media-not-loaded", "cannot-two-sided"}


def test_a_wish_that_does_not_matter_is_no_problem():
    """Two-sided for one page, colour for grey pages: nothing is refused, and the ticket says what will happen."""
    way = plan(Ticket(sides=TWO), document(pages=1), printer(sides=("one-sided",)))
    assert way.ticket.sides == "one-sided"
    way = plan(Ticket(print_color_mode="color"), document(is_color=False), printer(is_color=False))
    assert way.ticket.is_monochrome


def test_a_printer_without_colour_prints_grey_at_the_grey_price():
    """A colour document with no colour asked for is monochrome there, unchanged on the way."""
    way = plan(Ticket(), document(), printer(is_color=False))
    assert way.is_pass_through
    assert count(document(), way.ticket).color_impressions == 0


def test_a_printer_that_says_nothing_is_trusted():
    """Where nothing is known of a printer (a raw port) nothing is refused and nothing promised."""
    way = plan(Ticket(sides=TWO, media=A4), document(), Capabilities())
    assert way.is_pass_through
    assert not way.ticket.is_monochrome


def test_generic_finishings_become_the_printers_own():
    """Plain staple and punch take whatever position the printer has."""
    way = plan(Ticket(finishings=(4, 5)), document(), printer())
    assert way.attributes["finishings"] == (20, 70)


def test_paper_that_is_not_loaded_and_not_asked_for_is_replaced():
    """A document on foreign paper goes on the printer's own, and is counted on it."""
    way = plan(Ticket(), document(media=LETTER), printer())
    assert way.attributes["media"] == A4
    assert [m.media for m in count(document(media=LETTER), way.ticket).by_media] == [A4]
    assert "media" not in plan(Ticket(), document(media=A3), printer()).attributes


def test_custom_paper_between_the_limits_is_taken():
    """A size between the printer's custom sizes is supported; beyond them it is not."""
    small, large = "custom_100x200mm_100x200mm", "custom_500x900mm_500x900mm"
    assert plan(Ticket(media=small), document(), printer(media_ready=())).attributes["media"] == small
    with pytest.raises(CannotPrint):
        plan(Ticket(media=large), document(), printer(media_ready=()))


def test_tray_and_type_go_as_media_col():
    """A tray or a kind of paper is asked for by media-col, with the size in it and no media beside it."""
    col = {"media_size": {"x_dimension": 21000, "y_dimension": 29700}, "media_type": "stationery"}
    way = plan(Ticket(media_col=col, media_source="tray-1"), document(), printer())
    assert way.attributes["media-col"] == {
        "media-source": "tray-1",
        "media-type": "stationery",
        "media-size": {"x-dimension": 21000, "y-dimension": 29700},
    }
    assert "media" not in way.attributes


@pytest.mark.parametrize(
    ("facts", "formats", "ticket", "expected"),
    [
        (document(), (PWG,), Ticket(), (PWG, "srgb_8", (300, 300))),
        (document(is_color=False), (PWG,), Ticket(), (PWG, "sgray_8", (300, 300))),
        (document(), (PWG,), Ticket(print_quality=5), (PWG, "srgb_8", (600, 600))),
        (document(), (PWG,), Ticket(resolution=(600, 600)), (PWG, "srgb_8", (600, 600))),
        (document(), (URF,), Ticket(print_color_mode="monochrome"), (URF, "sgray_8", (300, 300))),
        (document(JPEG), (PDF,), Ticket(), (PDF, "", (300, 300))),
        (document(JPEG), (PDF, JPEG), Ticket(), (JPEG, "", (300, 300))),
        (document(JPEG), (PDF, JPEG), Ticket(number_up=2), (PDF, "", (300, 300))),
        (raster(URF), (PWG,), Ticket(), (PWG, "srgb_8", (300, 300))),
        (raster(PWG, rasters=("srgb_8@600x600",)), (URF,), Ticket(), (URF, "srgb_8", (600, 600))),
        (raster(PWG), (PDF,), Ticket(), (PDF, "", (300, 300))),
        (raster(PWG, rasters=("srgb_8@150x150",)), (PWG,), Ticket(), (PWG, "srgb_8", (300, 300))),
    ],
)
def test_formats(facts, formats, ticket, expected):
    """Own format first, then PDF, then raster at a kind and resolution the printer has."""
    way = plan(ticket, facts, printer(formats=formats))
    assert (way.format, way.raster_type, way.resolution) == expected


def test_raster_headers_are_made_to_agree():
    """A raster file is passed through when its headers agree with the ticket, and rewritten when they do not."""
    two = raster(sides=TWO)
    assert plan(Ticket(), raster(), printer()).is_pass_through
    assert plan(Ticket(sides=TWO), two, printer()).is_pass_through
    assert not plan(Ticket(), two, printer()).is_pass_through
    assert not plan(Ticket(sides=TWO), raster(), printer()).is_pass_through
    assert not plan(Ticket(), raster(copies=5), printer()).is_pass_through
    assert plan(Ticket(copies=5), raster(copies=5), printer()).is_pass_through
    assert not plan(Ticket(sides=TWO), two, printer(raster_sheet_back="rotated")).is_pass_through
    assert plan(Ticket(sides=TWO), two, printer(raster_sheet_back="rotated")).sheet_back == "rotated"


def test_rgb_pages_without_colour_for_a_grey_only_printer():
    """A printer that takes grey raster only gets grey raster, also where the colours were grey already."""
    way = plan(Ticket(), raster(is_color=False), printer(formats=(PWG,), raster_types=("sgray_8",)))
    assert way.is_grey
    assert not way.is_pass_through


def test_a_doubtful_page_count_is_written_anew():
    """A PDF whose readers disagree is rewritten, so that the printer finds the pages that were counted."""
    way = plan(Ticket(), document(flags=("page-count-differs",)), printer())
    assert way.is_rewritten
    assert not way.is_pass_through
