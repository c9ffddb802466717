"""Plain pages: what is called free of colour without looking must be; doubt means looking."""

from __future__ import annotations

import pytest

from daemon.jobs.documents.pdf_plain import jpeg_channels, names_only_greys
from tests.helpers import documents

PLAIN = [
    b"",
    b"0 0 100 100 re f",
    b"0.5 g 1 G",
    b"0 0 0 rg 1 1 1 RG",
    b".25 .25 .25 rg\n0 0 0 0.7 k 0.0 0 0. 1 K",
    b"BT (1 0 0 rg) Tj ET",
    rb"BT (a \) 1 0 0 rg \( k) Tj ET",
    b"BT (outer (inner k) Do) Tj ET",
    b"% 1 0 0 rg\n0 g",
    b"/k 12 Tf /Do gs",
    b"BT <6b6b> Tj ET",
    b"(text % 1 0 0 rg) Tj 0 g",
]
DOUBTFUL = [
    b"1 0 0 rg",
    b"0 0 0.1 RG",
    b"1 0 0 0 k",
    b"0 0 0 rg 1 0 0 rg",
    b"/P cs 1 scn",
    b"/Im Do",
    b"BI /W 1 /H 1 ID x EI",
    b"/Sh sh",
    b"1 0 0[]rg",
    b"1 0 0%comment\nrg",
    b"1 0 0 (x)rg",
    b"% (\n1 0 0 rg\n% )",
    b"(a (b (c) d) e) Tj",
    b"(never closed 0 g",
    b"(x) 1 0 0 rg (y)",
    b"0.5 0.50 0.5 rg",
    b"1\x0b0 0 0 rg",
    b"1" + b" " * 100 + b"0 0 rg",
    b"0 0 rg",
    b"0 0 1 0.5 k",
    b"/x 0 0 rg",
    b"(5) 0 0 rg",
    rb"(\\) 1 0 0 rg (\\)",
    b"<</A(x)>>/Im Do",
]


@pytest.mark.parametrize("content", PLAIN)
def test_greys_are_plain(content):
    """Greys in every spelling, and words inside texts, comments and names, are no colour."""
    assert names_only_greys(content)


@pytest.mark.parametrize("content", DOUBTFUL)
def test_everything_else_is_looked_at(content):
    """Colour, pictures, shadings, and every attempt to hide them behind comments or strings."""
    assert not names_only_greys(content)


def test_grey_pictures_may_be_drawn():
    """Where every picture is grey, drawing one is plain; a shading still is not."""
    assert names_only_greys(b"/Im Do", draws_greys=True)
    assert not names_only_greys(b"/Im Do /S sh", draws_greys=True)


def test_a_jpeg_says_how_many_channels_it_has():
    """What the picture file itself says decides; a file without a frame says nothing."""
    assert jpeg_channels(documents.jpeg(mode="L")) == 1
    assert jpeg_channels(documents.jpeg()) == 3
    assert jpeg_channels(documents.jpeg(mode="CMYK")) == 4
    assert jpeg_channels(b"\xff\xd8") == 0
    assert jpeg_channels(b"\xff\xd8" + b"\xff\xe0\x00\x04ab" * 3) == 0
