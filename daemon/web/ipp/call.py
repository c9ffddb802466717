"""One IPP request on its way through the front: the message, its queue, who sent it, and how answers are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from daemon.ipp import build
from daemon.ipp.message import Attributes, Group, IppError, Message
from daemon.ipp.registry import GroupTag, Status
from daemon.web.ipp.identity import claimed_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from daemon.ipp.build import Values
    from daemon.web.ipp.addresses import Base
    from daemon.web.ipp.backend import Backend, Identity
    from daemon.web.ipp.queues import QueueView
    from daemon.workflows.submit import Submitter

NATURAL_LANGUAGE = "en"
REQUESTED_MAX = 2000


@dataclass(frozen=True, slots=True)
class Call:
    """Everything an operation needs. `document` is what follows the attributes."""

    message: Message
    queue: QueueView
    base: Base
    backend: Backend
    identity: Identity | None
    identity_key: str
    peer: str
    now_us: int
    document: AsyncIterator[bytes] = field(repr=False)
    document_bytes_max: int = 0
    name_of: Callable[[str], str] = claimed_name

    @property
    def operation(self) -> Group:
        """The operation attributes."""
        return self.message.operation

    @property
    def claimed(self) -> str:
        """requesting-user-name, normalised; what a proven identity overrides."""
        return self.name_of(self.operation.text("requesting-user-name")) or "anonymous"

    @property
    def submitter(self) -> Submitter:
        """Who this is to the house; a proven name takes the place of every claimed one."""
        from daemon.workflows.submit import Submitter

        proven = self.identity
        return Submitter(
            queue=self.queue.name,
            claimed_name=proven.name if proven else self.claimed,
            person_id=proven.person_id if proven else None,
            host=self.peer,
            is_authenticated=proven is not None,
        )

    @property
    def actor(self) -> str:
        """How the audit names whoever does this."""
        return f"user:{self.identity.person_id}" if self.identity else f"claimed:{self.claimed}"

    @property
    def requested(self) -> tuple[str, ...]:
        """requested-attributes; empty when absent."""
        return tuple(str(word) for word in self.operation.all("requested-attributes")[:REQUESTED_MAX])

    def answer(self, status: int, *groups: Group, unsupported: Attributes | None = None, text: str = "") -> Message:
        """An answer in the request's version; the unsupported group comes second where there is one."""
        head: Mapping[str, Values] = {"status-message": build.text(text)} if text else {}
        parts = [build.group(GroupTag.OPERATION, head)]
        if unsupported:
            parts.append(Group(GroupTag.UNSUPPORTED, unsupported))
        return build.message(
            status, *parts, *groups, request_id=self.message.request_id, version=self.message.version,
            natural_language=NATURAL_LANGUAGE,
        )  # fmt: skip

    def error(self, status: int, text: str) -> IppError:
        """An error answer to raise."""
        return IppError(status, text, request_id=self.message.request_id, version=self.message.version)

    def bad_request(self, text: str) -> IppError:
        """`client-error-bad-request`."""
        return self.error(Status.CLIENT_ERROR_BAD_REQUEST, text)


class Unsupported(IppError):
    """Refused for attributes or values that go into the answer's unsupported group."""

    def __init__(self, call: Call, status: int, attributes: Attributes, text: str = "") -> None:
        super().__init__(status, text, request_id=call.message.request_id, version=call.message.version)
        self.attributes = attributes
