"""The codec's promises: byte-exact, bounded, incremental, strict where a client speaks and lenient where a printer does."""

import pytest

from daemon.ipp import build as b
from daemon.ipp.codec import LENIENT, Decoder, Limits, decode, encode, encode_attributes
from daemon.ipp.message import Group, IppError, Localized, Message, Range, Resolution, plain
from daemon.ipp.registry import GroupTag, Operation, Status, Tag

HEAD = bytes.fromhex("0101 000b 00000007".replace(" ", ""))
END = b"\x03"
OPERATION = b"\x01"


def attribute(tag: int, name: bytes, value: bytes) -> bytes:
    return bytes([tag]) + len(name).to_bytes(2, "big") + name + len(value).to_bytes(2, "big") + value


def raw(*parts: bytes) -> bytes:
    return HEAD + OPERATION + b"".join(parts) + END


def status_of(data: bytes, limits: Limits | None = None) -> Status:
    with pytest.raises(IppError) as caught:
        decode(data, limits or Limits())
    assert caught.value.request_id == 7 and caught.value.version == (1, 1)
    return caught.value.status


EVERYTHING = {
    "copies": b.integer(-1, 0, 2147483647, -2147483648),
    "printer-state": b.enum(3),
    "color-supported": b.boolean(True),
    "job-password": b.octets(b"\xff\x00\x81\x41"),
    "printer-current-time": b.date_time(1_700_000_000_500_000),
    "printer-resolution-supported": b.resolution(300, (600, 1200)),
    "page-ranges": b.range_of((1, 2), (5, 9)),
    "job-name": b.name("Größe 東京"),
    "status-message": b.text("line one\nline two"),
    "job-state-message": b.localized_text(Localized("de", "fertig")),
    "printer-name": b.localized_name(Localized("en-gb", "grey")),
    "sides": b.keyword("one-sided"),
    "printer-uri": b.uri("ipp://localhost/"),
    "uri-scheme": b.uri_scheme("ipps"),
    "charset": b.charset("utf-8"),
    "language": b.language("en"),
    "document-format": b.mime("application/pdf"),
    "media-default": b.no_value(),
    "printer-geo-location": b.unknown(),
    "unsupported": b.unsupported(),
    "mixed": b.keyword("a4") + b.name("My paper"),
    "media-col": b.collection(
        {
            "media-size": b.collection({"x-dimension": b.integer(21000), "y-dimension": b.range_of((1, 2))}),
            "media-source": b.keyword("main", "alternate"),
        },
        {"media-type": b.keyword("stationery")},
    ),
}


def test_every_syntax_survives_the_round_trip():
    """Each syntax decodes to what was encoded, and encodes to the same octets again."""
    message = b.message(Status.SUCCESSFUL_OK, b.group(GroupTag.PRINTER, EVERYTHING), request_id=7)
    data = encode(message)
    again, used = decode(data)
    assert used == len(data)
    assert again == message
    assert encode(again) == data


def test_octets_on_the_wire_are_those_of_the_specification():
    """RFC 8010 appendix A.1's kind of request, written out by hand."""
    message = b.message(
        Operation.GET_PRINTER_ATTRIBUTES,
        b.group(GroupTag.OPERATION, {"printer-uri": b.uri("ipp://x/")}),
        request_id=7,
        version=(1, 1),
    )
    assert encode(message) == raw(
        attribute(0x47, b"attributes-charset", b"utf-8"),
        attribute(0x48, b"attributes-natural-language", b"en"),
        attribute(0x45, b"printer-uri", b"ipp://x/"),
    )


def test_values_keep_their_own_tags():
    """A 1setOf may mix syntaxes (integer and range, keyword and name), and each value says which it is."""
    data = raw(
        attribute(Tag.INTEGER, b"number-up-supported", (1).to_bytes(4, "big")),
        attribute(Tag.INTEGER, b"", (2).to_bytes(4, "big")),
        attribute(Tag.RANGE_OF_INTEGER, b"", bytes.fromhex("0000000500000009")),
    )
    values = decode(data)[0].operation.get("number-up-supported").values
    assert [(v.tag, v.value) for v in values] == [(0x21, 1), (0x21, 2), (0x33, Range(5, 9))]


