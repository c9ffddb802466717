"""The kiosk's state machine: every promise of the screen, replayed without a screen."""

from dataclasses import replace

import pytest

from kiosk import moves
from kiosk.screens import DONE_S, MORE_TIME_FACTOR, step
from kiosk.state import (
    Act,
    Answer,
    Claim,
    Delete,
    Extend,
    FetchJobs,
    FetchQuote,
    Linked,
    Logout,
    Lost,
    Refused,
    Release,
    Screen,
    SignIn,
    State,
    Tapped,
    Terminal,
    Tick,
    Told,
    Undo,
    Unlinked,
)
from kiosk.view import view

EUR = {"unit": "EUR", "amount": 4200, "scale": 4}
PRINTERS = (
    {"printer_id": "p1", "name": "A", "state": "idle", "accepting": True},
    {"printer_id": "p2", "name": "B", "state": "idle", "accepting": True},
)
TERMINAL = Terminal(
    name="T",
    policy="card+password",
    languages=("en", "de", "ar"),
    home_language="en",
    readers=({"name": "desk", "kind": "simulated", "state": "ready", "code": ""},),
    printers=PRINTERS,
)


def a_job(job_id: str, **over: object) -> dict:
    base = {
        "job_id": job_id, "title": job_id.upper(), "pages": 2, "impressions": 2, "color_impressions": 2, "sheets": 2, "copies": 3,
        "sides": "one-sided", "print_color_mode": "auto", "price": EUR, "state": "pending-held", "preparing": False, "problem": None,
        "needs_code": False, "uncertain": False, "may": {"monochrome": True, "two_sided": True, "fewer_copies": True},
    }  # fmt: skip
    return base | over


