"""What the IPP front needs to know of a queue: values, made by the composition root from the settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Rule(Enum):
    """Who is believed."""

    CLAIMED = "claimed"
    AUTHENTICATED = "authenticated"
    PERSONAL = "personal"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class MediaSize:
    """One paper size; PWG self-describing name, hundredths of a millimetre."""

    name: str
    width: int
    height: int


A4 = MediaSize("iso_a4_210x297mm", 21000, 29700)
LETTER = MediaSize("na_letter_8.5x11in", 21590, 27940)
SIZES: tuple[MediaSize, ...] = (
    A4,
    LETTER,
    MediaSize("iso_a3_297x420mm", 29700, 42000),
    MediaSize("iso_a5_148x210mm", 14800, 21000),
    MediaSize("na_legal_8.5x14in", 21590, 35560),
    MediaSize("na_index-4x6_4x6in", 10160, 15240),
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Paper in a tray now; `source` is the tray's keyword, empty where the printer does not name it."""

    size: MediaSize
    source: str = ""


@dataclass(frozen=True, slots=True)
class QueueView:
    """One queue as IPP clients see it.

    `name` is the last part of its address. `uuid` is stable (`urn:uuid:...`). A queue normally holds (`is_held`);
    an auto-release queue passes jobs on by itself. `finishings` are enum values besides 3 (none): 4 staple, 5 punch.
    `ready_media` are the sizes taken as loaded where no printer says which are; `media_sources` its trays, the first
    being `auto`.
    """

    name: str
    uuid: str
    rule: Rule = Rule.CLAIMED
    is_held: bool = True
    is_default: bool = False
    is_accepting: bool = True
    info: str = ""
    location: str = ""
    organization: str = ""
    make_and_model: str = "Holdfast Find-Me Queue"
    firmware_version: str = "0.1.0"
    has_color: bool = True
    has_duplex: bool = True
    finishings: tuple[int, ...] = (4, 5)
    media: tuple[MediaSize, ...] = SIZES
    default_media: MediaSize = A4
    ready_media: tuple[str, ...] = (A4.name, LETTER.name)
    media_sources: tuple[str, ...] = ("auto", "main", "alternate")
    media_types: tuple[str, ...] = ("auto", "stationery")
    copies_max: int = 999
    pages_per_minute: int = 30
    needs_account: bool = False
    has_day_parts: bool = True

    @property
    def title(self) -> str:
        """What people read; the name when no other text is configured."""
        return self.info or self.name


@dataclass(slots=True)
class Queues:
    """The queues by name; one of them answers on the bare `/ipp/print`."""

    by_name: dict[str, QueueView] = field(default_factory=dict)

    @classmethod
    def of(cls, *queues: QueueView) -> Queues:
        """A set of queues."""
        return cls({queue.name: queue for queue in queues})

    @property
    def default(self) -> QueueView | None:
        """The one marked default, else the first that is not personal."""
        marked = [queue for queue in self.by_name.values() if queue.is_default]
        open_ones = [queue for queue in self.by_name.values() if queue.rule is not Rule.PERSONAL]
        return (marked or open_ones or [None])[0]  # type: ignore[list-item]
