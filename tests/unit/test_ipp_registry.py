"""The generated tables against values copied from the RFCs by hand, and the questions asked of them."""

import pytest

from daemon.ipp import build as b
from daemon.ipp.message import Range, Resolution
from daemon.ipp.registry import (
    ENUMS,
    REASONS,
    Finishing,
    GroupTag,
    JobState,
    Operation,
    PrinterState,
    Status,
    Tag,
    allowed_tags,
    bare_reason,
    is_set,
    status_keyword,
    syntax_of,
)
from daemon.ipp.typed import typed, typed_attributes

RFC8011_STATUS = {
    0x0000: "successful-ok",
    0x0001: "successful-ok-ignored-or-substituted-attributes",
    0x0400: "client-error-bad-request",
    0x0406: "client-error-not-found",
    0x0409: "client-error-request-value-too-long",
    0x040A: "client-error-document-format-not-supported",
    0x040B: "client-error-attributes-or-values-not-supported",
    0x040F: "client-error-compression-not-supported",
    0x0410: "client-error-compression-error",
    0x0411: "client-error-document-format-error",
    0x0412: "client-error-document-access-error",
    0x0413: "client-error-attributes-not-settable",
    0x0418: "client-error-document-password-error",
    0x041C: "client-error-account-info-needed",
    0x041D: "client-error-account-closed",
    0x041E: "client-error-account-limit-reached",
    0x041F: "client-error-account-authorization-failed",
    0x0500: "server-error-internal-error",
    0x0503: "server-error-version-not-supported",
    0x0507: "server-error-busy",
    0x0509: "server-error-multiple-document-jobs-not-supported",
}


@pytest.mark.parametrize(("code", "keyword"), RFC8011_STATUS.items())
def test_status_codes_are_those_of_the_rfc(code, keyword):
    """A well-known library has 0x040F to 0x041F off by one; ours are generated and compared."""
    assert status_keyword(code) == keyword
    assert Status(code).keyword == keyword


def test_numbers_are_those_of_the_rfcs():
    """Spot checks over every table."""
    assert (Operation.PRINT_JOB, Operation.CLOSE_JOB, Operation.IDENTIFY_PRINTER) == (0x02, 0x3B, 0x3C)
    assert (Tag.RANGE_OF_INTEGER, Tag.OCTET_STRING, Tag.MEMBER_ATTR_NAME, Tag.NO_VALUE) == (0x33, 0x30, 0x4A, 0x13)
    assert (GroupTag.OPERATION, GroupTag.END, GroupTag.UNSUPPORTED) == (1, 3, 5)
    assert [s.keyword for s in JobState] == [
        "pending", "pending-held", "processing", "processing-stopped", "canceled", "aborted", "completed",
    ]  # fmt: skip
    assert [int(s) for s in PrinterState] == [3, 4, 5]
    assert (Finishing.NONE, Finishing.STAPLE, Finishing.PUNCH, Finishing.STAPLE_TOP_LEFT) == (3, 4, 5, 20)
    assert Status.CUPS_ACCOUNT_LIMIT_REACHED == 0x049E
    assert status_keyword(0x0FFF) == "0x0fff"
    assert ENUMS["printer-wifi-state"]["on"] == 8


def test_reasons_lose_their_severity():
    """Printers say how bad it is; the rule is about what it is."""
    assert bare_reason("media-jam-error") == bare_reason("media-jam-warning") == bare_reason("media-jam") == "media-jam"
    assert "media-empty" in REASONS["printer-state-reasons"]
    assert "job-held-for-release" in REASONS["job-state-reasons"]


def test_syntax_is_known_by_attribute_and_member():
    """The registered syntax and the tags it permits."""
    assert syntax_of("copies") == "integer(1:MAX)"
    assert allowed_tags("media") == {Tag.KEYWORD, Tag.NAME_WITH_LANGUAGE, Tag.NAME_WITHOUT_LANGUAGE}
    assert allowed_tags("media-col/media-size/x-dimension") == {Tag.INTEGER}
    assert allowed_tags("no-such-attribute") is None
    assert is_set("finishings") and not is_set("copies")


def test_plain_values_get_their_syntax():
    """What a delivery plan says in plain data becomes what the registry wants."""
    assert typed("copies", 2) == b.integer(2)
    assert typed("finishings", [4, 20]) == b.enum(4, 20)
    assert typed("finishings", ["staple"]) == b.enum(4)
    assert typed("print-quality", "draft") == b.enum(3)
    assert typed("sides", "one-sided") == b.keyword("one-sided")
    assert typed("media", "iso_a4_210x297mm") == b.keyword("iso_a4_210x297mm")
    assert typed("media", "My Paper") == b.name("My Paper")
    assert typed("page-ranges", [[1, 2], [5, 9]]) == b.range_of((1, 2), (5, 9))
    assert typed("page-ranges", [1, 2])[0].value == Range(1, 2)
    assert typed("printer-resolution", [600, 600])[0].value == Resolution(600, 600, 3)
    assert typed("ipp-attribute-fidelity", True) == b.boolean(True)
    assert typed("job-name", "x") == b.name("x")
    assert typed("job-password", b"1234") == b.octets(b"1234")
    size = {"x_dimension": 21000, "y-dimension": 29700}
    expected = {"x-dimension": b.integer(21000), "y-dimension": b.integer(29700)}
    assert typed("media-col", {"media_size": size, "media-source": "main"}) == b.collection(
        {"media-size": b.collection(expected), "media-source": b.keyword("main")}
    )


def test_values_without_a_place_are_refused():
    """Nothing unregistered and nothing of the wrong kind leaves by way of a typo."""
    for name, value in (("no-such-attribute", 1), ("copies", "two"), ("sides", 3), ("media-col", 5), ("copies", True)):
        with pytest.raises(ValueError):
            typed(name, value)
    assert typed_attributes({"copies": None, "sides": b.keyword("x"), "print_scaling": "fit"}) == {
        "sides": b.keyword("x"),
        "print-scaling": b.keyword("fit"),
    }
