"""What answers on the https port and on the admin socket: which path belongs to which application."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

from starlette.types import ASGIApp

from daemon.kernel.clock import Clock
from daemon.web.api.app import create_api
from daemon.web.api.services import ApiServices
from daemon.web.door import Door

API_PATHS = ("/api", "/healthz", "/readyz", "/metrics")


def create_site(services: ApiServices, *, others: Mapping[str, ASGIApp] | None = None) -> tuple[Door, Door]:
    """The https site and the admin socket's.

    `others` maps further path prefixes of the https site to their applications (`/terminal/v1`, `/` for the console).
    The admin socket serves the API alone: who connects there has every right on it.
    """
    api = create_api(services)
    numbers = request_ids(services.clock)
    routes: dict[str, ASGIApp] = {**dict.fromkeys(API_PATHS, api), **(others or {})}
    return Door(routes, new_request_id=numbers), Door(dict.fromkeys(API_PATHS, api), new_request_id=numbers)


def request_ids(clock: Clock) -> Callable[[], str]:
    """Names of requests, unique over restarts: when this process began and a running number."""
    began = f"{clock.now_us():x}"
    numbers = itertools.count(1)
    return lambda: f"{began}-{next(numbers)}"