class Kiosk:
    """Feeds events in, collects effects; answers are given by the test."""

    def __init__(self) -> None:
        self.state, self.now, self.effects = State(terminal=TERMINAL), 100.0, []
        self.send(Linked({}))

    def send(self, event) -> tuple:
        self.state, effects = step(self.state, event, self.now)
        self.effects += effects
        return effects

    def do(self, what: str, **fields) -> tuple:
        return self.send(Act(what, **fields))

    def answer(self, effect, payload) -> tuple:
        return self.send(Answer(self.state.visit, effect, payload))

    def refuse(self, effect, code: str, **data) -> tuple:
        return self.send(Refused(self.state.visit, effect, code, data))

    def wait(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.now += 1
            self.send(Tick())

    def view(self) -> dict:
        return view(self.state, self.now)

    def sign_in(self, *jobs: dict, language: str = "") -> None:
        self.do("start")
        (effect,) = self.do("sign_in", pin="4711", password="secret")
        (fetch,) = self.answer(
            effect, {"user": {"display_name": "Ada", "language": language}, "may": {}, "password_needed": False}
        )
        self.fetched(fetch, *jobs)

    def fetched(self, fetch, *jobs: dict) -> None:
        quotes = self.answer(fetch, {"items": list(jobs), "balance": EUR, "printers": list(PRINTERS)})
        self.quote(*quotes)

    def quote(self, *quotes) -> None:
        for quote in quotes:
            if isinstance(quote, FetchQuote):
                items = [{"job_id": job_id, "price": EUR, "saving": None} for job_id in quote.job_ids]
                self.answer(quote, {"items": items, "total": EUR, "balance": EUR, "balance_after": EUR, "enough": True})

    def release(self, *jobs: dict) -> Release:
        (effect,) = self.do("print", key="k1")
        self.answer(
            effect,
            {
                "items": [{"job_id": job_id, "price": EUR, "state": "pending"} for job_id in effect.job_ids],
                "balance": EUR,
            },
        )
        return effect


@pytest.fixture
def kiosk() -> Kiosk:
    return Kiosk()


def test_signing_in_lists_the_jobs_with_everything_printable_chosen(kiosk) -> None:
    """Print all is one touch away."""
    kiosk.sign_in(
        a_job("a"),
        a_job("b"),
        a_job("c", problem={"code": "cannot-staple"}),
        a_job("d", needs_code=True),
        a_job("e", preparing=True, price=None),
    )
    shown = kiosk.view()
    assert shown["screen"] == "jobs"
    assert [job["job_id"] for job in shown["jobs"] if job["chosen"]] == ["a", "b"]
    assert shown["all_chosen"] is True
    assert shown["totals"]["total"] == EUR


def test_a_refused_sign_in_says_so_and_stays(kiosk) -> None:
    """The person tries again on the same screen."""
    kiosk.do("start")
    (effect,) = kiosk.do("sign_in", pin="1", password="x")
    assert isinstance(effect, SignIn)
    kiosk.refuse(effect, "sign-in-failed")
    assert kiosk.view()["screen"] == "sign_in"
    assert kiosk.view()["notice"]["code"] == "sign-in-failed"
    assert kiosk.view()["busy"] == ""


def test_language_follows_the_person_and_resets(kiosk) -> None:
    """de-AT is served by German; after leaving the terminal speaks its own language again."""
    kiosk.sign_in(a_job("a"), language="de-AT")
    assert kiosk.view()["language"] == "de"
    kiosk.do("logout")
    assert kiosk.view()["language"] == "en"


def test_language_nobody_speaks_here_changes_nothing(kiosk) -> None:
    """An unknown language leaves the screen as it is."""
    kiosk.do("language", language="ar")
    kiosk.sign_in(a_job("a"), language="xx")
    assert kiosk.view()["language"] == "ar"
    kiosk.do("language", language="tlh")
    assert kiosk.view()["language"] == "ar"


def test_leaving_forgets_everything(kiosk) -> None:
    """Nothing of the person is left in state or view, and the daemon is told."""
    kiosk.sign_in(a_job("a"))
    kiosk.do("display", option="large_text", on=True)
    effects = kiosk.do("logout")
    assert effects == (Logout(),)
    fresh = State(terminal=kiosk.state.terminal, is_linked=True, visit=kiosk.state.visit)
    assert kiosk.state == fresh
    assert kiosk.view()["person"] is None
    assert "jobs" not in kiosk.view()


def test_an_answer_for_the_previous_person_is_dropped(kiosk) -> None:
    """A slow list of the one before never reaches the one after."""
    kiosk.sign_in(a_job("a"))
    (fetch,) = kiosk.do("refresh")
    old = kiosk.state.visit
    kiosk.do("logout")
    kiosk.sign_in(a_job("z"))
    kiosk.send(Answer(old, fetch, {"items": [a_job("secret")]}))
    assert [job["job_id"] for job in kiosk.view()["jobs"]] == ["z"]


def test_a_tap_switches_person_at_once(kiosk) -> None:
    """The session before is ended, the new one opened, in that order."""
    kiosk.sign_in(a_job("a"))
    effects = kiosk.send(Tapped())
    assert effects == (Logout(), SignIn(is_card=True))
    assert kiosk.view()["person"] is None


def test_a_card_with_password_asks_for_it(kiosk) -> None:
    """The card names the person, the password opens the session."""
    (effect,) = kiosk.send(Tapped())
    kiosk.answer(effect, {"password_needed": True})
    assert kiosk.view()["screen"] == "card_password"
    (effect,) = kiosk.do("sign_in", password="pw")
    assert effect == SignIn(password="pw", is_ticket=True)
    kiosk.refuse(effect, "sign-in-failed")
    assert kiosk.view()["screen"] == "card_password"
    (effect,) = kiosk.do("sign_in", password="pw")
    kiosk.refuse(effect, "too-many-tries", retry_after_s=5)
    assert kiosk.view()["screen"] == "idle"


def test_cards_where_policy_is_none(kiosk) -> None:
    """The terminal says so instead of asking anybody."""
    kiosk.send(Linked({"policy": "none"}))
    assert kiosk.send(Tapped()) == ()
    assert kiosk.view()["notice"]["code"] == "cards-not-accepted"
    assert kiosk.view()["terminal"]["takes_cards"] is False


def test_choosing_prices_the_selection_and_late_prices_are_dropped(kiosk) -> None:
    """Only the price of what is chosen now is ever shown."""
    kiosk.sign_in(a_job("a"), a_job("b"))
    (first,) = kiosk.do("choose", job_id="a", on=False)
    (second,) = kiosk.do("choose", job_id="a", on=True)
    kiosk.answer(first, {"items": [], "total": {"unit": "EUR", "amount": 1, "scale": 4}, "enough": True})
    assert kiosk.view()["totals"]["total"] is None
    kiosk.quote(second)
    assert kiosk.view()["totals"]["total"] == EUR


def test_choose_none_and_all(kiosk) -> None:
    """One touch either way; nothing chosen asks no price."""
    kiosk.sign_in(a_job("a"), a_job("b"))
    assert kiosk.do("choose_all", on=False) == ()
    assert kiosk.view()["chosen"] == 0
    kiosk.quote(*kiosk.do("choose_all", on=True))
    assert kiosk.view()["all_chosen"] is True


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"print_color_mode": "monochrome"}, {"print_color_mode": "monochrome"}),
        ({"print_color_mode": "color"}, {}),
        ({"sides": "two-sided-long-edge"}, {"sides": "two-sided-long-edge"}),
        ({"sides": "one-sided"}, {}),
        ({"copies": 2}, {"copies": 2}),
        ({"copies": 3}, {}),
        ({"copies": 0}, {}),
        ({"copies": 99}, {}),
        ({"copies": True}, {}),
        ({"media": "iso_a3"}, {}),
    ],
)
def test_changes_only_go_down(kiosk, change, kept) -> None:
    """Grey, two-sided, fewer copies; anything else is not even asked."""
    kiosk.sign_in(a_job("a"))
    (quote,) = kiosk.do("change", job_id="a", change=change)
    assert quote.changes.get("a", {}) == kept


