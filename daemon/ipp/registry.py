"""Registered names and numbers, and the questions asked of them.

The tables come from `registry_data.py`, which `tools/generate_ipp_registry.py` writes from IANA's registry.
"""

from __future__ import annotations

import re
from typing import Final

from daemon.ipp.registry_data import (
    ENUMS,
    REASONS,
    SYNTAX,
    DocumentState,
    Finishing,
    GroupTag,
    JobState,
    Keyworded,
    Operation,
    Orientation,
    PrinterState,
    PrintQuality,
    Status,
    Tag,
)

__all__ = [
    "ENUMS",
    "REASONS",
    "SYNTAX",
    "DocumentState",
    "Finishing",
    "GroupTag",
    "JobState",
    "Keyworded",
    "Operation",
    "Orientation",
    "PrintQuality",
    "PrinterState",
    "Status",
    "Tag",
    "allowed_tags",
    "bare_reason",
    "is_set",
    "status_keyword",
    "syntax_of",
]

SUCCESS_MAX: Final = 0x00FF
"""Status codes up to here mean that the operation was done (RFC 8011 section 4.1.8)."""

_SYNTAX_TAGS: Final[dict[str, frozenset[int]]] = {
    "integer": frozenset({Tag.INTEGER}),
    "boolean": frozenset({Tag.BOOLEAN}),
    "enum": frozenset({Tag.ENUM}),
    "octetString": frozenset({Tag.OCTET_STRING}),
    "dateTime": frozenset({Tag.DATE_TIME}),
    "resolution": frozenset({Tag.RESOLUTION}),
    "rangeOfInteger": frozenset({Tag.RANGE_OF_INTEGER}),
    "collection": frozenset({Tag.BEG_COLLECTION}),
    "text": frozenset({Tag.TEXT_WITHOUT_LANGUAGE, Tag.TEXT_WITH_LANGUAGE}),
    "name": frozenset({Tag.NAME_WITHOUT_LANGUAGE, Tag.NAME_WITH_LANGUAGE}),
    "keyword": frozenset({Tag.KEYWORD}),
    "uri": frozenset({Tag.URI}),
    "uriScheme": frozenset({Tag.URI_SCHEME}),
    "charset": frozenset({Tag.CHARSET}),
    "naturalLanguage": frozenset({Tag.NATURAL_LANGUAGE}),
    "mimeMediaType": frozenset({Tag.MIME_MEDIA_TYPE}),
    "no-value": frozenset({Tag.NO_VALUE}),
    "unknown": frozenset({Tag.UNKNOWN}),
}
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z-]*")
_SEVERITY: Final = re.compile(r"-(?:error|warning|report)$")


def syntax_of(path: str) -> str | None:
    """The registered syntax of an attribute or of a member (`media-col/media-size`), None if there is none."""
    return SYNTAX.get(path)


def allowed_tags(path: str) -> frozenset[int] | None:
    """The value tags the registered syntax permits, None for an attribute that is not registered."""
    syntax = SYNTAX.get(path)
    if syntax is None:
        return None
    words = (word for word in _WORD.findall(syntax) if word in _SYNTAX_TAGS)
    return frozenset(tag for word in words for tag in _SYNTAX_TAGS[word])


def is_set(path: str) -> bool:
    """True if the registered syntax permits more than one value."""
    return SYNTAX.get(path, "").startswith("1setOf")


def status_keyword(code: int) -> str:
    """`client-error-not-found`, or the number in hex for a code nobody registered."""
    try:
        return Status(code).keyword
    except ValueError:
        return f"0x{code:04x}"


def bare_reason(reason: str) -> str:
    """A state reason without its severity: `media-jam-error` -> `media-jam` (RFC 8011 section 5.4.12)."""
    return _SEVERITY.sub("", reason)
