"""Plain values to typed ones by the registered syntax: `typed("copies", 2)`, `typed("finishings", [4])`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from daemon.ipp import build
from daemon.ipp.message import Attribute, Range, Resolution, Value
from daemon.ipp.registry_data import ENUMS, SYNTAX, Finishing, Orientation, PrintQuality, Tag

KEYWORD: Final = re.compile(r"[a-z][a-z0-9._-]*")
ENUM_CLASSES: Final = {
    "finishings": Finishing,
    "print-quality": PrintQuality,
    "orientation-requested": Orientation,
}
_TEXTUAL: Final = {
    "text": Tag.TEXT_WITHOUT_LANGUAGE,
    "uriScheme": Tag.URI_SCHEME,
    "uri": Tag.URI,
    "charset": Tag.CHARSET,
    "naturalLanguage": Tag.NATURAL_LANGUAGE,
    "mimeMediaType": Tag.MIME_MEDIA_TYPE,
    "keyword": Tag.KEYWORD,
    "name": Tag.NAME_WITHOUT_LANGUAGE,
}


def typed(path: str, content: Any) -> build.Values:
    """The values of an attribute, or of a member written `collection/member`.

    A list or tuple is a 1setOf, except where the syntax makes a pair or triple one value (range, resolution).

    Raises:
        ValueError: not a registered attribute, or content its syntax has no place for.
    """
    syntax = SYNTAX.get(path) or SYNTAX.get(path.rpartition("/")[2])
    if syntax is None:
        raise ValueError(f"{path} is not a registered attribute")
    if isinstance(content, list | tuple) and not _is_one_value(syntax, content):
        return tuple(value for item in content for value in typed(path, item))
    return (_value(path, syntax, content),)


def typed_attributes(contents: Mapping[str, Any]) -> dict[str, build.Values]:
    """All attributes of a mapping; None leaves one out. Values that are typed already stay.

    Raises:
        ValueError: see `typed`.
    """
    out: dict[str, build.Values] = {}
    for name, content in contents.items():
        if isinstance(content, tuple) and content and isinstance(content[0], Value):
            out[name] = content
        elif content is not None:
            out[name.replace("_", "-")] = typed(name.replace("_", "-"), content)
    return out


def _is_one_value(syntax: str, content: Any) -> bool:
    is_numbers = bool(content) and all(isinstance(item, int) for item in content)
    if "resolution" in syntax:
        return is_numbers and len(content) in (2, 3)
    return "rangeOfInteger" in syntax and "integer(" not in syntax and is_numbers and len(content) == 2


def _value(path: str, syntax: str, content: Any) -> Value:
    if isinstance(content, Mapping) and "collection" in syntax:
        members = {}
        for name, inner in content.items():
            member = name.replace("_", "-")
            members[member] = Attribute(member, typed(f"{path}/{member}", inner))
        return Value(Tag.BEG_COLLECTION, members)
    if isinstance(content, bool) and "boolean" in syntax:
        return Value(Tag.BOOLEAN, content)
    if isinstance(content, int) and not isinstance(content, bool):
        if "enum" in syntax:
            return Value(Tag.ENUM, int(content))
        if "integer" in syntax:
            return Value(Tag.INTEGER, int(content))
    if isinstance(content, list | tuple) and "resolution" in syntax:
        return Value(Tag.RESOLUTION, Resolution(*content))
    if isinstance(content, list | tuple) and "rangeOfInteger" in syntax:
        return Value(Tag.RANGE_OF_INTEGER, Range(*content))
    if isinstance(content, bytes) and "octetString" in syntax:
        return Value(Tag.OCTET_STRING, content)
    if isinstance(content, str):
        return _textual(path, syntax, content)
    raise ValueError(f"{content!r} is no {syntax} ({path})")


def _textual(path: str, syntax: str, content: str) -> Value:
    if "enum" in syntax:
        member = ENUM_CLASSES.get(path)
        names = {e.keyword: int(e) for e in member} if member else ENUMS.get(path, {})
        if content in names:
            return Value(Tag.ENUM, names[content])
    words = set(re.findall(r"[A-Za-z]+", syntax))
    if "keyword" in words and "name" in words and not KEYWORD.fullmatch(content):
        return Value(Tag.NAME_WITHOUT_LANGUAGE, content)
    for word, tag in _TEXTUAL.items():
        if word in words:
            return Value(tag, content)
    raise ValueError(f"{content!r} is no {syntax} ({path})")
