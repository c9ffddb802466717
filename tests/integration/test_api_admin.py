"""The admin API over a real installation: who may ask what, how refusals look, money once per key."""

import contextlib
import json

import httpx
import pytest

from daemon.app.parts import open_parts
from daemon.app.services import api_services
from daemon.checks import check_installation
from daemon.cli import install
from daemon.cli.client import LocalDoor
from daemon.system import SystemClock, SystemDice
from daemon.web.api.app import create_api
from daemon.web.site import create_site

PUBLIC = {"/healthz", "/readyz"}


class Site:
    """One installation and ways to ask it."""

    def __init__(self, parts, site, admin, token) -> None:
        self.parts, self.token = parts, token
        self.https = httpx.AsyncClient(transport=httpx.ASGITransport(site), base_url="https://house")
        self.local = httpx.AsyncClient(transport=httpx.ASGITransport(LocalDoor(admin)), base_url="http://house")

    async def token_for(self, role: str) -> dict[str, str]:
        made = await self.parts.tokens.create(f"test-{role}", role=role, actor="test")
        return {"Authorization": f"Bearer {made.token}"}


@pytest.fixture
async def site(tmp_path):
    made = install_here(tmp_path)
    checked = check_installation(tmp_path / "state" / "holdfast.toml", environment={})
    parts = await open_parts(checked.settings, checked.tariffs, clock=SystemClock(), dice=SystemDice())
    one = Site(parts, *create_site(api_services(parts, None)), made["admin_token"])
    try:
        yield one
    finally:
        await one.https.aclose()
        await one.local.aclose()
        await parts.close()


def install_here(tmp_path):
    # In a thread of its own: init runs an event loop.
    import concurrent.futures

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(install.init, tmp_path / "state", base_port=8630, name="localhost").result()


def routes(parts):
    paths = create_api(api_services(parts, None)).openapi()["paths"]
    yield "GET", "/api/openapi.json"
    for path, methods in paths.items():
        yield from ((method.upper(), path) for method in methods)


async def test_every_route_but_the_public_two_refuses_strangers(site):
    """No route answers anybody without a token, except health; a new route has to be put on the list on purpose."""
    seen = 0
    for method, path in routes(site.parts):
        target = path.replace("{", "").replace("}", "")
        for headers in ({}, {"Authorization": "Bearer hfa_wrong"}, {"Authorization": "Basic YTpi"}):
            answer = await site.https.request(method, target, headers=headers)
            if path in PUBLIC:
                assert answer.status_code in (200, 503), path
            else:
                assert answer.status_code == 401, (method, path)
                assert answer.json()["error"]["code"] == "not-signed-in"
                assert answer.headers["www-authenticate"].startswith("Bearer")
        seen += 1
    assert seen > 20


async def test_the_admin_token_opens_the_api_and_its_description(site):
    """The token printed by init is an administrator; OpenAPI names every path."""
    headers = {"Authorization": f"Bearer {site.token}"}
    openapi = (await site.https.get("/api/openapi.json", headers=headers)).json()
    assert {"/api/v1/users", "/api/v1/printers", "/api/v1/terminals", "/api/v1/jobs"} <= set(openapi["paths"])
    answer = await site.https.get("/api/v1/users", headers=headers)
    assert answer.json() == {"items": [], "next": None}


@pytest.mark.parametrize(
    ("role", "allowed", "refused"),
    [
        ("operator", ["/users", "/jobs", "/printers"], ["/ledger/verify", "/tokens"]),
        ("billing", ["/users", "/ledger/verify"], ["/jobs", "/terminals", "/tokens"]),
        ("read-only", ["/users", "/jobs", "/printers", "/terminals"], ["/ledger/verify", "/tokens"]),
        ("metrics", [], ["/users", "/jobs", "/status", "/tokens"]),
    ],
)
async def test_roles_open_what_they_name_and_nothing_else(site, role, allowed, refused):
    """Deny by default: a role's token meets 403 wherever its permissions do not reach."""
    headers = await site.token_for(role)
    for path in allowed:
        assert (await site.https.get(f"/api/v1{path}", headers=headers)).status_code == 200, path
    for path in refused:
        answer = await site.https.get(f"/api/v1{path}", headers=headers)
        assert answer.status_code == 403, path
        assert answer.json()["error"]["code"] == "forbidden"
    answer = await site.https.post("/api/v1/users", headers=headers, json={"name": "mallory"})
    assert answer.status_code == 403


