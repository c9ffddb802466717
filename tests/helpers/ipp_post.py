"""A bare IPP client for tests: one request, one answer, over our own codec; no retries, no repair."""

from __future__ import annotations

import asyncio
import base64

from daemon.ipp import build
from daemon.ipp.codec import LENIENT, decode, encode
from daemon.ipp.registry import GroupTag

NO_DOCUMENT = b""


class Answer:
    """HTTP status, headers, and the IPP message where there is one."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        self.message = decode(body, LENIENT)[0] if headers.get("content-type") == "application/ipp" else None

    @property
    def code(self):
        return self.message.code

    @property
    def job(self):
        return self.message.jobs[0]

    @property
    def unsupported(self):
        return self.message.group(GroupTag.UNSUPPORTED)


async def exchange(port, raw, *, ssl=None):
    """Send bytes on a fresh connection, read one answer with a length."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=ssl, server_hostname="localhost" if ssl else None
    )
    try:
        writer.write(raw)
        await writer.drain()
        while True:
            head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode("latin-1").split("\r\n")
            status = int(head[0].split(" ")[1])
            if status != 100:
                break
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in head[1:] if line)}
        return Answer(status, headers, await reader.readexactly(int(headers["content-length"])))
    finally:
        writer.close()


def request(
    path,
    operation,
    *,
    user="alice",
    job=None,
    document=NO_DOCUMENT,
    basic=None,
    scheme="ipp",
    job_id=None,
    host="localhost:631",
    version=(2, 0),
    request_id=7,
    headers=(),
    **operation_attributes,
):
    """The bytes of one IPP request over HTTP; keyword names are attribute names with underscores."""
    values = {"printer-uri": build.uri(f"{scheme}://localhost{path}")}
    if job_id is not None:
        values["job-id"] = build.integer(job_id)
    if user is not None:
        values["requesting-user-name"] = build.name(user)
    values |= {name.replace("_", "-"): value for name, value in operation_attributes.items()}
    groups = [build.group(GroupTag.OPERATION, values)]
    if job:
        groups.append(build.group(GroupTag.JOB, {name.replace("_", "-"): value for name, value in job.items()}))
    body = encode(build.message(operation, *groups, request_id=request_id, version=version)) + document
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {host}",
        "Content-Type: application/ipp",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    if basic:
        lines.append("Authorization: Basic " + base64.b64encode(":".join(basic).encode()).decode())
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


async def ask(port, path, operation, *, ssl=None, **options):
    return await exchange(port, request(path, operation, scheme="ipps" if ssl else "ipp", **options), ssl=ssl)
