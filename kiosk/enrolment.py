"""Enrolment: a short code introduces a new terminal to its daemon and the daemon to it. I/O.

The first connection trusts nobody: it only learns which key the other side shows. Both sides then prove the code over
that key (`daemon.wire.signing`); only a daemon that knows the code *and* owns the key we saw can answer, and what it
vouches for, the CA, is pinned. The code itself is never sent.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import h11
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from daemon.kernel.errors import BadInput, Refusal, Unavailable
from daemon.wire import signing
from daemon.wire.messages import BODY_BYTES_MAX, PREFIX
from kiosk import identity

if TYPE_CHECKING:
    from pathlib import Path

STEP_S = 15.0
"""Connecting, and then the whole exchange, may each take this long."""
VERSION = "1"


class EnrolRefused(Refusal):
    """The daemon does not accept the code: wrong, used, expired, or seen through another server key."""

    code = "enrol-failed"


class DaemonUnproven(Refusal):
    """Whoever answered does not know the code: nothing was pinned and nothing written."""

    code = "daemon-unproven"


class AlreadyEnrolled(Refusal):
    """The directory already is a terminal's home."""

    code = "already-enrolled"


async def enrol(
    *, url: str, code_text: str, directory: Path, reader: str = "none", is_again: bool = False
) -> dict[str, str]:
    """Enrol this machine; gives {"terminal_id", "name", "config"}.

    `is_again`: `directory` is a terminal's home already and gets another key; its readers and screen stay.

    Raises:
        BadInput: no such code or address can exist.
        EnrolRefused, DaemonUnproven, AlreadyEnrolled: as named.
        Unavailable: the daemon was not reached.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.path not in ("", "/"):
        raise BadInput(f"{url!r} is not the address of a daemon: use https://HOST:PORT", details=[])
    try:
        code = signing.parse_code(code_text)
    except ValueError as error:
        raise BadInput(str(error), details=[]) from error
    home = directory / identity.CONFIG_NAME
    if home.exists() and not is_again:
        raise AlreadyEnrolled(f"{directory} already holds a terminal: --again gives it another key")
    if is_again:
        identity.load(home)
    secret = await asyncio.to_thread(signing.code_key, code)
    key = identity.new_key()
    port = parts.port or identity.HTTPS_PORT
    seen, answer = await _introduce(parts.hostname, port, code.locator, secret, key=identity.public_bytes(key))
    terminal_id, ca_pem = str(answer.get("terminal_id", "")), str(answer.get("ca_pem", ""))
    try:
        theirs = base64.b64decode(str(answer.get("proof", "")), validate=True)
        ours = signing.daemon_proof(
            secret,
            public_key=identity.public_bytes(key),
            server_key_sha256=seen,
            ca_pem=ca_pem,
            terminal_id=terminal_id,
        )
    except (binascii.Error, UnicodeEncodeError) as error:
        raise DaemonUnproven("the daemon's answer proves nothing") from error
    if not terminal_id or not signing.is_same_proof(ours, theirs):
        raise DaemonUnproven("the daemon's answer does not prove that it knows the code")
    name = str(answer.get("name") or "")
    made = {"daemon_url": url.rstrip("/"), "ca_pem": ca_pem, "terminal_id": terminal_id, "name": name}
    if is_again:
        config = identity.renew(home, **made, key=key)
    else:
        config = identity.save(directory, **made, key=key, reader=reader)
    return {"terminal_id": terminal_id, "name": name, "config": str(config)}


async def _introduce(host: str, port: int, locator: str, secret: bytes, *, key: bytes) -> tuple[bytes, dict[str, Any]]:
    """Connect, learn the server's key, send our proof over it, on that same connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False  # nobody vouches for the name yet: the code's proof binds the key we see
    context.verify_mode = ssl.CERT_NONE  # as above; every later connection verifies against the pinned CA
    try:
        async with asyncio.timeout(STEP_S):
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
        try:
            seen = _server_key(writer)
            proof = signing.terminal_proof(secret, public_key=key, server_key_sha256=seen)
            body = {"locator": locator, "public_key": _b64(key), "proof": _b64(proof), "version": VERSION}
            async with asyncio.timeout(STEP_S):
                status, answer = await _post(reader, writer, f"{host}:{port}", body)
        finally:
            writer.close()
    except (OSError, TimeoutError, h11.RemoteProtocolError) as error:
        raise Unavailable(f"the daemon at {host}:{port} was not reached", code="daemon-away") from error
    if status == 200:
        return seen, answer
    error_object = answer.get("error") if isinstance(answer.get("error"), dict) else {}
    assert isinstance(error_object, dict)
    message = str(error_object.get("message") or f"the daemon answered {status}")
    raise EnrolRefused(message, code=str(error_object.get("code") or EnrolRefused.code))


def _server_key(writer: asyncio.StreamWriter) -> bytes:
    tls = writer.get_extra_info("ssl_object")
    certificate = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True))
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()


async def _post(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, body: dict[str, str]
) -> tuple[int, dict[str, Any]]:
    data = json.dumps(body).encode()
    connection = h11.Connection(h11.CLIENT)
    headers = [
        ("Host", host),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(data))),
        ("Connection", "close"),
    ]
    request = h11.Request(method="POST", target=PREFIX + "/enrol", headers=headers)
    for part in (request, h11.Data(data), h11.EndOfMessage()):
        writer.write(connection.send(part) or b"")
    await writer.drain()
    status, received = 0, b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(16_384))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            received += event.data
            if len(received) > BODY_BYTES_MAX:
                raise Unavailable("the daemon's answer is too long", code="daemon-away")
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            break
    try:
        answer = json.loads(received or b"{}")
    except ValueError:
        answer = {}
    return status, answer if isinstance(answer, dict) else {}


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
