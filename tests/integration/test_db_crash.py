"""The real writer killed in a loop. Scale it with `python -m tests.helpers.crash --kills N --dir DIR`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def kill(count: int, folder: Path, seed: int = 1) -> dict:
    command = [
        sys.executable,
        "-m",
        "tests.helpers.crash",
        "--kills",
        str(count),
        "--dir",
        str(folder),
        "--seed",
        str(seed),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_killed_writer_loses_and_doubles_nothing(tmp_path):
    """After each of thirty kills: acknowledged writes are there, refused ones are not, lost answers come once."""
    totals = kill(30, tmp_path)
    assert totals["kills"] == 30
    assert totals["violations"] == []
    assert min(totals["acknowledged"], totals["unknown"], totals["replayed"]) > 0


@pytest.mark.slow
def test_killed_writer_a_thousand_times(tmp_path):
    """The same, a thousand times, from other seeds."""
    assert kill(1000, tmp_path, seed=7)["violations"] == []
