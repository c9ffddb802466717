"""Writes docs/reference/ and config/holdfast.example.toml from the program itself. `--check` only compares.

Run: python -m tools.generate_reference
"""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from daemon.cli import registry
from daemon.cli.command import Command
from daemon.settings import CardReader, Pot, Profile, Queue, Settings, Term
from daemon.settings.options import META
from daemon.settings.server import API_OFFSET, IPP_OFFSET, IPPS_OFFSET, KIOSK_OFFSET, SIMULATED_OFFSET

ROOT = Path(__file__).resolve().parents[1]
MADE = "<!-- Made by tools/generate_reference.py from the program: change it there. -->\n"
NAMED = {"queues": ("findme", Queue), "profiles": ("standard", Profile)}
LISTED = {"pots": Pot, "terms": Term, "readers": CardReader}

# ruff: noqa: ISC004  -- keys of one object, over lines
SHAPES: Mapping[str, tuple[str, str]] = {
    "user add": ("user_id name pin ...", "the person, as `user show`"),
    "user show": (
        "user_id name display_name email pin active profile site language origin release_on_tap created_at "
        "last_submitted_at last_released_at roles cards[card_id label] aliases has_password",
        "times are null until it happened",
    ),
    "card show": (
        "card_id user user_id label format state created_at created_by expires_at blocked_at last_used_at read_kept",
        "state: active, expired, blocked; never a number",
    ),
    "card add": (
        "card_id user label ... cards cards_max new notice",
        "the card, as `card show`; new: false when it was theirs; notice: not empty when no reader reads such a card",
    ),
    "card import": (
        "items[line user state card_id code message] applied added unchanged refused",
        "state: added, unchanged, refused; exit 1 when rows are refused",
    ),
    "card rekey": ("key_id rehashed remaining retired[]", "remaining cards move at their next tap"),
    "card reformat": ("ok from to moved stay[card_id user label]", "exit 1 when some stay as they are"),
    "card check": (
        "ok cards compared not_compared collisions[likeness cards[card_id user label]]",
        "exit 1 when not ok",
    ),
    "card dry-run": (
        "ok format cards not_compared kept changed[] lost[] gained[] unreadable[] merged[][]",
        "cards as card_id user label; exit 1 when not ok",
    ),
    "user address": ("user_id name urls[ipp ipps]", "shown once; the address before stops working"),
    "printer show": (
        "printer_id name uri tls tariff location site state reasons[] accepting checked_at",
        "state: unknown, idle, processing, stopped, unreachable",
    ),
    "card try": (
        "ok normalised bytes_hex steps[step out] error[code message details[]]",
        "error is null when ok, else normalised and bytes_hex are; bytes_hex: the ASCII bytes of normalised; exit 4",
    ),
    "card learn": (
        "ok pairs readings[meaning pipeline value check] "
        "proposals[number pipeline gives[] reason warnings[] same_as[]] "
        "differences[proposals[] raw gives[]] previews[raw gives[]] written error[code message details[]]",
        "check: none, good, wrong; error is null, nothing-fits or ambiguous (exit 4); written is null or the file",
    ),
    "card steps": ("items[step meaning] next", ""),
    "card formats": ("items[name pipeline namespace widths[] facilities[] description] next", ""),
    "terminal add": ("terminal_id name code expires_at daemon_url", "the code works once"),
    "terminal code": ("terminal_id name code expires_at daemon_url", "the code before is void"),
    "terminal show": (
        "terminal_id name state policy effective_policy site printers[] bindings[printer reader] version created_at "
        "enrolled_at revoked_at opening_hours paused_until readers[name kind state code model since] screen{width "
        "height dpi} problems[kind reader code since until] pending[] presence last_seen_at away_since open opens_at",
        "state: waiting, enrolled, revoked; presence: online, away, or empty without a key; also the answer of "
        "`terminal policy`, `printers`, `hours`, `revoke`",
    ),
    "reader list": (
        "items[kind name model match links[] given udev_line] problems[kind message] next",
        "kind: pcsc or evdev; match goes into kiosk.toml. evdev (keyboards are listed too): links by udev, "
        "given: the terminal program may read it, udev_line: what gives it to it",
    ),
    "reader key": ("client file copy clients[]", "the key itself is in the two files only"),
    "reader send": ("sent accepted refused[]", "refused: words of docs/network-reader.md; exit 4 if there are any"),
    "terminal log": (
        "command_id kind state asked_by asked_at expires_at done_at answer",
        "state: pending, answered, expired; also of `terminal identify` and `restart`",
    ),
    "job show": (
        "job_id ipp_job_id queue user requesting_user_name name state reasons[] message pages impressions "
        "color_impressions sheets copies sides print_color_mode media price printed[impressions sheets] printer format "
        "octets created_at processing_at completed_at held_until uncertain estimated",
        "counts and price are null until the document has been read",
    ),
    "job decide": (
        "as `job show`, and decided[printed preview charged[] given_back[]]",
        "with --dry-run nothing is changed",
    ),
    "job release": ("release_id items[job_id price state] total", "202: it is on its way"),
    "account show": (
        "user user_id accounts[account_id kind pot unit balance reserved available limit next_grant_at] ledger_seq",
        "balances are amounts",
    ),
    "account adjust": ("transfer_id balance", "the same for the same key"),
    "account override": ("transfer_id changed_by available balance", "transfer_id null when nothing had to move"),
    "account statement": ("items[transfer_id at kind pot unit amount balance_after reason actor job] next", ""),
    "ledger verify": ("ok transfers head mismatches[table id expected found]", "exit 1 when not ok"),
    "ledger export": (
        "seq transfer_id kind amount debit credit job leg resolves reverses at expires_at reason actor",
        "one object a line",
    ),
    "config check": ("ok files[] tariffs[] card_formats[]", "problems are an error, exit 2"),
    "config show": ("settings", "with --origin: settings[key value origin]"),
    "init": ("state_dir config ca_file ca_sha256 urls[ipp ipps api kiosk] admin_token", "the token is printed once"),
    "daemon": ("event urls[ipp ipps api kiosk]", "one line on stdout when it serves: event is ready"),
    "backup": ("file ok bytes transfers schema_version keys_file", ""),
    "restore": (
        "file ok bytes transfers schema_version before ended{} withdrawn{} valid[tokens terminals cards]",
        "withdrawn is null when the database that was there could not be read",
    ),
    "restore --check": ("file ok bytes transfers problems[]", "exit 1 when not ok"),
    "demo --once": (
        "result job_id user printer pages impressions sheets price balance_before balance_after printed_file ledger",
        "exit 0 only when the file exists and the ledger verifies",
    ),
}
"""Keys of the JSON objects, in the order they are printed."""


