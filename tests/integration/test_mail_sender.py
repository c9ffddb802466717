"""The outbox and a real SMTP server: what is appended leaves once, over TLS that is verified, or is tried again."""

import asyncio
import contextlib

import pytest
from aiosmtpd.smtp import SMTP, AuthResult

from daemon.auth import tls
from daemon.db.unit import Unit, UnitRefused
from daemon.notices.mail_store import MailStore
from daemon.notices.outbox import Outbox
from daemon.notices.sender import Sender, SmtpServer
from daemon.notices.templates import Letterhead
from daemon.system import SystemClock, SystemDice
from tests.helpers.auth_house import PASSWORD, auth_house


class Mailbox:
    """An SMTP handler that keeps what it is given and says what it is told to say."""

    def __init__(self) -> None:
        self.messages = []
        self.answers = []
        self.recipient_answers = []

    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = self.recipient_answers.pop(0) if self.recipient_answers else "250 OK"
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server, session, envelope):
        answer = self.answers.pop(0) if self.answers else "250 OK"
        if answer.startswith("250"):
            self.messages.append((envelope.rcpt_tos, envelope.content.decode()))
        return answer


@contextlib.asynccontextmanager
async def smtp_server(mailbox, *, ssl_context=None, **options):
    """An SMTP server on our own loop; gives the port."""
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(mailbox, enable_SMTPUTF8=True, **options), "127.0.0.1", 0, ssl=ssl_context
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@contextlib.asynccontextmanager
async def post_office(tmp_path):
    async with auth_house(tmp_path) as house:
        store = MailStore(house.db)
        letterhead = Letterhead(house="Holdfast", page="https://print.example.org/password")
        house.outbox = Outbox(store, seal=house.box, clock=house.clock, dice=SystemDice(), letterhead=letterhead)
        house.mail_store = store
        house.credentials._mailer = house.outbox
        house.sign_in._mailer = house.outbox
        yield house


def _sender(house, port, **options) -> Sender:
    server = SmtpServer(
        **({"host": "127.0.0.1", "port": port, "sender": "holdfast@example.org", "security": "none"} | options)
    )
    return Sender(house.db, house.mail_store, house.outbox, server, clock=house.clock)


async def _append(
    house, dedupe="one", *, recipient="anna@example.org", subject="Hello", text="A secret body", key=None
) -> None:
    unit = Unit()
    house.outbox.append(
        unit, dedupe_key=dedupe, kind="test", person_id=None, recipient=recipient, subject=subject, text=text
    )
    await house.db.commit(unit)


async def test_a_mail_leaves_once_and_is_forgotten(tmp_path):
    """Sealed while it waits, sent with its headers, then its words are gone; the same event sends no second one."""
    mailbox = Mailbox()
    async with post_office(tmp_path) as house:
        async with smtp_server(mailbox) as port:
            sender = _sender(house, port)
            await _append(house)
            await _append(house)
            assert b"A secret body" not in b"".join(path.read_bytes() for path in tmp_path.glob("house.db*"))
            assert await sender.send_due() == 1
            assert await sender.send_due() == 0
            await _append(house)
            assert await sender.send_due() == 0
        ((recipients, content),) = mailbox.messages
        assert recipients == ["anna@example.org"]
        assert "Subject: Hello" in content
        assert "A secret body" in content
        assert "Auto-Submitted: auto-generated" in content
        row = await house.db.read_one("SELECT * FROM mail")
        assert (row["text"], row["subject"], row["attempts"]) == ("", "", 1)
        assert row["sent_at_us"] is not None


async def test_a_mail_lives_and_dies_with_its_change(tmp_path):
    """When the change it tells of is refused there is no mail."""
    async with post_office(tmp_path) as house:
        unit = Unit()
        house.outbox.append(unit, dedupe_key="x", kind="k", person_id=None, recipient="a@b.org", subject="s", text="t")
        unit.add("UPDATE person SET name='x' WHERE id=77", rows=1)
        with pytest.raises(UnitRefused):
            await house.db.commit(unit)
        assert await house.count("mail") == 0


async def test_a_server_that_is_away_is_tried_again_later_and_later(tmp_path):
    """Waits of 60, 120, 240 s; when it is back the mail leaves."""
    mailbox = Mailbox()
    async with post_office(tmp_path) as house:
        async with smtp_server(mailbox) as port:
            pass
        await _append(house)
        waits = []
        for _ in range(3):
            now = house.clock.us
            assert await _sender(house, port).send_due() == 0
            due = await house.mail_store.next_try_us()
            waits.append(round((due - now) / 1_000_000))
            house.clock.us = due
        assert waits == [60, 120, 240]
        async with smtp_server(mailbox) as port:
            assert await _sender(house, port).send_due() == 1
        assert await house.mail_store.waiting() == (0, None)


