"""Requests: what every one must have, whatever its operation, and how ours are made (RFC 8011 section 4.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from daemon.ipp import build
from daemon.ipp.message import Group, IppError, Message, Value
from daemon.ipp.registry_data import GroupTag, Operation, Status, Tag

MAJORS: Final = frozenset({1, 2})
CHARSETS: Final = frozenset({"utf-8", "us-ascii"})
VERSION: Final = (2, 0)
JOB_CREATING: Final = frozenset(
    {
        Operation.PRINT_JOB,
        Operation.PRINT_URI,
        Operation.CREATE_JOB,
        Operation.SEND_DOCUMENT,
        Operation.SEND_URI,
    }
)
"""Operations after whose first octet paper may come out."""


def check_request(message: Message) -> None:
    """Refuse a request that breaks the rules common to all operations.

    Raises:
        IppError: version-not-supported, bad-request or charset-not-supported, in the order of RFC 8011 section 4.1.
    """
    if message.version[0] not in MAJORS:
        raise _refused(message, Status.SERVER_ERROR_VERSION_NOT_SUPPORTED, "speak IPP 1.1 or 2.0")
    if not 0 < message.request_id <= build.INTEGER_MAX:
        raise _refused(message, Status.CLIENT_ERROR_BAD_REQUEST, "a request id is 1 or more")
    tags = [group.tag for group in message.groups]
    if not tags or tags[0] != GroupTag.OPERATION:
        raise _refused(message, Status.CLIENT_ERROR_BAD_REQUEST, "the operation attributes come first")
    if any(tags.count(tag) > 1 for tag in (GroupTag.OPERATION, GroupTag.JOB, GroupTag.PRINTER)):
        raise _refused(message, Status.CLIENT_ERROR_BAD_REQUEST, "an attribute group came twice")
    _check_language(message)
    targets = [message.operation.get(name) for name in ("printer-uri", "job-uri")]
    if not any(target is not None and target.values[0].tag == Tag.URI for target in targets):
        raise _refused(message, Status.CLIENT_ERROR_BAD_REQUEST, "printer-uri or job-uri says what it is about")


def _check_language(message: Message) -> None:
    heads = list(message.operation)[:2]
    wanted = (("attributes-charset", Tag.CHARSET), ("attributes-natural-language", Tag.NATURAL_LANGUAGE))
    for position, (name, tag) in enumerate(wanted):
        if len(heads) <= position or heads[position].name != name:
            raise _refused(message, Status.CLIENT_ERROR_BAD_REQUEST, f"{name} comes at place {position + 1}")
        if len(heads[position].values) != 1 or heads[position].values[0].tag != tag:
            raise _refused(message, Status.CLIENT_ERROR_BAD_REQUEST, f"{name} has one value of its syntax")
    if str(heads[0].first).lower() not in CHARSETS:
        raise _refused(message, Status.CLIENT_ERROR_CHARSET_NOT_SUPPORTED, "utf-8, please")


def _refused(message: Message, status: Status, text: str) -> IppError:
    return IppError(status, text, request_id=message.request_id, version=message.version)


def printer_request(
    operation: Operation,
    *,
    uri: str,
    request_id: int,
    user: str = "",
    operation_values: Mapping[str, build.Values] | None = None,
    job_values: Mapping[str, build.Values] | None = None,
    job_id: int | None = None,
    requested: Sequence[str] = (),
    version: tuple[int, int] = VERSION,
) -> Message:
    """A request to a printer, its operation attributes in the order RFC 8011 section 4.1.5 wants them.

    `user` is what we claim as requesting-user-name; empty sends none. `requested` becomes requested-attributes.
    """
    values: dict[str, tuple[Value, ...]] = {"printer-uri": build.uri(uri)}
    if job_id is not None:
        values["job-id"] = build.integer(job_id)
    if user:
        values["requesting-user-name"] = build.name(user)
    values.update(operation_values or {})
    if requested:
        values["requested-attributes"] = build.keyword(*requested)
    groups: list[Group] = [build.group(GroupTag.OPERATION, values)]
    if job_values:
        groups.append(build.group(GroupTag.JOB, job_values))
    return build.message(operation, *groups, request_id=request_id, version=version)
