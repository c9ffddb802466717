"""Job template attributes of a request become a ticket, and what is not supported is named."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

import daemon
from daemon.ipp import build
from daemon.ipp.registry import GroupTag
from daemon.kernel.errors import Refusal, Unavailable
from daemon.web.ipp import compression, refusals
from daemon.web.ipp.job_attributes import _media_col
from daemon.web.ipp.queues import QueueView
from daemon.web.ipp.ticket_in import READERS, read_ticket

QUEUE = QueueView(name="q", uuid="urn:uuid:00000000-0000-4000-8000-000000000001")


def read(queue=QUEUE, **values):
    return read_ticket(build.group(GroupTag.JOB, {k.replace("_", "-"): v for k, v in values.items()}), queue)


def size(x, y):
    return build.collection({"x-dimension": build.integer(x), "y-dimension": build.integer(y)})


def test_everything_a_driverless_client_sends_is_understood():
    """copies, sides, colour, ranges, number-up, finishings, media-col with tray, quality, orientation, resolution."""
    found = read(
        copies=build.integer(2),
        sides=build.keyword("two-sided-long-edge"),
        print_color_mode=build.keyword("monochrome"),
        page_ranges=build.range_of((1, 2), (5, 9)),
        number_up=build.integer(4),
        finishings=build.enum(3, 4, 5),
        media_col=build.collection(
            {
                "media-size": size(21000, 29700),
                "media-source": build.keyword("alternate"),
                "media-type": build.keyword("stationery"),
                "media-top-margin": build.integer(423),
            }
        ),
        print_quality=build.enum(5),
        orientation_requested=build.enum(4),
        printer_resolution=build.resolution(300),
        output_bin=build.keyword("auto"),
        multiple_document_handling=build.keyword("separate-documents-collated-copies"),
        job_account_id=build.name("ACME"),
        job_hold_until=build.keyword("evening"),
        job_priority=build.integer(80),
    )
    assert found.unsupported == {}
    ticket = found.ticket
    assert (ticket.copies, ticket.sides, ticket.print_color_mode) == (2, "two-sided-long-edge", "monochrome")
    assert (ticket.page_ranges, ticket.number_up, ticket.finishings) == (((1, 2), (5, 9)), 4, (4, 5))
    assert (ticket.media, ticket.media_source, ticket.resolution) == ("iso_a4_210x297mm", "alternate", (300, 300))
    assert (found.account_ref, found.hold_until, found.priority) == ("ACME", "evening", 80)


def test_finishings_col_is_the_same_as_finishings():
    """A template name asks for what its enum asks for; more members than that are not supported."""
    assert read(finishings_col=build.collection({"finishing-template": build.keyword("staple")})).ticket.finishings == (
        4,
    )
    odd = build.collection({"finishing-template": build.keyword("staple"), "stitching": size(1, 1)})
    assert "finishings-col" in read(finishings_col=odd).unsupported


@pytest.mark.parametrize(
    "values",
    [
        {"copies": build.integer(0)},
        {"copies": build.integer(1000)},
        {"copies": build.keyword("two")},
        {"sides": build.keyword("both")},
        {"page_ranges": build.range_of((5, 9), (1, 2))},
        {"page_ranges": build.range_of((0, 2))},
        {"page_ranges": build.range_of((9, 2))},
        {"number_up": build.integer(3)},
        {"finishings": build.enum(99)},
        {"media": build.keyword("iso_a0_841x1189mm")},
        {"media_col": build.collection({"media-size": size(1, 1)})},
        {"media_col": build.collection({"media-glitter": build.keyword("gold")})},
        {"media_col": build.collection({"media-source": build.keyword("tray-99")})},
        {"print_quality": build.enum(6)},
        {"printer_resolution": build.resolution(1200)},
        {"job_priority": build.integer(101)},
        {"copies": build.integer(1, 2)},
        {"overrides": build.collection({"pages": build.range_of((1, 1))})},
    ],
)
def test_what_is_not_supported_is_named_and_keeps_its_default(values):
    """Values out of range, of the wrong syntax or unknown leave the ticket as it was and come back by name."""
    found = read(**values)
    assert [name.replace("-", "_") for name in found.unsupported] == list(values)
    assert found.ticket.to_json() == {}


def test_sizes_within_a_millimetre_are_ours():
    """Clients round inches and millimetres differently; the ticket holds the queue's own size."""
    found = read(media_col=build.collection({"media-size": size(21008, 29693)}))
    assert found.ticket.media_col["media_size"] == {"x_dimension": 21000, "y_dimension": 29700}


