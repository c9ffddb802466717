"""How talking to a printer fails."""

from __future__ import annotations

from typing import Any

from daemon.devices.printer_job import PrinterJob
from daemon.ipp.registry import Status, status_keyword
from daemon.kernel.errors import Refusal, Unavailable


class PrinterUnreachable(Unavailable):
    """The printer did not answer, or not in time, or not in IPP.

    `may_have_sent` is False only if provably no octet of a job-creating request left us: the job may be sent again.
    `printer_job` is the job the printer had already acknowledged, if any.
    `may_have_printed` is False only if no octet of the document left us: then no paper can come out.
    """

    code = "printer-unreachable"

    def __init__(
        self,
        message: str = "",
        /,
        *,
        may_have_sent: bool = False,
        may_have_printed: bool = False,
        code: str | None = None,
        **data: Any,
    ) -> None:
        super().__init__(message, code=code, **data)
        self.printer_job: PrinterJob | None = None
        self.may_have_sent = may_have_sent
        self.may_have_printed = may_have_printed


class PrinterUntrusted(PrinterUnreachable):
    """The printer's certificate is not the pinned one, or no known authority vouches for it. Nothing was sent."""

    code = "printer-not-trusted"


class DocumentInterrupted(PrinterUnreachable):
    """Our own document stream failed on the way; the cause is chained."""

    code = "document-interrupted"


class PrinterRefused(Refusal):
    """The printer said no. `status` is its IPP status; `code` the status keyword or our word for an HTTP answer."""

    code = "printer-refused"

    def __init__(self, message: str = "", /, *, status: int = Status.CLIENT_ERROR_NOT_POSSIBLE, **data: Any) -> None:
        code = data.pop("code", None) or status_keyword(status)
        super().__init__(message, code=code, **data)
        self.status = status

    @property
    def is_busy(self) -> bool:
        """True if the same request may succeed a little later."""
        return self.status in BUSY


BUSY = frozenset(
    {Status.SERVER_ERROR_BUSY, Status.SERVER_ERROR_TEMPORARY_ERROR, Status.SERVER_ERROR_SERVICE_UNAVAILABLE}
)


class BadPrinterUri(Refusal):
    """A printer address we do not speak to; `data["uri"]` says which."""

    code = "printer-uri-not-supported"


class AddressForbidden(Refusal):
    """The printer's name leads to an address that is not allowed (loopback, link-local, multicast, ...)."""

    code = "printer-address-not-allowed"
