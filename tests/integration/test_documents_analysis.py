"""Knowing real documents: pages, colour, paper, and what is refused."""

from __future__ import annotations

import io
import os

import pikepdf
import pytest
import pytest_asyncio

from daemon.jobs.analysis import Analyser, AnalysisOptions, DocumentRefused, Workshop, WorkshopLimits
from daemon.jobs.facts import JPEG, PDF, PWG, URF
from tests.helpers import documents

A4 = "iso_a4_210x297mm"


def reading(data: bytes):
    async def read():
        yield data

    return read


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def analyser():
    made = Analyser(Workshop(WorkshopLimits(cpu_s=10, wall_s=20.0)))
    yield made
    await made.close()


async def test_pages_paper_and_colour_of_a_pdf(analyser):
    """Five pages of three sizes, rotated ones too; the two coloured ones are found."""
    data = documents.pdf(
        {"content": documents.text("one")},
        {"content": documents.text("two", documents.RED)},
        {"content": documents.text("three"), "size": documents.A3},
        {"content": documents.text("four"), "size": documents.LETTER, "rotate": 90},
        {"content": documents.text("five", b"0 0 1 rg"), "size": (842, 595)},
    )
    facts = await analyser.analyse(reading(data), format=PDF)
    assert [p.media for p in facts.pages] == [A4, A4, "iso_a3_297x420mm", "na_letter_8.5x11in", A4]
    assert [p.is_color for p in facts.pages] == [False, True, False, False, True]
    assert facts.pages[3].width_um > facts.pages[3].height_um
    assert facts.flags == ()


@pytest.mark.parametrize(
    ("content", "is_color"),
    [
        (b"", False),
        (b"0 0 0 rg 0 0 100 100 re f", False),
        (b"0 0 0 1 k 0 0 100 100 re f", False),
        (b"0.5 0.5 0.5 rg 0 0 100 100 re f", False),
        (b"1 0 0 rg 0 0 100 100 re f 1 g 0 0 200 200 re f", False),
        (b"1 0 0 RG 0.3 w 10 10 m 500 10 l S", True),
        (b"1 0 0 rg 100 100 2 2 re f", True),
        (b"1 0 0 0 k 0 0 100 100 re f", True),
        (b"0.9 0.88 0.9 rg 0 0 100 100 re f", False),
        (b"0.9 0.7 0.9 rg 0 0 100 100 re f", True),
    ],
)
async def test_what_colour_is(analyser, content, is_color):
    """Black by any recipe is black, covered colour is not seen, a hairline or a dot of colour is."""
    facts = await analyser.analyse(reading(documents.pdf(content)))
    assert facts.is_color is is_color


async def test_tolerance_is_a_setting():
    """A yellowish scan is grey to a tolerant site and colour to a strict one."""
    page = reading(documents.pdf(b"0.95 0.95 0.9 rg 0 0 300 300 re f"))
    for tolerance, is_color in ((8, True), (16, False)):
        analyser = Analyser(Workshop(), AnalysisOptions(color_tolerance=tolerance))
        assert (await analyser.analyse(page)).is_color is is_color
        await analyser.close()


async def test_hidden_layers_and_form_fields(analyser):
    """A layer that is off does not count; a coloured form field does."""
    document = pikepdf.open(io.BytesIO(documents.pdf(documents.text("x"))))
    page = document.pages[0]
    look = document.make_stream(b"1 0 0 rg 0 0 100 30 re f", Type=pikepdf.Name.XObject, Subtype=pikepdf.Name.Form)
    look.BBox = pikepdf.Array([0, 0, 100, 30])
    field = document.make_indirect(
        pikepdf.Dictionary(
            Type=pikepdf.Name.Annot,
            Subtype=pikepdf.Name.Widget,
            FT=pikepdf.Name.Tx,
            T="field",
            F=4,
            Rect=pikepdf.Array([100, 300, 200, 330]),
            AP=pikepdf.Dictionary(N=look),
            V="",
        )  # fmt: skip
    )
    page.obj.Annots = pikepdf.Array([field])
    document.Root.AcroForm = pikepdf.Dictionary(Fields=pikepdf.Array([field]))
    out = io.BytesIO()
    document.save(out)
    assert (await analyser.analyse(reading(out.getvalue()))).is_color


