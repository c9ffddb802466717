"""Delivery and previews inside the worker."""

from __future__ import annotations

from typing import Any

from daemon.jobs.documents.frames import FrameWriter, Refuse


def deliver(request: dict[str, Any], out: FrameWriter) -> dict[str, Any]:
    """Not there yet."""
    raise Refuse("document-format-not-supported", "conversion is on its way")


def preview(request: dict[str, Any], out: FrameWriter) -> dict[str, Any]:
    """Not there yet."""
    raise Refuse("document-format-not-supported", "previews are on their way")
