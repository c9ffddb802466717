"""/api/v1/terminals: who may do what, what is refused, what is written down."""

from __future__ import annotations

import pytest

from daemon.app.parts import open_parts
from daemon.app.services import api_services
from daemon.checks import check_installation
from daemon.system import SystemClock, SystemDice
from daemon.web.site import create_site
from tests.integration.test_api_admin import Site, install_here


@pytest.fixture
async def site(tmp_path):
    """An installation with two printers nobody answers for and a terminal, `door`."""
    install_here(tmp_path)
    checked = check_installation(tmp_path / "state" / "holdfast.toml", environment={})
    parts = await open_parts(checked.settings, checked.tariffs, clock=SystemClock(), dice=SystemDice())
    one = Site(parts, *create_site(api_services(parts, None)), "")
    try:
        for name in ("p1", "p2"):
            assert (
                await one.local.post("/api/v1/printers", json={"name": name, "uri": "ipp://127.0.0.1:9/"})
            ).is_success
        body = {"name": "door", "printers": ["p1"], "readers": ["left"]}
        assert (await one.local.post("/api/v1/terminals", json=body)).status_code == 201
        yield one
    finally:
        await one.https.aclose()
        await one.local.aclose()
        await parts.close()


ROUTES = [
    ("GET", "", None, {"read-only", "operator", "admin"}),
    ("GET", "/door", None, {"read-only", "operator", "admin"}),
    ("GET", "/door/outages", None, {"read-only", "operator", "admin"}),
    ("GET", "/door/commands", None, {"operator", "admin"}),
    ("POST", "/door/commands", {"kind": "log"}, {"operator", "admin"}),
    ("PATCH", "/door", {"policy": "daily"}, {"admin"}),
    ("POST", "/door/code", {}, {"admin"}),
    ("POST", "", {"name": "other", "printers": ["p1"]}, {"admin"}),
    ("POST", "/door/revoke", {}, {"admin"}),
]


async def test_roles_reach_as_far_as_they_say(site):
    """Everybody who looks sees terminals, operators ask them, administrators alone change them."""
    for role in ("metrics", "billing", "read-only", "operator", "admin"):
        headers = await site.token_for(role)
        for method, path, body, allowed in ROUTES:
            if role == "admin" and path == "/door/revoke":
                continue
            answer = await site.https.request(method, f"/api/v1/terminals{path}", headers=headers, json=body)
            assert (answer.status_code == 403) == (role not in allowed), (role, method, path, answer.text)


async def test_what_a_terminal_looks_like(site):
    """The keys scripts rely on, and what is known of one that never enrolled."""
    shown = (await site.local.get("/api/v1/terminals/door")).json()
    assert {
        "terminal_id",
        "name",
        "state",
        "policy",
        "site",
        "printers",
        "version",
        "created_at",
        "enrolled_at",
        "last_seen_at",
        "revoked_at",
    } <= set(shown)
    assert (shown["state"], shown["presence"], shown["readers"], shown["screen"]) == ("waiting", "", [], None)
    assert (shown["policy"], shown["effective_policy"], shown["open"], shown["opens_at"]) == (
        "site",
        "daily",
        True,
        None,
    )
    assert shown["bindings"] == [{"printer": "p1", "reader": "left"}]
    assert (await site.local.get("/api/v1/terminals")).json()["items"] == [shown]
    assert (await site.local.get(f"/api/v1/terminals/{shown['terminal_id']}")).json() == shown


async def test_changes_hold_together_and_are_written_down(site):
    """Several changes in one request are one audit entry that names them; half a change is none."""
    body = {
        "policy": "card",
        "opening_hours": " Mo-Fr 07:00-19:00 ",
        "printers": [{"printer": "p2", "reader": "r"}, {"printer": "p1"}],
    }
    shown = (await site.local.patch("/api/v1/terminals/door", json=body)).json()
    assert (shown["policy"], shown["opening_hours"], shown["printers"]) == ("card", "Mo-Fr 07:00-19:00", ["p2", "p1"])
    wrong = {"policy": "none", "printers": [{"printer": "p1"}, {"printer": "nowhere"}]}
    assert (await site.local.patch("/api/v1/terminals/door", json=wrong)).status_code == 404
    assert (await site.local.get("/api/v1/terminals/door")).json() == shown
    (entry,) = await site.parts.db.read("SELECT actor, detail FROM audit WHERE action='terminal.changed'")
    assert entry["actor"].startswith("local:")
    assert '"policy":"card"' in entry["detail"]
    assert "p2@r" in entry["detail"]
    renamed = await site.local.patch("/api/v1/terminals/door", json={"name": "gate"})
    assert renamed.json()["name"] == "gate"
    assert (await site.local.get("/api/v1/terminals/door")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("PATCH", "/door", {"opening_hours": "Mo-Fr"}, (400, "hours-unreadable")),
        ("PATCH", "/door", {"policy": "maybe"}, (400, "bad-input")),
        ("PATCH", "/door", {"printers": []}, (400, "bad-input")),
        ("PATCH", "/door", {"colour": "red"}, (400, "bad-input")),
        ("PATCH", "/door", {"name": "\x07"}, (422, "terminal-refused")),
        ("PATCH", "/door", {"printers": [{"printer": "p1"}, {"printer": "p1"}]}, (422, "terminal-refused")),
        (
            "PATCH",
            "/door",
            {"printers": [{"printer": "p1", "reader": "a"}, {"printer": "p2", "reader": "a"}]},
            (422, "terminal-refused"),
        ),
        ("PATCH", "/nowhere", {"policy": "none"}, (404, "terminal-not-found")),
        ("POST", "", {"name": "door", "printers": ["p1"]}, (409, "name-taken")),
        ("POST", "", {"name": "x", "printers": ["nowhere"]}, (404, "not-found")),
        ("POST", "/door/commands", {"kind": "reboot"}, (400, "bad-input")),
        ("POST", "/door/commands", {"kind": "log"}, (422, "command-refused")),
        ("POST", "/nowhere/commands", {"kind": "log"}, (404, "terminal-not-found")),
        ("GET", "/door/commands/none", None, (404, "command-not-found")),
        ("POST", "/nowhere/code", {}, (404, "terminal-not-found")),
    ],
)
async def test_what_makes_no_sense_is_refused_by_name(site, method, path, body, expected):
    """Each with its own code, and nothing changes."""
    before = (await site.local.get("/api/v1/terminals")).json()
    answer = await site.local.request(method, f"/api/v1/terminals{path}", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == expected
    assert (await site.local.get("/api/v1/terminals")).json() == before


async def test_a_revoked_terminal_is_out_of_reach(site):
    """Nothing can be asked of it or changed any more; it stays on the list, and its name is free."""
    assert (await site.local.post("/api/v1/terminals/door/revoke")).json()["state"] == "revoked"
    ident = (await site.local.get("/api/v1/terminals")).json()["items"][0]["terminal_id"]
    for method, path, body in (
        ("PATCH", "", {"policy": "none"}), ("POST", "/code", {}), ("POST", "/revoke", {}), ("POST", "/commands", {"kind": "log"}),
    ):  # fmt: skip
        answer = await site.local.request(method, f"/api/v1/terminals/{ident}{path}", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "terminal-not-found"), path
    shown = (await site.local.get("/api/v1/terminals/door")).json()
    assert (shown["terminal_id"], shown["name"], shown["state"]) == (ident, "door", "revoked")
    assert (await site.local.post("/api/v1/terminals", json={"name": "door", "printers": ["p1"]})).status_code == 201
    assert (await site.local.get("/api/v1/terminals/door")).json()["state"] == "waiting"
