"""What variables of printers mean: RFC 3805's special values, words of many languages, makers' own records."""

from __future__ import annotations

import pytest

from daemon.devices.makers import known_quirks, vendor_objects
from daemon.devices.mib import tables as mib
from daemon.devices.mib.quirk_file import parse_quirk
from daemon.devices.mib.reading import PRINTER_TYPE, SYS_DESCR, SYS_OBJECT_ID, detected_errors, read_device
from daemon.devices.mib.text import clean
from daemon.devices.mib.words import color_of, is_receptacle
from daemon.kernel.errors import BadInput

BROTHER = (1, 3, 6, 1, 4, 1, 2435, 2, 3, 9, 1)
RECORDS = (1, 3, 6, 1, 4, 1, 2435, 2, 3, 9, 4, 2, 1, 5, 5, 8, 0)


def supply(row: int = 1, device: int = 1, **cells) -> dict:
    """A row of the supplies table; cells by column name."""
    columns = {
        "colorant": mib.PRT_MARKER_SUPPLIES_COLORANT_INDEX, "class_": mib.PRT_MARKER_SUPPLIES_CLASS,
        "type": mib.PRT_MARKER_SUPPLIES_TYPE, "description": mib.PRT_MARKER_SUPPLIES_DESCRIPTION,
        "unit": mib.PRT_MARKER_SUPPLIES_SUPPLY_UNIT, "capacity": mib.PRT_MARKER_SUPPLIES_MAX_CAPACITY,
        "level": mib.PRT_MARKER_SUPPLIES_LEVEL,
    }  # fmt: skip
    return {(*columns[name], device, row): value for name, value in cells.items()}


def only(walk: dict):
    """The one supply of a walk."""
    (found,) = read_device(walk).supplies
    return found


def test_numbers_copied_by_hand():
    """Generated identifiers and values are those of the RFCs."""
    assert mib.PRT_MARKER_LIFE_COUNT == (1, 3, 6, 1, 2, 1, 43, 10, 2, 1, 4)
    assert mib.PRT_MARKER_SUPPLIES_LEVEL == (1, 3, 6, 1, 2, 1, 43, 11, 1, 1, 9)
    assert mib.HR_PRINTER_DETECTED_ERROR_STATE == (1, 3, 6, 1, 2, 1, 25, 3, 5, 1, 2)
    assert mib.SUPPLY_TYPES[32] == "staples"
    assert mib.SUPPLY_UNITS[19] == "percent"
    assert mib.ALERT_CODES[1104] == "markerTonerAlmostEmpty"
    assert mib.ALERT_SEVERITIES == {1: "other", 3: "critical", 4: "warning", 5: "warningBinaryChangeEvent"}
    assert mib.DEVICE_STATES[5] == "down"


@pytest.mark.parametrize(
    ("cells", "word", "percent", "assumed"),
    [
        ((50, 100, 19), "measured", 50.0, False),
        ((1, 3, None), "measured", 33.3, False),
        ((1, 8, 7), "measured", 12.5, False),
        ((1, 16, 7), "measured", 6.3, False),  # 6.25: halves up
        ((120, 100, 7), "measured", 100.0, False),
        ((0, 0, 7), "measured", None, False),
        ((-3, 100, 19), "some", None, False),
        ((-2, 100, 19), "unknown", None, False),
        ((-1, 100, 19), "unrestricted", None, False),
        ((-7, 100, 19), "unknown", None, False),
        ((None, 100, 19), "unknown", None, False),
        ((70, -2, 19), "measured", 70.0, True),
        ((70, -1, None), "measured", 70.0, True),
        ((70, None, None), "measured", 70.0, True),
        ((70, -2, 7), "measured", None, False),  # 70 impressions of who knows how many
        ((101, -2, 19), "measured", None, False),
    ],
)
def test_levels(cells, word, percent, assumed):
    """-1, -2 and -3 become words; a percentage is computed, assumed and said so, or left out."""
    level, capacity, unit = cells
    given = {"level": level, "capacity": capacity, "unit": unit}
    found = only(supply(description=b"Toner", **{key: value for key, value in given.items() if value is not None}))
    assert (found.level, found.percent, found.percent_assumed) == (word, percent, assumed)
    assert found.max_capacity == (capacity if capacity is not None and capacity >= 0 else None)


def test_a_row_that_says_nothing_is_hidden_unless_an_alert_points_at_it():
    """-2 of -2 is hidden; -3, a known capacity or an alert of the same device brings it back."""
    silent = supply(row=3, description=b"Fuser", level=-2, capacity=-2)
    assert only(silent).hide
    assert not only(supply(description=b"Fuser", level=-3, capacity=-2)).hide
    assert not only(supply(description=b"Fuser", capacity=-2)).hide
    alert = {(*mib.PRT_ALERT_GROUP, 1, 9): 11, (*mib.PRT_ALERT_GROUP_INDEX, 1, 9): 3}
    assert not only(silent | alert).hide
    assert only(silent | {(*mib.PRT_ALERT_GROUP, 2, 9): 11, (*mib.PRT_ALERT_GROUP_INDEX, 2, 9): 3}).hide