def test_groups_keep_their_order_and_empty_ones_stay():
    """Several job groups, an empty document group: as many groups as came, in their order."""
    message = Message((2, 0), 0, 1, [Group(1), Group(2), Group(2), Group(9)])
    again, _used = decode(encode(message))
    assert [g.tag for g in again.groups] == [1, 2, 2, 9]
    assert len(again.jobs) == 2 and encode(again) == encode(message)


def test_spliced_attributes_read_like_written_ones():
    """A group's pre-encoded part decodes as if it had been given as attributes."""
    static = b.attributes({"printer-name": b.name("P")})
    message = Message(
        (2, 0), 0, 1, [b.group(GroupTag.PRINTER, {"copies": b.integer(1)}, encoded=encode_attributes(static.values()))]
    )
    assert list(decode(encode(message))[0].printer.attributes) == ["copies", "printer-name"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_chunks_of_any_size_give_the_same_message(size):
    """A header split anywhere decodes the same, and what follows it is the document's beginning."""
    message = b.message(2, b.group(GroupTag.JOB, EVERYTHING), request_id=9)
    data, decoder, found = encode(message) + b"%PDF-1.7 and so on", Decoder(), None
    rest = b""
    for at in range(0, len(data), size):
        chunk = data[at : at + size]
        if found is None:
            found = decoder.feed(chunk)
            if found is not None:
                rest = decoder.remainder
        else:
            rest += chunk
    assert found == message
    assert rest == b"%PDF-1.7 and so on"


def test_every_cut_is_refused_or_waited_for():
    """No prefix of a message is a message: decode says bad-request, the decoder wants more, finish says bad-request."""
    data = encode(b.message(2, b.group(GroupTag.JOB, EVERYTHING), request_id=7, version=(1, 1)))
    for size in range(len(data)):
        decoder = Decoder()
        assert decoder.feed(data[:size]) is None
        with pytest.raises(IppError):
            decoder.finish()
        with pytest.raises(IppError) as caught:
            decode(data[:size])
        assert caught.value.status == Status.CLIENT_ERROR_BAD_REQUEST


BAD = {
    "the same attribute twice": raw(attribute(0x21, b"copies", bytes(4)), attribute(0x21, b"copies", bytes(4))),
    "a value without an attribute": raw(attribute(0x21, b"", bytes(4))),
    "a value before any group": HEAD + attribute(0x21, b"copies", bytes(4)) + END,
    "the reserved delimiter": HEAD + b"\x00" + END,
    "an integer of three octets": raw(attribute(0x21, b"copies", bytes(3))),
    "an enum of five octets": raw(attribute(0x23, b"printer-state", bytes(5))),
    "a boolean of 2": raw(attribute(0x22, b"color-supported", b"\x02")),
    "an empty boolean": raw(attribute(0x22, b"color-supported", b"")),
    "a range of seven octets": raw(attribute(0x33, b"page-ranges", bytes(7))),
    "a resolution of eight octets": raw(attribute(0x32, b"printer-resolution", bytes(8))),
    "a date of ten octets": raw(attribute(0x31, b"printer-current-time", bytes(10))),
    "lengths that disagree": raw(attribute(0x35, b"status-message", b"\x00\x02de\x00\x09short")),
    "a language cut off": raw(attribute(0x36, b"job-name", b"\x00")),
    "text that is not UTF-8": raw(attribute(0x41, b"status-message", b"\xff\xfe")),
    "a newline in a name": raw(attribute(0x42, b"job-name", b"a\nb")),
    "a newline in a name with language": raw(attribute(0x36, b"job-name", b"\x00\x02en\x00\x03a\nb")),
    "a NUL in text": raw(attribute(0x41, b"status-message", b"a\x00b")),
    "a carriage return in a keyword": raw(attribute(0x44, b"sides", b"one\rsided")),
    "a line separator in a name": raw(attribute(0x42, b"job-name", "a\u2028b".encode())),
    "a C1 control in a URI": raw(attribute(0x45, b"printer-uri", "ipp://\x85/".encode())),
    "a newline in an attribute's name": raw(attribute(0x21, b"cop\nies", bytes(4))),
    "a space in an attribute's name": raw(attribute(0x21, b"my copies", bytes(4))),
    "an attribute's name in Latin-1": raw(attribute(0x21, b"gr\xf6sse", bytes(4))),
    "an attribute's name too long": raw(attribute(0x21, b"x" * 256, bytes(4))),
    "a tag nobody may assign": raw(attribute(0x80, b"x", b"")),
    "an end of collection at the top": raw(attribute(0x37, b"media-col", b"")),
    "a collection without an end": raw(attribute(0x34, b"media-col", b""), attribute(0x4A, b"", b"media-type")),
    "a member without a value": raw(attribute(0x34, b"media-col", b""), attribute(0x4A, b"", b"a"), attribute(0x37, b"", b"")),
    "a value without a member": raw(attribute(0x34, b"media-col", b""), attribute(0x21, b"", bytes(4)), attribute(0x37, b"", b"")),
    "a member with a name of its own": raw(attribute(0x34, b"media-col", b""), attribute(0x4A, b"x", b"a")),
    "a begin with a value": raw(attribute(0x34, b"media-col", b"?"), attribute(0x37, b"", b"")),
    "an end with a value": raw(attribute(0x34, b"media-col", b""), attribute(0x37, b"", b"?")),
}  # fmt: skip


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_malformed_requests_are_bad_requests(data):
    """Each is answered with client-error-bad-request, with version and request id of what was read."""
    assert status_of(data) == Status.CLIENT_ERROR_BAD_REQUEST


@pytest.mark.parametrize(
    ("tag", "most"), [(0x41, 1023), (0x42, 255), (0x44, 255), (0x45, 1023), (0x47, 63), (0x49, 255)]
)
def test_values_longer_than_their_syntax_are_too_long(tag, most):
    """The longest permitted value passes, one octet more is request-value-too-long (RFC 8011 section 5.1)."""
    assert decode(raw(attribute(tag, b"x", b"a" * most)))
    assert status_of(raw(attribute(tag, b"x", b"a" * (most + 1)))) == Status.CLIENT_ERROR_REQUEST_VALUE_TOO_LONG


def test_octets_longer_than_any_value_are_too_long():
    """32,767 octets are the most a value's length field can say; a negative length is too long, not a crash."""
    assert decode(raw(attribute(0x30, b"x", b"a" * 32767)))
    assert status_of(raw(attribute(0x30, b"x", b"a" * 32768))) == Status.CLIENT_ERROR_REQUEST_VALUE_TOO_LONG


def nested(depth: int) -> bytes:
    begin = attribute(0x34, b"c", b"") + attribute(0x4A, b"", b"m")
    inner = (attribute(0x34, b"", b"") + attribute(0x4A, b"", b"m")) * (depth - 1)
    return raw(begin + inner + attribute(0x21, b"", bytes(4)) + attribute(0x37, b"", b"") * depth)


def test_collections_nest_sixteen_deep_and_no_deeper():
    """Depth is bounded, so that no request can exhaust the stack; a thousand levels are refused like seventeen."""
    assert decode(nested(16))
    assert status_of(nested(17)) == Status.CLIENT_ERROR_BAD_REQUEST
    assert status_of(nested(1000)) == Status.CLIENT_ERROR_BAD_REQUEST


def test_too_many_values_are_too_large():
    """20,000 values pass, more do not, in one attribute or many."""
    value = attribute(0x21, b"", bytes(4))
    assert decode(raw(attribute(0x21, b"x", bytes(4)) + value * 19_999))
    many = b"".join(attribute(0x21, b"x%d" % n, bytes(4)) for n in range(20_002))
    assert status_of(raw(many)) == Status.CLIENT_ERROR_REQUEST_ENTITY_TOO_LARGE
    assert (
        status_of(raw(attribute(0x21, b"x", bytes(4)) + value * 20_001)) == Status.CLIENT_ERROR_REQUEST_ENTITY_TOO_LARGE
    )


def test_an_endless_header_is_refused_at_one_megabyte():
    """A client that never ends its attributes is cut off after the limit, not when memory is gone."""
    decoder, fed = Decoder(), 0
    with pytest.raises(IppError) as caught:
        decoder.feed(HEAD + OPERATION)
        for n in range(1000):
            fed += 2000
            decoder.feed(attribute(0x30, b"x%d" % n, bytes(1990)))
    assert caught.value.status == Status.CLIENT_ERROR_REQUEST_ENTITY_TOO_LARGE
    assert fed < 1 << 21


def test_a_printer_that_misbehaves_is_still_read():
    """Leniently, a repeated attribute's first value counts, bad text is replaced, odd values stay octets."""
    data = raw(
        attribute(0x44, b"sides", b"one-sided"),
        attribute(0x44, b"sides", b"second"),
        attribute(0x41, b"status-message", b"caf\xe9"),
        attribute(0x21, b"copies", bytes(3)),
        attribute(0x42, b"job-name", b"a\nb"),
        attribute(0x34, b"media-col", b""),
        attribute(0x4A, b"", b"empty"),
        attribute(0x37, b"", b""),
    )
    operation = decode(data, LENIENT)[0].operation
    assert operation.first("sides") == "one-sided"
    assert operation.first("status-message") == "caf\ufffd"
    assert operation.integer("copies") is None
    assert operation.first("job-name") == "a\nb"
    assert operation.first("media-col") == {}


def test_unknown_syntaxes_stay_octets():
    """A value of a syntax assigned later survives, so that it can be answered as unsupported."""
    data = raw(
        attribute(0x7F, b"x", b"\x40\x00\x00\x01abc"), attribute(0x2F, b"y", b"\x01"), attribute(0x1F, b"z", b"")
    )
    message, _used = decode(data)
    assert message.operation.first("x") == b"\x40\x00\x00\x01abc"
    assert encode(message) == data


def test_values_without_encoding_are_bugs():
    """Encoding what cannot be said raises ValueError instead of writing nonsense."""
    for values in (b.integer(1 << 31), b.octets(bytes(40_000)), ((Tag.INTEGER, object()),)):
        message = Message((2, 0), 0, 1, [Group(1, {"x": ("x", values)})])
        with pytest.raises(ValueError):
            encode(message)


def test_names_and_texts_are_cut_between_characters():
    """Builders never make a value a strict reader refuses for its length, nor half a character."""
    (value,) = b.name("ä" * 200)
    assert value.value == "ä" * 127
    (value,) = b.text("€" * 400)
    assert value.value == "€" * 341


@pytest.mark.parametrize("at_us", [0, 1_700_000_000_900_000, 4_102_444_800_000_000])
def test_dates_survive(at_us):
    """DateTime carries UTC to a tenth of a second."""
    (value,) = b.date_time(at_us)
    assert b.date_time_us(value.value) == at_us


def test_dates_of_other_zones_are_the_same_instant():
    """02:30 at two hours east is 00:30 UTC; west is later."""
    east = b"\x07\xd0\x01\x01\x02\x1e\x00\x00+\x02\x00"
    west = b"\x07\xd0\x01\x01\x02\x1e\x00\x00-\x02\x00"
    assert b.date_time_us(east) == 946_686_600_000_000
    assert b.date_time_us(west) - b.date_time_us(east) == 4 * 3600 * 1_000_000
    for bad in (b"", b"\x07\xd0\x0d\x01\x02\x1e\x00\x00+\x02\x00", b"\x07\xd0\x01\x01\x02\x1e\x00\x00?\x02\x00"):
        with pytest.raises(ValueError):
            b.date_time_us(bad)


def test_plain_data_for_records():
    """Attributes become JSON-ready data: single values bare, sets as lists, octets in hex."""
    found = plain(b.attributes(EVERYTHING).values())
    assert found["sides"] == "one-sided"
    assert found["job-password"] == "ff008141"
    assert found["page-ranges"] == [[1, 2], [5, 9]]
    assert found["media-col"][0]["media-size"]["x-dimension"] == 21000
    assert found["media-default"] == {"out-of-band": "no-value"}
    assert found["printer-resolution-supported"][1] == [*Resolution(600, 1200)]


def test_groups_answer_typed_questions():
    """Text is not a number, a number is not text, out-of-band is neither."""
    group = b.group(GroupTag.JOB, EVERYTHING)
    assert group.text("job-state-message") == "fertig" and group.text("copies") == ""
    assert group.integer("copies") == -1 and group.integer("color-supported") is None
    assert group.integer("sides", 5) == 5 and group.first("media-default", "x") == "x"
    assert group.all("media-default") == () and "sides" in group and group.get("absent") is None
