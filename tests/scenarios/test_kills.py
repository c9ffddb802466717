"""kill -9 at any moment: nothing acknowledged is lost, nothing prints twice, nothing is paid that did not come out."""

import os

import pytest

from tests.helpers import kills


@pytest.mark.timeout(400)
async def test_two_dozen_kills(tmp_path):
    """24 kills against a real ippeveprinter."""
    tale = await kills.run(tmp_path, kills=24, seed=1)
    assert tale.kills == 24
    assert tale.released


@pytest.mark.slow
@pytest.mark.timeout(7200)
async def test_many_kills(tmp_path):
    """As many kills as HOLDFAST_KILLS says (300), with a seed of its own."""
    count = int(os.environ.get("HOLDFAST_KILLS", "300"))
    tale = await kills.run(tmp_path, kills=count, seed=int(os.environ.get("HOLDFAST_SEED", "2")))
    assert tale.kills == count
