"""The job lifecycle's table, written out again, and the words a held job shows."""

import pytest

from daemon.jobs.lifecycle import FINAL, TRANSITIONS, CannotHappen, Happening, Step, advance, held_reasons

H = Happening
EXPECTED = {
    ("", "created"): ("pending-held", "job-incoming job-data-insufficient"),
    ("", "held"): ("pending-held", "job-held-for-release job-release-wait"),
    ("pending-held", "held"): ("pending-held", "job-held-for-release job-release-wait"),
    ("pending-held", "hold-set"): ("pending-held", "job-hold-until-specified"),
    ("pending-held", "hold-cleared"): ("pending-held", "job-held-for-release job-release-wait"),
    ("pending-held", "unreadable"): ("aborted", "aborted-by-system"),
    ("pending-held", "claimed"): ("pending-held", "job-held-for-release job-release-wait"),
    ("pending-held", "deleted"): ("canceled", "job-canceled-by-user"),
    ("canceled", "undeleted"): ("pending-held", "job-held-for-release job-release-wait"),
    ("pending-held", "expired"): ("canceled", "job-canceled-after-timeout"),
    ("pending-held", "incomplete"): ("aborted", "aborted-by-system job-data-insufficient"),
    ("pending-held", "released"): ("processing", "job-outgoing"),
    ("processing", "not-sent"): ("pending-held", "job-held-for-release job-release-wait"),
    ("processing-stopped", "not-sent"): ("pending-held", "job-held-for-release job-release-wait"),
    ("processing", "withdrawn"): ("canceled", "job-canceled-by-user"),
    ("processing", "printing"): ("processing", "job-printing"),
    ("processing-stopped", "printing"): ("processing", "job-printing"),
    ("processing", "stopped"): ("processing-stopped", "printer-stopped"),
    ("processing-stopped", "stopped"): ("processing-stopped", "printer-stopped"),
    ("processing", "uncertain"): ("processing-stopped", "service-off-line"),
    ("processing-stopped", "uncertain"): ("processing-stopped", "service-off-line"),
    ("processing", "completed"): ("completed", "job-completed-successfully"),
    ("processing-stopped", "completed"): ("completed", "job-completed-successfully"),
    ("processing", "partial"): ("completed", "job-completed-with-errors"),
    ("processing-stopped", "partial"): ("completed", "job-completed-with-errors"),
    ("processing", "canceled"): ("canceled", "job-canceled-at-device"),
    ("processing-stopped", "canceled"): ("canceled", "job-canceled-at-device"),
    ("processing", "aborted"): ("aborted", "aborted-by-system"),
    ("processing-stopped", "aborted"): ("aborted", "aborted-by-system"),
    ("processing-stopped", "decided-not-printed"): ("pending-held", "job-held-for-release job-release-wait"),
    ("processing-stopped", "decided-printed"): ("completed", "job-completed-with-errors"),
}


def test_the_table_is_exactly_this():
    """No transition exists that is not written here, and each leads where it says."""
    found = {(state, h.value): (step.state, " ".join(step.reasons)) for (state, h), step in TRANSITIONS.items()}
    assert found == EXPECTED


@pytest.mark.parametrize("state", sorted(FINAL))
@pytest.mark.parametrize("happening", list(H))
def test_a_finished_job_stays_finished(state, happening):
    """Nothing happens to a final job, but that its owner's deletion may be undone."""
    if (state, happening) == ("canceled", H.UNDELETED):
        assert advance(state, happening).state == "pending-held"
        return
    with pytest.raises(CannotHappen) as refused:
        advance(state, happening)
    assert refused.value.code == "job-not-held"


def test_no_job_is_released_twice():
    """From processing there is no second release, so two terminals cannot both print one job."""
    with pytest.raises(CannotHappen):
        advance("processing", H.RELEASED)


def test_extra_reasons_come_first_and_once():
    """A job's own reasons precede the table's and are not repeated."""
    step = advance("", H.ARRIVED, "job-password-wait", "job-release-wait")
    assert step == Step("pending-held", ("job-password-wait", "job-release-wait", "job-held-for-release"))


@pytest.mark.parametrize(
    ("has_password", "is_time_held", "expected"),
    [
        (False, False, ()),
        (True, False, ("job-password-wait",)),
        (False, True, ("job-hold-until-specified",)),
        (True, True, ("job-hold-until-specified", "job-password-wait")),
    ],
)
def test_held_reasons_say_what_a_job_waits_for(has_password, is_time_held, expected):
    """A job code and an own hold time are each named."""
    assert held_reasons(has_password=has_password, is_time_held=is_time_held) == expected
