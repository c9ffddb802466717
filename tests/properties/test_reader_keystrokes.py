"""What a reader types is read back whole or not at all, whatever its layout, terminator and speed, and whatever else arrives."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.devices.readers.keystrokes import UNFINISHED_S, Decoder, Terminator
from daemon.devices.readers.layouts import LAYOUTS
from daemon.devices.readers.reading import RAW_CHARS_MAX, Hiccup
from tests.helpers.keyboard import BOTH_SHIFTS, by_alt_codes, end, typeable, typed

IDLE_S = 0.25
ASCII = "".join(chr(code) for code in range(32, 127))
layouts = st.sampled_from(sorted(LAYOUTS))
endings = st.sampled_from(["enter", "kp-enter", "tab", "idle"])
gaps_s = st.floats(0.0, IDLE_S * 0.9)


def decoder(layout: str, ending: str) -> Decoder:
    return Decoder(layout=layout, terminator=Terminator(ending.removeprefix("kp-")), idle_s=IDLE_S)


def feed(one: Decoder, strokes, *, start_s: float, gap_s: float):
    """Outcomes, and the time of the last stroke."""
    outcomes, at_s = [], start_s
    for code, value in strokes:
        outcomes += one.feed(code, value, at_s)
        at_s += gap_s
    return outcomes, at_s - gap_s


@st.composite
def written(draw):
    """A layout and texts it can type, without the blank ends nobody's badge has."""
    layout = draw(layouts)
    texts = st.text(st.sampled_from(typeable(layout)), min_size=1, max_size=60)
    return layout, draw(st.lists(texts, min_size=1, max_size=4))


@given(written(), endings, gaps_s, st.sampled_from(BOTH_SHIFTS), st.booleans())
def test_what_is_typed_is_read(cards, ending, gap_s, shift, on_keypad):
    """Every text a layout can type comes out as it went in, card after card, at any speed and with any terminator."""
    layout, texts = cards
    one = decoder(layout, ending)
    read, at_s = [], 5.0
    for text in texts:
        strokes = typed(text, layout, shift=shift, on_keypad=on_keypad) + end(ending)
        outcomes, at_s = feed(one, strokes, start_s=at_s + 2 * IDLE_S, gap_s=gap_s)
        read += outcomes
    read += one.silence(at_s + UNFINISHED_S + IDLE_S, is_more_waiting=False)
    assert read == texts


@given(layouts, endings, gaps_s, st.text(st.sampled_from(ASCII), min_size=1, max_size=60))
def test_alt_codes_read_the_same_on_every_layout(layout, ending, gap_s, text):
    """A reader that types by Alt and numbers is read right even when the layout is set wrong."""
    one = decoder(layout, ending)
    outcomes, at_s = feed(one, by_alt_codes(text) + end(ending), start_s=5.0, gap_s=gap_s)
    assert outcomes + one.silence(at_s + UNFINISHED_S, is_more_waiting=False) == [text]


def test_every_layout_types_all_of_ascii():
    """No printable ASCII character lacks a key on any layout: badges, stripes and barcodes may hold each."""
    assert {layout: [char for char in ASCII if char not in typeable(layout)] for layout in LAYOUTS} == {
        layout: [] for layout in LAYOUTS
    }


events = st.tuples(
    st.one_of(st.integers(-1, 800), st.sampled_from([2, 3, 15, 28, 42, 56, 79, 80, 97, 100])),
    st.integers(-1, 3),
    st.floats(-1.0, 2.0),
)
acts = st.one_of(events, st.sampled_from(["dropped", "silence", "waiting", "opened"]))


@given(layouts, st.sampled_from(Terminator), st.lists(acts, max_size=200))
def test_nothing_typed_can_hurt(layout, terminator, doings):
    """No sequence of events raises, and nothing but printable text of a badge's length ever comes out."""
    one, at_s, outcomes = Decoder(layout=layout, terminator=terminator, idle_s=IDLE_S), 0.0, []
    for doing in doings:
        if doing == "dropped":
            outcomes += one.dropped(at_s)
        elif doing == "opened":
            one.opened(at_s)
        elif isinstance(doing, str):
            outcomes += one.silence(at_s + 1, is_more_waiting=doing == "waiting")
        else:
            code, value, step_s = doing
            at_s += step_s
            outcomes += one.feed(code, value, at_s)
    for outcome in outcomes:
        assert isinstance(outcome, Hiccup) or (0 < len(outcome) <= RAW_CHARS_MAX and outcome.isprintable())


def test_a_gap_that_lost_keys_is_no_silence():
    """Longer than the idle time, and full of keys nobody saw: the digit before it is not a card."""
    one = decoder("us", Terminator.IDLE)
    outcomes, at_s = feed(one, typed("0", "us"), start_s=5.0, gap_s=0.01)
    outcomes += one.dropped(at_s + 2 * IDLE_S)
    assert outcomes + one.silence(at_s + 4 * IDLE_S, is_more_waiting=False) == [Hiccup.TORN]


@given(written(), endings, st.data())
def test_a_torn_read_is_never_handed_out(cards, ending, data):
    """Wherever strokes are lost, the card is told as torn once, nothing of it is read, and the next one is whole."""
    layout, (text, *others) = cards
    strokes = typed(text, layout) + end(ending)
    first = data.draw(st.integers(0, len(strokes) - 1))
    last = data.draw(st.integers(first + 1, len(strokes)))
    one, gap_s = decoder(layout, ending), 0.01
    outcomes, at_s = feed(one, strokes[:first], start_s=5.0, gap_s=gap_s)
    before = list(outcomes)
    at_s += gap_s * (last - first)
    outcomes += one.dropped(at_s)
    after, at_s = feed(one, strokes[last:], start_s=at_s + gap_s, gap_s=gap_s)
    outcomes += after
    whole = [text] if before else []  # only the release of the terminator was lost
    assert outcomes == [*whole, Hiccup.TORN]
    for other in others:
        outcomes, at_s = feed(one, typed(other, layout) + end(ending), start_s=at_s + UNFINISHED_S + 1, gap_s=gap_s)
        assert outcomes + one.silence(at_s + UNFINISHED_S + 1, is_more_waiting=False) == [other]


@given(written(), endings, st.data())
def test_a_device_opened_while_it_types_gives_no_half_number(cards, ending, data):
    """What is typed at the moment a device is opened is told as torn: its beginning is unknown."""
    layout, (text, *_) = cards
    strokes = typed(text, layout) + end(ending)
    one = decoder(layout, ending)
    one.opened(5.0)
    start = data.draw(st.integers(0, len(strokes) - 1))
    outcomes, at_s = feed(one, strokes[start:], start_s=5.01, gap_s=0.01)
    outcomes += one.silence(at_s + UNFINISHED_S + 1, is_more_waiting=False)
    assert [outcome for outcome in outcomes if outcome is not Hiccup.TORN] == []
    assert len(outcomes) <= 1
