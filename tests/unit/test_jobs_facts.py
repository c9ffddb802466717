"""Facts: run-length pages, paper names, and what a document is by its first bytes."""

from __future__ import annotations

import json

import pytest

from daemon.jobs.facts import DocumentFacts, PageFact, media_name, media_size_um, sniff

A4 = PageFact("iso_a4_210x297mm", is_color=False, width_um=210_000, height_um=297_000)
RED = PageFact("iso_a4_210x297mm", is_color=True, width_um=210_000, height_um=297_000)


def test_equal_neighbours_are_one_run_and_come_back():
    """Ten thousand equal pages are one run in JSON; order and number survive."""
    facts = DocumentFacts.of_pages("application/pdf", [A4] * 10_000 + [RED] + [A4], flags=("repaired",))
    assert len(json.dumps(facts.to_json())) < 300
    again = DocumentFacts.from_json(json.loads(json.dumps(facts.to_json())))
    assert again == facts
    assert (again.page_count, again.color_page_count, again.is_color) == (10_002, 1, True)
    assert again.pages[9_999:] == (A4, RED, A4)


def test_raster_facts_survive():
    """Copies, sides and kinds of a raster file survive JSON."""
    facts = DocumentFacts.of_pages(
        "image/urf", [A4], copies=2, sides="two-sided-long-edge", rasters=("srgb_8@300x300",)
    )
    assert DocumentFacts.from_json(facts.to_json()) == facts


@pytest.mark.parametrize(
    ("size", "name"),
    [
        ((210_000, 297_000), "iso_a4_210x297mm"),
        ((297_000, 210_000), "iso_a4_210x297mm"),
        ((209_903, 297_039), "iso_a4_210x297mm"),
        ((215_900, 279_400), "na_letter_8.5x11in"),
        ((420_000, 297_000), "iso_a3_297x420mm"),
        ((279_400, 431_800), "na_ledger_11x17in"),
        ((100_000, 300_000), "custom_100x300mm_100x300mm"),
        ((100_126, 300_000), "custom_100.13x300mm_100.13x300mm"),
    ],
)
def test_paper_names(size, name):
    """A size has its PWG name in either orientation, within rounding; an unusual one describes itself."""
    assert media_name(*size) == name


def test_paper_names_say_their_size():
    """A self-describing name gives its size back, in millimetres or inches; anything else does not."""
    assert media_size_um("iso_a4_210x297mm") == (210_000, 297_000)
    assert media_size_um("na_letter_8.5x11in") == (215_900, 279_400)
    assert media_size_um("custom_100.13x300mm_100.13x300mm") == (100_130, 300_000)
    assert media_size_um("a4") is None


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"%PDF-1.7\n", "application/pdf"),
        (b"junk before\n%PDF-1.4", "application/pdf"),
        (b"x" * 1024 + b"%PDF-1.4", ""),
        (b"RaS2" + bytes(10), "image/pwg-raster"),
        (b"RaS3" + bytes(10), ""),
        (b"UNIRAST\0" + bytes(4), "image/urf"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"%!PS-Adobe-3.0", ""),
        (b"\x1b%-12345X@PJL", ""),
        (b"", ""),
    ],
)
def test_the_bytes_decide(head, kind):
    """A document is what its first bytes say; what we do not take is nothing."""
    assert sniff(head) == kind
