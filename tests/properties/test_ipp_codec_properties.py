"""Any message survives the round trip; any octets give a message or a proper status, in bounded time and memory."""

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.ipp.codec import LENIENT, STRICT, Decoder, decode, encode
from daemon.ipp.message import Attribute, Group, IppError, Localized, Message, Range, Resolution, Value
from daemon.ipp.registry import Status, Tag

FEW = settings(max_examples=60, deadline=None)
INTS = st.integers(-(1 << 31), (1 << 31) - 1)
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=20)
TOKENS = st.from_regex(r"[a-z][a-z0-9._-]{0,20}", fullmatch=True)
LEAVES = st.one_of(
    st.builds(Value, st.sampled_from([int(Tag.INTEGER), int(Tag.ENUM)]), INTS),
    st.builds(Value, st.just(int(Tag.BOOLEAN)), st.booleans()),
    st.builds(Value, st.just(int(Tag.OCTET_STRING)), st.binary(max_size=40)),
    st.builds(Value, st.just(int(Tag.DATE_TIME)), st.binary(min_size=11, max_size=11)),
    st.builds(Value, st.just(int(Tag.RANGE_OF_INTEGER)), st.builds(Range, INTS, INTS)),
    st.builds(Value, st.just(int(Tag.RESOLUTION)), st.builds(Resolution, INTS, INTS, st.integers(-128, 127))),
    st.builds(Value, st.sampled_from([0x35, 0x36]), st.builds(Localized, TOKENS, WORDS)),
    st.builds(Value, st.sampled_from([0x41, 0x42]), WORDS),
    st.builds(Value, st.sampled_from([0x44, 0x45, 0x46, 0x47, 0x48, 0x49]), TOKENS),
    st.builds(Value, st.sampled_from([0x10, 0x12, 0x13, 0x15]), st.none()),
)


def named(values):
    pairs = st.dictionaries(TOKENS, st.lists(values, min_size=1, max_size=4), max_size=6)
    return pairs.map(lambda d: {name: Attribute(name, tuple(found)) for name, found in d.items()})


VALUES = st.recursive(
    LEAVES, lambda inner: named(inner).map(lambda d: Value(int(Tag.BEG_COLLECTION), d)), max_leaves=12
)
MESSAGES = st.builds(
    Message,
    st.tuples(st.integers(0, 255), st.integers(0, 255)),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.lists(st.builds(Group, st.sampled_from([1, 2, 4, 5, 6, 7, 8, 9, 10]), named(VALUES)), max_size=4),
)


@given(MESSAGES, st.binary(max_size=30))
@FEW
def test_any_message_survives(message, document):
    """decode(encode(m)) is m, the octets are the same again, and the document's beginning is left over untouched."""
    data = encode(message)
    again, used = decode(data + document)
    assert (again, used) == (message, len(data))
    assert encode(again) == data


@given(MESSAGES, st.lists(st.integers(1, 50), min_size=1, max_size=20))
@FEW
def test_any_chunking_gives_the_same(message, sizes):
    """However a message is cut into chunks, the decoder finds it exactly when its last octet arrives."""
    data, decoder, at = encode(message), Decoder(), 0
    for turn in range(len(data)):
        size = sizes[turn % len(sizes)]
        found = decoder.feed(data[at : at + size])
        at += size
        if found is not None:
            break
    assert found == message
    assert at >= len(data)


@given(MESSAGES, st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4))
@FEW
def test_damage_gives_a_message_or_a_status(message, damage):
    """Octets changed anywhere: strict decoding refuses or reproduces the very same octets; lenient never crashes."""
    data = bytearray(encode(message))
    for place, octet in damage:
        data[int(place * (len(data) - 1))] = octet
    try:
        again, used = decode(bytes(data), STRICT)
        assert encode(again) == data[:used]
    except IppError as error:
        assert error.status in (
            Status.CLIENT_ERROR_BAD_REQUEST,
            Status.CLIENT_ERROR_REQUEST_VALUE_TOO_LONG,
            Status.CLIENT_ERROR_REQUEST_ENTITY_TOO_LARGE,
        )
    try:
        decode(bytes(data), LENIENT)
    except IppError as error:
        assert error.status


@given(st.binary(max_size=400))
@FEW
def test_noise_gives_a_message_or_a_status(noise):
    """Whatever arrives behind a plausible header, both ways of decoding end in a message or an IppError."""
    data = b"\x02\x00\x00\x02\x00\x00\x00\x01\x01" + noise
    for limits in (STRICT, LENIENT):
        assert _outcome(data, limits) == _outcome_in_parts(data, limits)


def _outcome(data, limits):
    try:
        return decode(data, limits)[0]
    except IppError:
        return None


def _outcome_in_parts(data, limits):
    decoder = Decoder(limits)
    try:
        for octet in data:
            message = decoder.feed(bytes([octet]))
            if message is not None:
                return message
    except IppError:
        return None
    return None
