"""What a site sets reaches the rule it is for."""

import pytest

from daemon.auth.secret_rules import PasswordRefused
from daemon.jobs.ticket import Ticket
from daemon.kernel.errors import NotFound, Refusal
from daemon.workflows.cancel import CLAIM_TRIES_MAX, CLAIM_WINDOW_S
from daemon.workflows.submit import NewJob, Submitter
from kiosk.link import DaemonRefused
from tests.helpers.counter_hall import counter_hall
from tests.helpers.documents import numbered
from tests.helpers.office import office

PDF = "application/pdf"
CARD = "04A2B3C4D5E680"


async def test_a_card_alone_releases_up_to_the_cap_and_the_password_beyond(tmp_path):
    """`kiosk.card_cost_cap` is in whole units of the shown price; the refusal reserves and charges nothing."""
    async with (
        office(tmp_path, config='[kiosk]\ncard_cost_cap = "5"\n') as opened,
        counter_hall(opened) as hall,
    ):
        printer = await opened.buy_printer("p1")
        anna = await hall.hire("anna", pin="1001")
        await hall.add_card(anna, CARD)
        small, big = await opened.read(await opened.submit(anna, 5)), await opened.read(await opened.submit(anna, 6))
        before = await opened.balance(anna)
        async with hall.terminal(tmp_path, "door", printer, policy="card") as link:
            token = (await link.post("/session", {"reader": "r1", "raw": CARD}))["session"]
            with pytest.raises(DaemonRefused) as refusal:
                await link.post("/release", {"job_ids": [big.public_id], "key": "k1"}, session=token)
            assert refusal.value.code == "cost-cap"
            assert (await opened.balance(anna), await opened.reserved(anna)) == (before, 0)
            await link.post("/release", {"job_ids": [small.public_id], "key": "k2"}, session=token)
            assert (await opened.finished(small)).state == "completed"
        assert await opened.balance(anna) == before - 5


async def test_the_names_of_the_house_are_no_passwords(tmp_path):
    """Host names and the site are the first anyone would try: they count as words of one's own."""
    config = '[server]\nname = "printcentre.example.org"\n[people]\nsite = "riverside"\n'
    async with office(tmp_path, config=config) as opened:
        for weak in ("printcentre.example.org", "riverside-printcentre", "Holdfast.Riverside"):
            with pytest.raises(PasswordRefused):
                await opened.parts.credentials.prepare(weak)
        assert opened.parts.credentials.weakness("a quiet harbour town") == ""


async def test_claim_codes_are_not_found_by_trying(tmp_path):
    """Ten wrong codes and this person waits, also with the right one; nobody else does, and time heals it."""
    async with office(tmp_path, config='[queues.lobby]\nrule = "code"\n') as opened:
        anna, ben = await opened.hire("anna"), await opened.hire("ben")
        submitter = Submitter("lobby", "guest", None, "127.0.0.1", is_authenticated=False)
        jobs = [
            await opened.verbs.submit.print(NewJob(submitter, "T", Ticket()), _document(), declared_format=PDF)
            for _ in range(2)
        ]
        clock = StoppedClock(opened.parts.clock.now_us())
        object.__setattr__(opened.parts.house, "clock", clock)
        claim = opened.verbs.cancel.claim
        for wrong in range(CLAIM_TRIES_MAX):
            with pytest.raises(NotFound):
                await claim(f"00000000{wrong}", anna.id)
        with pytest.raises(Refusal) as refusal:
            await claim(jobs[0].claim_code, anna.id)
        assert refusal.value.code == "too-many-tries"
        assert refusal.value.data["retry_after_s"] == CLAIM_WINDOW_S
        assert (await claim(jobs[1].claim_code, ben.id)).person_id == ben.id
        clock.at_us += CLAIM_WINDOW_S * 1_000_000
        assert (await claim(jobs[0].claim_code, anna.id)).person_id == anna.id


async def _document():
    yield numbered(1)


class StoppedClock:
    """Time stands until it is moved."""

    def __init__(self, at_us):
        self.at_us = at_us

    def now_us(self):
        return self.at_us

    def monotonic_s(self):
        return self.at_us / 1_000_000
