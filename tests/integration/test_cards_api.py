"""Cards over the admin API: who may do what, limits, ends, new keys, changed formats, and what everybody hears of it."""

import asyncio
import contextlib
import json

import httpx
import pytest

from daemon.app.services import api_services
from daemon.cli.client import LocalDoor
from daemon.db.unit import Unit
from daemon.web.site import create_site
from tests.helpers.office import office

CARD = "04A224B1C2D380"
FORMATS = {
    "staff": 'pipeline = "default"\nwidth = 8\n',
    "hexed": 'pipeline = "hex"\nnamespace = "site"\n',
}


class Desk:
    """The API as the local administrator uses it."""

    def __init__(self, opened, local, https) -> None:
        self.parts, self._local, self.https = opened.parts, local, https

    async def call(self, method, path, body=None, *, status=200):
        answer = await self._local.request(method, f"/api/v1{path}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def add(self, user, raw, *, status=201, **more):
        return await self.call("POST", "/cards", {"user": user, "raw": raw, **more}, status=status)

    async def code(self, *args, **options):
        return (await self.call(*args, **options))["error"]["code"]


@contextlib.asynccontextmanager
async def desk_of(tmp_path, config=""):
    def write(state):
        (state / "card-formats").mkdir(exist_ok=True)
        for name, text in FORMATS.items():
            (state / "card-formats" / f"{name}.toml").write_text(text)

    async with office(tmp_path, config=config, prepare=write) as opened:
        site, admin = create_site(api_services(opened.parts, opened.verbs))
        local = httpx.AsyncClient(transport=httpx.ASGITransport(LocalDoor(admin)), base_url="http://house")
        https = httpx.AsyncClient(transport=httpx.ASGITransport(site), base_url="https://house")
        async with local, https:
            for name in ("anna", "bert"):
                await opened.hire(name, email=f"{name}@example.org")
            yield Desk(opened, local, https)


@pytest.fixture
async def desk(tmp_path):
    async with desk_of(tmp_path) as made:
        yield made


async def test_every_refusal_at_the_desk_has_its_name(desk):
    """Unreadable, unknown person, unknown format, taken, too many, bad ends: each by name, nothing written."""
    first = await desk.add("anna", CARD, label="fob")
    assert (first["new"], first["cards"], first["cards_max"], first["read_kept"]) == (True, 1, 3, True)
    assert (await desk.add("anna", CARD))["new"] is False
    for user, raw, more, status, code in (
        ("bert", CARD, {}, 409, "card-taken"),
        ("anna", "not a card", {}, 422, "card-unreadable"),
        ("anna", "1" * 60_000, {}, 422, "card-unreadable"),
        ("nobody", CARD, {}, 404, "user-unknown"),
        ("anna", "12345678", {"format": "nope"}, 404, "not-found"),
        ("anna", "12345678", {"label": "x" * 61}, 400, "bad-name"),
        ("anna", "12345678", {"expires": "tomorrow"}, 400, "expiry-unreadable"),
        ("anna", "12345678", {"expires": "2020-01-01"}, 400, "card-expiry-past"),
        ("anna", "12345678", {"tapped_at": "door"}, 400, "bad-input"),
        ("anna", "", {}, 400, "bad-input"),
        ("anna", "", {"tapped_at": "door"}, 422, "card-link-expired"),
    ):
        refused = await desk.add(user, raw, status=status, **more)
        assert refused["error"]["code"] == code, (user, raw[:20], more)
        assert CARD not in json.dumps(refused)
    assert len((await desk.call("GET", "/cards"))["items"]) == 1


async def test_limits_hold_for_cards_that_work_also_for_two_at_the_same_instant(desk):
    """Three work; a blocked one does not count; of two last ones at once exactly one is added."""
    made = [await desk.add("anna", f"1000000{n}") for n in range(3)]
    assert (await desk.add("anna", "10000009", status=422))["error"]["cards_max"] == 3
    await desk.call("POST", f"/cards/{made[0]['card_id']}/block")
    answers = await asyncio.gather(
        *(desk._local.post("/api/v1/cards", json={"user": "anna", "raw": f"2000000{n}"}) for n in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 422, 422, 422]
    unblock = f"/cards/{made[0]['card_id']}/unblock"
    assert await desk.code("POST", unblock, status=422) == "card-limit-reached"
    await desk.call("DELETE", f"/cards/{made[1]['card_id']}")
    assert (await desk.call("POST", unblock))["state"] == "active"


async def test_every_change_is_told_to_its_owner_audited_and_an_event(desk):
    """Added, changed, blocked, let in, removed; a repeated block or unblock is silent; the audit outlives the row."""
    card = (await desk.add("anna", CARD))["card_id"]
    assert (await desk.call("PATCH", f"/cards/{card}", {"label": "red", "expires": "+3d"}))["label"] == "red"
    assert (await desk.call("PATCH", f"/cards/{card}", {"expires": ""}))["expires_at"] is None
    assert await desk.code("PATCH", f"/cards/{card}", {"expires": "2020-01-01"}, status=400) == "card-expiry-past"
    for verb, state in (("block", "blocked"), ("block", "blocked"), ("unblock", "active"), ("unblock", "active")):
        assert (await desk.call("POST", f"/cards/{card}/{verb}"))["state"] == state
    assert (await desk.call("GET", "/users/anna/cards"))["items"][0]["label"] == "red"
    assert (await desk.call("DELETE", f"/cards/{card}"))["state"] == "removed"
    assert await desk.code("GET", f"/cards/{card}", status=404) == "card-not-found"
    mails = [row["kind"] for row in await desk.parts.db.read("SELECT kind FROM mail ORDER BY id")]
    assert mails == ["card-given", "card-blocked", "card-unblocked", "card-removed"]
    wanted = ["card.added", "card.changed", "card.changed", "card.blocked", "card.unblocked", "card.removed"]
    for sql in (
        "SELECT action AS what FROM audit WHERE subject=:id ORDER BY id",
        "SELECT topic AS what FROM event WHERE subject=:id ORDER BY seq",
    ):
        assert [row["what"] for row in await desk.parts.db.read(sql, id=card)] == wanted
    assert (await desk.add("bert", CARD))["user"] == "bert"


async def test_roles_see_block_and_write_cards_as_far_as_they_may(desk):
    """Operators look and block a lost card; only administrators add, unblock and re-key; others see nothing."""
    card = (await desk.add("anna", CARD))["card_id"]
    wanted = {
        "operator": [200, 200, 403, 403, 403],
        "read-only": [200, 403, 403, 403, 403],
        "billing": [403, 403, 403, 403, 403],
    }
    for role, statuses in wanted.items():
        made = await desk.parts.tokens.create(f"t-{role}", role=role, actor="test")
        head = {"Authorization": f"Bearer {made.token}"}
        seen = [
            (await desk.https.request(method, f"/api/v1{path}", json=body, headers=head)).status_code
            for method, path, body in (
                ("GET", "/cards", None),
                ("POST", f"/cards/{card}/block", {}),
                ("POST", f"/cards/{card}/unblock", {}),
                ("POST", "/cards", {"user": "anna", "raw": "12345678"}),
                ("POST", "/cards/rekey", {}),
            )
        ]
        assert seen == statuses, role


async def test_a_new_key_and_a_changed_format_move_every_kept_card(desk):
    """Hashes differ afterwards and the cards are still theirs; without kept reads they wait for their next tap."""
    for n in range(3):
        await desk.add("anna", f"1000000{n}")
    before = await desk.parts.db.read("SELECT hash, key_id FROM card ORDER BY id")
    done = await desk.call("POST", "/cards/rekey")
    after = await desk.parts.db.read("SELECT hash, key_id FROM card ORDER BY id")
    assert (done["rehashed"], done["remaining"], done["retired"]) == (3, 0, [before[0]["key_id"]])
    assert {row["key_id"] for row in after} == {done["key_id"]}
    assert {bytes(row["hash"]) for row in before} & {bytes(row["hash"]) for row in after} == set()
    assert (await desk.add("anna", "10000000"))["new"] is False
    moved = await desk.call("POST", "/cards/reformat", {"from": "default", "to": "hexed"})
    assert (moved["ok"], moved["moved"]) == (True, 3)
    assert (await desk.add("anna", "10000000", format="hexed"))["new"] is False
    assert {card["format"] for card in (await desk.call("GET", "/cards"))["items"]} == {"hexed"}


async def test_a_site_that_keeps_no_reads_forgets_those_it_has(tmp_path):
    """Nothing to read back; a re-keying says how many cards are still to come, and keeps their key."""
    async with desk_of(tmp_path, "[cards]\nkeep_reads = false\n") as desk:
        await desk.add("anna", CARD)
        (card,) = (await desk.call("GET", "/cards"))["items"]
        assert card["read_kept"] is False
        done = await desk.call("POST", "/cards/rekey")
        assert (done["rehashed"], done["remaining"], done["retired"]) == (0, 1, [])
        assert (await desk.add("anna", CARD))["new"] is False
        await desk.parts.cards.keys.catch_up()
        assert len(await desk.parts.cards.store.count_by_key()) == 1


async def test_likenesses_and_a_changed_format_are_told_before_anybody_meets_them(desk):
    """00123-like twins; what a format would lose, change and merge, by person and card, never by number."""
    await desk.add("anna", "00012345")
    await desk.add("bert", "0012345")
    found = await desk.call("GET", "/cards/check")
    assert {card["user"] for card in found["collisions"][0]["cards"]} == {"anna", "bert"}
    trial = {"format": "default", "text": FORMATS["staff"], "file": "staff.toml"}
    tried = await desk.call("POST", "/cards/dry-run", trial)
    assert ([one["user"] for one in tried["lost"]], [one["user"] for one in tried["changed"]]) == (["bert"], ["anna"])
    assert tried == await desk.call("POST", "/cards/dry-run", {"format": "default", "to": "staff"})
    assert "12345" not in json.dumps([found, tried])
    assert (await desk.call("POST", "/cards/dry-run", {"format": "default", "to": "default"}))["ok"] is True
    assert await desk.code("POST", "/cards/dry-run", trial | {"text": "nonsense = ["}, status=400) == "bad-input"
    moved = await desk.call("POST", "/cards/reformat", {"from": "default", "to": "staff"})
    assert ([one["user"] for one in moved["stay"]], moved["moved"]) == (["bert"], 1)


async def test_the_end_of_a_temporary_card_is_told_once(desk):
    """As an event and in the audit, when it has come; a new end is told anew."""
    card = (await desk.add("anna", CARD, expires="+1h"))["card_id"]
    tell = desk.parts.cards.desk.tell_expired

    async def told() -> int:
        await tell()
        await tell()
        row = await desk.parts.db.read_one("SELECT count(*) AS n FROM event WHERE topic='card.expired'")
        return row["n"]

    assert await told() == 0
    store, found = desk.parts.cards.store, await desk.parts.cards.desk.find(card)
    for wanted in (1, 2):
        unit = Unit()
        store.describe(unit, found, label="", expires_at_us=desk.parts.clock.now_us() - wanted)
        await desk.parts.db.commit(unit)
        assert await told() == wanted
    assert (await desk.call("GET", f"/cards/{card}"))["state"] == "expired"


async def test_people_choose_what_their_tap_does(desk):
    """On, off, or as the site says; shown with the person."""
    for wish, shown in (("on", True), ("off", False), ("site", None)):
        assert (await desk.call("PATCH", "/users/anna", {"release_on_tap": wish}))["release_on_tap"] is shown
    assert (await desk.call("GET", "/users/anna"))["release_on_tap"] is None
