"""What a printer says is data: cleaned, bounded, never trusted to have the right form."""

from daemon.devices.capabilities import VALUES_MAX, Capabilities, clean, parse
from daemon.devices.printer_job import parse_job
from daemon.ipp import build as b
from daemon.ipp.message import Group, Localized, Resolution, Value
from daemon.ipp.registry import GroupTag, JobState


def test_hostile_texts_are_one_clean_line():
    """Control characters, line separators and length: nothing of it reaches a log or a screen."""
    assert clean("a\r\nSet-Cookie: x\x00\x1b[31m\u2028b") == "a Set-Cookie: x [31m b"
    assert clean("x" * 1000) == "x" * 255
    assert clean(Localized("en", " Tray ")) == "Tray"
    assert clean(5) == clean(None) == clean(b"x") == ""


def test_wrong_syntaxes_are_left_out():
    """Numbers for words, words for numbers, collections for both: an empty answer instead of an exception."""
    wrong = {
        "document-format-supported": b.integer(1),
        "copies-supported": b.keyword("many"),
        "finishings-supported": b.keyword("staple") + b.enum(4),
        "media-col-ready": b.keyword("x") + b.collection({"media-size": b.integer(1)}),
        "media-size-supported": b.collection({"x-dimension": b.range_of((1, 2)), "y-dimension": b.integer(1)}),
        "printer-resolution-supported": b.integer(600),
        "color-supported": b.integer(1),
        "printer-name": b.collection({}),
    }
    found = parse(b.group(GroupTag.PRINTER, wrong))
    assert found == Capabilities(finishings=(4,))


def test_lists_are_bounded_and_ranges_expanded():
    """A million values become a thousand; number-up 1-4 is four numbers, a huge range none."""
    printer = b.group(GroupTag.PRINTER, {
        "media-supported": b.keyword(*(f"m{n}" for n in range(5000))),
        "number-up-supported": b.range_of((1, 4)),
        "print-quality-supported": b.range_of((0, 2_000_000_000)),
    })  # fmt: skip
    found = parse(printer)
    assert len(found.media_supported) == VALUES_MAX
    assert found.number_up == (1, 2, 3, 4) and found.qualities == ()


def test_resolutions_are_dots_per_inch():
    """Per centimetre is converted; impossible ones are dropped."""
    values = (Value(0x32, Resolution(118, 118, 4)), Value(0x32, Resolution(0, 600, 3)), *b.resolution(600, (600, 1200)))
    printer = b.group(GroupTag.PRINTER, {"printer-resolution-supported": values})
    assert parse(printer).resolutions == ((300, 300), (600, 600), (600, 1200))


def test_device_name_is_the_best_there_is():
    """What people call it, else its name, else its model."""
    assert Capabilities(info="Hall", name="x", make_and_model="M").device_name == "Hall"
    assert Capabilities(make_and_model="M").device_name == "M"
    assert Capabilities.from_json({"unknown": 1}) == Capabilities()


def test_job_counters_are_none_unless_told():
    """A missing counter is None, a negative one too; colour is the sum of all coloured members."""
    bare = parse_job(Group(GroupTag.JOB), job_id=4)
    assert (bare.job_id, bare.state, bare.impressions, bare.sheets, bare.color_impressions) == (
        4,
        "unknown",
        None,
        None,
        None,
    )
    color = {
        "full-color": b.integer(3),
        "full-color-two-sided": b.integer(2),
        "highlight-color": b.integer(1),
        "monochrome": b.integer(9),
    }
    told = parse_job(b.group(GroupTag.JOB, {
        "job-id": b.integer(9), "job-state": b.enum(JobState.PROCESSING_STOPPED), "job-impressions-completed": b.integer(15),
        "job-media-sheets-completed": b.integer(-1), "job-impressions-completed-col": b.collection(color),
        "job-state-reasons": b.keyword("none"), "job-name": b.name("a\tb"),
    }))  # fmt: skip
    assert (told.state, told.impressions, told.sheets, told.color_impressions) == ("processing-stopped", 15, None, 6)
    assert (told.reasons, told.name, told.is_ended) == ((), "a b", False)
    assert (
        parse_job(
            b.group(GroupTag.JOB, {"job-impressions-completed-col": b.collection({"blank": b.integer(1)})})
        ).color_impressions
        is None
    )