def test_a_queue_without_a_finisher_or_colour_says_so():
    """What the queue cannot do is unsupported there."""
    plain = QueueView(name="p", uuid=QUEUE.uuid, finishings=(), has_color=False, has_duplex=False)
    found = read(
        plain,
        finishings=build.enum(4),
        print_color_mode=build.keyword("color"),
        sides=build.keyword("two-sided-long-edge"),
    )
    assert set(found.unsupported) == {"finishings", "print-color-mode", "sides"}


VALUES = st.one_of(
    st.integers(-(2**31), 2**31 - 1).map(build.integer),
    st.integers(0, 200).map(build.enum),
    st.text(max_size=20).map(build.keyword),
    st.tuples(st.integers(-5, 50), st.integers(-5, 50)).map(build.range_of),
    st.binary(max_size=20).map(build.octets),
    st.just(build.no_value()),
    st.booleans().map(build.boolean),
    st.dictionaries(
        st.sampled_from(["media-size", "x-dimension", "finishing-template", "media-source"]),
        st.integers(0, 99).map(build.integer),
        max_size=3,
    ).map(build.collection),
)


@given(st.dictionaries(st.sampled_from([*READERS, "x-vendor"]), VALUES, max_size=8))
def test_no_attribute_of_any_type_breaks_the_reader(values):
    """Whatever a client sends, a valid ticket comes out."""
    found = read_ticket(build.group(GroupTag.JOB, values), QUEUE)
    assert found.ticket.copies >= 1


def test_a_media_collection_comes_back_as_it_went_in():
    """Get-Job-Attributes shows the collection the client sent."""
    ticket = read(
        media_col=build.collection({"media-size": size(21000, 29700), "media-source": build.keyword("main")})
    ).ticket
    shown = _media_col(ticket.media_col)
    assert shown["media-size"][0].value["x-dimension"].first == 21000
    assert shown["media-source"] == build.keyword("main")


async def unpacked(data, method, *, bytes_max=1 << 20, step=7):
    async def chunks():
        for start in range(0, len(data), step):
            yield data[start : start + step]

    return b"".join([piece async for piece in compression.unpack(chunks(), method, bytes_max=bytes_max)])


@given(st.binary(max_size=4000), st.integers(1, 50))
def test_any_split_of_a_compressed_document_unpacks(document, step):
    """Gzip (two members too), raw and zlib-wrapped deflate, cut anywhere."""

    def packed(wbits):
        engine = zlib.compressobj(wbits=wbits)
        return engine.compress(document) + engine.flush()

    assert asyncio.run(unpacked(packed(31) + packed(31), "gzip", step=step)) == document * 2
    for wbits in (-15, 15):
        assert asyncio.run(unpacked(packed(wbits), "deflate", step=step)) == document


async def test_unpacking_is_capped():
    """Plain and packed documents over the limit are refused, and a bomb long before it."""
    for method, data in (("none", bytes(200)), ("gzip", zlib.compress(bytes(200), wbits=31))):
        with pytest.raises(compression.DocumentTooLarge):
            await unpacked(data, method, bytes_max=100)
    bomb = zlib.compress(bytes(100_000_000), wbits=31)
    with pytest.raises(compression.CompressionError):
        await unpacked(bomb, "gzip", bytes_max=1 << 40, step=4096)


def all_subclasses(kind):
    for sub in kind.__subclasses__():
        yield sub
        yield from all_subclasses(sub)


def test_no_refusal_is_an_internal_error():
    """Every refusal and every unavailability of the house has a client or a retryable status; 0x0500 is for bugs."""
    for module in pkgutil.walk_packages(daemon.__path__, "daemon."):
        if module.name.startswith(("daemon.jobs", "daemon.workflows", "daemon.db", "daemon.web.ipp")):
            importlib.import_module(module.name)
    for kind in {*all_subclasses(Refusal), *all_subclasses(Unavailable)}:
        if not kind.__module__.startswith("daemon.") or kind.__name__ in ("IppError", "Unsupported"):
            continue
        error = kind.__new__(kind)
        status = refusals.status_of(error)
        assert status != 0x0500, kind
        if issubclass(kind, Unavailable):
            assert status in (0x0502, 0x0505, 0x0507), kind
