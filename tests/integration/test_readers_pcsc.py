"""Cards on PC/SC readers: real pcscd, real driver, cards of our own that behave and that do not."""

from __future__ import annotations

import pytest

from tests.helpers.pcscd import Desk, inside, pcsc_room  # noqa: F401  -- a fixture


@inside
async def test_a_four_byte_number_is_read(desk: Desk) -> None:
    """A MIFARE Classic's four bytes come as eight upper-case digits."""
    await desk.watch()
    async with desk.tap("04a1b2c3"):
        assert await desk.read() == "04A1B2C3"
