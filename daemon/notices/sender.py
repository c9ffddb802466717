"""Sends what the outbox holds: verified TLS, one connection for what is due, growing waits, up to a day.

At least once: a crash between the server's yes and our note of it sends a mail twice, with the same Message-ID.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING

import aiosmtplib
import structlog

from daemon.db.unit import Unit
from daemon.kernel.clock import US_PER_S
from daemon.kernel.errors import Refusal, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.db.database import Database
    from daemon.kernel.clock import Clock
    from daemon.notices.mail_store import MailRow, MailStore
    from daemon.notices.outbox import Outbox

log = structlog.get_logger(__name__)

BATCH_MAX = 50
CONNECT_S = 20.0
POLL_S = 2.0
RETRY_FIRST_S = 60
RETRY_LONGEST_S = 3600
AGE_MAX_US = 86_400 * US_PER_S
"""Older than this a mail is given up: it tells of something long past."""
TRIES_MAX = 30


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mail leaves. `security`: starttls, tls, or none (a relay on this machine)."""

    host: str
    port: int
    sender: str
    security: str = "starttls"
    user: str = ""
    password: str = ""
    ca_file: Path | None = None

    def __repr__(self) -> str:
        return f"SmtpServer({self.host}:{self.port})"


class MailRefused(Refusal):
    """The server will never take this mail."""

    code = "mail-refused"


class MailUnavailable(Unavailable):
    """The server does not take mail now."""

    code = "mail-unavailable"


class Sender:
    """Owns the sending loop: `run` until cancelled."""

    def __init__(
        self, db: Database, store: MailStore, outbox: Outbox, server: SmtpServer, *, clock: Clock, tries_max: int = 12
    ) -> None:
        self._db = db
        self._store = store
        self._outbox = outbox
        self._server = server
        self._clock = clock
        self._tries_max = min(tries_max, TRIES_MAX)
        self._is_up = True

    async def run(self) -> None:
        """Send whatever is due, for ever."""
        while True:
            try:
                await self.send_due()
            except (Refusal, Unavailable) as problem:
                log.warning("mail.unavailable", code=problem.code)
            await asyncio.sleep(POLL_S)

    async def send_due(self) -> int:
        """One round: everything whose next try has come; returns how many mails left."""
        mails = await self._store.due(self._clock.now_us(), BATCH_MAX)
        if not mails:
            return 0
        try:
            client = await self._connected()
        except MailUnavailable as problem:
            for mail in mails:
                await self._later(mail, problem.message)
            self._changed(is_up=False, problem=problem.message)
            return 0
        self._changed(is_up=True, problem="")
        sent = 0
        try:
            for mail in mails:
                sent += await self._one(client, mail)
        finally:
            client.close()
        return sent

    async def _connected(self) -> aiosmtplib.SMTP:
        server = self._server
        context = ssl.create_default_context(cafile=server.ca_file)
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            timeout=CONNECT_S,
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            tls_context=context if server.security != "none" else None,
        )
        try:
            await client.connect()
            if server.user:
                await client.login(server.user, server.password)
        except (aiosmtplib.SMTPException, OSError) as error:
            client.close()
            raise MailUnavailable(_word(error)) from error
        return client

    async def _one(self, client: aiosmtplib.SMTP, mail: MailRow) -> int:
        """Send one mail; 1 when it left."""
        try:
            await self._send(client, mail)
        except MailRefused as refusal:
            await self._never(mail, refusal.message)
            return 0
        except MailUnavailable as problem:
            await self._later(mail, problem.message)
            return 0
        unit = Unit()
        self._store.sent(unit, mail, at_us=self._clock.now_us())
        await self._db.commit(unit)
        log.info("mail.sent", mail_id=mail.public_id, kind=mail.kind)
        return 1

    async def _send(self, client: aiosmtplib.SMTP, mail: MailRow) -> None:
        try:
            subject, text = self._outbox.read(mail)
            message = compose(mail, subject=subject, text=text, sender=self._server.sender)
        except (Refusal, ValueError) as error:
            raise MailRefused("cannot be written") from error
        try:
            await client.send_message(message)
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [refused.code for refused in error.recipients]
            if all(code >= 500 for code in codes):
                raise MailRefused(f"recipient refused {codes[0]}") from error
            raise MailUnavailable(f"recipient deferred {codes[0]}") from error
        except aiosmtplib.SMTPDataError as error:
            if error.code >= 500:
                raise MailRefused(f"content refused {error.code}") from error
            raise MailUnavailable(_word(error)) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise MailUnavailable(_word(error)) from error
        except ValueError as error:
            raise MailRefused("cannot be written") from error

    async def _later(self, mail: MailRow, problem: str) -> None:
        now = self._clock.now_us()
        if now - mail.created_at_us > AGE_MAX_US or mail.attempts + 1 >= self._tries_max:
            await self._never(mail, problem)
            return
        wait_s = min(RETRY_FIRST_S * 2**mail.attempts, RETRY_LONGEST_S)
        unit = Unit()
        self._store.retry(unit, mail, next_try_us=now + wait_s * US_PER_S, error=problem)
        await self._db.commit(unit)

    async def _never(self, mail: MailRow, problem: str) -> None:
        unit = Unit()
        self._store.give_up(unit, mail, at_us=self._clock.now_us(), error=problem)
        await self._db.commit(unit)
        log.warning("mail.given_up", mail_id=mail.public_id, kind=mail.kind, error=problem)

    def _changed(self, *, is_up: bool, problem: str) -> None:
        """One line per change, not per try."""
        if is_up != self._is_up:
            log.warning("mail.server_changed", is_up=is_up, problem=problem)
        self._is_up = is_up


def compose(mail: MailRow, *, subject: str, text: str, sender: str) -> EmailMessage:
    """The message; headers refuse line breaks (RFC 5322), the body travels as UTF-8.

    Raises:
        ValueError: a header would break out of its line.
    """
    message = EmailMessage()
    message["From"] = sender
    message["To"] = mail.recipient
    message["Subject"] = subject
    message["Date"] = format_datetime(datetime.fromtimestamp(mail.created_at_us // US_PER_S, UTC))
    message["Message-ID"] = f"<{mail.public_id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(text)
    return message


def _word(error: BaseException) -> str:
    """What went wrong, without anything the server said: an SMTP answer may repeat addresses."""
    code = getattr(error, "code", None)
    return f"{type(error).__name__} {code}" if isinstance(code, int) else type(error).__name__
