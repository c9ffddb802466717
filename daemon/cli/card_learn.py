"""`holdfast card learn`: from a card in the hand, or a few reads and what they must become, to a card format.

It proposes, shows what further cards would give, and writes a file when told which; it never chooses silently.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daemon.auth.card_formats import Formats, Pipeline, parse_format
from daemon.auth.card_formats.file import is_name
from daemon.auth.card_formats.learning import PAIRS_MAX, Learned, Pair, learn
from daemon.auth.card_formats.readings import Check, Reading, readings
from daemon.auth.card_formats.writing import format_text
from daemon.cli.card_formats import formats_directory, installed_formats, read_line
from daemon.cli.command import OK, REFUSED, Command, Context, UsageError, argument
from daemon.cli.output import error_shape, note, plain, say, say_error, say_json, table

LINES_MAX = 1000
PAIRS_ASKED = 3
_ARROW = " -> "


@dataclass(frozen=True, slots=True)
class Offer:
    """One proposal as it is shown; `gives` stands beside the samples."""

    pipeline: Pipeline
    gives: tuple[str, ...]
    reason: str
    warnings: tuple[str, ...] = ()
    same_as: tuple[str, ...] = ()


@dataclass(slots=True)
class Session:
    """What was given and what came of it."""

    pairs: list[Pair] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)
    learned: Learned = field(default_factory=lambda: Learned((), ()))
    offers: list[Offer] = field(default_factory=list)
    meanings: list[Reading] = field(default_factory=list)
    previews: list[tuple[str, list[str | None]]] = field(default_factory=list)

    def preview(self, raw: str) -> list[str | None]:
        """What each offer makes of a further read."""
        gives = [offer.pipeline.trace(raw).normalised for offer in self.offers]
        self.previews.append((raw, gives))
        return gives


def run(context: Context) -> int:
    options = context.options
    session = Session([Pair(raw, wanted) for raw, wanted in options.pair])
    is_asked = not options.pair and sys.stdin.isatty() and not context.as_json
    further: list[str] = []
    if is_asked:
        _ask(session)
    elif not options.pair:
        further = _read(session)
    if options.printed and len(session.samples) == 1 and not session.pairs:
        session.pairs.append(Pair(session.samples.pop(), options.printed))
    if not session.pairs and not session.samples:
        raise UsageError("nothing to learn from: give a read on standard input, or --pair RAW WANTED")
    if len(session.pairs) > PAIRS_MAX:
        raise UsageError(f"at most {PAIRS_MAX} pairs; a few that differ much are enough")
    _think(session, installed_formats(context))
    if not context.as_json:
        _tell(session)
    for raw in further or (_lines() if options.preview and options.pair else ()):
        _preview(session, raw, is_told=not context.as_json)
    if is_asked and session.offers:
        _preview_taps(session)
        if options.write and len(session.offers) > 1 and not options.choose:
            options.choose = _choice(session)
    return _finish(context, session)


def _lines() -> Iterator[str]:
    for _ in range(LINES_MAX):
        line = read_line()
        if line is None:
            return
        if line:
            yield line


def _read(session: Session) -> list[str]:
    """Pairs and reads of standard input; what is left are reads to be previewed."""
    reads = []
    for line in _lines():
        raw, sign, wanted = line.partition("\t" if "\t" in line else _ARROW)
        if sign and raw and wanted.strip():
            session.pairs.append(Pair(raw, wanted.strip()))
        else:
            reads.append(line)
    if session.pairs:
        return reads
    session.samples = reads[:1]
    return reads[1:]


def _ask(session: Session) -> None:
    """One to three cards at the keyboard or a keyboard reader."""
    note("Tap a card, or type what the reader sends, then Enter. Three cards are best; an empty line ends.")
    while len(session.pairs) < PAIRS_ASKED:
        note(f"Card {len(session.pairs) + 1}:")
        raw = read_line()
        if not raw:
            return
        note("Its number, as printed on it or as another system knows it (Enter: not known):")
        wanted = (read_line() or "").strip()
        if not wanted:
            session.samples.append(raw)
            return
        session.pairs.append(Pair(raw, wanted))


def _think(session: Session, formats: Formats) -> None:
    """Fill in meanings and offers."""
    raws = [pair.raw for pair in session.pairs] or session.samples
    session.meanings = readings(raws[0])
    if session.pairs:
        session.learned = learn(session.pairs)
        session.offers = [
            Offer(one.pipeline, one.gives, one.reason, one.warnings, _same(formats, raws, one.gives))
            for one in session.learned.proposals
        ]
        return
    for one in session.meanings:
        if one.check is not Check.WRONG:
            reason = one.meaning + ("; its check is right" if one.check is Check.GOOD else "")
            offer = Offer(Pipeline.parse(one.pipeline), (one.value,), reason, (), _same(formats, raws, (one.value,)))
            session.offers.append(offer)


def _same(formats: Formats, raws: Sequence[str], gives: tuple[str, ...]) -> tuple[str, ...]:
    """Formats already there that make the same of every read."""
    found = []
    for name, one in formats.items():
        if tuple(one.trace(raw).normalised for raw in raws) == gives:
            found.append(name)
    return tuple(found)


def _tell(session: Session) -> None:
    good = [one for one in session.meanings if one.check is not Check.WRONG]
    wrong = dict.fromkeys(one.meaning for one in session.meanings if one.check is Check.WRONG)
    if good:
        say(f"What {'the first' if len(session.pairs) > 1 else 'this'} read may mean:")
        rows = [
            {"value": o.value, "check": "right" if o.check is Check.GOOD else "", "meaning": o.meaning} for o in good
        ]
        table(rows, {"value": "NUMBER", "check": "CHECK", "meaning": "MEANING"})
        if wrong:
            say(f"Not, for its check would be wrong: {', '.join(wrong)}.")
        say()
    if not session.offers:
        return
    say("Pipelines that give what is wanted:" if session.pairs else "Pipelines that take it:")
    for place, offer in enumerate(session.offers, start=1):
        say(f"{place:>3}  {plain(offer.pipeline.text)}")
        say(f"     gives {', '.join(plain(one) for one in offer.gives)}: {offer.reason}")
        for warning in offer.warnings:
            say(f"     careful: {warning}")
        if offer.same_as:
            say(f"     as the card format{'s' if len(offer.same_as) > 1 else ''} {', '.join(offer.same_as)}")
    for one in session.learned.differences:
        say(f"{one.first + 1} and {one.second + 1} differ, for example, on a read {plain(one.raw)}:")
        say(f"     {one.first + 1} {_shown(one.first_gives)}, {one.second + 1} {_shown(one.second_gives)}")
    _advise(session)


def _advise(session: Session) -> None:
    """What would make it surer."""
    if not session.pairs:
        say(
            "Which of them is right, the card's printed number tells: --printed NUMBER, or a pair RAW -> NUMBER a line."
        )
    elif len(session.offers) > 1:
        say("More than one fits: another pair, of a card that differs much, may decide. Else choose with --choose N.")
    elif len(session.pairs) == 1:
        say("One pair may fit by chance: two more cards make it sure.")


def _shown(value: str | None) -> str:
    return "refuses it" if value is None else f"gives {plain(value)}"


def _preview(session: Session, raw: str, *, is_told: bool, is_echoed: bool = False) -> None:
    gives = session.preview(raw)
    if is_told:
        if not is_echoed:
            say(plain(raw))
        for place, value in enumerate(gives, start=1):
            say(f"{place:>3}  {_shown(value)}")


def _preview_taps(session: Session) -> None:
    note("Tap more cards to see what each makes of them; an empty line ends.")
    for _ in range(LINES_MAX):
        raw = read_line()
        if not raw:
            return
        _preview(session, raw, is_told=True, is_echoed=True)


def _choice(session: Session) -> int:
    """Which proposal somebody at the keyboard wants written; 0: none."""
    note(f"Which of the {len(session.offers)} shall be written? (Enter: none)")
    line = (read_line() or "").strip()
    return int(line) if line.isascii() and line.isdigit() and len(line) < 4 else 0


def _finish(context: Context, session: Session) -> int:
    """Write what was chosen, or say why nothing was."""
    error: dict[str, Any] | None = None
    written = None
    if not session.offers:
        message = "this read is nothing known: give its number too (a line RAW -> NUMBER), or write a pattern with re:"
        if session.pairs:
            message = "no chain of known steps gives these numbers: is each the number of the very card that was read?"
        error = error_shape("nothing-fits", message)["error"]
    elif context.options.write:
        if len(session.offers) > 1 and not context.options.choose:
            message = f"{len(session.offers)} pipelines fit: nothing is written until --choose N says which"
            error = error_shape("ambiguous", message)["error"]
        else:
            written = _write(context, session)
    if context.as_json:
        say_json({"ok": error is None, **_json(session), "written": written, "error": error})
    elif error is not None:
        say_error(error, as_json=False)
    elif written:
        name = context.options.write
        say(f"Wrote {written}. Use it for a reader:")
        say(f'  [[cards.readers]]\n  reader = "NAME"\n  format = "{name}"')
    return REFUSED if error is not None else OK


def _write(context: Context, session: Session) -> str:
    options = context.options
    if not is_name(options.write):
        raise UsageError("--write takes a name of a-z, 0-9, - and _, other than default; the file is NAME.toml")
    place = options.choose or 1
    if not 1 <= place <= len(session.offers):
        raise UsageError(f"--choose takes a number from 1 to {len(session.offers)}")
    offer = session.offers[place - 1]
    raws = [pair.raw for pair in session.pairs] or session.samples
    pairs = [Pair(raw, given) for raw, given in zip(raws, offer.gives, strict=True)]
    text = format_text(offer.pipeline, pairs, description=options.description, namespace=options.namespace)
    target = (formats_directory(context) or Path.cwd()) / f"{options.write}.toml"
    parse_format(text, str(target))  # its name, and that it reads its own examples as shown
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{target} exists; nothing was changed. Choose another name.") from None
    except OSError as wrong:
        raise UsageError(f"cannot write {target}: {wrong.strerror}") from wrong
    return str(target)


def _json(session: Session) -> dict[str, Any]:
    return {
        "pairs": len(session.pairs),
        "readings": [
            {"meaning": one.meaning, "pipeline": one.pipeline, "value": one.value or None, "check": one.check.value}
            for one in session.meanings
        ],
        "proposals": [
            {
                "number": place,
                "pipeline": one.pipeline.text,
                "gives": list(one.gives),
                "reason": one.reason,
                "warnings": list(one.warnings),
                "same_as": list(one.same_as),
            }
            for place, one in enumerate(session.offers, start=1)
        ],
        "differences": [
            {"proposals": [one.first + 1, one.second + 1], "raw": one.raw, "gives": [one.first_gives, one.second_gives]}
            for one in session.learned.differences
        ],
        "previews": [{"raw": raw, "gives": gives} for raw, gives in session.previews],
    }


COMMANDS = (
    Command(
        ("card", "learn"),
        "Find the card format of a reader from a card, or from a few reads and the numbers they must become.",
        run,
        (
            "holdfast card learn                                  # asks; tap at a keyboard reader",
            "holdfast card learn --pair 946EBD28 2490285352 --pair 1C78F2BF 477688511",
            "printf '0801161DD6\\n' | holdfast card learn --printed 0018226646 --json",
            "holdfast card learn --write lobby --state DIR < pairs.txt   # lines: RAW, tab or ' -> ', NUMBER",
        ),
        (
            argument(
                "--pair", metavar=("RAW", "WANTED"), nargs=2, action="append", default=[],
                help=f"a read and its number; up to {PAIRS_MAX}",
            ),
            argument("--printed", metavar="NUMBER", default="", help="the number of the one card on standard input"),
            argument("--preview", action="store_true", help="with --pair: show what reads on standard input become"),
            argument("--write", metavar="NAME", default="", help="write NAME.toml, in the installation or else here"),
            argument("--choose", metavar="N", type=int, default=0, help="which proposal to write, where several fit"),
            argument("--description", metavar="TEXT", default="", help="one line for the file"),
            argument("--namespace", metavar="NAME", default="", help="keeps equal numbers of two sites apart"),
        ),
    ),
)  # fmt: skip
