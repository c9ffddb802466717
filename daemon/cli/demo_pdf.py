"""Small documents for the demo: A4 pages of text, some with colour. Written by hand, no library."""

from __future__ import annotations

from collections.abc import Sequence

BLACK = "0 0 0"
BLUE = "0.04 0.36 0.68"
TITLE = "A report that waits for its owner"
PAGES = (
    (TITLE, BLACK),
    ("The second page is in colour", BLUE),
    ("The last page", BLACK),
)
_LINES = (
    "This page was sent to a queue, not to a printer.",
    "It was held until its owner signed in at a terminal, saw its price and released it.",
    "Only then was it printed, and paid for exactly once.",
)


def _page(number: int, count: int, title: str, color: str) -> bytes:
    lines = "".join(f"({line}) Tj T* " for line in _LINES)
    text = (
        f"{color} rg 56 740 360 4 re f\n"
        f"BT /F1 22 Tf {color} rg 56 760 Td ({title}) Tj ET\n"
        f"BT /F1 12 Tf 0 0 0 rg 18 TL 56 700 Td {lines}ET\n"
        f"BT /F1 10 Tf 56 40 Td (Page {number} of {count}) Tj ET\n"
    )
    return text.encode("ascii")


def document(pages: Sequence[tuple[str, str]] = PAGES) -> bytes:
    """The PDF of these pages, each a heading (ASCII, no parentheses) and its colour (RGB, 0 to 1)."""
    count = len(pages)
    kids = " ".join(f"{4 + 2 * i} 0 R" for i in range(count))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {count} /Kids [{kids}] >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for index, (title, color) in enumerate(pages):
        content = _page(index + 1, count, title, color)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595.28 841.89] "
            f"/Resources << /Font << /F1 3 0 R >> >> /Contents {5 + 2 * index} 0 R >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
    made = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    starts = []
    for number, body in enumerate(objects, start=1):
        starts.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(made)
    made += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    made += b"".join(b"%010d 00000 n \n" % start for start in starts)
    made += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(made)