async def test_a_revoked_token_is_a_stranger(site):
    """Revoking takes effect with the next request."""
    headers = await site.token_for("read-only")
    assert (await site.https.get("/api/v1/users", headers=headers)).status_code == 200
    assert (await site.local.post("/api/v1/tokens/test-read-only/revoke")).status_code == 200
    assert (await site.https.get("/api/v1/users", headers=headers)).status_code == 401


async def test_a_person_from_adding_to_disabling(site):
    """A person is added with PIN and first allowance, found by name, alias spelling and id, switched off and on."""
    made = (await site.local.post("/api/v1/users", json={"name": "EXAMPLE\\Änna", "display_name": "Anna Berg"})).json()
    assert made["name"] == "änna"
    assert made["pin"].isdigit()
    assert len(made["pin"]) == 6
    assert {
        "user_id",
        "email",
        "active",
        "profile",
        "site",
        "roles",
        "cards",
        "last_submitted_at",
        "last_released_at",
    } <= set(made)
    by_name = (await site.local.get("/api/v1/users/Änna@example.org")).json()
    by_id = (await site.local.get(f"/api/v1/users/{made['user_id']}")).json()
    assert by_name == by_id == made
    off = (await site.local.post("/api/v1/users/änna/disable")).json()
    again = (await site.local.post("/api/v1/users/änna/disable")).json()
    on = (await site.local.post("/api/v1/users/änna/enable")).json()
    assert (off["active"], again["active"], on["active"]) == (False, False, True)
    epoch = (await site.parts.people_store.by_public(made["user_id"])).session_epoch
    assert epoch == 3, "switching off and on both end what was open"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"name": ""}, 400, "bad-name"),
        ({"name": "a/b"}, 400, "bad-name"),
        ({"name": "a\nb"}, 400, "bad-name"),
        ({"name": "x" * 200}, 400, "bad-name"),
        ({"name": "eve", "email": "eve@x\r\nBcc: all"}, 400, "bad-name"),
        ({"name": "eve", "profile": "royal"}, 400, "profile-unknown"),
        ({"name": "eve", "pin": "12"}, 422, "pin-refused"),
        ({"name": "eve", "password": "short"}, 422, "password-refused"),
        ({"name": "eve", "roles": ["king"]}, 422, "role-unknown"),
        ({"name": "eve", "shoe_size": 43}, 400, "bad-input"),
        ({}, 400, "bad-input"),
    ],
)
async def test_people_that_cannot_be_are_refused_by_name(site, body, status, code):
    """Each wrong field has its own code, and nobody is added."""
    answer = await site.local.post("/api/v1/users", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert (await site.local.get("/api/v1/users")).json()["items"] == []


async def test_a_person_is_changed_and_gets_a_printer_address_of_their_own(site):
    """Name and mail address change alone or together; a personal address prints as its person until the next one."""
    made = (await site.local.post("/api/v1/users", json={"name": "ben", "display_name": "Ben"})).json()
    changed = (await site.local.patch("/api/v1/users/ben", json={"email": "ben@example.org"})).json()
    assert (changed["email"], changed["display_name"]) == ("ben@example.org", "Ben")
    assert (await site.local.patch("/api/v1/users/ben", json={"email": "a\nb"})).status_code == 400
    assert (await site.local.patch("/api/v1/users/ben", json={"pin": "1"})).status_code == 400
    first = (await site.local.post("/api/v1/users/ben/address")).json()
    second = (await site.local.post("/api/v1/users/ben/address")).json()
    assert first["user_id"] == made["user_id"]
    assert first["urls"]["ipps"].startswith("ipps://localhost:")
    spent, good = (each["urls"]["ipp"].rpartition("/ipp/p/")[2] for each in (first, second))
    assert await site.parts.tokens.personal(spent) is None
    assert (await site.parts.tokens.personal(good)).name == "ben"
    rows = await site.parts.db.read("SELECT action, detail FROM audit ORDER BY id")
    assert {"user.changed", "address.made"} <= {row["action"] for row in rows}
    assert not any(good in row["detail"] for row in rows)


async def test_a_taken_name_or_pin_is_a_conflict(site):
    """The second of one name or PIN is refused, whatever its spelling."""
    await site.local.post("/api/v1/users", json={"name": "anna", "pin": "482913"})
    name = await site.local.post("/api/v1/users", json={"name": "ANNA"})
    pin = await site.local.post("/api/v1/users", json={"name": "ben", "pin": "482913"})
    assert (name.status_code, name.json()["error"]["code"]) == (409, "name-taken")
    assert (pin.status_code, pin.json()["error"]["code"]) == (409, "pin-taken")


async def test_paging_through_people_meets_everybody_once(site):
    """`next` leads from page to page to the end."""
    for index in range(7):
        await site.local.post("/api/v1/users", json={"name": f"user{index}"})
    seen, after = [], ""
    while True:
        page = (await site.local.get("/api/v1/users", params={"limit": 3, "after": after})).json()
        seen += [item["name"] for item in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert seen == [f"user{index}" for index in range(7)]
    found = (await site.local.get("/api/v1/users", params={"contains": "USER5"})).json()["items"]
    assert [item["name"] for item in found] == ["user5"]


async def test_an_adjustment_happens_once_per_key(site):
    """Same key and request: same answer and one movement. Same key and another amount: conflict. No key: refused."""
    await site.local.post("/api/v1/users", json={"name": "anna"})
    path, body = "/api/v1/accounts/anna/adjust", {"unit": "pages", "amount": "50", "reason": "ticket 4711"}
    first = await site.local.post(path, json=body, headers={"Idempotency-Key": "k1"})
    second = await site.local.post(path, json=body, headers={"Idempotency-Key": "k1"})
    other = await site.local.post(path, json={**body, "amount": "60"}, headers={"Idempotency-Key": "k1"})
    missing = await site.local.post(path, json=body)
    assert first.json() == second.json()
    assert first.json()["balance"] == {"unit": "pages", "amount": 250, "scale": 0}
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency-conflict")
    assert (missing.status_code, missing.json()["error"]["code"]) == (400, "idempotency-key-needed")
    account = (await site.local.get("/api/v1/accounts/anna")).json()
    assert [a["balance"]["amount"] for a in account["accounts"]] == [250]
    lines = (await site.local.get("/api/v1/accounts/anna/statement")).json()["items"]
    assert [(line["kind"], line["amount"]["amount"]) for line in lines] == [("grant", 200), ("adjustment", 50)]
    assert lines[1]["reason"] == "ticket 4711"
    assert (await site.local.get("/api/v1/ledger/verify")).json()["ok"] is True


async def test_an_override_sets_what_is_available(site):
    """Up, down, to what is there already, to nothing: exactly that is available; once per key, on the statement."""
    await site.local.post("/api/v1/users", json={"name": "anna"})
    path, answers = "/api/v1/accounts/anna/override", []
    for key, to in (("a", "500"), ("b", "30"), ("c", "30"), ("d", "0"), ("a", "500")):
        body = {"unit": "pages", "to": to, "reason": f"set {key}"}
        answer = await site.local.post(path, json=body, headers={"Idempotency-Key": key})
        assert answer.status_code == 200
        answers.append(answer.json())
    assert [a["changed_by"]["amount"] for a in answers] == [300, -470, 0, -30, 300]
    assert [a["available"]["amount"] for a in answers] == [500, 30, 30, 0, 500]
    assert answers[2]["transfer_id"] is None
    assert answers[4] == answers[0]
    other = {"unit": "pages", "to": "1", "reason": "set a"}
    conflict = await site.local.post(path, json=other, headers={"Idempotency-Key": "a"})
    assert (conflict.status_code, conflict.json()["error"]["code"]) == (409, "idempotency-conflict")
    low = await site.local.post(path, json=other | {"to": "-1"}, headers={"Idempotency-Key": "e"})
    assert (low.status_code, low.json()["error"]["code"]) == (422, "insufficient-funds")
    account = (await site.local.get("/api/v1/accounts/anna")).json()
    assert [a["available"]["amount"] for a in account["accounts"]] == [0]
    lines = (await site.local.get("/api/v1/accounts/anna/statement")).json()["items"]
    assert [(line["kind"], line["reason"]) for line in lines[1:]] == [
        ("adjustment", "set a"), ("adjustment", "set b"), ("adjustment", "set d"),
    ]  # fmt: skip
    assert (await site.local.get("/api/v1/ledger/verify")).json()["ok"] is True


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"unit": "pages", "amount": "0", "reason": "x"}, 400, "bad-amount"),
        ({"unit": "pages", "amount": "1.5", "reason": "x"}, 400, "bad-amount"),
        ({"unit": "pages", "amount": "NaN", "reason": "x"}, 400, "bad-amount"),
        ({"unit": "gold", "amount": "1", "reason": "x"}, 400, "bad-amount"),
        ({"unit": "EUR", "amount": "1", "reason": "x"}, 404, "pot-unknown"),
        ({"unit": "pages", "amount": "-500", "reason": "x"}, 422, "insufficient-funds"),
        ({"unit": "pages", "amount": "5", "reason": "  "}, 400, "reason-needed"),
        ({"unit": "pages", "amount": "99999999999999999999", "reason": "x"}, 400, "bad-amount"),
    ],
)
async def test_adjustments_that_cannot_be_change_nothing(site, body, status, code):
    """A wrong amount, an unknown pot or an empty one is a named refusal; the balance stays."""
    await site.local.post("/api/v1/users", json={"name": "anna"})
    answer = await site.local.post("/api/v1/accounts/anna/adjust", json=body, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    accounts = (await site.local.get("/api/v1/accounts/anna")).json()["accounts"]
    assert [a["available"]["amount"] for a in accounts] == [200]


async def test_printers_and_terminals_are_kept_by_name(site):
    """A silent printer is added as unreachable; a terminal names its printers; names are taken once."""
    body = {"name": "Hall", "uri": "ipp://127.0.0.1:1/ipp/print"}
    made = (await site.local.post("/api/v1/printers", json=body)).json()
    assert (made["name"], made["state"], made["accepting"], made["reasons"]) == ("Hall", "unreachable", False, [])
    again = await site.local.post("/api/v1/printers", json=body)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "name-taken")
    terminal = (await site.local.post("/api/v1/terminals", json={"name": "t1", "printers": ["Hall"]})).json()
    assert {"terminal_id", "code", "expires_at", "daemon_url"} <= set(terminal)
    shown = (await site.local.get("/api/v1/terminals/t1")).json()
    assert (shown["state"], shown["printers"]) == ("waiting", ["Hall"])
    assert "code" not in shown
    revoked = (await site.local.post("/api/v1/terminals/t1/revoke")).json()
    assert revoked["state"] == "revoked"
    assert (await site.local.delete("/api/v1/printers/Hall")).status_code == 200
    assert (await site.local.get("/api/v1/printers/Hall")).status_code == 404


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"name": "p", "uri": "http://x/"}, "printer-uri-not-supported"),
        ({"name": "p", "uri": "ipp://user:pw@x/"}, "printer-uri-not-supported"),
        ({"name": "p", "uri": "ipp://169.254.169.254/latest/"}, "printer-address-not-allowed"),
        ({"name": "p", "uri": "ipp://[::ffff:224.0.0.1]/"}, "printer-address-not-allowed"),
        ({"name": "p", "uri": "ipp://x/", "tls": "never"}, None),
        ({"name": "p", "uri": "ipp://x/ipp", "tariff": "gold"}, "tariff-unknown"),
        ({"name": "", "uri": "ipp://x/ipp"}, "bad-input"),
    ],
)
async def test_printers_that_cannot_be_are_refused(site, body, code):
    """A wrong address, trust or tariff is told; nothing is added."""
    answer = await site.local.post("/api/v1/printers", json=body)
    assert 400 <= answer.status_code < 500
    if code:
        assert answer.json()["error"]["code"] == code
    assert (await site.local.get("/api/v1/printers")).json()["items"] == []


