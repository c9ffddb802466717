"""What holds for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")
"""A busy machine is no reason to fail: neither an example nor its making is timed."""


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """A command run in this process sets up its own log lines: the next test's are not filtered by them."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
