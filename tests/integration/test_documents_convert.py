"""Delivery: what leaves is looked at again. Same pages, same order, truly grey, right headers, bounded memory."""

from __future__ import annotations

import io
import resource
import struct

import numpy as np
import pikepdf
import pypdfium2
import pytest
import pytest_asyncio
from PIL import Image

from daemon.devices.capabilities import Capabilities
from daemon.jobs.analysis import Analyser, DocumentRefused, Workshop, WorkshopLimits
from daemon.jobs.convert import Converter
from daemon.jobs.counting import count
from daemon.jobs.delivery_plan import plan
from daemon.jobs.documents import raster_read
from daemon.jobs.facts import JPEG, PDF, PWG, URF
from daemon.jobs.ticket import Ticket
from tests.helpers import documents

pytestmark = pytest.mark.asyncio(loop_scope="module")
TWO, SHORT = "two-sided-long-edge", "two-sided-short-edge"
SHEETWISE = "separate-documents-uncollated-copies"


def printer(*formats: str, **changes) -> Capabilities:
    given = {
        "formats": formats,
        "is_color": True,
        "color_modes": ("auto", "color", "monochrome"),
        "sides": ("one-sided", TWO, SHORT),
        "copies_max": 99,
        "raster_types": ("black_1", "sgray_8", "srgb_8"),
        "raster_resolutions": ((100, 100), (300, 300)),
        "urf": ("W8", "SRGB24", "RS100", "DM1"),
        "qualities": (3, 4, 5),
    }
    return Capabilities(**{**given, **changes})


DRAFT = {"print_quality": 3}
"""Draft takes the 100 dpi of these printers: quick to draw."""


def reading(data: bytes):
    async def read():
        for at in range(0, len(data), 1 << 18):
            yield data[at : at + (1 << 18)]

    return read


class House:
    """A workshop with both its users."""

    def __init__(self) -> None:
        self.workshop = Workshop(WorkshopLimits(cpu_s=30, wall_s=60.0))
        self.analyser = Analyser(self.workshop)
        self.converter = Converter(self.workshop)

    async def facts(self, data: bytes):
        return await self.analyser.analyse(reading(data))

    async def deliver(self, data: bytes, ticket: Ticket, able: Capabilities):
        facts = await self.facts(data)
        way = plan(ticket, facts, able)
        out = b"".join([piece async for piece in self.converter.prepare(reading(data), plan=way, facts=facts)])
        return way, facts, out


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house():
    made = House()
    yield made
    await made.analyser.close()


def marks(data: bytes) -> list[int]:
    """The number of marks down the left edge of each page: which page of `documents.numbered` it is (0: blank)."""
    found = []
    for page in pypdfium2.PdfDocument(data):
        column = np.asarray(page.render(scale=1, grayscale=True).to_pil())[:, 45] < 200
        found.append(int(np.count_nonzero(column[1:] & ~column[:-1])))
    return found


def raster_marks(data: bytes) -> list[int]:
    """The same for raster pages."""
    found = []
    for page in raster_read.index(data):
        rows = np.concatenate(list(raster_read.bands(data, page, is_grey=True)))
        column = rows[:, round(page.header.width * 45 / 595)] < 200
        found.append(int(np.count_nonzero(column[1:] & ~column[:-1])))
    return found


async def test_pass_through_is_byte_for_byte(house):
    """Nothing to change, nothing changed."""
    data = documents.numbered(3)
    way, _, out = await house.deliver(data, Ticket(copies=2, sides=TWO), printer(PDF))
    assert way.is_pass_through
    assert out == data


async def test_a_page_subset_stays_text(house):
    """Ranges pick the right pages, in order, and the text of the others is gone from the file."""
    data = documents.pdf(*(documents.text(f"secret{n}") for n in range(1, 6)))
    _, facts, out = await house.deliver(data, Ticket(page_ranges=((4, 5), (2, 2))), printer(PDF))
    got = pypdfium2.PdfDocument(out)
    words = [page.get_textpage().get_text_range().split()[1] for page in got]
    assert words == ["secret2", "secret4", "secret5"]
    plain = io.BytesIO()
    pikepdf.open(io.BytesIO(out)).save(plain, compress_streams=False, stream_decode_level=pikepdf.StreamDecodeLevel.all)
    assert b"secret1" not in plain.getvalue()
    assert count(facts, Ticket(page_ranges=((4, 5), (2, 2)))).impressions == 3