async def test_unknown_things_are_404_and_look_alike(site):
    """What is not there has its own code and says nothing else."""
    expected = {"/users/x": "user-unknown", "/printers/x": "printer-unknown", "/terminals/x": "terminal-not-found",
                "/jobs/x": "not-found", "/accounts/x": "user-unknown"}  # fmt: skip
    for path, code in expected.items():
        answer = await site.local.get(f"/api/v1{path}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, code), path


async def test_without_the_daemon_nothing_is_released(site):
    """A command on its own can look and keep books, but only the daemon prints."""
    answer = await site.local.post("/api/v1/jobs/x/release", json={"printer": "p"}, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "daemon-not-running")


async def test_every_answer_carries_the_safe_headers(site):
    """Success, refusal and nonsense alike: HSTS, nosniff, a strict policy, nothing cached, no banner."""
    for path in ("/healthz", "/api/v1/users", "/nowhere", "/api/v1/nowhere"):
        answer = await site.https.get(path)
        assert answer.headers["strict-transport-security"].startswith("max-age=63072000")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers
        assert answer.headers["content-type"].startswith("application/json")
        json.loads(answer.content)


async def test_too_much_and_too_odd_requests_are_refused_before_they_are_read(site):
    """A body over the limit is 413 whether or not it says so; TRACE is no method here."""

    async def endless():
        for _ in range(40):
            yield b"x" * 65536

    for body in (b"x" * 2_000_000, endless()):
        answer = await site.local.post("/api/v1/users", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 413
    assert (await site.local.request("TRACE", "/api/v1/users")).status_code == 405


async def test_whatever_an_administrator_does_is_in_the_audit(site):
    """Who, what, to whom: one entry per action, none with a secret in it."""
    secret = "correct horse battery staple 9"
    await site.local.post("/api/v1/users", json={"name": "anna", "password": secret})
    await site.local.post("/api/v1/users/anna/disable")
    await site.local.post("/api/v1/users/anna/password", json={"password": secret + "!"})
    rows = await site.parts.db.read("SELECT actor, action, detail FROM audit ORDER BY id")
    actions = [row["action"] for row in rows]
    assert {"user.added", "user.disabled", "credential.changed"} <= set(actions)
    assert all(row["actor"].startswith(("local:", "system")) for row in rows)
    assert not any("horse" in row["detail"] for row in rows)


async def test_bugs_answer_500_without_telling_anything(site):
    """A traceback stays in the log; the client gets a request id to name."""

    async def broken(*_args, **_options):
        raise RuntimeError("secret inside")

    with contextlib.suppress(AttributeError):
        object.__setattr__(site.parts.people.store, "page", broken)
    answer = await site.local.get("/api/v1/users")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json()["error"]["request_id"] == answer.headers["x-request-id"]
