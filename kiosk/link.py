"""The terminal's line to the daemon: verified TLS, signed requests, one event stream. I/O.

The TLS context trusts the pinned CA and nothing else. Every request is signed with the terminal's key; a session
token rides along where a person is signed in.
"""

from __future__ import annotations

import base64
import json
import math
import ssl
from typing import TYPE_CHECKING, Any, Self

import httpx

from daemon.kernel.clock import from_rfc3339
from daemon.kernel.errors import Refusal, Unavailable
from daemon.wire import signing
from daemon.wire.messages import ANSWER_BYTES_MAX, CLOCK_SKEW, PING_S, PREFIX
from kiosk.probe import Probe
from kiosk.stream import ServerEvent, StreamParser, StreamTooLong

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from daemon.kernel.clock import Clock
    from kiosk.identity import Counter

CONNECT_S = 1.5
ANSWER_S = 12.0
"""Sign-ins queue behind Argon2id and a release asks the printer first; nothing else takes long."""
PROBE_S = 1.4
CONNECTIONS_MAX = 8


class DaemonRefused(Refusal):
    """The daemon said no: its code, and the rest of its error object in `data`."""


class DaemonAway(Unavailable):
    """The daemon was not reached: nothing was asked of it."""

    code = "daemon-away"


class NoAnswer(Unavailable):
    """Something was asked and no answer came: it may have happened."""

    code = "no-answer"


class DaemonLink:
    """Requests to one daemon. Use as an async context manager."""

    def __init__(
        self, *, url: str, ca_pem: str, terminal_id: str, key: Ed25519PrivateKey, counter: Counter, clock: Clock
    ) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(cadata=ca_pem)
        self._probe = Probe(url, context)
        self._client = httpx.AsyncClient(
            base_url=url,
            verify=context,
            trust_env=False,
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX),
        )
        self._terminal_id, self._key, self._counter, self._clock = terminal_id, key, counter, clock
        self._offset_us = 0
        self.heard_s = -math.inf
        """When the terminal's own stream last said anything, on the clock's monotonic scale."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._probe.close()
        await self._client.aclose()

    async def post(self, path: str, body: Mapping[str, Any], *, session: str = "") -> dict[str, Any]:
        """POST JSON; raises DaemonRefused, DaemonAway or NoAnswer."""
        return _object(await self._send("POST", path, json.dumps(body).encode(), session))

    async def get(self, path: str, *, session: str = "") -> dict[str, Any]:
        """GET JSON; raises as `post`."""
        return _object(await self._send("GET", path, b"", session))

    async def get_bytes(self, path: str, *, session: str) -> bytes:
        """GET something that is not JSON (a preview); raises as `post`."""
        return (await self._send("GET", path, b"", session)).content

    async def probe(self) -> None:
        """Is anybody there? Any HTTP answer says yes; raises DaemonAway."""
        try:
            await self._probe.ask(PROBE_S)
        except (OSError, TimeoutError) as error:
            raise DaemonAway(type(error).__name__) from error

    async def events(self, *, session: str = "", last_event_id: str = "") -> AsyncIterator[ServerEvent]:
        """The event stream until it ends or falls silent; `hello` comes first when the daemon sends one."""
        headers = self._headers("GET", PREFIX + "/events", b"", session) | {"accept": "text/event-stream"}
        if last_event_id:
            headers["last-event-id"] = last_event_id
        timeout = httpx.Timeout(PING_S * 2.0, connect=CONNECT_S)
        parser = StreamParser()
        try:
            async with self._client.stream("GET", PREFIX + "/events", headers=headers, timeout=timeout) as answer:
                if answer.status_code != httpx.codes.OK:
                    await answer.aread()
                    raise _refused(answer)
                yield ServerEvent("open", "", "")
                async for chunk in answer.aiter_raw():
                    if not session:
                        self.heard_s = self._clock.monotonic_s()
                    for event in parser.feed(chunk):
                        yield event
        except (httpx.HTTPError, StreamTooLong) as error:
            raise DaemonAway(type(error).__name__) from error

    async def _send(self, method: str, path: str, body: bytes, session: str) -> httpx.Response:
        answer = await self._once(method, PREFIX + path, body, session)
        if answer.status_code == httpx.codes.UNAUTHORIZED and self._learnt_time(answer):
            answer = await self._once(method, PREFIX + path, body, session)
        if answer.is_error:
            raise _refused(answer)
        return answer

    async def _once(self, method: str, target: str, body: bytes, session: str) -> httpx.Response:
        headers = self._headers(method, target, body, session)
        if body:
            headers["content-type"] = "application/json"
        try:
            answer = await self._client.request(method, target, content=body, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise DaemonAway(type(error).__name__) from error
        except httpx.HTTPError as error:
            raise NoAnswer(type(error).__name__) from error
        if len(answer.content) > ANSWER_BYTES_MAX:
            raise NoAnswer("the answer is too long")
        return answer

    def _headers(self, method: str, target: str, body: bytes, session: str) -> dict[str, str]:
        time_us, counter = self._clock.now_us() + self._offset_us, self._counter.next()
        message = signing.signing_input(method=method, target=target, body=body, time_us=time_us, counter=counter)
        headers = {
            signing.HEADER_TERMINAL: self._terminal_id,
            signing.HEADER_TIME: str(time_us),
            signing.HEADER_COUNTER: str(counter),
            signing.HEADER_SIGNATURE: base64.b64encode(self._key.sign(message)).decode("ascii"),
        }
        return headers | ({signing.HEADER_SESSION: session} if session else {})

    def _learnt_time(self, answer: httpx.Response) -> bool:
        """A terminal without a battery clock takes the daemon's time (over verified TLS) and asks once more."""
        error = _error_of(answer)
        if error.get("code") != CLOCK_SKEW or not isinstance(error.get("now"), str):
            return False
        self._offset_us = from_rfc3339(error["now"]) - self._clock.now_us()
        return True


def _object(answer: httpx.Response) -> dict[str, Any]:
    if not answer.content:
        return {}
    try:
        value = answer.json()
    except ValueError as error:
        raise NoAnswer("the answer is not JSON") from error
    if not isinstance(value, dict):
        raise NoAnswer("the answer is not an object")
    return value


def _error_of(answer: httpx.Response) -> dict[str, Any]:
    try:
        error = answer.json().get("error")
    except (ValueError, AttributeError):
        return {}
    return error if isinstance(error, dict) else {}


def _refused(answer: httpx.Response) -> DaemonRefused | NoAnswer:
    error = _error_of(answer)
    code = error.pop("code", None)
    if not isinstance(code, str):
        return NoAnswer(f"HTTP {answer.status_code}")
    message = str(error.pop("message", ""))
    if answer.headers.get("retry-after", "").isdigit():
        error.setdefault("retry_after_s", int(answer.headers["retry-after"]))
    return DaemonRefused(message, code=code, status=answer.status_code, error=error)