def test_changes_need_the_daemons_leave(kiosk) -> None:
    """What the daemon did not open stays shut."""
    kiosk.sign_in(a_job("a", may={"monochrome": False, "two_sided": False, "fewer_copies": False}))
    (quote,) = kiosk.do(
        "change", job_id="a", change={"print_color_mode": "monochrome", "sides": "two-sided-long-edge", "copies": 1}
    )
    assert quote.changes == {}


def test_a_job_with_a_code_prints_only_with_it(kiosk) -> None:
    """The code opens the job, travels with the release, is never shown, and is forgotten when wrong."""
    kiosk.sign_in(a_job("a", needs_code=True))
    assert kiosk.view()["ready"] == 0
    kiosk.quote(*kiosk.do("code", job_id="a", code="1234"))
    assert "1234" not in str(kiosk.view())
    (release,) = kiosk.do("print", key="k")
    assert release.codes == {"a": "1234"}
    kiosk.refuse(release, "wrong-job-code", charged=False, job_id="a")
    assert kiosk.view()["ready"] == 0
    assert kiosk.view()["notice"]["data"]["charged"] is False


def test_a_double_tap_releases_once(kiosk) -> None:
    """While one release is under way there is no second."""
    kiosk.sign_in(a_job("a"))
    assert len(kiosk.do("print", key="k1")) == 1
    assert kiosk.do("print", key="k2") == ()


def test_a_lost_release_is_asked_again_with_the_same_key(kiosk) -> None:
    """Printed once, whatever happened to the answer."""
    kiosk.sign_in(a_job("a"))
    (release,) = kiosk.do("print", key="k1")
    kiosk.send(Lost(kiosk.state.visit, release))
    kiosk.send(Unlinked())
    kiosk.wait(3)
    assert kiosk.effects[-1] != release or kiosk.effects.count(release) == 1
    kiosk.send(Linked({}))
    kiosk.wait(3)
    assert kiosk.effects.count(release) == 2
    kiosk.wait(3)
    assert kiosk.effects.count(release) == 2


def test_too_little_money_chooses_what_fits(kiosk) -> None:
    """Refused with needed, available and not charged; the rest is one touch away."""
    kiosk.sign_in(a_job("a"), a_job("b"))
    (release,) = kiosk.do("print", key="k")
    kiosk.quote(*kiosk.refuse(release, "insufficient-funds", needed=EUR, available=EUR, fits=["b"], charged=False))
    shown = kiosk.view()
    assert [job["job_id"] for job in shown["jobs"] if job["chosen"]] == ["b"]
    assert shown["notice"]["data"] == {"needed": EUR, "available": EUR, "fits": ["b"], "charged": False}
    assert shown["busy"] == ""