BAR = r"\|"
"""A bar inside a table's cell."""


def commands_page() -> str:
    """Every command with its arguments and examples."""
    lines = [MADE, "# Commands\n"]
    lines.append(
        "Everywhere: `--state DIR` (or `HOLDFAST_STATE`) or `--config FILE` says which installation; `--json` prints "
        'one object. Lists are `{"items":[...],"next":null}`, errors `{"error":{"code","message","details"}}`.\n\n'
        "Exit codes: 0 fine; 1 a check found a difference; 2 usage or configuration; 3 try later; 4 a rule says no.\n"
    )
    lines.extend(_command(command) for command in registry.COMMANDS)
    return "\n".join(lines)


def _command(command: Command) -> str:
    title = " ".join(command.words)
    options = []
    usage = [f"holdfast {title}"]
    for declared in command.arguments:
        name = declared.names[-1]
        value = str(declared.options.get("metavar", ""))
        if not name.startswith("-"):
            usage.append(value)
            name = value
        elif declared.options.get("action") == "store_true":
            usage.append(f"[{name}]")
        else:
            shown = f"{name} {value or '|'.join(declared.options.get('choices', ()))}"
            usage.append(shown if declared.options.get("required") else f"[{shown}]")
            name = shown
        options.append(f"| `{name.replace('|', BAR)}` | {declared.options.get('help', '').replace('|', BAR)} |")
    lines = [f"## {title}\n", f"{command.summary}\n", "```", *[f"{e}" for e in command.examples], "```\n"]
    lines.insert(2, f"`{' '.join(usage)}`\n")
    if options:
        lines += ["| Argument | Meaning |", "|---|---|", *options, ""]
    if command.state_words:
        lines.append(f"`--state` also takes: {', '.join(f'`{w}`' for w in command.state_words)}.\n")
    return "\n".join(lines)


def _options(cls: Any) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    hints = typing.get_type_hints(cls)
    for declared in dataclasses.fields(cls):
        if META in declared.metadata:
            yield declared.name, hints[declared.name], {**declared.metadata[META], "default": declared.default}


def _sections() -> Iterator[tuple[str, Any, str]]:
    """Table name as it stands in the file, class, meaning; nested lists follow their owner."""
    for name, hint, meta in _options(Settings):
        if name in NAMED:
            example, cls = NAMED[name]
            yield f"{name}.{example}", cls, str(meta["doc"])
            for below, _, inner in _options(cls):
                if below in LISTED:
                    yield f"{name}.{example}.{below}", LISTED[below], str(inner["doc"])
        else:
            yield name, hint, str(meta["doc"])
            for below, _, inner in _options(hint):
                if below in LISTED:
                    yield f"{name}.{below}", LISTED[below], str(inner["doc"])


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, (int, Decimal)):
        return str(value)
    if isinstance(value, Path):
        return '""' if value == Path() else f'"{value}"'
    return f'"{value}"'


def _allowed(meta: Mapping[str, Any]) -> str:
    if meta.get("choices"):
        return ", ".join(f"`{choice}`" for choice in meta["choices"])
    low, high = meta.get("low"), meta.get("high")
    if low is not None and high is not None:
        return f"{low} to {high}"
    return f"at least {low}" if low is not None else ""