async def test_grey_is_grey_in_the_file_itself(house):
    """A monochrome ticket leaves no colour for the printer to find, as PDF and as raster; the picture is the same."""
    data = documents.numbered(3, color_pages=(1, 3))
    for able in (printer(PDF), printer(PWG), printer(URF)):
        _, _, out = await house.deliver(data, Ticket(print_color_mode="monochrome", **DRAFT), able)
        facts = await house.facts(out)
        assert (facts.page_count, facts.is_color) == (3, False)
        assert (marks(out) if facts.format == PDF else raster_marks(out)) == [1, 2, 3]


@pytest.mark.parametrize(("per_side", "sides", "size"), [(2, 3, (842, 595)), (4, 2, (595, 842)), (6, 1, (842, 595))])
async def test_number_up(house, per_side, sides, size):
    """Five pages on sides of n, in reading order, as large as they go; text stays text."""
    data = documents.pdf(*(documents.text(f"page{n}") for n in range(1, 6)))
    _, facts, out = await house.deliver(data, Ticket(number_up=per_side), printer(PDF))
    got = pypdfium2.PdfDocument(out)
    assert len(got) == sides == count(facts, Ticket(number_up=per_side)).impressions
    assert tuple(round(side) for side in got[0].get_size()) == size
    text = got[0].get_textpage()
    places = {}
    for number in range(1, min(per_side, 5) + 1):
        found = text.search(f"page{number}").get_next()
        left, _, _, top = text.get_charbox(found[0])
        places[number] = (round(left), round(-top))
    in_reading_order = sorted(places, key=lambda n: (round(places[n][1] / 100), places[n][0]))
    assert in_reading_order == sorted(places)


async def test_number_up_groups_by_paper(house):
    """Pages of another size begin a new side, exactly as they were counted."""
    data = documents.pdf(
        *({"size": s, "content": documents.text("x")} for s in (documents.A4, documents.A3, documents.A3))
    )
    _, facts, out = await house.deliver(data, Ticket(number_up=2), printer(PDF))
    assert len(pypdfium2.PdfDocument(out)) == count(facts, Ticket(number_up=2)).impressions == 2


@pytest.mark.parametrize(
    ("ticket", "order"),
    [
        (Ticket(copies=2), [1, 2, 3, 1, 2, 3]),
        (Ticket(copies=2, sides=TWO), [1, 2, 3, 0, 1, 2, 3]),
        (Ticket(copies=2, multiple_document_handling=SHEETWISE), [1, 1, 2, 2, 3, 3]),
        (Ticket(copies=2, sides=TWO, multiple_document_handling=SHEETWISE), [1, 2, 1, 2, 3, 0, 3]),
        (Ticket(copies=2, page_ranges=((2, 3),)), [2, 3, 2, 3]),
    ],
)
async def test_copies_in_the_document(house, ticket, order):
    """Where the printer makes no copies they are in the file, each beginning a new sheet, in the order asked for."""
    data = documents.numbered(3, color_pages=(2,))
    way, _, out = await house.deliver(data, ticket, printer(PDF, copies_max=1))
    assert way.attributes["copies"] == 1
    assert marks(out) == order
    drafted = Ticket.from_json({**ticket.to_json(), **DRAFT})
    _, _, out = await house.deliver(data, drafted, printer(PWG, copies_max=1))
    assert raster_marks(out) == order
    grey = Ticket.from_json({**drafted.to_json(), "print_color_mode": "monochrome"})
    _, _, out = await house.deliver(data, grey, printer(PDF, copies_max=1))
    assert marks(out) == order


