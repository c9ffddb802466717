"""What a card does to the terminal: opens, ends, switches, finds its owner, prints; and what it never does."""

from __future__ import annotations

import pytest

from kiosk.screens import IDENTIFY_S, IDLE_CHOICE_S, IDLE_NOTICE_S
from kiosk.state import (
    Answer,
    FetchJobs,
    FetchQuote,
    Identify,
    Link,
    LinkCard,
    Linked,
    Logout,
    Lost,
    MailCode,
    NotRead,
    Prefer,
    Readers,
    Refused,
    Release,
    SignIn,
    State,
    StepUp,
    Tapped,
    Told,
    Unlinked,
)
from kiosk.taps import AUTO_S, AUTO_WAIT_S
from tests.unit.test_kiosk_screens import EUR, PRINTERS, TERMINAL, Kiosk, a_job

SAME = Tapped(is_same=True)
ONE_PRINTER = PRINTERS[:1]
CARD = {
    "user": {"display_name": "Ada"},
    "method": "card",
    "may": {"titles": False, "prefer": False},
    "password_needed": False,
}


@pytest.fixture
def kiosk() -> Kiosk:
    """An idle terminal with one printer, so that nothing has to be chosen."""
    made = Kiosk()
    made.send(Linked({"printers": ONE_PRINTER}))
    return made


def tap(
    kiosk: Kiosk, *jobs: dict, price: dict = EUR, enough: bool = True, fits: tuple = (), **session: object
) -> tuple:
    """A card's session with these jobs on the screen; gives the effects of its last step."""
    *_, effect = kiosk.send(Tapped())
    (fetch,) = kiosk.answer(effect, CARD | session)
    printers = list(kiosk.state.terminal.printers)
    quotes = kiosk.answer(fetch, {"items": list(jobs), "balance": EUR, "printers": printers})
    for quote in quotes:
        return kiosk.answer(quote, price_of(quote, price, enough=enough, fits=fits))
    return quotes


def price_of(quote: FetchQuote, price: dict = EUR, *, enough: bool = True, fits: tuple = ()) -> dict:
    items = [{"job_id": job_id, "price": EUR, "saving": None} for job_id in quote.job_ids]
    return {
        "items": items,
        "total": price,
        "balance": EUR,
        "enough": enough,
        "fits": list(fits),
        "needed": price,
        "available": EUR,
    }


def unknown(kiosk: Kiosk, *, link: bool = True) -> None:
    (effect,) = kiosk.send(Tapped())
    kiosk.refuse(effect, "sign-in-failed", **({"link": True} if link else {}))


# ----- opening, ending, switching -----
def test_the_same_card_again_ends_the_session(kiosk) -> None:
    """Idle with nothing left, and no sign-in begins."""
    tap(kiosk, a_job("a"))
    assert kiosk.send(SAME) == (Logout(),)
    assert kiosk.view()["screen"] == "idle"
    assert kiosk.view()["busy"] == ""


def test_the_same_card_during_its_own_sign_in_changes_nothing(kiosk) -> None:
    """Neither while the daemon is asked nor at the password: people hold it there."""
    (effect,) = kiosk.send(Tapped())
    assert kiosk.send(SAME) == ()
    kiosk.answer(effect, {"password_needed": True})
    assert kiosk.send(SAME) == ()
    assert kiosk.view()["screen"] == "card_password"


def test_two_cards_within_a_second_the_last_wins(kiosk) -> None:
    """The first one's session, however late, opens nothing."""
    (first,) = kiosk.send(Tapped())
    visit = kiosk.state.visit
    (second,) = kiosk.send(Tapped())
    kiosk.answer(second, CARD | {"user": {"display_name": "Grace"}})
    assert kiosk.send(Answer(visit, first, CARD)) == ()
    assert kiosk.view()["person"]["display_name"] == "Grace"


