"""Restoring brings back the books, not what was ended or withdrawn since the backup."""

import asyncio
import json
import sqlite3
from contextlib import closing

import pytest

from daemon.auth import permissions
from daemon.auth.identity import SessionEnded, SignInFailed
from daemon.auth.tokens import NotSignedIn
from daemon.cli.backups import told
from daemon.db import backup, revival
from tests.helpers.counter_hall import PASSWORD, counter_hall
from tests.helpers.office import Office

CARD, OTHER_CARD, REMOVED_CARD = "04A2B3C4D5E680", "04A2B3C4D5E681", "04A224B1C2D3FF"
NEW_PASSWORD = "tall ships under canvas"
NOW_US = 1_900_000_000_000_000
NEW_KEY = b"k" * 32
"""Of the device that was enrolled in place of another after the backup."""


class Restored:
    """An office, its backup, and what happened since."""

    def __init__(self, folder):
        self.office = Office.make(folder / "state")
        self.file = self.office.state / "holdfast.db"
        self.copy = folder / "copy.db"

    async def live_until_the_backup(self):
        """Two people with cards, a session, a link, three tokens, a terminal and its code."""
        await self.office.open()
        parts = self.office.parts
        async with counter_hall(self.office) as hall:
            printer = await self.office.buy_printer("p1")
            self.anna = await hall.hire("anna", pin="1001", email="anna@example.org")
            self.ben = await hall.hire("ben", pin="1002")
            await hall.add_card(self.anna, CARD)
            await hall.add_card(self.ben, OTHER_CARD)
            self.removed = await hall.add_card(self.anna, REMOVED_CARD)
            self.terminal = (await hall.new_terminal("door", printer, policy="card")).terminal
            self.tokens = {
                name: await parts.tokens.create(name, role="metrics", actor="local:0") for name in ("kept", "gone")
            }
            self.session = await parts.sign_in.by_pin("1001", PASSWORD, terminal=self.terminal)
            await parts.credentials.send_link(self.anna.id, actor="local:0")
            backup.back_up(self.file, self.copy)

    async def withdraw(self):
        """What an administrator took back afterwards."""
        parts = self.office.parts
        await parts.tokens.revoke("gone", actor="local:0")
        await parts.credentials.set_password(self.anna.id, NEW_PASSWORD, actor="local:0")
        await parts.people.disable(self.ben, actor="local:0")
        await parts.cards.desk.remove(self.removed, actor=permissions.SYSTEM)
        with closing(sqlite3.connect(self.file)) as connection:
            connection.execute("UPDATE card SET blocked_at_us=1 WHERE person_id=?", (self.anna.id,))
            connection.execute("UPDATE terminal SET public_key=?, counter=4711, enrolled_at_us=1", (NEW_KEY,))
            connection.commit()

    async def restore(self):
        await self.office.close()
        _, found = backup.restore(self.copy, self.file, at_us=NOW_US, actor="local:0")
        await self.office.open()
        return found

    async def close(self):
        await self.office.close()
        for device in self.office.printers.values():
            await device.close()


@pytest.fixture
async def house(tmp_path):
    made = await asyncio.to_thread(Restored, tmp_path)
    await made.live_until_the_backup()
    yield made
    await made.close()


async def test_what_was_withdrawn_since_the_backup_stays_withdrawn(house):
    """A revoked token, a blocked card, a replaced key, an old password, a switched off person, an open session: gone for good."""
    await house.withdraw()
    found = await house.restore()
    parts = house.office.parts
    with pytest.raises(SessionEnded):
        await parts.sessions.check(house.session.token, terminal_id=house.terminal.id)
    with pytest.raises(NotSignedIn):
        await parts.tokens.actor(house.tokens["gone"].token)
    assert (await parts.tokens.actor(house.tokens["kept"].token)).name == "token:kept"
    with pytest.raises(SignInFailed):
        await parts.sign_in.by_pin("1001", PASSWORD, terminal=house.terminal)
    await parts.sign_in.by_pin("1001", NEW_PASSWORD, terminal=house.terminal)
    for card in (CARD, OTHER_CARD, REMOVED_CARD):
        with pytest.raises(SignInFailed):
            await parts.sign_in.by_card(card, terminal=house.terminal)
    (terminal,) = await parts.terminals.list()
    assert (terminal.public_key, terminal.counter) == (NEW_KEY, 4711)
    assert found.withdrawn == {
        "tokens": 1, "addresses": 0, "cards": 2, "terminals": 0, "terminal_keys": 1, "people": 1, "passwords": 1,
    }  # fmt: skip
    assert (found.ended["sessions"], found.ended["links"], found.ended["terminal_codes"]) == (1, 1, 1)
    assert "gone" not in found.tokens
    assert "kept" in found.tokens
    assert (await house.office.books())["ok"] is True


async def test_a_lost_database_tells_nothing_and_that_is_said(house):
    """Without the replaced database sessions, links and codes end all the same; what lasts is named for a person to check."""
    await house.withdraw()
    await house.office.close()
    for suffix in ("", "-wal", "-shm"):
        house.file.with_name(house.file.name + suffix).unlink(missing_ok=True)
    _, found = backup.restore(house.copy, house.file, at_us=NOW_US, actor="local:0")
    await house.office.open()
    with pytest.raises(SessionEnded):
        await house.office.parts.sessions.check(house.session.token, terminal_id=house.terminal.id)
    assert found.withdrawn is None
    assert {"gone", "kept"} <= set(found.tokens)
    assert found.cards == 3
    text = "\n".join(told({"file": "f", "before": "b", **found.to_json()}))
    assert "is valid again" in text
    assert "gone" in text


async def test_a_damaged_database_is_replaced_like_a_lost_one(house):
    """Damage is a reason to restore, never a reason to fail at it."""
    await house.office.close()
    for suffix in ("-wal", "-shm"):
        house.file.with_name(house.file.name + suffix).unlink(missing_ok=True)
    house.file.write_bytes(b"nothing of a database " * 1000)
    _, found = backup.restore(house.copy, house.file, at_us=NOW_US, actor="local:0")
    await house.office.open()
    assert found.withdrawn is None
    assert found.ended["sessions"] == 1


async def test_the_restore_stands_in_the_audit_log_and_the_chain_holds(house):
    """Who restored and what was ended is one more link of the chain."""
    await house.restore()
    rows = await house.office.parts.db.read("SELECT * FROM audit WHERE action=:a", a=revival.ACTION)
    assert [(row["actor"], row["at_us"]) for row in rows] == [("local:0", NOW_US)]
    assert json.loads(rows[0]["detail"])["ended"]["sessions"] == 1
    assert (await house.office.books())["mismatches"] == []


async def test_no_old_mail_leaves_twice(house):
    """Mails that waited at the time of the backup have long been sent, and their links are dead."""
    found = await house.restore()
    rows = await house.office.parts.db.read("SELECT failed_at_us, error FROM mail")
    assert found.ended["mails"] == len(rows) > 0
    assert {(row["failed_at_us"], row["error"]) for row in rows} == {(NOW_US, "restored")}