@pytest.mark.parametrize(
    ("cells", "kind", "source"),
    [
        ({"class_": 4, "type": 3}, "receptacleThatIsFilled", "mib"),
        ({"class_": 3, "type": 4}, "supplyThatIsConsumed", "mib"),
        ({"class_": 1, "type": 4}, "receptacleThatIsFilled", "inferred"),
        ({"type": 26}, "receptacleThatIsFilled", "inferred"),
        ({"type": 3, "description": b"Waste Toner"}, "supplyThatIsConsumed", "inferred"),
        ({"type": 1, "description": b"Waste Toner"}, "receptacleThatIsFilled", "inferred"),
        ({"description": "Bac récupérateur de toner".encode()}, "receptacleThatIsFilled", "inferred"),
        ({"description": b"Transfer Belt Cleaner"}, "supplyThatIsConsumed", "inferred"),
    ],
)
def test_class(cells, kind, source):
    """The table's class, else the type, else the words."""
    found = only(supply(level=1, **cells))
    assert (found.supply_class, found.class_source) == (kind, source)


@pytest.mark.parametrize(
    ("text", "color"),
    [
        ("Black Toner Cartridge", "black"), ("Photo Drum:Cyan", "cyan"), ("Toner (Yellow)", "yellow"),
        ("Tonerschwarz", "black"), ("Toner Gelb", "yellow"), ("Cartouche jaune", "yellow"), ("tóner negro", "black"),
        ("Cartuccia nero", "black"), ("Żółty toner", "yellow"), ("Gul toner", "yellow"), ("黒トナー", "black"),
        ("シアントナー", "cyan"), ("Light Cyan Ink", "light cyan"), ("CANON Gray Ink Tank", "gray"), ("TK-8345M", "magenta"),
        ("TK-3130", None), ("Drum Cartridge (R1), PN 013R00662", None), ("Cyan/Magenta/Yellow Imaging Unit", None),
        ("Blackbird Fuser", None), ("Cleaning Rod", None), ("Purple Rain", None), ("", None),
    ],
)  # fmt: skip
def test_color_words(text, color):
    """One colour, by whole words and compounds of many languages; several colours are none."""
    assert color_of(text) == color


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("Waste Toner Box", True), ("Resttoner", True), ("Resttonerbehälter", True), ("Maintenance Box", True),
        ("Tóner usado", True), ("Vaschetta recupero toner", True), ("Zużyty toner", True), ("Used Toner", True),
        ("廃トナーボトル", True), ("Toner bottle", False), ("Maintenance Kit", False), ("Transfer Roller", False),
        ("Separator pad", False), ("Cartridge 719/719H", False),
    ],
)  # fmt: skip
def test_receptacle_words(text, is_one):
    """Waste in many languages; a bottle or a kit alone is none."""
    assert is_receptacle(text) == is_one


def test_a_receptacle_has_no_color_and_its_percentage_is_the_space_left():
    """Full is bad: 5 of 100 left is nearly full."""
    found = only(supply(description=b"Black Waste Toner", class_=4, level=5, capacity=100))
    assert (found.color, found.percent) == (None, 5.0)


def test_colorant_table_before_words_and_only_by_pointer():
    """A row's pointer is followed on its own device; index 0 points at nothing."""
    table = {(*mib.PRT_MARKER_COLORANT_VALUE, 1, 1): b"magenta\0", (*mib.PRT_MARKER_COLORANT_VALUE, 1, 2): b"unknown"}
    assert only(supply(colorant=1, description=b"CK-1", level=1) | table).color == "magenta"
    assert only(supply(colorant=2, description=b"Cyan", level=1) | table).color == "cyan"
    assert only(supply(colorant=0, description=b"CK-1", level=1) | table).color is None
    assert only(supply(device=2, colorant=1, description=b"CK-1", level=1) | table).color is None


@pytest.mark.parametrize(
    ("raw", "names"),
    [
        (None, None), (b"", None), (b"\x00", ()), (b"\x00\x00", ()), (b"\x20", ("lowToner",)), (b"\x80\x00", ("lowPaper",)),
        (b"\x04", ("jammed",)), (b"\x01\x02", ("serviceRequested", "overduePreventMaint")), (b"\x00\x01\xff", ()),
    ],
)  # fmt: skip
def test_error_bits(raw, names):
    """Bits count from the most significant one; no octets is not knowing, not "fine"."""
    assert detected_errors(raw) == names


