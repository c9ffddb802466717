"""The lean SNMP codec against the general library, and against anything a network can deliver."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pyasn1.codec.ber import decoder, encoder
from pysnmp.proto import rfc1902
from pysnmp.proto.api import v2c

from daemon.devices import snmp_codec as codec

ARCS = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=12)
NAMES = st.builds(lambda second, rest: (1, second, *rest), st.integers(0, 39), ARCS)
VALUES = st.one_of(
    st.integers(-(2**31), 2**31 - 1).map(lambda n: (rfc1902.Integer32(n), n)),
    st.integers(0, 2**32 - 1).map(lambda n: (rfc1902.Counter32(n), n)),
    st.integers(0, 2**32 - 1).map(lambda n: (rfc1902.Gauge32(n), n)),
    st.integers(0, 2**32 - 1).map(lambda n: (rfc1902.TimeTicks(n), n)),
    st.integers(0, 2**64 - 1).map(lambda n: (rfc1902.Counter64(n), n)),
    st.binary(max_size=300).map(lambda raw: (rfc1902.OctetString(raw), raw)),
    NAMES.map(lambda oid: (rfc1902.ObjectIdentifier(oid), oid)),
    st.just((v2c.NoSuchInstance(""), None)),
    st.just((v2c.EndOfMibView(""), None)),
)
BINDINGS = st.lists(st.tuples(NAMES, VALUES), max_size=20)


def response(bindings, *, request_id: int = codec.REQUEST_ID_MIN, community: str = "public", status: int = 0) -> bytes:
    """A Response as the general library encodes it."""
    pdu = v2c.ResponsePDU()
    v2c.apiPDU.set_defaults(pdu)
    v2c.apiPDU.set_request_id(pdu, request_id)
    v2c.apiPDU.set_error_status(pdu, status)
    v2c.apiPDU.set_varbinds(pdu, bindings)
    message = v2c.Message()
    v2c.apiMessage.set_defaults(message)
    v2c.apiMessage.set_community(message, community)
    v2c.apiMessage.set_pdu(message, pdu)
    return encoder.encode(message)


@given(BINDINGS, st.integers(codec.REQUEST_ID_MIN, codec.REQUEST_ID_MAX), st.integers(0, 18))
def test_reads_what_the_general_library_writes(bindings, request_id, status):
    """Every name, value and head of a well-made answer."""
    raw = response([(oid, value) for oid, (value, _plain) in bindings], request_id=request_id, status=status)
    answer = codec.decode(raw)
    assert [(oid, value) for oid, _tag, value in answer.bindings] == [(oid, plain) for oid, (_v, plain) in bindings]
    assert (answer.request_id, answer.status, answer.community, answer.version) == (request_id, status, b"public", 1)
    assert answer.broken == 0


@given(
    st.lists(NAMES, min_size=1, max_size=20),
    st.integers(codec.REQUEST_ID_MIN, codec.REQUEST_ID_MAX),
    st.integers(1, 100),
    st.sampled_from([codec.GET, codec.GET_NEXT, codec.GET_BULK]),
)
def test_writes_what_the_general_library_reads(names, request_id, repetitions, pdu_tag):
    """Questions are SNMP to an independent decoder."""
    repetitions = repetitions if pdu_tag == codec.GET_BULK else 0
    made = codec.question(pdu_tag, names, version=codec.V2C, community=b"c\xc3\xa9", repetitions=repetitions)
    message, rest = decoder.decode(made.datagram(request_id), asn1Spec=v2c.Message())
    pdu = v2c.apiMessage.get_pdu(message)
    assert rest == b""
    assert v2c.apiPDU.get_request_id(pdu) == request_id
    assert [tuple(oid) for oid, _ in v2c.apiPDU.get_varbinds(pdu)] == names
    if pdu_tag == codec.GET_BULK:
        assert v2c.apiBulkPDU.get_max_repetitions(pdu) == repetitions


@given(BINDINGS, st.data())
def test_damage_is_refused_or_read_in_part_and_never_raises_anything_else(bindings, data):
    """Cut anywhere, bent anywhere: either no answer, or bindings of the right shape."""
    raw = bytearray(response([(oid, value) for oid, (value, _plain) in bindings]))
    for _ in range(data.draw(st.integers(0, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(raw[: data.draw(st.integers(0, len(raw)))]) + data.draw(st.binary(max_size=4))
    try:
        answer = codec.decode(cut)
    except codec.NotSnmp:
        return
    assert len(answer.bindings) <= codec.BINDINGS_MAX
    assert all(isinstance(oid, tuple) and isinstance(tag, int) for oid, tag, _value in answer.bindings)


@given(st.binary(max_size=600))
def test_noise_is_refused(raw):
    """Whatever arrives at the socket."""
    try:
        codec.decode(raw)
    except codec.NotSnmp as refused:
        assert str(refused)


def test_bad_encodings_of_real_devices_cost_one_value():
    """A counter sent as a negative number is read; nonsense keeps its place; octets after the end do not matter."""
    good = response([((1, 3, 1), rfc1902.Counter32(4000000000)), ((1, 3, 2), rfc1902.Integer32(7))])
    negative = good.replace(bytes.fromhex("410500ee6b2800"), bytes.fromhex("4104ee6b2800"))
    shorter = bytes((negative[0], negative[1] - 1)) + negative[2:]
    fixed = _resized(shorter)
    assert [value for _, _, value in codec.decode(fixed + b"\0\0").bindings] == [4000000000, 7]
    alien = good.replace(b"\x02\x01\x07", b"\x1f\x01\x07")
    assert [(tag, value) for _, tag, value in codec.decode(alien).bindings][1] == (codec.BROKEN, None)
    assert codec.decode(alien).broken == 1


def _resized(raw: bytes) -> bytes:
    """The same message with its inner lengths made one shorter: PDU, binding list and first binding."""
    out = bytearray(raw)
    out[1] = len(out) - 2
    at = 2 + 3 + 2 + len("public")
    out[at + 1] -= 1
    at += 2 + 6 + 3 + 3
    out[at + 1] -= 1
    out[at + 3] -= 1
    return bytes(out)