def test_the_price_on_the_screen_goes_with_the_release(kiosk) -> None:
    """The daemon learns what the person saw; while a new price is being asked for, nothing is claimed."""
    kiosk.sign_in(a_job("a"), a_job("b"))
    shown = kiosk.view()["totals"]["total"]
    (release,) = kiosk.do("print", key="k")
    assert shown is not None
    assert release.total == shown
    kiosk.refuse(release, "price-changed", total=EUR, charged=False)
    assert kiosk.view()["notice"]["data"]["total"] == EUR
    assert kiosk.view()["busy"] == "jobs"


def test_a_stale_release_fetches_the_list_again(kiosk) -> None:
    """Released elsewhere meanwhile: the list is up to date before the next try."""
    kiosk.sign_in(a_job("a"))
    (release,) = kiosk.do("print", key="k")
    (fetch,) = kiosk.refuse(release, "job-not-held", charged=False, job_id="a")
    assert isinstance(fetch, FetchJobs)


def test_a_job_that_cannot_be_priced_is_set_aside(kiosk) -> None:
    """The others keep their price."""
    kiosk.sign_in(a_job("a"), a_job("b"))
    (quote,) = kiosk.do("choose_all", on=True)
    (again,) = kiosk.refuse(quote, "cannot-print", job_id="a")
    assert again.job_ids == ("b",)
    assert next(job for job in kiosk.view()["jobs"] if job["job_id"] == "a")["refused"] == "cannot-print"


def test_progress_follows_the_printer_to_done(kiosk) -> None:
    """States and counts are the printer's own; the end shows what was charged."""
    kiosk.sign_in(a_job("a"))
    kiosk.release()
    assert kiosk.view()["screen"] == "progress"
    kiosk.send(Told("job", {"job_id": "a", "state": "processing", "printed": {"impressions": 1, "sheets": 1}}))
    assert kiosk.view()["running"][0]["printed"]["impressions"] == 1
    kiosk.send(Told("job", {"job_id": "a", "state": "processing_stopped", "reasons": ["media-jam"]}))
    assert kiosk.view()["running"][0]["state"] == "processing-stopped"
    (fetch,) = kiosk.send(Told("job", {"job_id": "a", "state": "completed", "charged": EUR}))
    assert isinstance(fetch, FetchJobs)
    assert kiosk.view()["screen"] == "done"
    assert kiosk.view()["running"][0]["charged"] == EUR


def test_what_the_printer_did_before_the_answer_came_is_not_lost(kiosk) -> None:
    """Even when the job was finished before the daemon's answer reached the terminal."""
    kiosk.sign_in(a_job("a"))
    (release,) = kiosk.do("print", key="k1")
    kiosk.send(Told("job", {"job_id": "a", "state": "processing", "printed": {"impressions": 1, "sheets": 1}}))
    kiosk.send(Told("job", {"job_id": "a", "state": "completed", "charged": EUR}))
    kiosk.answer(release, {"items": [{"job_id": "a", "price": EUR, "state": "pending"}], "balance": EUR})
    assert kiosk.view()["screen"] == "done"
    assert kiosk.view()["running"][0]["charged"] == EUR


def test_an_event_that_comes_late_does_not_undo_the_end(kiosk) -> None:
    """Completed stays completed."""
    kiosk.sign_in(a_job("a"))
    kiosk.release()
    kiosk.send(Told("job", {"job_id": "a", "state": "completed", "charged": EUR}))
    kiosk.send(Told("job", {"job_id": "a", "state": "processing"}))
    assert kiosk.view()["running"][0]["state"] == "completed"


def test_done_leaves_by_itself_but_not_when_something_failed(kiosk) -> None:
    """Five seconds after success; after a failure the person gets the usual time to read."""
    kiosk.sign_in(a_job("a"))
    kiosk.release()
    kiosk.send(Told("job", {"job_id": "a", "state": "completed", "charged": EUR}))
    kiosk.wait(DONE_S)
    assert kiosk.view()["screen"] == "idle"
    kiosk.sign_in(a_job("a"))
    kiosk.release()
    kiosk.send(Told("job", {"job_id": "a", "state": "aborted"}))
    kiosk.wait(DONE_S + 5)
    assert kiosk.view()["screen"] == "done"