def test_touching_the_pin_while_a_card_is_looked_up_goes_on_with_the_pin(kiosk) -> None:
    """The touch is not lost, the card's answer is."""
    (effect,) = kiosk.send(Tapped())
    visit = kiosk.state.visit
    kiosk.do("start")
    assert kiosk.view()["screen"] == "sign_in"
    kiosk.send(Refused(visit, effect, "sign-in-failed", {}))
    assert kiosk.view()["notice"] is None
    assert isinstance(kiosk.do("sign_in", pin="1", password="x")[0], SignIn)


def test_a_late_touch_never_acts_for_the_next_person(kiosk) -> None:
    """Made on the screen of one visit, done in no other; language and display are anybody's."""
    tap(kiosk, a_job("a"))
    before = kiosk.state.visit
    tap(kiosk, a_job("z"))
    assert kiosk.do("print", key="k", visit=before) == ()
    assert kiosk.do("logout", visit=before) == ()
    assert kiosk.view()["person"] is not None
    kiosk.do("language", language="de", visit=before)
    assert kiosk.view()["language"] == "de"


def test_a_session_on_the_printer_of_its_reader(kiosk) -> None:
    """The reader tapped stands for a printer: the list is asked for that one."""
    kiosk.send(Linked({"printers": PRINTERS}))
    (effect,) = kiosk.send(Tapped())
    assert kiosk.answer(effect, CARD | {"printer_id": "p2"}) == (FetchJobs("p2"),)


# ----- what cannot be -----
def test_a_tap_while_the_daemon_is_away_says_so_and_is_gone(kiosk) -> None:
    """Nothing is asked when it comes back; the sentence goes by itself."""
    kiosk.send(Unlinked())
    assert kiosk.send(Tapped()) == ()
    assert kiosk.view()["notice"]["code"] == "tap-away"
    assert kiosk.send(Linked({})) == ()
    kiosk.wait(IDLE_NOTICE_S + 1)
    assert kiosk.view()["notice"] is None


def test_a_sign_in_under_way_is_given_up_when_the_daemon_goes(kiosk) -> None:
    """A tap is never answered minutes later, to whoever stands there then."""
    (effect,) = kiosk.send(Tapped())
    visit = kiosk.state.visit
    kiosk.send(Unlinked())
    assert kiosk.view()["notice"]["code"] == "tap-away"
    kiosk.send(Linked({}))
    assert kiosk.send(Answer(visit, effect, CARD)) == ()
    assert kiosk.view()["person"] is None


def test_a_card_without_an_answer_says_so(kiosk) -> None:
    """The screen is free for the next tap."""
    (effect,) = kiosk.send(Tapped())
    kiosk.send(Lost(kiosk.state.visit, effect))
    assert (kiosk.view()["busy"], kiosk.view()["notice"]["code"]) == ("", "tap-away")


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("sign-in-failed", "card-not-accepted"),
        ("card-unreadable", "card-unreadable"),
        ("too-many-tries", "too-many-tries"),
    ],
)
def test_a_card_that_opens_nothing_says_why(kiosk, told, shown) -> None:
    """On the idle screen, where the PIN is offered; an unknown card looks like a blocked one."""
    (effect,) = kiosk.send(Tapped())
    kiosk.refuse(effect, told)
    assert (kiosk.view()["screen"], kiosk.view()["notice"]["code"], kiosk.view()["busy"]) == ("idle", shown, "")


def test_a_card_not_read_says_what_to_do_and_leaves_everybody_in_peace(kiosk) -> None:
    """Idle or signed in, the sentence comes; where no cards are taken, or one is being looked up, it does not."""
    kiosk.send(NotRead("card-mute"))
    assert kiosk.view()["notice"]["code"] == "card-mute"
    tap(kiosk, a_job("a"))
    kiosk.send(NotRead("card-torn"))
    assert kiosk.view()["person"] is not None
    assert kiosk.view()["notice"]["code"] == "card-torn"
    kiosk.do("logout")
    kiosk.send(Tapped())
    kiosk.send(NotRead("card-mute"))
    assert kiosk.view()["notice"] is None
    kiosk.send(Unlinked())
    kiosk.send(Linked({"policy": "none"}))
    kiosk.wait(IDLE_NOTICE_S + 2)
    kiosk.send(NotRead("card-mute"))
    assert kiosk.view()["notice"] is None