async def test_a_temporary_no_is_retried_and_a_final_no_is_not(tmp_path):
    """4xx waits, 5xx for the recipient or the content ends it, and the others in the round still leave."""
    mailbox = Mailbox()
    mailbox.recipient_answers = ["550 no such user", "250 OK", "250 OK", "450 later"]
    mailbox.answers = ["554 no", "451 later"]
    async with post_office(tmp_path) as house:
        async with smtp_server(mailbox) as port:
            for name in ("unknown", "content", "busy", "greylisted", "fine"):
                await _append(house, name, recipient=f"{name}@example.org")
            assert await _sender(house, port).send_due() == 1
            rows = {row["recipient"].split("@")[0]: row for row in await house.db.read("SELECT * FROM mail")}
            assert [name for name, row in rows.items() if row["failed_at_us"]] == ["unknown", "content"]
            assert [name for name, row in rows.items() if row["sent_at_us"]] == ["fine"]
            assert "550" in rows["unknown"]["error"]
            house.clock.pass_s(61)
            assert await _sender(house, port).send_due() == 2


async def test_an_old_mail_is_given_up(tmp_path):
    """After a day it is no news any more; why it failed stays, what it said does not."""
    async with post_office(tmp_path) as house:
        await _append(house)
        house.clock.pass_s(90_000)
        assert await _sender(house, 1).send_due() == 0
        row = await house.db.read_one("SELECT * FROM mail")
        assert row["failed_at_us"] is not None
        assert row["error"]
        assert row["text"] == ""
        house.clock.pass_s(31 * 86_400)
        await house.outbox.prune()
        assert await house.count("mail") == 0


async def test_a_mail_of_another_installation_is_not_sent(tmp_path):
    """A body that does not open (restored without its keys) is given up, not sent as it lies there."""
    mailbox = Mailbox()
    async with post_office(tmp_path) as house:
        await _append(house)
        unit = Unit()
        unit.add("UPDATE mail SET text='AAAAAAAA'")
        await house.db.commit(unit)
        async with smtp_server(mailbox) as port:
            assert await _sender(house, port).send_due() == 0
        assert mailbox.messages == []
        assert (await house.db.read_one("SELECT failed_at_us FROM mail"))["failed_at_us"] is not None


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_tls_is_verified_and_carries_the_password(tmp_path, security):
    """With the right CA it signs in and sends; a certificate nobody vouches for, or another name, gets nothing."""
    files = tls.TlsFiles.under(tmp_path)
    tls.create(files, names=[], clock=SystemClock(), dice=SystemDice())
    mailbox = Mailbox()
    seen = []

    def check(server, session, envelope, mechanism, data):
        seen.append((data.login, data.password))
        return AuthResult(success=True)

    context = tls.server_context(files)
    options = {"authenticator": check, "auth_require_tls": security == "starttls"}
    options |= (
        {"tls_context": context, "require_starttls": True} if security == "starttls" else {"ssl_context": context}
    )
    async with post_office(tmp_path) as house, smtp_server(mailbox, **options) as port:
        await _append(house)
        assert await _sender(house, port, security=security, user="u", password="p").send_due() == 0
        assert (seen, mailbox.messages) == ([], [])
        house.clock.pass_s(61)
        good = _sender(house, port, security=security, user="u", password="p", ca_file=files.ca_cert)
        assert await good.send_due() == 1
        assert seen == [(b"u", b"p")]


async def test_a_server_without_tls_gets_nothing_when_tls_is_asked(tmp_path):
    """No fallback to plain text."""
    mailbox = Mailbox()
    async with post_office(tmp_path) as house:
        async with smtp_server(mailbox) as port:
            await _append(house)
            assert await _sender(house, port, security="starttls").send_due() == 0
        assert mailbox.messages == []


async def test_the_loop_sends_without_being_asked(tmp_path):
    """A running sender picks up what is appended."""
    mailbox = Mailbox()
    async with post_office(tmp_path) as house:
        async with smtp_server(mailbox) as port:
            task = asyncio.create_task(_sender(house, port).run())
            await _append(house)
            async with asyncio.timeout(10):
                while not mailbox.messages:
                    await asyncio.sleep(0.02)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_people_are_told_of_locks_links_and_changes(tmp_path):
    """The real texts, in the person's language, through the real server; the link in the mail sets the password."""
    mailbox = Mailbox()
    async with post_office(tmp_path) as house:
        person = await house.add_person("anna", pin="1001", password=PASSWORD, email="anna@example.org", language="de")
        for n in range(20):
            terminal = await house.add_terminal(f"t{n}")
            with contextlib.suppress(Exception):
                await house.sign_in.by_pin("1001", "falsch", terminal=terminal)
            house.clock.pass_s(61)
        await house.credentials.send_link(person, actor="local:0")
        async with smtp_server(mailbox) as port:
            assert await _sender(house, port).send_due() == 3
            import email

            texts = [email.message_from_string(content, policy=email.policy.default) for _, content in mailbox.messages]
            bodies = [text.get_content() for text in texts]
            assert "abgeschaltet" in bodies[1]
            token = bodies[2].split("/password/set#t=")[1].split()[0]
            await house.credentials.use_link(token, "ein ruhiger Abend am See")
            assert await _sender(house, port).send_due() == 1
        assert (
            "geändert" in email.message_from_string(mailbox.messages[-1][1], policy=email.policy.default).get_content()
        )