def test_idle_warns_and_then_leaves(kiosk) -> None:
    """30 s of nothing, 20 s of question, then out: nothing released, nothing charged."""
    kiosk.sign_in(a_job("a"))
    kiosk.wait(29)
    assert kiosk.view()["countdown_s"] is None
    kiosk.wait(2)
    assert kiosk.view()["countdown_s"] == 19
    kiosk.wait(20)
    assert kiosk.view()["screen"] == "idle"
    assert kiosk.effects[-1] == Logout()
    assert not any(isinstance(effect, Release) for effect in kiosk.effects)


def test_the_countdown_can_be_extended_again_and_again(kiosk) -> None:
    """At least ten times, by one action each; the daemon hears of it."""
    kiosk.sign_in(a_job("a"))
    for _ in range(12):
        kiosk.wait(40)
        assert kiosk.view()["countdown_s"] is not None
        assert kiosk.do("extend") == (Extend(),)
        assert kiosk.view()["countdown_s"] is None
    assert kiosk.view()["screen"] == "jobs"


def test_more_time_means_ten_times(kiosk) -> None:
    """Whoever asked for more time gets it on every clock."""
    kiosk.sign_in(a_job("a"))
    kiosk.do("display", option="more_time", on=True)
    kiosk.wait(30 * MORE_TIME_FACTOR - 1)
    assert kiosk.view()["countdown_s"] is None
    assert kiosk.view()["screen"] == "jobs"


def test_deletion_can_be_undone_for_a_while(kiosk) -> None:
    """Undo comes back with the job; after its time the offer is gone."""
    kiosk.sign_in(a_job("a"), a_job("b"))
    (delete,) = kiosk.do("delete", job_id="a")
    assert delete == Delete(("a",))
    kiosk.quote(*kiosk.answer(delete, {}))
    assert [job["job_id"] for job in kiosk.view()["jobs"]] == ["b"]
    assert kiosk.view()["undo_s"] == 10
    assert kiosk.do("undo") == (Undo(("a",)),)
    (delete,) = kiosk.do("delete", job_id="b")
    kiosk.answer(delete, {})
    kiosk.wait(11)
    assert kiosk.view()["undo_s"] is None
    assert not any(isinstance(effect, Undo) for effect in kiosk.do("undo"))


def test_away_is_shown_and_the_person_is_still_there_after(kiosk) -> None:
    """The daemon's absence hides the screen, its return brings the jobs back."""
    kiosk.sign_in(a_job("a"))
    kiosk.send(Unlinked())
    assert kiosk.view()["away"] == "daemon-away"
    assert kiosk.do("print", key="k") == ()
    (fetch,) = kiosk.send(Linked({}))
    kiosk.fetched(fetch, a_job("a"))
    assert kiosk.view()["away"] is None
    assert kiosk.view()["screen"] == "jobs"


def test_a_revoked_terminal_says_it_is_out_of_service(kiosk) -> None:
    """The reason is the daemon's code."""
    kiosk.send(Unlinked("revoked"))
    assert kiosk.view()["away"] == "revoked"


def test_a_session_ended_elsewhere_ends_here(kiosk) -> None:
    """By the stream or by a refusal: idle, with a word why."""
    kiosk.sign_in(a_job("a"))
    kiosk.send(Told("session", {}))
    assert kiosk.view()["screen"] == "idle"
    assert kiosk.view()["notice"]["code"] == "session-ended"
    kiosk.wait(14)
    assert kiosk.view()["notice"] is None
    kiosk.sign_in(a_job("a"))
    (fetch,) = kiosk.do("refresh")
    kiosk.refuse(fetch, "session-ended")
    assert kiosk.view()["screen"] == "idle"


def test_claiming_fetches_the_list(kiosk) -> None:
    """A claimed job is in the list right away, and chosen like the rest."""
    kiosk.sign_in(a_job("a"))
    (claim,) = kiosk.do("claim", code=" 4711 ")
    assert claim == Claim("4711")
    (fetch,) = kiosk.answer(claim, {"job_id": "c"})
    kiosk.fetched(fetch, a_job("a"), a_job("c"))
    assert kiosk.view()["chosen"] == 2
    assert kiosk.view()["notice"]["code"] == "claimed"


