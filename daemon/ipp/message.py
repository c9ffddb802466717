"""What an IPP message is: typed values in attributes in ordered groups (RFC 8010 section 3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from daemon.ipp.registry_data import GroupTag, Status, Tag
from daemon.kernel.errors import Refusal

Version = tuple[int, int]
OUT_OF_BAND: Final = range(0x10, 0x20)
"""Value tags that stand for "no value" in one way or another."""


class IppError(Refusal):
    """What is answered by an IPP status; `version` and `request_id` are those of the message, if known."""

    code = "ipp"

    def __init__(
        self, status: int, message: str = "", *, request_id: int = 0, version: Version = (2, 0), **data: Any
    ) -> None:
        self.status = Status(status)
        self.request_id = request_id
        self.version = version
        super().__init__(message or self.status.keyword, code=self.status.keyword, **data)


class Value(NamedTuple):
    """One value with its tag.

    `value` is: int (integer, enum), bool, bytes (octetString, dateTime's 11 octets, unknown syntaxes), `Range`,
    `Resolution`, `Localized` (with language), dict name -> Attribute (collection), None (out of band), else str.
    """

    tag: int
    value: Any


class Attribute(NamedTuple):
    """A name and its values, at least one (1setOf is more than one; each keeps its own tag)."""

    name: str
    values: tuple[Value, ...]

    @property
    def first(self) -> Any:
        """The first value without its tag, None when out of band."""
        return self.values[0].value if self.values else None


class Range(NamedTuple):
    """rangeOfInteger, both ends included."""

    lower: int
    upper: int


class Resolution(NamedTuple):
    """Cross feed and feed, `units` 3 = dots per inch, 4 = dots per centimetre."""

    x: int
    y: int
    units: int = 3


class Localized(NamedTuple):
    """textWithLanguage and nameWithLanguage."""

    language: str
    text: str

    def __str__(self) -> str:
        return self.text


Collection = dict[str, Attribute]
Attributes = dict[str, Attribute]


@dataclass(slots=True)
class Group:
    """Attributes under one delimiter, in the order they came.

    `encoded` is appended as is when the message is written: attributes encoded once and sent often.
    """

    tag: int
    attributes: Attributes = field(default_factory=dict)
    encoded: bytes = b""

    def __contains__(self, name: str) -> bool:
        return name in self.attributes

    def __iter__(self) -> Iterator[Attribute]:
        return iter(self.attributes.values())

    def get(self, name: str) -> Attribute | None:
        return self.attributes.get(name)

    def first(self, name: str, default: Any = None) -> Any:
        """The first value without its tag; `default` if absent or out of band."""
        attribute = self.attributes.get(name)
        value = attribute.first if attribute else None
        return default if value is None else value

    def text(self, name: str, default: str = "") -> str:
        """The first value as text (with or without language); `default` if absent or of no textual syntax."""
        value = self.first(name)
        return str(value) if isinstance(value, str | Localized) else default

    def integer(self, name: str, default: int | None = None) -> int | None:
        """The first value if it is an integer or enum, else `default`."""
        value = self.first(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else default

    def all(self, name: str) -> tuple[Any, ...]:
        """Every value without its tag; out-of-band values are left out."""
        attribute = self.attributes.get(name)
        return () if attribute is None else tuple(v.value for v in attribute.values if v.tag not in OUT_OF_BAND)

    def add(self, name: str, values: tuple[Value, ...]) -> None:
        """Put an attribute at the end, in place of one of the same name."""
        self.attributes[name] = Attribute(name, values)


@dataclass(slots=True)
class Message:
    """A request (`code` is the operation) or an answer (`code` is the status)."""

    version: Version
    code: int
    request_id: int
    groups: list[Group] = field(default_factory=list)

    def group(self, tag: int) -> Group:
        """The first group with this tag; an empty one, not part of the message, if there is none."""
        for group in self.groups:
            if group.tag == tag:
                return group
        return Group(tag)

    def all_groups(self, tag: int) -> list[Group]:
        """Every group with this tag: an answer has one job group per job."""
        return [group for group in self.groups if group.tag == tag]

    @property
    def operation(self) -> Group:
        """The operation attributes."""
        return self.group(GroupTag.OPERATION)

    @property
    def jobs(self) -> list[Group]:
        """The job groups."""
        return self.all_groups(GroupTag.JOB)

    @property
    def printer(self) -> Group:
        """The printer attributes."""
        return self.group(GroupTag.PRINTER)


def plain(attributes: Iterable[Attribute]) -> dict[str, Any]:
    """Attributes as JSON-ready data: one value bare, more as a list, octets in hex. For logs of tests and captures."""
    found: dict[str, Any] = {}
    for name, values in attributes:
        items = [_plain(value) for value in values]
        found[name] = items[0] if len(items) == 1 else items
    return found


def _plain(value: Value) -> Any:
    content = value.value
    if isinstance(content, dict):
        return plain(content.values())
    if isinstance(content, bytes):
        return content.hex()
    if value.tag in OUT_OF_BAND:
        return {"out-of-band": Tag(value.tag).keyword if value.tag in set(Tag) else value.tag}
    if isinstance(content, Localized):
        return content.text
    if isinstance(content, tuple):
        return list(content)
    return content
