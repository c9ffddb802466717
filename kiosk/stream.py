"""Server-sent events (WHATWG HTML 9.2): bytes in, events out. Pure."""

from __future__ import annotations

from dataclasses import dataclass

BUFFER_BYTES_MAX = 256 * 1024
"""One event is never longer; a stream that does not end its lines is refused."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event; `event_id` is empty where the stream gave none."""

    name: str
    data: str
    event_id: str


class StreamTooLong(ValueError):
    """More than `BUFFER_BYTES_MAX` without the end of an event."""


class StreamParser:
    """Feed bytes as they come; comments and unknown fields are dropped, as the standard says."""

    def __init__(self) -> None:
        self._rest = b""
        self._name = ""
        self._data: list[str] = []
        self._size = 0
        self.last_event_id = ""

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """The events completed by `chunk`.

        Raises:
            StreamTooLong: an event beyond the limit.
        """
        *lines, self._rest = (self._rest + chunk).replace(b"\r\n", b"\n").split(b"\n")
        self._size += sum(len(line) for line in lines)
        if self._size + len(self._rest) > BUFFER_BYTES_MAX:
            raise StreamTooLong("an event is longer than the limit")
        return [event for line in lines if (event := self._line(line.decode("utf-8", "replace"))) is not None]

    def _line(self, line: str) -> ServerEvent | None:
        if not line:
            return self._end()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self._name = value
        elif field == "data":
            self._data.append(value)
        elif field == "id" and "\0" not in value:
            self.last_event_id = value
        return None

    def _end(self) -> ServerEvent | None:
        name, data = self._name or "message", self._data
        self._name, self._data, self._size = "", [], 0
        return ServerEvent(name, "\n".join(data), self.last_event_id) if data else None
