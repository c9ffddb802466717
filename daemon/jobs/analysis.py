"""Knowing the document: pages, colour and sizes, found by a confined worker (`jobs.documents`).

What decides the price is found here, so nothing the client says about its document is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from daemon.jobs.facts import FORMATS, DocumentFacts
from daemon.jobs.worker_pool import DocumentRefused, Read, Workshop, WorkshopLimits

__all__ = ["Analyser", "AnalysisOptions", "DocumentRefused", "Workshop", "WorkshopLimits"]

COLOR_PAGES_MAX = 5000
"""Pages looked at for colour; further ones count as colour. 36 dpi renderings make about 200 pages a second."""
COLOR_SHARE = 0.6
"""Part of the processor time that looking for colour may use; pages not reached count as colour."""


@dataclass(frozen=True, slots=True)
class AnalysisOptions:
    """What a site may tune.

    `color_tolerance` is the spread of channels (0-255) still called grey, `color_dots_min` the dots at 36 dpi that make
    a page colour, `default_media` the paper a picture without a size is printed on.
    """

    pages_max: int = 20_000
    color_tolerance: int = 8
    color_dots_min: int = 1
    color_pages_max: int = COLOR_PAGES_MAX
    default_media: str = "iso_a4_210x297mm"


class Analyser:
    """Reads documents, a few at a time. Shares its workshop with the `Converter`."""

    def __init__(self, workshop: Workshop, options: AnalysisOptions | None = None) -> None:
        self.workshop = workshop
        self._options = options or AnalysisOptions()

    async def start(self) -> None:
        """Start the fork server ahead of the first document."""
        await self.workshop.start()

    async def close(self) -> None:
        """End the workers."""
        await self.workshop.close()

    async def analyse(self, read: Read, *, format: str = "", accepts: Sequence[str] = FORMATS) -> DocumentFacts:  # noqa: A002 -- the project's word
        """The facts of the document that `read` opens. `format` is what it was taken for; the bytes decide.

        Raises:
            DocumentRefused: damaged, locked, too complex, not supported, or no sandbox here.
            Unavailable: no worker can be had now; the document is none the worse.
        """
        options = self._options
        request = {
            "pages_max": options.pages_max,
            "color_tolerance": options.color_tolerance,
            "color_dots_min": options.color_dots_min,
            "color_pages_max": options.color_pages_max,
            "color_s_max": self.workshop.limits.cpu_s * COLOR_SHARE,
            "default_media": options.default_media,
        }
        async with self.workshop.job("analyse", read, request) as job:
            facts = DocumentFacts.from_json(await job.result())
        if facts.format not in accepts or (format in FORMATS and format != facts.format):
            raise DocumentRefused(
                "the document is not what it was sent as",
                code="document-format-not-supported",
                format=facts.format,
            )
        return facts