async def test_pictures_on_pages(analyser):
    """Pictures on pages: a colour one makes the page colour, a grey one does not."""
    for mode, is_color in (("RGB", True), ("L", False)):
        document = pikepdf.open(io.BytesIO(documents.pdf(b"q 500 0 0 500 0 0 cm /I Do Q")))
        document.pages[0].obj.Resources.XObject = pikepdf.Dictionary(
            I=document.make_stream(
                documents.jpeg(mode=mode), Type=pikepdf.Name.XObject, Subtype=pikepdf.Name.Image, Width=600, Height=400,
                ColorSpace=pikepdf.Name.DeviceRGB if is_color else pikepdf.Name.DeviceGray, BitsPerComponent=8,
                Filter=pikepdf.Name.DCTDecode,
            )
        )  # fmt: skip
        out = io.BytesIO()
        document.save(out)
        assert (await analyser.analyse(reading(out.getvalue()))).is_color is is_color


@pytest.mark.parametrize("said", [1, 0, 2_000_000_000])
async def test_a_lying_count_is_found_out(analyser, said):
    """Three pages are three pages whatever /Count says, and the lie is flagged."""
    facts = await analyser.analyse(reading(documents.lying_count(said)))
    assert facts.page_count == 3
    assert facts.flags == ("page-count-differs",)
    assert not facts.is_color


async def test_a_giant_page_is_read_small(analyser):
    """A page of any size costs no more than a large one."""
    facts = await analyser.analyse(reading(documents.giant_page()))
    assert facts.page_count == 1


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "document-format-error"),
        (b"hello", "document-format-not-supported"),
        (b"%!PS-Adobe-3.0\nshowpage", "document-format-not-supported"),
        (b"%PDF-1.7\n" + bytes(range(256)) * 20, "document-format-error"),
        (documents.numbered(50)[:3000], "document-format-error"),
        (documents.jpeg()[:2000], "document-format-error"),
        (documents.pwg(True, False)[:-100], "document-format-error"),
        (documents.urf(True)[:-1], "document-format-error"),
        (b"RaS2" + bytes(1796), "document-format-error"),
        (b"RaS2", "document-format-error"),
        (b"UNIRAST\0\0\0\0\1", "document-format-error"),
        (documents.pdf(b"", encrypt=pikepdf.Encryption(user="u", owner="o")), "document-password-error"),
    ],
    ids=range(12),
)
async def test_damaged_and_locked_documents_are_refused_plainly(analyser, data, code):
    """Each bad document has its code and a sentence, and the analyser goes on."""
    with pytest.raises(DocumentRefused) as caught:
        await analyser.analyse(reading(data))
    assert caught.value.code == code
    assert len(caught.value.message) > 10
    assert (await analyser.analyse(reading(documents.numbered(1)))).page_count == 1


async def test_random_bytes_never_get_through(analyser):
    """Noise behind every magic number is refused, never a bug and never pages."""
    for magic in (b"%PDF-1.4\n", b"RaS2", b"UNIRAST\0", b"\xff\xd8\xff"):
        with pytest.raises(DocumentRefused) as caught:
            await analyser.analyse(reading(magic + os.urandom(4000)))
        assert caught.value.code in {"document-format-error", "document-too-complex"}


async def test_owner_password_only_is_fine(analyser):
    """A PDF that anybody may open is read, of every generation of encryption."""
    for revision in (2, 3, 4, 6):
        is_aes = revision > 3
        lock = pikepdf.Encryption(user="", owner="o", R=revision, aes=is_aes, metadata=is_aes)
        facts = await analyser.analyse(reading(documents.pdf(documents.text("x"), encrypt=lock)))
        assert facts.page_count == 1


