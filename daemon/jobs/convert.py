"""What is really sent: the document as it lies in the spool, or changed by a confined worker as the plan says.

Output is streamed page by page: neither side holds a whole converted document. A document that needs no change never
meets a worker.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

from daemon.jobs.documents.frames import DATA, RESULT
from daemon.jobs.worker_pool import DocumentRefused, Read, Workshop

if TYPE_CHECKING:
    from daemon.jobs.delivery_plan import DeliveryPlan
    from daemon.jobs.facts import DocumentFacts

PREVIEW_PIXELS_MAX = 400
PREVIEW_WALL_S = 20.0
PREVIEW_BYTES_MAX = 2 << 20
HELD_BYTES_MAX = 8 << 20
DELIVER_CPU_S_PER_PAGE = 10
DELIVER_CPU_S_MAX = 7200
DELIVER_WALL_S = 3600.0
"""Wall clock of a conversion, without the time the printer is waited for; the processor limit holds besides."""


class Converter:
    """Makes printable bytes. Shares its workshop with the `Analyser`."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    async def prepare(self, read: Read, *, plan: DeliveryPlan, facts: DocumentFacts) -> AsyncGenerator[bytes, None]:
        """The bytes to send to the printer, in pieces.

        The first `HELD_BYTES_MAX` are held back until they are complete or exceeded, so that a document that turns out
        not to be convertible is most often refused before its first byte has left.

        Raises:
            DocumentRefused: the document cannot be converted (also in the middle of the stream).
            Unavailable: no worker can be had now.
        """
        if plan.is_pass_through:
            async for chunk in read():
                yield chunk
            return
        is_finished = False
        held: list[bytes] | None = []
        held_bytes = 0
        pages = facts.page_count * plan.copies
        cpu_s = min(self._workshop.limits.cpu_s + DELIVER_CPU_S_PER_PAGE * pages, DELIVER_CPU_S_MAX)
        async with self._workshop.job(
            "deliver", read, _request(plan, facts), wall_s=DELIVER_WALL_S, cpu_s=cpu_s, is_delivery=True
        ) as job:
            async for kind, body in job.frames():
                is_finished = kind == RESULT
                if is_finished:
                    break
                if held is None:
                    yield body
                    continue
                held.append(body)
                held_bytes += len(body)
                if held_bytes > HELD_BYTES_MAX:
                    for piece in held:
                        yield piece
                    held = None
        if not is_finished:
            raise DocumentRefused("the document could not be converted")
        for piece in held or ():
            yield piece

    async def preview(self, read: Read, *, page: int = 1, pixels_max: int = PREVIEW_PIXELS_MAX) -> bytes:
        """A PNG of one page (counted from 1), no side longer than `pixels_max`.

        Raises:
            DocumentRefused: it cannot be drawn.
            Unavailable: no worker can be had now.
        """
        request = {"page": page, "pixels_max": min(pixels_max, PREVIEW_PIXELS_MAX)}
        picture = bytearray()
        async with self._workshop.job("preview", read, request, wall_s=PREVIEW_WALL_S) as job:
            async for kind, body in job.frames():
                if kind == DATA:
                    picture += body
                if len(picture) > PREVIEW_BYTES_MAX:
                    raise DocumentRefused("the preview is too large", code="document-too-complex")
        return bytes(picture)


def _request(plan: DeliveryPlan, facts: DocumentFacts) -> dict[str, Any]:
    """The plan in the worker's words."""
    return {
        "format": plan.format,
        "pages": [list(pair) for pair in plan.pages],
        "page_count": facts.page_count,
        "number_up": plan.number_up,
        "is_grey": plan.is_grey,
        "is_rewritten": plan.is_rewritten,
        "copies": plan.copies,
        "copies_sent": int(plan.attributes.get("copies", 1)),
        "sides": plan.ticket.sides,
        "print_quality": plan.ticket.print_quality,
        "print_scaling": plan.ticket.print_scaling,
        "media_um": list(plan.media_um) if plan.media_um else None,
        "raster_type": plan.raster_type,
        "resolution": list(plan.resolution),
        "sheet_back": plan.sheet_back,
        "is_uncollated": plan.copies > 1 and not plan.ticket.is_collated,
    }
