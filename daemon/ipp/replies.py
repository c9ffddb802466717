"""Answers: made from the request they answer, and the selection of attributes a client asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from daemon.ipp import build
from daemon.ipp.message import Attribute, Attributes, Group, IppError, Message, Value
from daemon.ipp.registry_data import GroupTag, Status

STATUS_MESSAGE_CHARACTERS_MAX: Final = 255
KNOWN_VERSIONS: Final = frozenset({(1, 0), (1, 1), (2, 0), (2, 1), (2, 2)})
FALLBACK_VERSION: Final = (1, 1)


def reply(request: Message, status: Status, *groups: Group, message: str = "") -> Message:
    """An answer to `request` in its version, with `status-message` if there is something to say."""
    return _answer(request.version, request.request_id, status, groups, message)


def error_reply(error: IppError, *groups: Group) -> Message:
    """The answer to a request that could not be decoded or was refused."""
    return _answer(error.version, error.request_id, error.status, groups, error.message)


def _answer(
    version: tuple[int, int], request_id: int, status: Status, groups: Iterable[Group], message: str
) -> Message:
    head: dict[str, build.Values] = {}
    if message:
        head["status-message"] = build.text(message[:STATUS_MESSAGE_CHARACTERS_MAX])
    known = version if version in KNOWN_VERSIONS else FALLBACK_VERSION
    return build.message(
        status, build.group(GroupTag.OPERATION, head), *groups, request_id=max(0, request_id), version=known
    )


def unsupported_group(values: Mapping[str, tuple[Value, ...] | None]) -> Group:
    """The group that names what was not supported; None for a whole attribute, values for some of its values."""
    return build.group(
        GroupTag.UNSUPPORTED, {name: build.unsupported() if found is None else found for name, found in values.items()}
    )


def selected(attributes: Attributes, requested: Iterable[str], *, groups: Mapping[str, frozenset[str]]) -> Attributes:
    """The attributes a client's requested-attributes name, in our order.

    `groups` maps `all`, `job-template`, `printer-description`, ... to the names they stand for; an attribute that is
    in no group (media-col-database) comes only when asked by name (RFC 8011 section 4.2.5.1).
    """
    wanted: set[str] = set()
    for word in requested:
        wanted |= groups.get(word, frozenset({word}))
    return {name: attribute for name, attribute in attributes.items() if name in wanted}


def job_groups(jobs: Iterable[Iterable[Attribute]]) -> list[Group]:
    """One job group per job, as Get-Jobs answers."""
    return [Group(GroupTag.JOB, {attribute.name: attribute for attribute in job}) for job in jobs]