async def test_too_many_pages():
    """More pages than a site allows is one clear refusal, for PDF and raster."""
    analyser = Analyser(Workshop(), AnalysisOptions(pages_max=3))
    for data in (documents.numbered(4), documents.pwg(*[False] * 4), documents.urf(*[False] * 4)):
        with pytest.raises(DocumentRefused) as caught:
            await analyser.analyse(reading(data))
        assert caught.value.code == "document-too-complex"
    await analyser.close()


async def test_pages_beyond_the_looked_at_ones_count_as_colour():
    """Where not all pages are drawn, the rest counts as colour and the facts say so; plain pages need no drawing."""
    covered = b"1 0 0 rg 100 100 50 50 re f 1 g 90 90 100 100 re f"
    data = documents.pdf(covered, covered, covered, documents.text("plain"))
    analyser = Analyser(Workshop(), AnalysisOptions(color_pages_max=2))
    facts = await analyser.analyse(reading(data))
    assert [p.is_color for p in facts.pages] == [False, False, True, True]
    assert facts.flags == ("color-assumed",)
    await analyser.close()
    analyser = Analyser(Workshop(), AnalysisOptions(color_pages_max=3))
    facts = await analyser.analyse(reading(data))
    assert not facts.is_color
    assert facts.flags == ()
    await analyser.close()


async def test_raster_is_walked(analyser):
    """PWG and Apple raster: pages by their data, colour by their dots, wishes by their headers; a wrong total is ignored."""
    facts = await analyser.analyse(reading(documents.pwg(True, False, True, duplex=True, copies=3, total=1)))
    assert (facts.format, facts.page_count, facts.copies, facts.sides) == (PWG, 3, 3, "two-sided-long-edge")
    assert [p.is_color for p in facts.pages] == [True, False, True]
    assert facts.rasters == ("srgb_8@30x30",)
    assert facts.pages[0].media == A4
    facts = await analyser.analyse(reading(documents.urf(False, True, duplex=2)))
    assert (facts.format, facts.page_count, facts.sides) == (URF, 2, "two-sided-short-edge")
    assert [p.is_color for p in facts.pages] == [False, True]
    facts = await analyser.analyse(reading(documents.pwg(True, pixel=1)))
    assert (facts.rasters, facts.is_color) == (("sgray_8@30x30",), False)


async def test_pictures(analyser):
    """A JPEG is one page; grey pictures in colour files are grey; CMYK is understood."""
    for data, is_color in (
        (documents.jpeg(), True),
        (documents.jpeg(is_color=False), False),
        (documents.jpeg(mode="L"), False),
        (documents.jpeg(mode="CMYK"), True),
    ):
        facts = await analyser.analyse(reading(data))
        assert (facts.format, facts.page_count, facts.is_color) == (JPEG, 1, is_color)


async def test_the_format_must_be_what_was_said(analyser):
    """A PDF sent as JPEG is refused: the ticket and the price were made for something else."""
    with pytest.raises(DocumentRefused) as caught:
        await analyser.analyse(reading(documents.numbered(1)), format=JPEG)
    assert caught.value.code == "document-format-not-supported"


async def test_a_large_document_is_not_held_by_the_daemon(analyser):
    """A hundred megabytes pass through to the worker; this process keeps none of them."""
    page = documents.numbered(2, color_pages=(1,))
    filler = b"%" + b"x" * ((1 << 20) - 2) + b"\n"

    async def read():
        yield b"%PDF-1.7\n"
        for _ in range(100):
            yield filler
        yield page

    def resident_bytes() -> int:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * 4096

    before = resident_bytes()
    peak = [before]

    async def watched():
        async for chunk in read():
            peak.append(resident_bytes())
            yield chunk

    facts = await analyser.analyse(watched)
    assert facts.page_count == 2
    assert max(peak) - before < 16 << 20
