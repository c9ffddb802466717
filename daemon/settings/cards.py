"""Options of cards: what a tap opens, how reads become numbers, who may link a card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from daemon.settings.options import option, several

NAME_PATTERN = r"[a-z0-9][a-z0-9_-]{0,62}"
GLOB_PATTERN = r".{1,127}"


@dataclass(frozen=True, slots=True)
class CardReader:
    """Which card format the reads of some readers are in; the first rule that fits is taken."""

    terminal: str = option("*", "Terminals this is about, by name; * and ? stand for any text.", pattern=GLOB_PATTERN)
    reader: str = option(
        "*", "Readers this is about, as the terminal names them; * and ? stand for any text.", pattern=GLOB_PATTERN
    )
    format: str = option("default", "Name of a card format.", pattern=NAME_PATTERN)


@dataclass(frozen=True, slots=True)
class Cards:
    """What a card opens, how its number is read, and who may link one."""

    policy: str = option(
        "daily",
        "What a tap opens at terminals without a policy of their own. daily: card and password at the card's first "
        "use at a terminal in a day, the card alone after it; card: never the password; card+password: always; "
        "none: no cards.",
        choices=("card", "card+password", "daily", "none"),
    )
    formats_dir: Path = option(Path("card-formats"), "Directory of card formats NAME.toml; relative to this file.")
    default_format: str = option(
        "default", "Card format of readers that no entry in [[cards.readers]] fits.", pattern=NAME_PATTERN
    )
    readers: tuple[CardReader, ...] = several("Card formats of particular readers; the first entry that fits is taken.")
    self_enrolment: bool = option(
        True, "Let people link an unknown card themselves, after signing in with PIN and password."
    )
    mailed_code: bool = option(
        False, "Let people without a password sign in with PIN and a code by mail, to link a card and to print."
    )
    per_person_max: int = option(3, "Cards one person may have that work.", low=1, high=100)
    keep_reads: bool = option(
        True,
        "Keep what the reader said, sealed, so that formats can be tried out and keys changed without enrolling "
        "anybody again.",
    )
    show_titles: bool = option(False, "Show the titles of jobs to somebody who signed in with a card alone.")
    release_on_tap: bool = option(
        False, "Begin to print everything that waits when somebody taps; people may choose otherwise for themselves."
    )
