"""What a supply's description says about it: a colour, a receptacle. Pure.

For devices that leave the class, type or colorant columns out. Words of the languages printers are sold in; matched
as whole words or at the edge of a compound (`Tonerschwarz`, `Resttoner`), so that no colour hides inside another word.
"""

from __future__ import annotations

import re
from typing import Final

_COLORS: Final[dict[str, str]] = {
    "black": "black schwarz noir noire negro negra nero nera preto preta zwart zwarte svart sort musta czarny czarna"
    " cerna cierna черный чёрный черная siyah fekete negru crna 黑 黑色 黒 ブラック 검정",
    "cyan": "cyan cian ciano zyan cyaan syaani syan cyjan azurova голубой 青 青色 シアン 시안",
    "magenta": "magenta purpurova пурпурный 品红 洋红 マゼンタ 마젠타",
    "yellow": "yellow gelb jaune amarillo amarilla giallo gialla amarelo amarela geel gele gul gult keltainen zolty"
    " zolta zluta zlty желтый жёлтый sari sarga galben zuta 黄 黄色 イエロー 노랑",
    "gray": "gray grey grau gris grigio grigia cinza cinzento grijs gra harmaa szary seda серый グレー 灰 灰色",
    "red": "red rot rouge rojo rosso vermelho rood punainen красный 红 红色 レッド",
    "blue": "blue blau bleu azul blu blauw bla sininen niebieski синий 蓝 蓝色 ブルー",
    "green": "green grun vert verde groen gron vihrea zielony зеленый 绿 绿色 グリーン",
    "orange": "orange naranja arancione laranja oranje",
    "violet": "violet violett violeta viola",
    "white": "white weiss blanc blanche blanco bianco branco wit vit hvid valkoinen bialy белый 白 ホワイト",
    "clear": "clear transparent klar",
}
_SHADES: Final = {"light": "light", "hell": "light", "helles": "light", "clair": "light", "claro": "light"}
_COMPOUND: Final = ("toner", "tinte", "trommel", "kartusche", "patrone", "ink")
_WASTE: Final = re.compile(
    r"""waste|recept(?:acle|or)|collect(?:or|ion)|maintenance\s+(?:box|tank)|
    rest(?:toner|tinte)|alt(?:toner|tinte)|abfall|auffang|
    toner\s+usag|usag\w*\s+(?:de\s+)?toner|r[eé]cup[eé]rat|
    residu|t[oó]ner\s+usado|recolector|desecho|
    scart|recupero|esaust|
    afval|rest-?(?:toner|inkt)|
    avfall|spild|brugt\s+toner|jatevari|jäteväri|hukka|
    zużyt|zuzyt|odpad|отработ|at\u0131k|
    used\s+toner|toner\s+recovery|
    废|廃|回収|폐토너""",
    re.IGNORECASE | re.VERBOSE,
)
_PART: Final = re.compile(r"\b(?:TK|CK|PK|TN|DR)-?\d{2,5}([CMYK])S?\b")
"""Kyocera and its brands describe a supply by its part number alone; the last letter is the colour."""
_LETTERS: Final = {"C": "cyan", "M": "magenta", "Y": "yellow", "K": "black"}
_WORD: Final = re.compile(r"[^\W\d_]+")
_FOLD: Final = str.maketrans(
    "äàáâãåąçčćéèêëęìíîïłñńòóôõöøùúûüýžźżšśěřťďňß", "aaaaaaaccceeeeeiiiilnnoooooouuuuyzzzssertdns"
)
_BY_WORD: Final = {word: color for color, words in _COLORS.items() for word in words.split()}
_BY_SIGN: Final = {word: color for word, color in _BY_WORD.items() if ord(word[0]) >= 0x3000}
"""Words of scripts that put no blanks between words: found anywhere."""


def is_receptacle(description: str) -> bool:
    """Whether the words name a container that fills up: waste toner, waste ink, a maintenance box."""
    return _WASTE.search(description) is not None


def color_of(description: str) -> str | None:
    """The one colour the words name, with its shade (`light cyan`); None for none or several."""
    words = [word.translate(_FOLD) for word in _WORD.findall(description.lower())]
    found: list[str] = []
    for position, word in enumerate(words):
        color = _color_in(word)
        if color is None:
            continue
        shade = _SHADES.get(words[position - 1]) if position else None
        found.append(f"{shade} {color}" if shade else color)
    if not found:
        found = [color for word, color in _BY_SIGN.items() if word in description]
    if not found:
        part = _PART.search(description)
        return _LETTERS[part[1]] if part else None
    return found[0] if len(set(found)) == 1 else None


def _color_in(word: str) -> str | None:
    if word in _BY_WORD:
        return _BY_WORD[word]
    for noun in _COMPOUND:
        rest = word.removeprefix(noun) if word.startswith(noun) else word.removesuffix(noun)
        if rest != word and rest in _BY_WORD:
            return _BY_WORD[rest]
    return None