def test_outside_opening_hours_nobody_signs_in_but_who_is_in_finishes(kiosk) -> None:
    """The screen says until when; a tap asks nothing."""
    tap(kiosk, a_job("a"))
    kiosk.send(Linked({"open": False, "opens_at": "2026-11-23T07:00:00Z"}))
    assert kiosk.view()["closed"] is None
    kiosk.do("logout")
    assert kiosk.view()["closed"] == {"opens_at": "2026-11-23T07:00:00Z"}
    assert kiosk.send(Tapped()) == ()
    assert kiosk.do("start") == ()
    assert kiosk.view()["screen"] == "idle"
    kiosk.send(Linked({"open": True, "opens_at": None}))
    assert kiosk.view()["closed"] is None


def test_a_revoked_terminal_forgets_everybody_at_once(kiosk) -> None:
    """The person, the jobs, the screen."""
    tap(kiosk, a_job("a"))
    kiosk.send(Unlinked("revoked"))
    assert kiosk.view()["away"] == "revoked"
    assert kiosk.view()["person"] is None


def test_a_reader_that_is_away_is_shown_and_the_pin_offered(kiosk) -> None:
    """With it back, the card is asked for again; a terminal without readers misses none."""
    away = ({"name": "desk", "kind": "pcsc", "state": "away", "code": "unplugged"},)
    kiosk.send(Readers(away))
    shown = kiosk.view()["terminal"]
    assert (shown["takes_cards"], shown["misses_reader"]) == (False, True)
    assert shown["readers"] == [{"name": "desk", "state": "away", "code": "unplugged"}]
    kiosk.send(Readers(({**away[0], "state": "ready"},)))
    assert kiosk.view()["terminal"]["takes_cards"] is True
    kiosk.send(Readers(()))
    assert kiosk.view()["terminal"]["misses_reader"] is False


def test_a_terminal_that_is_looked_for_shows_its_name_for_a_while(kiosk) -> None:
    """Also while somebody signs in or out."""
    kiosk.send(Identify())
    tap(kiosk, a_job("a"))
    kiosk.do("logout")
    assert kiosk.view()["identify"] is True
    kiosk.wait(IDENTIFY_S + 1)
    assert kiosk.view()["identify"] is False


# ----- an unknown card -----
def test_an_unknown_card_is_linked_after_pin_and_password(kiosk) -> None:
    """Offered, signed in, asked, linked; then the jobs."""
    unknown(kiosk)
    assert (kiosk.view()["screen"], kiosk.view()["link"]) == ("sign_in", "offered")
    (effect,) = kiosk.do("sign_in", pin="4711", password="secret")
    (fetch,) = kiosk.answer(effect, CARD | {"method": "pin", "may": {"link": True}})
    assert (kiosk.view()["screen"], kiosk.view()["link"]) == ("link", "asked")
    assert kiosk.answer(fetch, {"items": [a_job("a")], "balance": EUR, "printers": list(ONE_PRINTER)}) == ()
    (link,) = kiosk.do("link", label="Badge")
    assert link == LinkCard("Badge")
    assert kiosk.do("link", label="Badge") == ()
    assert kiosk.do("back") == ()
    kiosk.answer(link, {"card_id": "c", "label": "Badge", "cards": 1, "cards_max": 2})
    assert kiosk.view()["linked"] == {"cards": 1, "cards_max": 2}
    (quote,) = kiosk.do("back")
    assert isinstance(quote, FetchQuote)
    assert (kiosk.view()["screen"], kiosk.view()["link"]) == ("jobs", "")


def test_holding_the_unknown_card_there_again_says_yes(kiosk) -> None:
    """And once more while it is being linked changes nothing."""
    unknown(kiosk)
    (effect,) = kiosk.do("sign_in", pin="4711", password="secret")
    kiosk.answer(effect, CARD | {"method": "pin", "may": {"link": True}})
    assert kiosk.send(SAME) == (LinkCard(""),)
    assert kiosk.send(SAME) == ()
    assert kiosk.state.link is Link.ASKING


