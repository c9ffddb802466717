"""The screen's words: complete, translated, and answering every refusal a person can meet."""

import json
import re
from pathlib import Path

import pytest

from kiosk.languages import languages, load

ROOT = Path(__file__).resolve().parents[2]
ENGLISH = load("en")
PLURALS = {
    "en": {"one", "other"}, "de": {"one", "other"}, "fr": {"one", "many", "other"}, "es": {"one", "many", "other"},
    "ar": {"zero", "one", "two", "few", "many", "other"},
}  # fmt: skip
SAME_EVERYWHERE = {"job.sent", "jobs.title", "keys.letters", "ok", "pin"}
SCREEN_CODE = re.compile(r"""\bt\((?:[^()]*\?)?\s*["'`]([a-z_.-]+)["'`]""")


def placeholders(text: object) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", json.dumps(text)))


def test_there_are_five_languages_one_of_them_right_to_left() -> None:
    """English, German, French, Spanish, Arabic, in this order."""
    assert languages() == ("en", "de", "fr", "es", "ar")


@pytest.mark.parametrize("code", languages())
def test_every_language_has_every_key(code: str) -> None:
    """Nobody ever sees a key, or another language's sentence."""
    assert set(load(code)) == set(ENGLISH)


@pytest.mark.parametrize("code", languages())
def test_placeholders_agree(code: str) -> None:
    """Every value a sentence needs is in every language's sentence; a plural form may spell its number out."""
    for key, text in load(code).items():
        if isinstance(text, str):
            assert placeholders(text) == placeholders(ENGLISH[key]), key
        else:
            assert placeholders(text["other"]) | {"n"} == placeholders(ENGLISH[key]) | {"n"}, key


@pytest.mark.parametrize("code", languages())
def test_plural_forms_are_those_of_the_language(code: str) -> None:
    """CLDR's categories, all of them, where English has plural forms."""
    for key, text in load(code).items():
        assert isinstance(text, dict) == isinstance(ENGLISH[key], dict), key
        if isinstance(text, dict):
            assert set(text) == PLURALS[code], key


@pytest.mark.parametrize("code", [code for code in languages() if code != "en"])
def test_sentences_are_translated(code: str) -> None:
    """No language is a copy of English with gaps."""
    same = {key for key, text in load(code).items() if text == ENGLISH[key] and key not in SAME_EVERYWHERE}
    assert len(same) <= 3, same


def test_every_text_the_screen_asks_for_exists() -> None:
    """Keys written in the scripts are keys of the texts."""
    scripts = "".join(path.read_text() for path in (ROOT / "kiosk/static").glob("*.js"))
    asked = set(SCREEN_CODE.findall(scripts))
    missing = {key for key in asked if key not in ENGLISH and not any(text.startswith(key) for text in ENGLISH)}
    assert asked
    assert not missing


def test_every_refusal_text_says_what_next() -> None:
    """A reason alone leaves people standing there."""
    refusals = {key for key in ENGLISH if key.startswith("refusal.") and not key.endswith(".next")}
    assert len(refusals) > 40
    assert {key for key in refusals if f"{key}.next" not in ENGLISH} == set()


def test_every_problem_a_printer_can_have_with_a_job_has_its_sentence() -> None:
    """The delivery plan's words, in the person's."""
    plan = (ROOT / "daemon/jobs/delivery_plan.py").read_text()
    codes = set(re.findall(r'(?:Unmet\(|\()"((?:cannot|media)-[a-z-]+)"', plan))
    assert "cannot-staple" in codes
    assert not {code for code in codes if f"problem.{code}" not in ENGLISH}
