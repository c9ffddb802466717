"""Tests that run inside a guest: `tests/integration/test_readers_guest.py` boots one and runs them there."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("HOLDFAST_GUEST") else ["test_*.py"]