def test_who_walks_away_takes_the_offer_along(kiosk) -> None:
    """Nobody is asked about the card of the person before: by Back, by time, by another card."""
    for leave in (lambda: kiosk.do("back"), lambda: kiosk.wait(60), lambda: kiosk.send(Tapped())):
        unknown(kiosk)
        assert kiosk.state.link is Link.OFFERED
        leave()
        assert kiosk.state.link is Link.NONE
        kiosk.do("start")
        (effect,) = kiosk.do("sign_in", pin="4711", password="secret")
        kiosk.answer(effect, CARD | {"method": "pin", "may": {"link": True}})
        assert kiosk.view()["screen"] == "jobs"
        kiosk.do("logout")


def test_not_now_leads_to_the_jobs(kiosk) -> None:
    """Nothing was asked of the daemon."""
    unknown(kiosk)
    (effect,) = kiosk.do("sign_in", pin="4711", password="secret")
    (fetch,) = kiosk.answer(effect, CARD | {"method": "pin", "may": {"link": True}})
    kiosk.answer(fetch, {"items": [], "balance": EUR, "printers": list(ONE_PRINTER)})
    assert kiosk.do("back") == ()
    assert kiosk.view()["screen"] == "jobs"


def test_who_may_not_link_hears_so(kiosk) -> None:
    """Signed in all the same."""
    unknown(kiosk)
    (effect,) = kiosk.do("sign_in", pin="4711", password="secret")
    kiosk.answer(effect, CARD | {"method": "pin", "may": {"link": False}})
    assert (kiosk.view()["screen"], kiosk.view()["notice"]["code"]) == ("jobs", "link-not-allowed")


@pytest.mark.parametrize("code", ["card-link-expired", "card-taken", "card-limit-reached", "step-up-needed"])
def test_a_card_that_cannot_be_linked_says_why_over_the_jobs(kiosk, code) -> None:
    """Being signed in is not touched by it."""
    unknown(kiosk)
    (effect,) = kiosk.do("sign_in", pin="4711", password="secret")
    kiosk.answer(effect, CARD | {"method": "pin", "may": {"link": True}})
    (link,) = kiosk.do("link", label="Badge")
    kiosk.refuse(link, code)
    assert (kiosk.view()["screen"], kiosk.view()["notice"]["code"]) == ("jobs", code)


def test_a_lost_answer_to_linking_lets_the_person_try_again(kiosk) -> None:
    """The question is still there."""
    unknown(kiosk)
    (effect,) = kiosk.do("sign_in", pin="4711", password="secret")
    kiosk.answer(effect, CARD | {"method": "pin", "may": {"link": True}})
    (link,) = kiosk.do("link", label="Badge")
    kiosk.send(Lost(kiosk.state.visit, link))
    assert (kiosk.view()["link"], kiosk.view()["notice"]["code"]) == ("asked", "no-answer")


def test_a_mailed_code_takes_the_passwords_place_where_the_site_says_so(kiosk) -> None:
    """Asked for with the PIN, typed in place of the password; refused with its own sentence."""
    kiosk.do("start")
    assert kiosk.do("mail_code", pin="4711") == ()
    kiosk.send(Linked({"enrolment": {"mailed_code": True}}))
    (mail,) = kiosk.do("mail_code", pin="4711")
    assert mail == MailCode("4711")
    assert kiosk.do("mail_code", pin="4711") == ()
    kiosk.answer(mail, {"expires_at": "2026-11-22T10:00:00Z"})
    assert kiosk.view()["mailed"] is True
    (effect,) = kiosk.do("sign_in", pin="4711", code="123456")
    assert effect == SignIn(pin="4711", code="123456")
    kiosk.refuse(effect, "sign-in-failed")
    assert kiosk.view()["notice"]["code"] == "code-failed"


