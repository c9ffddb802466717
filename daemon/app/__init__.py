"""The composition root: builds every object, owns the order of start and stop."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp

    from daemon.settings import Settings


@contextlib.asynccontextmanager
async def offline(settings: Settings) -> AsyncIterator[ASGIApp]:
    """The admin API in this process, under the state lock, for a command while no daemon runs. Releases nothing.

    Raises:
        StateLocked: a daemon is just starting or stopping.
    """
    from daemon.app.offline import offline_api

    async with offline_api(settings) as app:
        yield app
