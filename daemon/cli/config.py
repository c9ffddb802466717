"""`holdfast config ...`: is it right, and what is in force."""

from __future__ import annotations

from typing import Any

from daemon.checks import check_installation
from daemon.cli.command import OK, Command, Context, argument
from daemon.cli.output import say, say_json
from daemon.settings import load_with_origins
from daemon.settings.shown import flat, origin_of, plain


def check(context: Context) -> int:
    checked = check_installation(context.config_path())
    if context.as_json:
        files = [str(path) for path in checked.files]
        formats = sorted(checked.formats)
        say_json({"ok": True, "files": files, "tariffs": sorted(checked.tariffs), "card_formats": formats})
    else:
        formats_dir = checked.settings.cards.formats_dir
        files = [str(path) for path in checked.files if path.parent != formats_dir]
        tariffs, count = ", ".join(sorted(checked.tariffs)), len(checked.files) - len(files)
        say(f"No problem in {', '.join(files)} and {count} card formats in {formats_dir}; tariffs: {tariffs}.")
    return OK


def show(context: Context) -> int:
    loaded = load_with_origins(context.config_path())
    values = plain(loaded.settings)
    options = dict(flat(values))
    if context.as_json and context.options.origin:
        say_json(
            {"settings": [{"key": k, "value": v, "origin": origin_of(loaded.origins, k)} for k, v in options.items()]}
        )
    elif context.as_json:
        say_json({"settings": values})
    else:
        for key, value in options.items():
            origin = f"    # {origin_of(loaded.origins, key)}" if context.options.origin else ""
            say(f"{key} = {_toml(value)}{origin}")
    return OK


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return str(value)


COMMANDS = (
    Command(
        ("config", "check"),
        "Read the configuration, tariffs and card formats and report every problem at once, with file and line.",
        check,
        ("holdfast config check --config /etc/holdfast/holdfast.toml", "holdfast config check --state DIR --json"),
    ),
    Command(
        ("config", "show"),
        "Show the settings in force; --origin says where each was set.",
        show,
        ("holdfast config show --origin",),
        (argument("--origin", action="store_true", help="show file and line, environment variable, or default"),),
    ),
)
