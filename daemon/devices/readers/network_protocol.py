"""The words of a network reader: lines of text, each proved and each good for once. Pure.

`docs/network-reader.md` is the specification; this module is its grammar and its arithmetic. In short:

    server  holdfast-reader 1 CHALLENGE
    client  hello CLIENT NONCE MAC
    server  welcome MAC
    client  read COUNTER AGE SEALED MAC        or  ping COUNTER AGE MAC
    server  ok COUNTER MAC                     or  pong COUNTER MAC, or no COUNTER FAULT MAC
    server  signal COUNTER good|bad MAC        what became of the read, for a beep or a light

- Every session has its own key, made of the client's key, the server's challenge and the client's nonce. So nothing of
  one session means anything in another.
- MAC is HMAC-SHA256 with the session's key over the speaker (`client` or `server`) and all that stands before it.
- COUNTER rises within a session: no line counts twice. AGE is how many seconds ago, by the client's clock, the
  challenge came: a line held back on its way is refused, and no clock needs to be set.
- A number is sealed: xor with HMAC-SHA256 in counter mode under the session's key, then the MAC over it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from enum import StrEnum

PROTOCOL, VERSION = "holdfast-reader", "1"
KEY_BYTES, NONCE_BYTES = 32, 16
LINE_BYTES_MAX = 4352
"""With its line feed. A raw read of 512 characters, four bytes each, sealed and in hexadecimal, fits."""
COUNTER_MAX = 2**53
BLOCK_BYTES = 32


class Fault(StrEnum):
    """Why a line or a client is refused; the word goes to the client and into the count."""

    MALFORMED = "malformed"  # not a line of this protocol
    TOO_LONG = "too-long"  # longer than any line may be
    REFUSED = "refused"  # what an unknown or forging client is told; it learns no more
    FORGED = "forged"  # the proof is wrong: another key, or a changed line
    REPLAYED = "replayed"  # a line or a whole session that was heard before
    STALE = "stale"  # held back on its way: a tap is for now
    UNKNOWN_CLIENT = "unknown-client"  # no such name in the key file
    IMPLAUSIBLE = "implausible"  # proved, but no card's number
    BUSY = "busy"  # the terminal still has earlier taps to look at
    TOO_MANY = "too-many"  # connections
    IDLE = "idle"  # nothing said for too long
    REPLACED = "replaced"  # the same client has connected anew
    EXPIRED = "expired"  # the session is old: say hello again


STAYS = frozenset({Fault.STALE, Fault.IMPLAUSIBLE, Fault.BUSY})
"""Refusals after which a proved client may go on; any other ends the connection."""


class Refused(Exception):
    """A line is refused."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Hello:
    """A client's first line."""

    client: str
    nonce: str
    mac: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Said:
    """Any later line of a client. `sealed` is empty but for `read`."""

    verb: str
    counter: int
    age_s: int
    sealed: bytes = field(repr=False)


CLIENT = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,30}[a-z0-9])?", re.ASCII)
_CHALLENGE = re.compile(rf"{PROTOCOL} {VERSION} ([0-9a-f]{{32}})", re.ASCII)
_HELLO = re.compile(rf"hello ({CLIENT.pattern}) ([0-9a-f]{{32}}) ([0-9a-f]{{64}})", re.ASCII)
_SAID = re.compile(r"(?:(ping)|(read)) ([1-9][0-9]{0,15}) (0|[1-9][0-9]{0,7})(?: ((?:[0-9a-f]{2})+))?", re.ASCII)
_MAC = re.compile(r"([ -~]+) ([0-9a-f]{64})", re.ASCII)


def greeting(challenge: str) -> str:
    """The server's first line."""
    return f"{PROTOCOL} {VERSION} {challenge}"


def challenge_in(line: str) -> str:
    """The challenge of a greeting.

    Raises:
        Refused: another protocol, or another version of it.
    """
    found = _CHALLENGE.fullmatch(line)
    if found is None:
        raise Refused(Fault.MALFORMED)
    return found[1]


def session_key(key: bytes, *, challenge: str, client: str, nonce: str) -> bytes:
    """The key of one session."""
    return _hmac(key, f"{PROTOCOL} {VERSION} {challenge} {client} {nonce}")


def prove(session: bytes, speaker: str, words: str) -> str:
    """`words` with their MAC; `speaker` is `client` or `server`, so that no line can be sent back as an answer."""
    return f"{words} {_hmac(session, f'{speaker} {words}').hex()}"


def proved(session: bytes, speaker: str, line: str) -> str:
    """The words of a line, whose MAC fits.

    Raises:
        Refused: malformed, or forged.
    """
    found = _MAC.fullmatch(line)
    if found is None:
        raise Refused(Fault.MALFORMED)
    if not hmac.compare_digest(_hmac(session, f"{speaker} {found[1]}").hex(), found[2]):
        raise Refused(Fault.FORGED)
    return found[1]


def hello(session: bytes, *, client: str, nonce: str) -> str:
    """A client's first line."""
    return prove(session, "client", f"hello {client} {nonce}")


def hello_in(line: str) -> Hello:
    """A client's first line, not yet proved.

    Raises:
        Refused: malformed.
    """
    found = _HELLO.fullmatch(line)
    if found is None:
        raise Refused(Fault.MALFORMED)
    return Hello(client=found[1], nonce=found[2], mac=found[3])


def said(session: bytes, line: str) -> Said:
    """A client's later line, proved.

    Raises:
        Refused: malformed, or forged.
    """
    found = _SAID.fullmatch(proved(session, "client", line))
    if found is None or bool(found[2]) != bool(found[5]) or int(found[3]) > COUNTER_MAX:
        raise Refused(Fault.MALFORMED)
    return Said(
        verb=found[1] or found[2], counter=int(found[3]), age_s=int(found[4]), sealed=bytes.fromhex(found[5] or "")
    )


def seal(session: bytes, counter: int, plain: bytes) -> bytes:
    """`plain` as it travels; the same call opens it again."""
    blocks = range((len(plain) + BLOCK_BYTES - 1) // BLOCK_BYTES)
    stream = b"".join(_hmac(session, f"seal {counter} {block}") for block in blocks)
    return bytes(a ^ b for a, b in zip(plain, stream, strict=False))


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode("ascii"), hashlib.sha256)


def parse_keys(text: str) -> tuple[dict[str, bytes], list[tuple[int, str]]]:
    """The clients of a key file (`NAME KEY` a line, KEY 64 hexadecimal digits), and its problems by line."""
    keys: dict[str, bytes] = {}
    problems: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2 or not re.fullmatch(rf"[0-9A-Fa-f]{{{2 * KEY_BYTES}}}", words[1], re.ASCII):
            problems.append((number, f"expected a client's name and its key of {2 * KEY_BYTES} hexadecimal digits"))
        elif not CLIENT.fullmatch(words[0]):
            problems.append((number, "a client's name is 1 to 32 of a-z, 0-9, dot, dash and underline"))
        elif words[0] in keys:
            problems.append((number, f"{words[0]} has a key already"))
        else:
            keys[words[0]] = bytes.fromhex(words[1])
    return keys, problems