def test_another_printer_means_other_problems_and_prices(kiosk) -> None:
    """The list is asked for the printer chosen; printers not bound here cannot be chosen."""
    kiosk.sign_in(a_job("a"))
    (fetch,) = kiosk.do("printer", printer_id="p2")
    assert fetch == FetchJobs("p2")
    assert kiosk.do("printer", printer_id="p9") == ()


def test_a_printer_offered_instead_can_be_taken(kiosk) -> None:
    """Also one that this terminal does not stand at; an offer nobody made cannot be taken."""
    kiosk.sign_in(a_job("a"))
    (release,) = kiosk.do("print", key="k")
    other = {"printer_id": "p7", "name": "Next door", "state": "idle", "accepting": True}
    kiosk.quote(*kiosk.refuse(release, "printer-stopped", charged=False, alternatives=[other]))
    assert kiosk.do("printer", printer_id="p8") == ()
    (fetch,) = kiosk.do("printer", printer_id="p7")
    kiosk.fetched(fetch, a_job("a"))
    kiosk.send(Linked({"printers": PRINTERS}))
    assert kiosk.view()["printer_id"] == "p7"
    assert kiosk.view()["printers"][-1]["name"] == "Next door"
    (release,) = kiosk.do("print", key="k2")
    assert release.printer_id == "p7"


def test_the_first_able_printer_is_preselected(kiosk) -> None:
    """A stopped printer is not offered first."""
    kiosk.do("start")
    (effect,) = kiosk.do("sign_in", pin="1", password="x")
    (fetch,) = kiosk.answer(effect, {"user": {"display_name": "A"}, "password_needed": False})
    kiosk.answer(fetch, {"items": [], "printers": [{**PRINTERS[0], "state": "stopped"}, PRINTERS[1]]})
    assert kiosk.view()["printer_id"] == "p2"


def test_actions_that_make_no_sense_change_nothing(kiosk) -> None:
    """Late or made-up taps are harmless on every screen."""
    before = kiosk.state
    for what in (
        "print",
        "choose",
        "choose_all",
        "delete",
        "undo",
        "claim",
        "cancel",
        "refresh",
        "printer",
        "change",
        "code",
        "nonsense",
    ):
        assert kiosk.do(what, job_id="x", code="1", key="k", printer_id="p1") == ()
    assert replace(kiosk.state, active_at_s=before.active_at_s) == before


def test_idle_is_left_only_by_intention(kiosk) -> None:
    """Back from the PIN leads to idle; the idle screen never times out."""
    kiosk.do("start")
    kiosk.do("back")
    assert kiosk.view()["screen"] == "idle"
    kiosk.wait(1000)
    assert kiosk.state.screen is Screen.IDLE
    assert moves.ready_ids(kiosk.state) == frozenset()


def test_printer_news_reach_the_screen_without_anybody_signed_in(kiosk) -> None:
    """Idle shows the printers as they are."""
    kiosk.send(Told("printer", {"printer_id": "p1", "state": "stopped", "reasons": ["media-empty"]}))
    assert kiosk.view()["printers"][0]["state"] == "stopped"


def test_every_pot_is_shown(kiosk) -> None:
    """Who has colour pages beside money sees both."""
    kiosk.sign_in(a_job("a"))
    (fetch,) = kiosk.do("refresh")
    colour = {"unit": "colour_pages", "amount": 20, "scale": 0}
    kiosk.answer(
        fetch,
        {"items": [], "balance": EUR, "accounts": [{"pot": "a", "available": EUR}, {"pot": "b", "available": colour}]},
    )
    assert kiosk.view()["totals"]["pots"] == [colour]


def test_countdown_is_never_shorter_than_20_seconds(kiosk) -> None:
    """Whatever the daemon is configured to say (WCAG 2.2.1)."""
    kiosk.send(Linked({"countdown_s": 3}))
    assert kiosk.state.terminal.countdown_s == 20
