"""`holdfast job ...`: jobs, and what an operator may do to them."""

from __future__ import annotations

import uuid
from typing import Any

from daemon.cli.answer import answer, path
from daemon.cli.command import Command, Context, argument
from daemon.cli.listing import show_list
from daemon.cli.output import amount_text, fields, say

STATES = ("pending", "pending-held", "processing", "processing-stopped", "canceled", "aborted", "completed")
LABELS = {
    "job_id": "Id", "queue": "Queue", "user": "Owner", "requesting_user_name": "Sent as", "name": "Title",
    "job_account_id": "Account given",
    "state": "State", "reasons": "Reasons", "message": "Message", "pages": "Pages", "copies": "Copies",
    "sides": "Sides",    "print_color_mode": "Colour", "media": "Paper", "impressions": "Impressions",
    "color_impressions": "Of them in colour", "sheets": "Sheets", "price": "Price", "printed": "Printed",
    "printer": "Printer", "created_at": "Sent", "held_until": "Held until", "uncertain": "Outcome unknown",
    "estimated": "Charge estimated",
}  # fmt: skip
COLUMNS = {
    "job_id": "ID", "user": "OWNER", "state": "STATE", "pages": "PAGES", "price": "PRICE", "queue": "QUEUE",
    "held_until": "HELD UNTIL",
}  # fmt: skip


def listing(context: Context) -> int:
    options = context.options
    return show_list(
        context, "/jobs", COLUMNS, empty="No such job. Jobs appear here when somebody prints to a queue.",
        query={"user": options.user, "state": options.state_filter},
    )  # fmt: skip


def show(context: Context) -> int:
    return answer(context, lambda api: api.get(path("jobs", context.options.id)), lambda found: fields(found, LABELS))


def cancel(context: Context) -> int:
    return answer(
        context,
        lambda api: api.post(path("jobs", context.options.id, "cancel")),
        lambda found: say(f"Job {found['job_id']} is {found['state']}."),
    )


def release(context: Context) -> int:
    options = context.options
    key = options.key or uuid.uuid4().hex  # noqa: TID251  -- the command line is the edge
    body = {"printer": options.printer}
    told = f"Job {options.id} is on its way to {options.printer}; follow it with `holdfast job show {options.id}`."
    return answer(
        context,
        lambda api: api.post(path("jobs", options.id, "release"), body, key=key),
        lambda _done: say(told),
        needs_daemon=True,
    )


def decide(context: Context) -> int:
    options = context.options
    body = {"printed": options.printed, "preview": options.dry_run}
    return answer(
        context,
        lambda api: api.post(path("jobs", options.id, "decide"), body),
        lambda found: say(_decided(found)),
        needs_daemon=True,
    )


def _decided(found: dict[str, Any]) -> str:
    told = found["decided"]
    charged = " + ".join(amount_text(one) for one in told["charged"]) or "nothing"
    back = " + ".join(amount_text(one) for one in told["given_back"]) or "nothing"
    begin = f"With {told['printed']} impressions" if told["preview"] else f"Job {found['job_id']} is {found['state']}"
    return f"{begin}: {charged} charged, {back} given back."


_ID = argument("id", metavar="ID", help="the job's id, or its number as print clients show it")

COMMANDS = (
    Command(
        ("job", "list"),
        "List jobs. --state takes a job state here too (a directory of such a name is written ./completed).",
        listing,
        ("holdfast job list --user anna", "holdfast job list --state completed --json"),
        (argument("--user", metavar="U", default="", help="only this owner's"),),
        (*STATES, "all"),
    ),
    Command(("job", "show"), "Show one job.", show, ("holdfast job show ID --json",), (_ID,)),
    Command(
        ("job", "cancel"),
        "Cancel a job. One that is printing is stopped at the printer and charged for what came out.",
        cancel,
        ("holdfast job cancel ID",),
        (_ID,),
    ),
    Command(
        ("job", "decide"),
        "Say how much of an uncertain job came out: that is charged, the rest given back; 0 lets it wait again.",
        decide,
        ("holdfast job decide ID --printed 3 --dry-run", "holdfast job decide ID --printed 0"),
        (
            _ID,
            argument("--printed", required=True, type=int, metavar="N", help="impressions that came out, 0 for none"),
            argument("--dry-run", action="store_true", help="say what would follow and change nothing"),
        ),
    ),
    Command(
        ("job", "release"),
        "Print a held job now, paid by its owner. The same --key releases once, however often it is sent.",
        release,
        ("holdfast job release ID --printer hall --key from-helpdesk-4711",),
        (
            _ID,
            argument("--printer", required=True, metavar="P", help="where it comes out"),
            argument("--key", metavar="K", default="", help="your own name for this release, for safe repeating"),
        ),
    ),
)
