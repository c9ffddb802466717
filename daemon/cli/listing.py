"""Lists: all pages of a collection as one table, or one page as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from daemon.cli.client import Api, with_api
from daemon.cli.command import OK, Context
from daemon.cli.output import say, say_json, table

PAGE = 500
PAGES_MAX = 2000


async def every_item(api: Api, path: str, query: Mapping[str, Any]) -> list[Any]:
    """All items of a paged collection."""
    items: list[Any] = []
    after = ""
    for _ in range(PAGES_MAX):
        page = await api.get(path, **query, limit=PAGE, after=after)
        items += page["items"]
        after = page["next"] or ""
        if not after:
            break
    return items


def show_list(
    context: Context,
    path: str,
    columns: Mapping[str, str],
    *,
    empty: str,
    query: Mapping[str, Any] | None = None,
    shown: Callable[[dict[str, Any]], Mapping[str, Any]] = dict,
    needs_daemon: bool = False,
) -> int:
    """Print a collection; `empty` tells the next step, `shown` makes a table's row of an item."""

    async def work(api: Api) -> list[Any]:
        return await every_item(api, path, query or {})

    items = with_api(context.settings(), work, needs_daemon=needs_daemon)
    if context.as_json:
        say_json({"items": items, "next": None})
    elif items:
        table(map(shown, items), columns)
    else:
        say(empty)
    return OK
