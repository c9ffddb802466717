"""The admin API without a daemon: the same application over the same parts, for one command."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from daemon.app.parts import open_parts
from daemon.app.services import api_services
from daemon.checks import check_installation
from daemon.settings import CONFIG_NAME
from daemon.system import SystemClock, SystemDice
from daemon.web.api.app import create_api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp

    from daemon.settings import Settings


@contextlib.asynccontextmanager
async def offline_api(settings: Settings) -> AsyncIterator[ASGIApp]:
    """The API in this process, under the state lock, for a command while no daemon runs. Releases nothing.

    Raises:
        StateLocked: a daemon is just starting or stopping.
    """
    checked = check_installation(settings.state_dir / CONFIG_NAME)
    parts = await open_parts(settings, checked.tariffs, formats=checked.formats, clock=SystemClock(), dice=SystemDice())
    try:
        yield create_api(api_services(parts, None))
    finally:
        await parts.close()
