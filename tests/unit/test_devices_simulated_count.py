"""The simulated printer's own opinion of a document: pages and colour of each."""

import pytest
from PIL import Image

from daemon.devices.simulated_count import NotADocument, count_pages
from tests.helpers.printing import pdf, pwg


def urf(pages: int, pixel: bytes) -> bytes:
    out = b"UNIRAST\0" + bytes(4)
    for _ in range(pages):
        header = bytearray(32)
        header[0] = len(pixel) * 8
        header[12:20] = (10).to_bytes(4, "big") + (4).to_bytes(4, "big")
        out += bytes(header) + bytes([3, 9]) + pixel
    return out


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (pdf(2), [False, False]),
        (pdf(3, color=True), [True, True, True]),
        (pwg(2), [False, False]),
        (pwg(1, color=True), [True]),
        (urf(2, b"\x40"), [False, False]),
        (urf(1, b"\x40\x41\x42"), [False]),
        (urf(3, b"\xff\x00\x00"), [True, True, True]),
    ],
)
def test_pages_and_colour(tmp_path, data, expected):
    """Each format is walked to its end; a spread of a few steps is still grey."""
    path = tmp_path / "d"
    path.write_bytes(data)
    assert count_pages(path, "application/octet-stream") == expected


def test_photographs(tmp_path):
    """A JPEG is one page, grey or not."""
    for color, expected in (((200, 10, 10), True), ((90, 90, 90), False)):
        path = tmp_path / "p.jpg"
        Image.new("RGB", (64, 64), color).save(path)
        assert count_pages(path, "image/jpeg") == [expected]


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"%PDF-1.7 no", pwg(1)[:-1], pwg(1)[:900], urf(1, b"\1")[:20], b"\xff\xd8nonsense"]
)
def test_damage_is_told(tmp_path, data):
    """Nothing that is cut off or no document gets a count."""
    path = tmp_path / "d"
    path.write_bytes(data)
    with pytest.raises(NotADocument):
        count_pages(path, "application/pdf" if data.startswith(b"%PDF") else "image/x")
