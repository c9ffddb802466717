"""What a person's network name is: one spelling for every client, or a refusal."""

from __future__ import annotations

import unicodedata

from daemon.kernel.errors import BadInput

NAME_CHARS_MAX = 128
DISPLAY_CHARS_MAX = 200
EMAIL_CHARS_MAX = 254
_FORBIDDEN = frozenset('/\\:;,"<>|*?[]')


class BadName(BadInput):
    """The text cannot be somebody's name."""

    code = "bad-name"


def normalise(text: str, *, strip_domains: bool = True) -> str:
    r"""The stored spelling: NFC, case-folded, trimmed; `strip_domains`: `EXAMPLE\anna` and `anna@x.org` are `anna`.

    Case-folding before NFC would leave some letters decomposed, so NFC is applied on both sides of it.

    Raises:
        BadName: empty, longer than 128 characters, or with characters no network name has.
    """
    name = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text.strip()).casefold())
    if strip_domains:
        name = name.rsplit("\\", 1)[-1].split("@", 1)[0].strip()
    if not name:
        raise BadName("a name is needed")
    if len(name) > NAME_CHARS_MAX:
        raise BadName(f"a name has at most {NAME_CHARS_MAX} characters")
    if _FORBIDDEN & set(name) or not all(c.isprintable() for c in name):
        raise BadName('a name holds no control characters and none of / \\ : ; , " < > | * ? [ ]')
    return name


def printable(text: str, *, what: str, chars_max: int = DISPLAY_CHARS_MAX) -> str:
    """`text` in NFC, trimmed, on one line.

    Raises:
        BadName: control characters or too long.
    """
    clean = unicodedata.normalize("NFC", text.strip())
    if len(clean) > chars_max:
        raise BadName(f"{what} has at most {chars_max} characters")
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in clean):
        raise BadName(f"{what} holds no control characters")
    return clean


def email_address(text: str) -> str:
    """A mail address that can stand in a header as it is; empty means none.

    Raises:
        BadName: not an address.
    """
    clean = text.strip()
    if not clean:
        return ""
    local, at, domain = clean.rpartition("@")
    is_plain = all(33 <= ord(c) < 127 and c not in '<>()[],;:"\\' for c in clean.replace("@", "", 1))
    if not at or not local or "@" in local or "." in (domain[:1], domain[-1:]) or not domain or not is_plain:
        raise BadName(f"{clean!r} is not a mail address")
    if len(clean) > EMAIL_CHARS_MAX:
        raise BadName(f"a mail address has at most {EMAIL_CHARS_MAX} characters")
    return clean
