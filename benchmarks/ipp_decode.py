"""How long it takes to decode and encode a printer's answer of about 12 kB and 108 attributes.

    python benchmarks/ipp_decode.py [--json]

Target: 0.4 ms for decoding (median). The answer is that of our own simulated printer, brought to the size of a real
device's by its description; it is decoded strictly and leniently, whole and as it arrives in network-sized chunks.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from daemon.devices.simulated_attributes import Model, static_attributes
from daemon.ipp import build as b
from daemon.ipp.codec import LENIENT, Decoder, decode, encode
from daemon.ipp.registry import GroupTag

TARGET_MS = 0.4
SERIES = 5
ROUNDS = 100
COLLECTIONS = 33
"""Brings the sample to the 630 tag-length-value items of the answer it stands for."""
BYTES_WANTED = 12_136
ATTRIBUTES_WANTED = 108
CHUNK_BYTES = 1460


def sample() -> bytes:
    """An answer of the size measured at a real printer."""
    found = static_attributes(Model(), uris=["ipp://localhost:8630/ipp/print"], uuid="urn:uuid:0")
    found = dict(list(found.items())[: ATTRIBUTES_WANTED - 12])
    sizes = [
        {"media-size": b.collection({"x-dimension": b.integer(n), "y-dimension": b.integer(n)})}
        for n in range(COLLECTIONS)
    ]
    found |= b.attributes({"media-col-database": b.collection(*sizes)})
    number = 0
    while len(found) < ATTRIBUTES_WANTED - 2:
        number += 1
        found |= b.attributes({f"x-vendor-setting-{number}-supported": b.keyword("first", "second", "third")})
    message = b.message(0, b.group(GroupTag.PRINTER, {}))
    message.groups[1].attributes = found
    missing = BYTES_WANTED - len(encode(message))
    while missing > 0:
        part = min(missing, 200)
        found["printer-supply"] = found["printer-supply"]._replace(
            values=found["printer-supply"].values + b.octets(b"s" * max(0, part - 5))
        )
        missing -= part
    return encode(message)


def median_ms(work: Callable[[], object]) -> float:
    """The median of a hundred timings in milliseconds, of the least disturbed of five series."""
    medians = []
    for _ in range(SERIES):
        timings = []
        for _ in range(ROUNDS):
            start = time.perf_counter_ns()
            work()
            timings.append(time.perf_counter_ns() - start)
        medians.append(statistics.median(timings))
    return round(min(medians) / 1e6, 4)


def in_chunks(data: bytes) -> None:
    """As it arrives from the network."""
    decoder = Decoder(LENIENT)
    for at in range(0, len(data), CHUNK_BYTES):
        decoder.feed(data[at : at + CHUNK_BYTES])


def run() -> dict[str, object]:
    """The figures in the shape all benchmarks share."""
    data = sample()
    message, _used = decode(data)
    medians = {
        "decode_strict_ms": median_ms(lambda: decode(data)),
        "decode_lenient_ms": median_ms(lambda: decode(data, LENIENT)),
        "decode_chunked_ms": median_ms(lambda: in_chunks(data)),
        "encode_ms": median_ms(lambda: encode(message)),
    }
    targets = {"decode_strict_ms": TARGET_MS}
    met = {"decode_strict_ms": medians["decode_strict_ms"] <= TARGET_MS}
    return {"name": "ipp_decode", "unit": "ms", "medians": medians, "ratios": {}, "targets": targets, "met": met}


def main(argv: list[str]) -> int:
    """Print the figures; exit 1 when the target is missed."""
    data = sample()
    message, _used = decode(data)
    result = {
        "name": "ipp_decode",
        "bytes": len(data),
        "attributes": sum(len(g.attributes) for g in message.groups),
        "decode_strict_ms": median_ms(lambda: decode(data)),
        "decode_lenient_ms": median_ms(lambda: decode(data, LENIENT)),
        "decode_chunked_ms": median_ms(lambda: in_chunks(data)),
        "encode_ms": median_ms(lambda: encode(message)),
        "target_ms": TARGET_MS,
    }
    result["ok"] = result["decode_strict_ms"] <= TARGET_MS
    if "--json" in argv:
        print(json.dumps(result))
    else:
        print(f"decode {result['bytes']} bytes, {result['attributes']} attributes: {result['decode_strict_ms']} ms")
        print(f"  lenient {result['decode_lenient_ms']} ms, in chunks {result['decode_chunked_ms']} ms")
        verdict = "met" if result["ok"] else "MISSED"
        print(f"  encode {result['encode_ms']} ms; target for decoding {TARGET_MS} ms: {verdict}")
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