# ----- the password on top -----
def test_a_card_session_is_raised_by_its_password(kiosk) -> None:
    """Rights, method and list are the new session's; the end of the old one ends nothing."""
    tap(kiosk, a_job("a"), cost_cap=EUR)
    assert kiosk.view()["by_card"] is True
    (effect,) = kiosk.do("step_up", password="secret")
    assert effect == StepUp("secret")
    assert kiosk.do("step_up", password="secret") == ()
    assert kiosk.send(Told("session", {})) == ()
    assert kiosk.answer(effect, CARD | {"method": "card+password", "may": {"titles": True}}) == (FetchJobs("p1"),)
    shown = kiosk.view()
    assert (shown["by_card"], shown["may"], shown["cost_cap"]) == (False, {"titles": True}, None)
    assert kiosk.do("step_up", password="secret") == ()


def test_a_wrong_password_leaves_the_card_session_as_it_was(kiosk) -> None:
    """With a sentence that speaks of the password alone."""
    tap(kiosk, a_job("a"))
    (effect,) = kiosk.do("step_up", password="no")
    kiosk.refuse(effect, "sign-in-failed")
    assert (kiosk.view()["notice"]["code"], kiosk.view()["busy"], kiosk.view()["by_card"]) == (
        "password-wrong",
        "",
        True,
    )


def test_a_wish_for_every_tap_is_kept_or_taken_back(kiosk) -> None:
    """Only with the password; refused or lost, the switch shows what holds."""
    tap(kiosk, a_job("a"))
    assert kiosk.do("prefer", on=True) == ()
    kiosk.do("logout")
    kiosk.sign_in(a_job("a"))
    (wish,) = kiosk.do("prefer", on=True)
    assert wish == Prefer(release_on_tap=True)
    assert kiosk.view()["release_on_tap"] is True
    kiosk.answer(wish, {})
    (wish,) = kiosk.do("prefer", on=False)
    kiosk.refuse(wish, "step-up-needed")
    assert kiosk.view()["release_on_tap"] is True
    (wish,) = kiosk.do("prefer", on=False)
    kiosk.send(Lost(kiosk.state.visit, wish))
    assert kiosk.view()["release_on_tap"] is True


# ----- release on tap -----
def test_a_tap_prints_by_itself_after_the_time_to_stop_it(kiosk) -> None:
    """Everything on the list at the price on the screen, under a key made with the session."""
    tap(kiosk, a_job("a"), a_job("b"), release_key="k9")
    assert kiosk.view()["auto_s"] == AUTO_S
    kiosk.wait(AUTO_S - 1)
    assert not any(isinstance(effect, Release) for effect in kiosk.effects)
    kiosk.wait(1)
    assert kiosk.effects[-1] == Release("k9", ("a", "b"), "p1", {}, {}, EUR)
    kiosk.wait(30)
    assert sum(isinstance(effect, Release) for effect in kiosk.effects) == 1


@pytest.mark.parametrize("what", ["stop", "choose_all", "refresh", "logout"])
def test_whatever_is_touched_stops_it(kiosk, what) -> None:
    """Big Stop, or anything else a person does with the list; the jobs wait on."""
    tap(kiosk, a_job("a"), release_key="k9")
    kiosk.do(what)
    kiosk.wait(AUTO_S + AUTO_WAIT_S)
    assert not any(isinstance(effect, Release) for effect in kiosk.effects)


def test_language_and_signs_of_life_do_not_stop_it_and_the_same_card_does(kiosk) -> None:
    """Changing the language keeps the countdown; the card held there again ends everything."""
    tap(kiosk, a_job("a"), release_key="k9")
    kiosk.do("touch")
    kiosk.do("language", language="de")
    assert kiosk.view()["auto_s"] is not None
    kiosk.send(SAME)
    kiosk.wait(AUTO_S + 1)
    assert not any(isinstance(effect, Release) for effect in kiosk.effects)


