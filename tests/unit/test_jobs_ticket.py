"""Tickets: JSON round trip, validation, and the rule that a job is only ever narrowed."""

from __future__ import annotations

import json

import pytest

from daemon.jobs.ticket import NotADowngrade, Ticket, downgrade, may_downgrade


def test_defaults_are_an_empty_object():
    """A ticket that asks for nothing is {} and comes back from it."""
    assert Ticket().to_json() == {}
    assert Ticket.from_json({}) == Ticket()


def test_everything_survives_json():
    """Every field survives JSON text, under its IPP name in snake_case."""
    ticket = Ticket(
        copies=3,
        sides="two-sided-short-edge",
        print_color_mode="monochrome",
        media="iso_a4_210x297mm",
        media_col={"media_size": {"x_dimension": 21000, "y_dimension": 29700}, "media_source": "tray-2"},
        media_source="tray-1",
        page_ranges=((1, 2), (5, 9)),
        number_up=4,
        finishings=(4, 5),
        output_bin="face-up",
        print_quality=5,
        orientation=4,
        resolution=(600, 600),
        multiple_document_handling="separate-documents-uncollated-copies",
        print_scaling="fit",
    )
    text = json.dumps(ticket.to_json())
    assert Ticket.from_json(json.loads(text)) == ticket
    assert {"orientation_requested", "printer_resolution", "print_color_mode"} <= set(json.loads(text))


def test_unknown_keys_are_ignored_and_ipp_member_names_understood():
    """Rows of a newer daemon can be read, and media-col members may be spelt as in IPP."""
    ticket = Ticket.from_json({"novelty": 1, "media_col": {"media-size": {"x-dimension": 100, "y-dimension": 200}}})
    assert ticket.wanted_size == (100, 200)


@pytest.mark.parametrize(
    "bad",
    [
        {"copies": 0},
        {"copies": 1000},
        {"sides": "both"},
        {"number_up": 17},
        {"page_ranges": [[3, 2]]},
        {"page_ranges": [[0, 1]]},
    ],
)
def test_nonsense_is_refused(bad):
    """A value no printer could follow makes no ticket."""
    with pytest.raises(ValueError):
        Ticket.from_json(bad)


@pytest.mark.parametrize(
    ("old", "new", "may"),
    [
        (Ticket(), Ticket(), True),
        (Ticket(print_color_mode="color"), Ticket(print_color_mode="monochrome"), True),
        (Ticket(), Ticket(sides="two-sided-long-edge"), True),
        (Ticket(copies=5), Ticket(copies=2), True),
        (Ticket(copies=2), Ticket(copies=5), False),
        (Ticket(print_color_mode="monochrome"), Ticket(print_color_mode="color"), False),
        (Ticket(print_color_mode="auto"), Ticket(print_color_mode="color"), False),
        (Ticket(sides="two-sided-long-edge"), Ticket(), False),
        (Ticket(sides="two-sided-long-edge"), Ticket(sides="two-sided-short-edge"), False),
        (Ticket(), Ticket(media="iso_a3_297x420mm"), False),
        (Ticket(page_ranges=((1, 2),)), Ticket(), False),
        (Ticket(), Ticket(number_up=2), False),
        (Ticket(finishings=(4,)), Ticket(finishings=(3,)), False),
    ],
)
def test_only_grey_two_sided_and_fewer_copies(old, new, may):
    """The three downgrades and no change are allowed; everything else is not, in either direction."""
    assert may_downgrade(old, new) is may


def test_downgrade_applies_and_refuses():
    """The kiosk's changes make a new ticket, or a refusal with its code; nonsense is refused the same way."""
    old = Ticket(copies=3, print_color_mode="color")
    assert downgrade(old, copies=1, sides="two-sided-long-edge", print_color_mode="monochrome") == Ticket(
        copies=1, sides="two-sided-long-edge", print_color_mode="monochrome"
    )
    assert downgrade(old) == old
    for bad in ({"copies": 4}, {"copies": 0}, {"sides": "upside-down"}, {"print_color_mode": "rainbow"}):
        with pytest.raises(NotADowngrade) as caught:
            downgrade(old, **bad)
        assert caught.value.code == "not-a-downgrade"


def test_what_a_ticket_asks_for():
    """The little questions other parts ask."""
    ticket = Ticket(finishings=(3, 4), media_source="auto", media_col={"media_source": "tray-1"})
    assert ticket.finishing_codes == (4,)
    assert ticket.wanted_source == "tray-1"
    assert Ticket(media_source="auto").wanted_source == ""
    assert Ticket(media_col={"media_size": "big"}).wanted_size is None
    assert Ticket(print_color_mode="bi-level").is_monochrome
    assert not Ticket(multiple_document_handling="separate-documents-uncollated-copies").is_collated
