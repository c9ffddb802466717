"""Raw reads of real and made-up cards, normalised by others' reckoning.

The vectors are not part of the project: `HOLDFAST_CONFORMANCE` names their folder, without it there is nothing to
compare here (`tests/data/card_reads.json` has reads of our own, in the same form).
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from daemon.auth.card_formats import Pipeline

FILE = Path(os.environ.get("HOLDFAST_CONFORMANCE", "/nonexistent")) / "cards" / "vectors.json"
VECTORS = json.loads(FILE.read_text("utf-8")) if FILE.is_file() else []


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["note"][:40])
def test_every_vector_comes_out_as_reckoned(vector):
    """The pipeline gives the number, or refuses with a sentence that does not contain the read."""
    trace = Pipeline.parse(vector["pipeline"]).trace(vector["raw"])
    assert trace.normalised == vector["normalised"]
    if vector["normalised"] is None:
        assert trace.error
        assert not vector["raw"] or vector["raw"] not in trace.error