@pytest.mark.parametrize(
    ("raw", "charset", "text"),
    [
        (b"Toner\0", None, "Toner"), (b"  a \x01 b\r\n", None, "a  b"), ("Zużyty".encode(), 4, "Zużyty"),
        (b"Ma\xb3o", 5, "Mało"), (b"Caf\xe9", None, "Café"), (b"\x93x\x94", None, "“x”"), (b"\x81", None, "\ufffd"),
        ("黒".encode("shift_jis"), 17, "黒"), ("红".encode("gbk"), 113, "红"), (b"\xc5", 2004, "é"),
        (b"x", 99999, "x"), (None, 3, None), (7, 3, None),
    ],
)  # fmt: skip
def test_text(raw, charset, text):
    """UTF-8, then what the device declares, then Windows-1252; NUL and control characters are dropped."""
    assert clean(raw, charset) == text


def test_the_printers_row_is_found_by_type_or_by_its_tables():
    """Another row of the device table is another device; index 0 is one like any other."""
    rows = {
        (*mib.HR_DEVICE_TYPE, 1): (1, 3, 6, 1, 2, 1, 25, 3, 1, 4),
        (*mib.HR_DEVICE_TYPE, 7): PRINTER_TYPE,
        (*mib.HR_DEVICE_STATUS, 1): 2,
        (*mib.HR_DEVICE_STATUS, 7): 5,
        (*mib.PRT_GENERAL_SERIAL_NUMBER, 7): b"S7 ",
        (*mib.PRT_MARKER_LIFE_COUNT, 1, 1): 5,
        (*mib.PRT_MARKER_LIFE_COUNT, 7, 1): 99,
    }
    found = read_device(rows)
    assert (found.device_index, found.device_status, found.serial, found.life_count) == (7, "down", "S7", 99)
    zero = read_device({(*mib.HR_PRINTER_STATUS, 0): 4} | supply(device=0, level=1))
    assert (zero.device_index, zero.printer_status, zero.supplies[0].index) == (0, "printing", "0.1")
    nothing = read_device({SYS_DESCR: b"switch"})
    assert (nothing.device_index, nothing.detected_errors, nothing.life_count) == (None, None, None)


def test_rows_are_in_numeric_order_and_alerts_of_zeros_are_noise():
    """1.10 comes after 1.9; a cleared alert table is empty."""
    walk = supply(row=10, level=1) | supply(row=9, level=1) | {(*mib.PRT_ALERT_CODE, 1, 1): 0}
    found = read_device(walk)
    assert [row.index for row in found.supplies] == ["1.9", "1.10"]
    assert found.alerts == ()
    texts = read_device({(*mib.PRT_ALERT_DESCRIPTION, 1, 4): b"Paper jam"})
    assert [(alert.index, alert.description, alert.code) for alert in texts.alerts] == [("1.4", "Paper jam", None)]


def record(number: int, value: int, octets: int = 4) -> bytes:
    """One record of Brother's maintenance object."""
    return bytes((number, 1, octets)) + value.to_bytes(octets, "big")


def brother(*records: bytes) -> dict:
    """A Brother with these records."""
    return {SYS_OBJECT_ID: BROTHER, RECORDS: b"".join(records)}


def levels(walk: dict) -> list:
    """Kind, colour and percent of what the maker's table says."""
    return [(s.kind, s.color, s.percent) for s in read_device(walk, known_quirks()).vendor_supplies]


def test_brother_records():
    """Fine before coarse, by the length byte, codes of one octet and nonsense left out; a cut record ends it."""
    assert levels(brother(record(0x81, 30), record(0x6F, 2600), b"\xff")) == [("toner", "black", 26.0)]
    assert levels(brother(record(0x81, 30), b"\xff")) == [("toner", "black", 30.0)]
    assert levels(brother(record(0x6F, 1, 1), record(0x41, 9250), b"\xff")) == [("drum", None, 92.5)]
    assert levels(brother(record(0x6F, 0xFFFFFFFF), b"\xff")) == []
    assert levels(brother(b"\xff")) == []
    assert levels(brother(record(0x70, 100), b"\x6f\x01\x04\x00")) == [("toner", "cyan", 1.0)]
    assert levels({SYS_OBJECT_ID: (1, 3, 6, 1, 4, 1, 11), RECORDS: record(0x6F, 100)}) == []


def test_makers_files_are_good_and_name_their_objects():
    """What comes with the project parses, and a maker's device is asked for what its rules read."""
    assert {quirk.maker for quirk in known_quirks()} >= {"Brother"}
    assert RECORDS in vendor_objects()[2435]


def test_a_wrong_quirk_file_tells_everything_at_once():
    """File, line and key of every error."""
    text = (
        'maker = ""\nenterprise = 0\nrecords = "1.x"\nfoo = 1\n[fields]\nzz = ["a", "", 1]\n6f = ["toner", "pink", 1]\n'
    )
    with pytest.raises(BadInput) as refused:
        parse_quirk(text, file="x.toml")
    told = {(line["key"], line["line"]) for line in refused.value.data["details"]}
    assert told == {("maker", 1), ("enterprise", 2), ("records", 3), ("foo", 4), ("zz", 6), ("6f", 7)}
