"""What mails say: every language says everything, and nothing a person typed breaks out of its place."""

import string

import pytest

from daemon.notices.mail_store import MailRow
from daemon.notices.outbox import is_address
from daemon.notices.sender import compose
from daemon.notices.templates import LANGUAGES, Letterhead, language_of, texts, write

HEAD = Letterhead(house="Holdfast", page="https://print.example.org/password", timezone="Europe/Berlin")
AT = 1_790_000_000_000_000
FACTS = {
    "job-expiring": {"title": "Plan.pdf", "held_until_us": AT, "queue": "findme"},
    "job-expired": {"title": "Plan.pdf", "held_until_us": AT, "queue": "findme"},
    "job-unreadable": {"title": "Plan.pdf", "why": "damaged", "at_us": AT},
    "job-uncertain": {"title": "Plan.pdf", "decide_at_us": AT},
    "sign-in-sprayed": {"at_us": AT, "where": "door"},
    "account-slowed": {"state": "slowed", "at_us": AT, "where": "door"},
    "account-disabled": {"state": "disabled", "at_us": AT, "where": "door"},
    "password-link": {"url": "https://x/#t=a", "code": "a", "expires_at_us": AT},
    "password-changed": {"at_us": AT},
    "pin-changed": {"at_us": AT},
    "card-added": {"label": "Blue fob", "at_us": AT, "where": "door"},
    "card-given": {"label": "Blue fob", "at_us": AT},
    "card-blocked": {"label": "Blue fob", "at_us": AT},
    "card-unblocked": {"label": "Blue fob", "at_us": AT},
    "card-removed": {"label": "Blue fob", "at_us": AT},
    "sign-in-code": {"code": "12345678", "where": "door", "expires_at_us": AT},
}


def _row(**values) -> MailRow:
    plain = dict(
        id=1, public_id="abc", kind="k", person_id=1, recipient="anna@example.org", subject="", text="", html="",
        created_at_us=AT, next_try_us=AT, attempts=0, sent_at_us=None, failed_at_us=None, error="",
    )  # fmt: skip
    return MailRow(**(plain | values))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_everything_with_the_same_facts(language):
    """Same kinds, same placeholders as English; none empty, none left unfilled."""

    def placeholders(said):
        return {
            kind: sorted({name for part in value.values() for _, name, _, _ in string.Formatter().parse(part) if name})
            for kind, value in said.items()
            if isinstance(value, dict)
        }

    assert placeholders(texts(language)) == placeholders(texts("en"))
    assert set(placeholders(texts(language))) == set(FACTS)
    for kind, facts in FACTS.items():
        name = "account-locked" if kind.startswith("account-") else kind
        written = write(name, person="Anna", language=language, facts=facts, letterhead=HEAD)
        assert written.subject.strip()
        assert "{" not in written.subject + written.text
        assert "Anna" in written.text
        if kind not in ("job-expired", "job-unreadable"):
            assert "Europe/Berlin" in written.text


@pytest.mark.parametrize(
    ("wanted", "spoken"), [("de-AT", "de"), ("FR_ca", "fr"), ("es", "es"), ("ar", "en"), ("", "en")]
)
def test_people_are_written_to_in_the_nearest_language(wanted, spoken):
    """A regional variant is served by its language, anything else by English."""
    assert language_of(wanted) == spoken


def test_hostile_titles_stay_text():
    """Line breaks, braces, direction marks and length cannot change the mail around them."""
    title = "{house}{0.__class__}\r\nBcc: all@example.org\u202egnp.exe" + "x" * 1000
    written = write("job-expired", person="Anna\r\nX: y", language="en", facts={"title": title}, letterhead=HEAD)
    assert "{house}{0.__class__} Bcc: all@example.org" in written.text
    assert "\u202e" not in written.text
    assert "\nBcc" not in written.text
    assert "\nX: y" not in written.text
    assert len(written.text) < 700


def test_headers_refuse_to_break():
    """A subject, recipient or sender with a line break is refused, not sent."""
    for values in ({"subject": "a\r\nBcc: x@example.org"}, {"recipient": "a@b\nBcc: x"}, {"sender": "a@b\r\nX: y"}):
        row = _row(recipient=values.get("recipient", "anna@example.org"))
        with pytest.raises(ValueError):
            compose(row, subject=values.get("subject", "s"), text="t", sender=values.get("sender", "h@example.org"))


def test_messages_say_that_a_machine_wrote_them():
    """Stable Message-ID, no auto-replies wanted, UTF-8 that survives."""
    message = compose(_row(), subject="Grüße", text="Ihr Auftrag läuft ab\n", sender="holdfast@example.org")
    assert message["Message-ID"] == "<abc@example.org>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content() == "Ihr Auftrag läuft ab\n"
    assert message["Date"].endswith("+0000")


@pytest.mark.parametrize(
    "bad",
    ["", "anna", "anna@", "@x.org", "a@b,c@d", "a b@x.org", "a\n@x.org", "<a@x.org>", "é@x.org", "a@" + "x" * 260],
)
def test_what_is_no_address_gets_no_mail(bad):
    """Only one plain address is written to."""
    assert not is_address(bad)
    assert is_address("anna.o'neil+print@mail.example.org")
