"""The terminal API's statuses: by code, whichever part of the house said no."""

import pytest

from daemon.db.unit import UnitRefused
from daemon.jobs.lifecycle import CannotHappen
from daemon.kernel.errors import Conflict, NotFound, Refusal
from daemon.web.terminal.answers import status_of


@pytest.mark.parametrize(
    ("problem", "status"),
    [
        (CannotHappen("gone"), 409),
        (UnitRefused("gone", code="job-not-held", statement=0), 409),
        (Refusal("nothing here", code="not-found"), 404),
        (NotFound("no such job"), 404),
        (Conflict("twice"), 409),
        (Refusal("a rule", code="insufficient-funds"), 422),
    ],
)
def test_one_code_has_one_status(problem, status):
    """A job taken by another terminal is a conflict, seen before the write or refused by it."""
    assert status_of(problem) == status
