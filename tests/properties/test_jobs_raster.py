"""Raster packing and walking: what is packed is unpacked, by the slow reader and the quick one alike; noise never crashes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.jobs.documents import raster_facts, raster_read
from daemon.jobs.documents.frames import Refuse
from daemon.jobs.documents.raster_pack import Look, blank, pack

REQUEST = {"pages_max": 10, "color_tolerance": 8, "color_dots_min": 1}


def look(*, is_pwg: bool, pixel: int) -> Look:
    kind = "srgb_8" if pixel == 3 else "sgray_8"
    return Look(is_pwg=is_pwg, kind=kind, dpi=(100, 100), sides="one-sided", copies=1, quality=4, total=1)


def document(rows: np.ndarray, *, is_pwg: bool, pixel: int) -> bytes:
    made = look(is_pwg=is_pwg, pixel=pixel)
    header = made.page_header(rows.shape[1] // pixel, rows.shape[0], 0)
    return made.file_header() + header + b"".join(pack(rows, pixel))


@st.composite
def pages(draw) -> tuple[np.ndarray, int]:
    pixel = draw(st.sampled_from([1, 3]))
    height, width = draw(st.integers(1, 300)), draw(st.integers(1, 200))
    kinds = draw(st.lists(st.sampled_from(["white", "noise", "grey", "near grey"]), min_size=1, max_size=4))
    dice = np.random.default_rng(draw(st.integers(0, 10**6)))
    rows = np.full((height, width, pixel), 255, np.uint8)
    for number, kind in enumerate(kinds):
        band = slice(number * height // len(kinds), (number + 1) * height // len(kinds))
        part = rows[band]
        if kind == "noise":
            part[:] = dice.integers(0, 256, part.shape)
        elif kind != "white":
            part[:] = dice.integers(0, 200, (part.shape[0], 1, 1)) + np.zeros(part.shape, int)
            if kind == "near grey":
                part[..., -1] += np.uint8(dice.integers(0, 9))
    return rows.reshape(height, -1), pixel


@settings(deadline=None, max_examples=60)
@given(pages(), st.booleans())
def test_packing_loses_nothing(page, is_pwg):
    """Every byte comes back, and the colour found in packed data is the colour of the dots."""
    rows, pixel = page
    data = document(rows, is_pwg=is_pwg, pixel=pixel)
    (place,) = raster_read.index(data)
    assert place.end == len(data)
    again = np.concatenate(list(raster_read.bands(data, place, is_grey=pixel == 1)))
    assert np.array_equal(again.reshape(len(again), -1), rows)
    facts = raster_facts.facts(data, REQUEST)
    dots = rows.reshape(-1, pixel).astype(int)
    assert facts.is_color is bool((dots.max(axis=1) - dots.min(axis=1) > 8).any())
    assert facts.page_count == 1


@settings(deadline=None, max_examples=150)
@given(pages(), st.data())
def test_damage_is_a_refusal_or_another_picture(page, data):
    """Flipped and cut files are refused or read as something else; both walkers agree which, and neither crashes."""
    rows, pixel = page
    content = bytearray(document(rows, is_pwg=data.draw(st.booleans()), pixel=pixel))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = bytes(content[: data.draw(st.integers(1, len(content)))])

    def outcome(call) -> object:
        try:
            return call()
        except Refuse as refusal:
            return refusal.code

    quick = outcome(lambda: raster_facts.facts(content, {**REQUEST, "pages_max": 10**6}).page_count)
    slow = outcome(lambda: len(raster_read.index(content)))
    assert quick == slow


@pytest.mark.parametrize("height", [1, 255, 256, 257, 1000])
@pytest.mark.parametrize("width", [1, 127, 128, 129, 300])
def test_blank_pages(height, width):
    """A page of one colour has that colour everywhere."""
    made = look(is_pwg=True, pixel=3)
    data = made.file_header() + made.page_header(width, height, 0) + blank(width * 3, height, b"\x01\x02\x03")
    (place,) = raster_read.index(data)
    rows = np.concatenate(list(raster_read.bands(data, place, is_grey=False)))
    assert rows.shape == (height, width, 3)
    assert (rows == (1, 2, 3)).all()
