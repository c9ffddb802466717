"""Mail as configured: the outbox every change writes to, and the sender that empties it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from daemon.notices.mail_store import MailStore
from daemon.notices.outbox import Outbox
from daemon.notices.sender import Sender, SmtpServer
from daemon.notices.templates import Letterhead
from daemon.settings import read_secret

if TYPE_CHECKING:
    from daemon.auth.keys import SecretBox
    from daemon.db.database import Database
    from daemon.kernel.clock import Clock
    from daemon.kernel.ids import Dice
    from daemon.settings import Mail, Settings

CREDENTIAL = "mail-password"
HOUSE = "Holdfast"


def open_mail(
    settings: Settings, db: Database, *, box: SecretBox, clock: Clock, dice: Dice, page: str
) -> tuple[Outbox, Sender | None]:
    """The outbox, and the sender where a mail server is configured; `page` is where its links lead.

    Raises:
        SecretMissing: the password's file is not there or not private.
    """
    store = MailStore(db)
    zone = settings.profiles[settings.people.default_profile].timezone
    outbox = Outbox(store, seal=box, clock=clock, dice=dice, letterhead=Letterhead(HOUSE, page, zone))
    if not settings.mail.host:
        return outbox, None
    server = _server(settings.mail)
    return outbox, Sender(db, store, outbox, server, clock=clock, tries_max=settings.mail.retry_max)


def _server(mail: Mail) -> SmtpServer:
    has_password = bool(mail.user) or mail.password_file != Path()
    secret = read_secret(mail.password_file, credential=CREDENTIAL).decode("utf-8") if has_password else ""
    return SmtpServer(mail.host, mail.port, mail.sender, mail.security, mail.user, secret)
