"""What every request must satisfy before its operation is looked at (RFC 8011 sections 4.1.1 to 4.1.9)."""

from __future__ import annotations

from daemon.ipp.message import Group, IppError, Message
from daemon.ipp.registry import GroupTag, Operation, Status, Tag
from daemon.web.ipp.addresses import path_of

REQUEST_ID_MAX = 2_147_483_647
VERSIONS_MAJOR = (1, 2)
CHARSETS = ("utf-8", "us-ascii")
JOB_ID_MAX = 2_147_483_647

WITH_JOB = frozenset({
    Operation.SEND_DOCUMENT, Operation.CANCEL_JOB, Operation.GET_JOB_ATTRIBUTES, Operation.HOLD_JOB,
    Operation.RELEASE_JOB, Operation.SET_JOB_ATTRIBUTES, Operation.CLOSE_JOB,
})  # fmt: skip
"""Operations on one job: by job-uri, or printer-uri and job-id."""

SYNTAX = {
    "requesting-user-name": (Tag.NAME_WITHOUT_LANGUAGE, Tag.NAME_WITH_LANGUAGE),
    "job-name": (Tag.NAME_WITHOUT_LANGUAGE, Tag.NAME_WITH_LANGUAGE),
    "document-name": (Tag.NAME_WITHOUT_LANGUAGE, Tag.NAME_WITH_LANGUAGE),
    "document-format": (Tag.MIME_MEDIA_TYPE,),
    "compression": (Tag.KEYWORD,),
    "ipp-attribute-fidelity": (Tag.BOOLEAN,),
    "last-document": (Tag.BOOLEAN,),
    "my-jobs": (Tag.BOOLEAN,),
    "limit": (Tag.INTEGER,),
    "job-id": (Tag.INTEGER,),
    "first-job-id": (Tag.INTEGER,),
    "which-jobs": (Tag.KEYWORD,),
    "requested-attributes": (Tag.KEYWORD,),
    "job-hold-until": (Tag.KEYWORD, Tag.NAME_WITHOUT_LANGUAGE, Tag.NAME_WITH_LANGUAGE),
    "job-password": (Tag.OCTET_STRING,),
    "job-password-encryption": (Tag.KEYWORD, Tag.NAME_WITHOUT_LANGUAGE),
}
"""Operation attributes we read, with the value tags they may have."""
SETS = frozenset({"requested-attributes"})


def check_version(message: Message) -> None:
    """RFC 8011 section 4.1.8: any minor version of the major ones we speak.

    Raises:
        IppError: `server-error-version-not-supported`.
    """
    if message.version[0] not in VERSIONS_MAJOR:
        raise IppError(Status.SERVER_ERROR_VERSION_NOT_SUPPORTED, "IPP 1.x and 2.x are spoken here",
                       request_id=message.request_id, version=(2, 0))  # fmt: skip


def check_request(message: Message) -> None:
    """Request id, groups in order, charset and language first, and the syntax of operation attributes.

    Raises:
        IppError: `client-error-bad-request`, `client-error-charset-not-supported`, `...-request-value-too-long`.
    """
    if not 0 < message.request_id <= REQUEST_ID_MAX:
        raise _bad(message, "request-id must be 1 or more")
    tags = [group.tag for group in message.groups]
    if not tags or tags[0] != GroupTag.OPERATION or tags.count(GroupTag.OPERATION) != 1:
        raise _bad(message, "one group of operation attributes must come first")
    if tags.count(GroupTag.JOB) > 1:
        raise _bad(message, "more than one group of job attributes")
    operation = message.groups[0]
    names = list(operation.attributes)[:2]
    if names != ["attributes-charset", "attributes-natural-language"]:
        raise _bad(message, "attributes-charset and attributes-natural-language must come first")
    _check_single(message, operation, "attributes-charset", Tag.CHARSET)
    _check_single(message, operation, "attributes-natural-language", Tag.NATURAL_LANGUAGE)
    charset = operation.text("attributes-charset").lower()
    if charset not in CHARSETS:
        raise IppError(Status.CLIENT_ERROR_CHARSET_NOT_SUPPORTED, f"charset {charset} is not supported",
                       request_id=message.request_id, version=message.version)  # fmt: skip
    for name, allowed in SYNTAX.items():
        attribute = operation.get(name)
        if attribute is None:
            continue
        if any(value.tag not in allowed for value in attribute.values):
            raise _bad(message, f"{name} has the wrong syntax")
        if name not in SETS and len(attribute.values) != 1:
            raise _bad(message, f"{name} must have one value")


def _check_single(message: Message, operation: Group, name: str, tag: Tag) -> None:
    attribute = operation.attributes[name]
    if len(attribute.values) != 1 or attribute.values[0].tag != tag:
        raise _bad(message, f"{name} must be one value of its syntax")


def check_target(message: Message, path: str, *, aliases: tuple[str, ...]) -> int | None:
    """The job-id the request is about, None for printer operations.

    `path` is the queue's own path, `aliases` others that mean the same queue. The HTTP path has chosen the queue; a
    target attribute that names another thing is not found (RFC 8011 section 4.1.5).

    Raises:
        IppError: `client-error-bad-request`, `client-error-not-found`.
    """
    operation = message.operation
    printer_uri, job_uri = operation.text("printer-uri"), operation.text("job-uri")
    targets = (path, *aliases)
    has_job = message.code in WITH_JOB
    if job_uri and not printer_uri:
        if not has_job:
            raise _bad(message, "printer-uri is missing")
        parent, _, number = (path_of(job_uri) or "").rpartition("/")
        if parent not in targets or not number.isascii() or not number.isdigit() or int(number) > JOB_ID_MAX:
            raise _not_found(message)
        return int(number)
    if not printer_uri:
        raise _bad(message, "printer-uri is missing")
    if path_of(printer_uri) not in targets:
        raise _not_found(message)
    if not has_job:
        return None
    job_id = operation.integer("job-id")
    if job_id is None:
        raise _bad(message, "job-id is missing")
    if job_id < 1:
        raise _not_found(message)
    return job_id


def _bad(message: Message, text: str) -> IppError:
    return IppError(Status.CLIENT_ERROR_BAD_REQUEST, text, request_id=message.request_id, version=message.version)


def _not_found(message: Message) -> IppError:
    return IppError(
        Status.CLIENT_ERROR_NOT_FOUND, "there is no such queue or job here",
        request_id=message.request_id, version=message.version,
    )  # fmt: skip
