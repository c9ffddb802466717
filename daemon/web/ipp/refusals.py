"""One table: what the house refuses or lacks, as IPP status codes (RFC 8011 appendix B, PWG 5100.16).

`server-error-internal-error` is for bugs alone: it stops a CUPS client's whole queue. Account codes use the numbers
CUPS knows (0x049C-0x049F): with the registered ones its jobs stay `processing` for ever.
"""

from __future__ import annotations

from daemon.ipp.message import IppError
from daemon.ipp.registry import Status
from daemon.kernel.errors import Refusal, Unavailable

CUPS_ACCOUNT_INFO_NEEDED = 0x049C
CUPS_ACCOUNT_CLOSED = 0x049D
CUPS_ACCOUNT_LIMIT_REACHED = 0x049E
CUPS_ACCOUNT_AUTHORIZATION_FAILED = 0x049F

STATUS_OF_REFUSAL: dict[str, int] = {
    "account-authorization-failed": CUPS_ACCOUNT_AUTHORIZATION_FAILED,
    "account-closed": CUPS_ACCOUNT_CLOSED,
    "account-info-needed": CUPS_ACCOUNT_INFO_NEEDED,
    "account-limit-reached": CUPS_ACCOUNT_LIMIT_REACHED,
    "attributes-not-settable": Status.CLIENT_ERROR_ATTRIBUTES_NOT_SETTABLE,
    "attributes-or-values-not-supported": Status.CLIENT_ERROR_ATTRIBUTES_OR_VALUES_NOT_SUPPORTED,
    "bad-input": Status.CLIENT_ERROR_BAD_REQUEST,
    "bad-request": Status.CLIENT_ERROR_BAD_REQUEST,
    "cannot-print": Status.CLIENT_ERROR_ATTRIBUTES_OR_VALUES_NOT_SUPPORTED,
    "body-broken": Status.CLIENT_ERROR_BAD_REQUEST,
    "charset-not-supported": Status.CLIENT_ERROR_CHARSET_NOT_SUPPORTED,
    "compression-error": Status.CLIENT_ERROR_COMPRESSION_ERROR,
    "compression-not-supported": Status.CLIENT_ERROR_COMPRESSION_NOT_SUPPORTED,
    "conflict": Status.CLIENT_ERROR_NOT_POSSIBLE,
    "conflicting-attributes": Status.CLIENT_ERROR_CONFLICTING_ATTRIBUTES,
    "document-format-error": Status.CLIENT_ERROR_DOCUMENT_FORMAT_ERROR,
    "document-format-not-supported": Status.CLIENT_ERROR_DOCUMENT_FORMAT_NOT_SUPPORTED,
    "document-password-error": Status.CLIENT_ERROR_DOCUMENT_PASSWORD_ERROR,
    "document-permission-error": Status.CLIENT_ERROR_DOCUMENT_PERMISSION_ERROR,
    "document-security-error": Status.CLIENT_ERROR_DOCUMENT_SECURITY_ERROR,
    "document-too-complex": Status.CLIENT_ERROR_DOCUMENT_UNPRINTABLE_ERROR,
    "document-too-large": Status.CLIENT_ERROR_REQUEST_ENTITY_TOO_LARGE,
    "document-unprintable-error": Status.CLIENT_ERROR_DOCUMENT_UNPRINTABLE_ERROR,
    "forbidden": Status.CLIENT_ERROR_FORBIDDEN,
    "insufficient-funds": CUPS_ACCOUNT_LIMIT_REACHED,
    "job-not-held": Status.CLIENT_ERROR_NOT_POSSIBLE,
    "multiple-document-jobs-not-supported": Status.SERVER_ERROR_MULTIPLE_DOCUMENT_JOBS_NOT_SUPPORTED,
    "not-a-downgrade": Status.CLIENT_ERROR_ATTRIBUTES_OR_VALUES_NOT_SUPPORTED,
    "not-accepting-jobs": Status.SERVER_ERROR_NOT_ACCEPTING_JOBS,
    "not-authenticated": Status.CLIENT_ERROR_NOT_AUTHENTICATED,
    "not-authorized": Status.CLIENT_ERROR_NOT_AUTHORIZED,
    "not-found": Status.CLIENT_ERROR_NOT_FOUND,
    "not-possible": Status.CLIENT_ERROR_NOT_POSSIBLE,
    "operation-not-supported": Status.SERVER_ERROR_OPERATION_NOT_SUPPORTED,
    "request-entity-too-large": Status.CLIENT_ERROR_REQUEST_ENTITY_TOO_LARGE,
    "request-value-too-long": Status.CLIENT_ERROR_REQUEST_VALUE_TOO_LONG,
    "sign-in-failed": Status.CLIENT_ERROR_NOT_AUTHENTICATED,
    "too-large": Status.CLIENT_ERROR_REQUEST_ENTITY_TOO_LARGE,
    "too-many-jobs": Status.SERVER_ERROR_TOO_MANY_JOBS,
    "version-not-supported": Status.SERVER_ERROR_VERSION_NOT_SUPPORTED,
}
"""Refusal code -> status. A refusal that is not here is `client-error-not-possible`."""

STATUS_OF_UNAVAILABLE: dict[str, int] = {
    "busy": Status.SERVER_ERROR_BUSY,
    "storage-full": Status.SERVER_ERROR_TEMPORARY_ERROR,
    "printer-unreachable": Status.SERVER_ERROR_SERVICE_UNAVAILABLE,
    "sandbox-unavailable": Status.SERVER_ERROR_SERVICE_UNAVAILABLE,
}
"""Unavailable code -> status, all of which clients retry. One that is not here is `server-error-temporary-error`."""


def status_of(error: Refusal | Unavailable) -> int:
    """The status that answers `error`."""
    if isinstance(error, IppError):
        return int(error.status)
    if isinstance(error, Refusal):
        return int(STATUS_OF_REFUSAL.get(error.code, Status.CLIENT_ERROR_NOT_POSSIBLE))
    return int(STATUS_OF_UNAVAILABLE.get(error.code, Status.SERVER_ERROR_TEMPORARY_ERROR))
