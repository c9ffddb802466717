"""The admin API as one ASGI application: /api/v1, its OpenAPI document, health and metrics."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import JSONResponse, Response

from daemon.auth import permissions as p
from daemon.auth.permissions import Actor
from daemon.web.api import accounts, cards, devices, jobs, terminals, tokens, users
from daemon.web.api.access import Services, actor_of, needs
from daemon.web.api.errors import install
from daemon.web.api.services import ApiServices

PREFIX = "/api/v1"
PUBLIC_PATHS = ("/healthz", "/readyz")
"""Everything else under this application asks who is there."""
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
VERSION = "1"

open_router = APIRouter(tags=["health"])
guarded_router = APIRouter(tags=["system"])


@open_router.get("/healthz")
async def alive() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@open_router.get("/readyz")
async def ready(services: Services) -> JSONResponse:
    """Jobs can be taken and released; which part cannot is told to those who may see /api/v1/status."""
    health = await services.health()
    return JSONResponse({"status": "ready" if health.is_ready else "not-ready"}, 200 if health.is_ready else 503)


@guarded_router.get("/metrics")
async def metrics(services: Services, _actor: Annotated[Actor, Depends(needs(p.METRICS_READ))]) -> Response:
    """Figures for Prometheus."""
    if services.metrics is None:
        return JSONResponse({"error": {"code": "not-found", "message": "metrics are off", "details": []}}, 404)
    return Response(await services.metrics(), media_type=METRICS_TYPE)


@guarded_router.get(f"{PREFIX}/status", tags=["system"])
async def status(services: Services, _actor: Annotated[Actor, Depends(needs(p.STATUS_READ))]) -> dict[str, Any]:
    """Which part is well and which is not."""
    health = await services.health()
    more = await services.status() if services.status is not None else {}
    return {"ready": health.is_ready, "parts": health.parts, **more}


def create_api(services: ApiServices) -> FastAPI:
    """The application. Its OpenAPI document is served to those who hold a token only."""
    app = FastAPI(
        title="Holdfast", version=VERSION, openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.services = services
    install(app)
    app.include_router(open_router)
    app.include_router(guarded_router)
    for router in (
        users.router,
        devices.printers_router,
        terminals.terminals_router,
        cards.router,
        cards.of_user_router,
        jobs.router,
        accounts.router,
        accounts.ledger_router,
        tokens.router,
    ):
        app.include_router(router, prefix=PREFIX)

    @app.get("/api/openapi.json", include_in_schema=False)
    async def openapi(_actor: Annotated[Actor, Depends(actor_of)]) -> dict[str, Any]:
        return app.openapi()

    return app