@pytest.mark.parametrize(("kind", "space", "bits"), [("srgb_8", 19, 24), ("sgray_8", 18, 8), ("black_1", 3, 1)])
async def test_pwg_headers(house, kind, space, bits):
    """PWG raster as PWG 5102.4 wants it: sync word, PwgRaster, sizes, sides, copies, the true total."""
    data = documents.numbered(2, color_pages=(1,))
    ticket = Ticket(sides=SHORT, copies=3, **DRAFT)
    _, _, out = await house.deliver(data, ticket, printer(PWG, raster_types=(kind,)))
    pages = raster_read.index(out)
    assert out[:4] == b"RaS2"
    assert len(pages) == 2
    for page in pages:
        raw = page.header.raw

        def field(at: int, raw: bytes = raw) -> int:
            return struct.unpack_from(">I", raw, at)[0]

        assert raw[:10] == b"PwgRaster\0"
        assert raw[1732:].rstrip(b"\0") == b"iso_a4_210x297mm"
        assert (field(272), field(368), field(276), field(280)) == (1, 1, 100, 100)
        assert (field(340), field(352), field(356), field(452)) == (3, 595, 842, 2)
        assert (field(372), field(376)) == (827, 1169)
        assert (field(388), field(392), field(400)) == (bits, (827 * bits + 7) // 8, space)
        assert struct.unpack_from(">ii", raw, 456) == (1, 1)
    assert raster_marks(out) == [1, 2]


async def test_urf_headers(house):
    """Apple raster: the page count, bits, space, duplex code and resolution."""
    data = documents.numbered(2, color_pages=(1,))
    _, _, out = await house.deliver(data, Ticket(sides=TWO, **DRAFT), printer(URF))
    assert out[:12] == b"UNIRAST\0\0\0\0\2"
    assert out[12:16] == bytes((24, 1, 3, 3))
    assert struct.unpack_from(">III", out, 24) == (827, 1169, 100)
    assert raster_marks(out) == [1, 2]


async def test_backs_are_turned_as_the_printer_wants(house):
    """Rotated, flipped and tumbled backs: the pixels and the header's transforms, for drawn and for packed pages."""
    front_left = documents.pdf(*[b"0 g 30 760 60 40 re f"] * 2)
    corners = {"normal": (0, 0), "rotated": (1, 1), "flipped": (1, 0)}
    for back, corner in corners.items():
        able = printer(PWG, raster_sheet_back=back, raster_resolutions=((50, 50),))
        _, _, drawn = await house.deliver(front_left, Ticket(sides=TWO, **DRAFT), able)
        packed = documents.pwg(False, False, dpi=50, width=413, height=585, duplex=True)
        _, _, kept = await house.deliver(packed, Ticket(sides=TWO, **DRAFT), able)
        for out in (drawn, kept):
            for number, page in enumerate(raster_read.index(out)):
                rows = np.concatenate(list(raster_read.bands(out, page, is_grey=True)))
                dark = np.argwhere(rows < 100).mean(axis=0) / rows.shape
                expected = corner if number == 1 else (0, 0)
                assert tuple(int(at > 0.5) for at in dark) == expected, (back, number)


async def test_landscape_pages_are_turned_onto_the_paper(house):
    """Paper lies portrait in its tray: a landscape page is turned, whole, and nothing is cut."""
    data = documents.pdf({"size": (842, 595), "content": b"0 g 0 0 842 10 re f 0 585 842 10 re f"})
    _, _, out = await house.deliver(data, Ticket(**DRAFT), printer(PWG))
    (page,) = raster_read.index(out)
    assert page.header.width < page.header.height
    rows = np.concatenate(list(raster_read.bands(out, page, is_grey=True)))
    assert (rows[:, 2] < 100).mean() > 0.9
    assert (rows[:, -3] < 100).mean() > 0.9


async def test_another_paper_is_filled_without_cutting(house):
    """A3 on A4 shrinks to fit; print-scaling none keeps the size and cuts."""
    data = documents.pdf({"size": documents.A3, "content": b"0 g 0 0 842 20 re f 0 1171 842 20 re f"})
    for scaling, is_whole in (("auto", True), ("none", False)):
        ticket = Ticket(media="iso_a4_210x297mm", print_scaling=scaling, **DRAFT)
        _, facts, out = await house.deliver(data, ticket, printer(PWG))
        (page,) = raster_read.index(out)
        assert (page.header.width, page.header.height) == (827, 1169)
        rows = np.concatenate(list(raster_read.bands(out, page, is_grey=True)))
        assert bool((rows[5] < 100).mean() > 0.9) is is_whole
        assert [m.media for m in count(facts, ticket).by_media] == ["iso_a4_210x297mm"]


async def test_raster_stays_packed_and_exact(house):
    """Choosing pages, sides and copies of a raster file touches headers only; grey becomes grey dot by dot."""
    data = documents.pwg(True, False, True, dpi=100, copies=5)
    ticket = Ticket(page_ranges=((1, 2),), sides=TWO, copies=2, **DRAFT)
    _, _, out = await house.deliver(data, ticket, printer(PWG))
    old, new = raster_read.index(data), raster_read.index(out)
    assert [out[p.start : p.end] for p in new] == [data[p.start : p.end] for p in old[:2]]
    assert {(p.header.copies, p.header.sides) for p in new} == {(2, TWO)}
    _, _, out = await house.deliver(data, Ticket(print_color_mode="monochrome", **DRAFT), printer(PWG))
    for before, after in zip(old, raster_read.index(out), strict=True):
        assert after.header.kind == "sgray_8"
        grey = [np.concatenate(list(raster_read.bands(d, p, is_grey=True))) for d, p in ((data, before), (out, after))]
        assert np.array_equal(*grey)


@pytest.mark.parametrize(("made", "target"), [(documents.pwg, URF), (documents.urf, PWG)])
async def test_one_raster_becomes_the_other(house, made, target):
    """PWG to Apple raster and back without drawing: every dot stays where it was."""
    data = made(True, False, dpi=100)
    _, _, out = await house.deliver(data, Ticket(**DRAFT), printer(target))
    for before, after in zip(raster_read.index(data), raster_read.index(out), strict=True):
        dots = [np.concatenate(list(raster_read.bands(d, p, is_grey=False))) for d, p in ((data, before), (out, after))]
        assert np.array_equal(*dots)


@pytest.mark.parametrize("made", [documents.pwg, documents.urf])
async def test_raster_to_pdf(house, made):
    """A printer that takes PDF only gets the raster pages as pictures, in colour and size."""
    _, _, out = await house.deliver(made(True, False, True), Ticket(), printer(PDF))
    facts = await house.facts(out)
    assert [p.is_color for p in facts.pages] == [True, False, True]
    assert {p.media for p in facts.pages} == {"iso_a4_210x297mm"}


async def test_pictures(house):
    """A JPEG goes as it is, in grey, on a PDF page (the very same bytes inside) or as raster."""
    data = documents.jpeg()
    way, _, out = await house.deliver(data, Ticket(copies=2), printer(JPEG, PDF))
    assert way.is_pass_through
    _, _, out = await house.deliver(data, Ticket(print_color_mode="monochrome"), printer(JPEG))
    assert Image.open(io.BytesIO(out)).mode == "L"
    _, _, out = await house.deliver(data, Ticket(), printer(PDF))
    assert data in out
    assert [p.is_color for p in (await house.facts(out)).pages] == [True]
    _, _, out = await house.deliver(documents.jpeg(mode="CMYK"), Ticket(**DRAFT), printer(PWG))
    assert (await house.facts(out)).is_color


async def test_a_lying_document_is_delivered_as_counted(house):
    """The three pages behind a /Count of one are three pages in the file that leaves."""
    _, facts, out = await house.deliver(documents.lying_count(1), Ticket(), printer(PDF))
    assert facts.page_count == len(pypdfium2.PdfDocument(out)) == 3


async def test_what_cannot_be_converted_is_refused_before_a_byte(house):
    """A document that breaks in conversion gives no byte to the printer."""
    facts = await house.facts(documents.numbered(2))
    way = plan(Ticket(**DRAFT), facts, printer(PWG))
    got = []

    async def take() -> None:
        async for piece in house.converter.prepare(reading(b"%PDF-1.7 broken"), plan=way, facts=facts):
            got.append(piece)  # noqa: PERF401 -- what came before the error counts

    with pytest.raises(DocumentRefused):
        await take()
    assert got == []


async def test_a_long_document_streams_in_bounded_memory(house):
    """Two dozen pages at 300 dpi leave piece by piece; neither this process nor the worker grows with them."""
    data = documents.numbered(24, color_pages=(1,))
    facts = await house.facts(data)
    way = plan(Ticket(), facts, printer(PWG))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pieces, octets = 0, 0
    async for piece in house.converter.prepare(reading(data), plan=way, facts=facts):
        pieces, octets = pieces + 1, octets + len(piece)
    assert pieces > 24
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
    assert octets > 0


@pytest.mark.parametrize("made", [lambda: documents.numbered(2), documents.jpeg, lambda: documents.pwg(True)])
async def test_previews(house, made):
    """A preview is a PNG of at most 400 pixels with something on it."""
    png = await house.converter.preview(reading(made()))
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    assert max(image.size) <= 400
    assert np.asarray(image.convert("L")).min() < 200