def test_print_now_does_not_wait(kiosk) -> None:
    """One release, not two."""
    tap(kiosk, a_job("a"), release_key="k9")
    (release,) = kiosk.do("print", key="k1")
    assert release.key == "k1"
    kiosk.wait(AUTO_S + 1)
    assert sum(isinstance(effect, Release) for effect in kiosk.effects) == 1


def test_it_releases_what_fits(kiosk) -> None:
    """Too little for everything: the jobs the balance covers, at whatever they cost; nothing fits: it says so."""
    tap(kiosk, a_job("a"), a_job("b"), release_key="k9", enough=False, fits=("b",))
    kiosk.wait(AUTO_S)
    assert kiosk.effects[-1] == Release("k9", ("b",), "p1", {}, {}, None)
    tap(kiosk, a_job("a"), release_key="k8", enough=False)
    kiosk.wait(AUTO_S)
    assert kiosk.view()["notice"] == {
        "kind": "refusal",
        "code": "insufficient-funds",
        "data": {"needed": EUR, "available": EUR, "charged": False},
    }


def test_above_the_cards_limit_it_asks_for_the_password(kiosk) -> None:
    """Nothing is sent; the sentence offers the step up. Another currency is no comparison."""
    dear = EUR | {"amount": 90_000}
    tap(kiosk, a_job("a"), release_key="k9", cost_cap=EUR, price=dear)
    assert kiosk.view()["is_above_cap"] is True
    kiosk.wait(AUTO_S)
    assert kiosk.view()["notice"]["code"] == "cost-cap"
    assert not any(isinstance(effect, Release) for effect in kiosk.effects)
    tap(kiosk, a_job("a"), cost_cap={"unit": "pages", "amount": 1, "scale": 0}, price=dear)
    assert kiosk.view()["is_above_cap"] is False


def test_it_waits_for_the_printer_to_be_chosen(kiosk) -> None:
    """Where the terminal stands at several and the reader names none."""
    kiosk.send(Linked({"printers": PRINTERS}))
    tap(kiosk, a_job("a"), release_key="k9")
    assert (kiosk.view()["auto_s"], kiosk.view()["notice"]["code"]) == (None, "choose-printer")
    (fetch,) = kiosk.do("printer", printer_id="p2")
    (quote,) = kiosk.answer(fetch, {"items": [a_job("a")], "balance": EUR, "printers": list(PRINTERS)})
    kiosk.answer(quote, price_of(quote))
    kiosk.wait(AUTO_S)
    assert kiosk.effects[-1].printer_id == "p2"


def test_it_prints_nothing_where_nothing_can_be_printed(kiosk) -> None:
    """An empty list, or only jobs that need a code, and later ones are the person's own decision."""
    tap(kiosk, a_job("a", needs_code=True), release_key="k9")
    assert kiosk.view()["auto_s"] is None
    assert kiosk.state.auto is None


def test_a_daemon_that_goes_away_stops_it(kiosk) -> None:
    """What comes back is a list, not a surprise from the printer."""
    tap(kiosk, a_job("a"), release_key="k9")
    kiosk.send(Unlinked())
    kiosk.wait(2)
    kiosk.send(Linked({}))
    kiosk.wait(AUTO_S + 5)
    assert not any(isinstance(effect, Release) for effect in kiosk.effects)


def test_a_price_that_never_comes_leaves_it_to_the_person(kiosk) -> None:
    """The list changed during the countdown and its price is lost: after a while nothing is pending any more."""
    tap(kiosk, a_job("a"), release_key="k9")
    kiosk.send(Told("jobs", {}))
    kiosk.state = State(**{name: getattr(kiosk.state, name) for name in State.__slots__} | {"busy": "quote"})
    kiosk.wait(AUTO_S + AUTO_WAIT_S + 2)
    assert kiosk.state.auto is None
    assert not any(isinstance(effect, Release) for effect in kiosk.effects)