def settings_page() -> str:
    """Every option with its default, bounds and meaning."""
    lines = [MADE, "# Settings\n"]
    lines.append(
        "One file, `holdfast.toml`, and every `conf.d/*.toml` beside it in name order. The environment "
        "(`HOLDFAST__SECTION__KEY`) wins over the files. `holdfast config check` reports every problem at once; "
        "`holdfast config show --origin` says where each value was set. Secrets are never values: an option ending in "
        "`_file` names a file that only its owner can read, and a systemd credential comes before it.\n"
    )
    for name, cls, doc in _sections():
        lines += [f"## {_heading(name)}\n", f"{doc}\n", "| Key | Default | Allowed | Meaning |", "|---|---|---|---|"]
        lines += [
            f"| `{key}` | `{_toml(meta['default'])}` | {_allowed(meta)} | {meta['doc']} |"
            for key, _, meta in _options(cls)
            if key not in LISTED
        ]
        lines.append("")
    return "\n".join(lines)


def _heading(name: str) -> str:
    first, _, rest = name.partition(".")
    if first in NAMED:
        example, _, below = rest.partition(".")
        shown = f"{first}.NAME" + (f".{below}" if below else "")
        del example
        return f"`[[{shown}]]`" if below else f"`[{shown}]`"
    return f"`[[{name}]]`" if rest in LISTED else f"`[{name}]`"


def example_file() -> str:
    """The annotated example: every option at its default, commented out."""
    lines = [
        "# Holdfast, every option with its meaning; what stands here are the defaults.",
        "# Made by tools/generate_reference.py from the program: change it there.",
        "# `holdfast init` writes a short file of your own; take from here what you want to change.",
        "",
    ]
    for name, cls, doc in _sections():
        is_list = name.split(".")[-1] in LISTED
        lines += [f"# {doc}", f"#[[{name}]]" if is_list else f"#[{name}]"]
        for key, _, meta in _options(cls):
            if key in LISTED:
                continue
            allowed = _allowed(meta).replace("`", "")
            lines += [f"# {meta['doc']}" + (f" ({allowed})" if allowed else ""), f"#{key} = {_toml(meta['default'])}"]
        lines.append("")
    return "\n".join(lines)


def ports_page() -> str:
    """Which door stands on which port."""
    rows = (
        (IPP_OFFSET, "ipp", "IPP, plain; Upgrade to TLS", "server.bind"),
        (IPPS_OFFSET, "ipps", "IPP over TLS", "server.bind"),
        (API_OFFSET, "https", "API, terminal channel, console", "server.bind"),
        (KIOSK_OFFSET, "http", "a terminal's touch screen", "loopback, always"),
        (KIOSK_OFFSET + 1, "holdfast-reader", "a terminal's network reader, if it has one", "`listen`: 127.0.0.1:8634"),
        (SIMULATED_OFFSET, "ipp", "simulated printers, upwards", "loopback, demo only"),
    )
    lines = [
        MADE,
        "# Ports\n",
        "Base port N is `server.base_port` (8630). Production: 631 and 443 through systemd sockets.\n",
    ]
    lines += ["| Port | Protocol | For | Bound to |", "|---|---|---|---|"]
    lines += [f"| N+{offset} | {protocol} | {use} | {bound} |" for offset, protocol, use, bound in rows]
    lines += [
        "",
        "| Path | Who may |",
        "|---|---|",
        "| `/ipp/print/QUEUE`, `/ipp/p/SECRET` | by the queue's rule |",
        "| `/healthz`, `/readyz` | everybody |",
        "| `/api/v1/*`, `/api/openapi.json`, `/metrics` | `Authorization: Bearer TOKEN`, by role |",
        "| `/terminal/v1/*` | enrolled terminals, by signature |",
        "| `/console`, `/console/*` | people, signed in with name and password, by role |",
        "| `STATE/admin.sock` (0600) | its owner, as `local:<uid>` |",
        "",
    ]
    return "\n".join(lines)


def json_page() -> str:
    """Keys of what commands print."""
    lines = [MADE, "# JSON\n"]
    lines.append(
        'Amounts are `{"unit":"EUR","amount":3500,"scale":4}`: 3500 of 10^-4 EUR. Money has its ISO exponent + 2 as '
        "scale, `pages` and `colour_pages` have 0. Times are RFC 3339 in UTC, ids are strings. `a[b c]` is an object "
        "or a list of objects with the keys b and c. The admin API answers with the same objects.\n"
    )
    lines += ["| Command | Keys | |", "|---|---|---|"]
    lines += [f"| `{command} --json` | {keys} | {remark} |" for command, (keys, remark) in SHAPES.items()]
    lines.append("")
    return "\n".join(lines)


def pages() -> dict[str, str]:
    """Path in the project -> content."""
    return {
        "docs/reference/commands.md": commands_page(),
        "docs/reference/settings.md": settings_page(),
        "docs/reference/ports.md": ports_page(),
        "docs/reference/json.md": json_page(),
        "config/holdfast.example.toml": example_file(),
    }


def main(arguments: list[str]) -> int:
    """Write the pages, or with `--check` compare them."""
    stale = []
    for name, content in pages().items():
        path = ROOT / name
        if not path.exists() or path.read_text("utf-8") != content:
            stale.append(name)
            if "--check" not in arguments:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content, "utf-8")
    for name in stale:
        sys.stdout.write(f"{name}\n")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