# ----- touches while an answer is on its way -----
def test_print_touched_while_the_price_is_on_its_way_is_done_when_it_is_there(kiosk) -> None:
    """Neither lost nor doubled, and at the price that then shows."""
    kiosk.sign_in(a_job("a"), a_job("b"))
    (quote,) = kiosk.do("choose", job_id="a", on=False)
    assert kiosk.do("print", key="k1") == ()
    assert kiosk.do("print", key="k2") == ()
    assert kiosk.view()["busy"] == "release"
    effects = kiosk.answer(quote, price_of(quote))
    assert effects == (Release("k1", ("b",), "p1", {}, {}, EUR),)


def test_print_touched_while_a_printer_is_being_chosen_goes_to_that_printer(kiosk) -> None:
    """The list for it comes first, then the price, then the release."""
    kiosk.send(Linked({"printers": PRINTERS}))
    kiosk.sign_in(a_job("a"))
    (fetch,) = kiosk.do("printer", printer_id="p2")
    assert kiosk.do("print", key="k1") == ()
    (quote,) = kiosk.answer(fetch, {"items": [a_job("a")], "balance": EUR, "printers": list(PRINTERS)})
    (release,) = kiosk.answer(quote, price_of(quote))
    assert (release.printer_id, release.job_ids) == ("p2", ("a",))


@pytest.mark.parametrize(
    "other",
    [
        ("choose_all", {"on": False}),
        ("printer", {"printer_id": "p2"}),
        ("change", {"job_id": "a", "change": {"copies": 1}}),
    ],
)
def test_changing_ones_mind_takes_the_print_back(kiosk, other) -> None:
    """What is touched later is what counts."""
    kiosk.send(Linked({"printers": PRINTERS}))
    kiosk.sign_in(a_job("a"), a_job("b"))
    kiosk.do("choose", job_id="a", on=False)
    kiosk.do("print", key="k1")
    kiosk.do(other[0], **other[1])
    assert kiosk.state.wish is None


def test_a_price_refused_or_lost_takes_the_print_back_with_a_sentence(kiosk) -> None:
    """The person decides anew."""
    kiosk.sign_in(a_job("a"), a_job("b"))
    (quote,) = kiosk.do("choose", job_id="a", on=False)
    kiosk.do("print", key="k1")
    kiosk.send(Lost(kiosk.state.visit, quote))
    assert (kiosk.state.wish, kiosk.view()["notice"]["code"]) == (None, "no-answer")
    (quote,) = kiosk.do("choose", job_id="a", on=True)
    kiosk.do("print", key="k2")
    kiosk.refuse(quote, "tariff-missing")
    assert (kiosk.state.wish, kiosk.view()["notice"]["code"]) == (None, "tariff-missing")


def test_an_hour_without_the_daemon_leaves_nobody_signed_in(kiosk) -> None:
    """The session runs out behind the sentence that says so; when it is back, the idle screen is."""
    tap(kiosk, a_job("a"))
    kiosk.send(Unlinked())
    kiosk.wait(3600)
    assert kiosk.view()["person"] is None
    kiosk.send(Linked({}))
    assert (kiosk.view()["screen"], kiosk.view()["away"]) == ("idle", None)
    assert TERMINAL.policy == "card+password"


def test_a_language_chosen_before_the_tap_is_kept_and_forgotten_when_nobody_comes(kiosk) -> None:
    """Chosen, tapped: the same language. Chosen and gone: the terminal's own after a minute. The next person: its own."""
    kiosk.do("language", language="de")
    kiosk.do("display", option="large_text", on=True)
    unknown(kiosk)
    assert (kiosk.view()["language"], kiosk.view()["display"]["large_text"]) == ("de", True)
    kiosk.do("back")
    assert kiosk.view()["language"] == "en"
    kiosk.do("language", language="de")
    kiosk.wait(IDLE_CHOICE_S - 1)
    assert kiosk.view()["language"] == "de"
    kiosk.wait(2)
    assert kiosk.view()["language"] == "en"
    kiosk.do("language", language="de")
    tap(kiosk, a_job("a"))
    assert kiosk.view()["language"] == "de"
    tap(kiosk, a_job("a"))
    assert kiosk.view()["language"] == "en"
