"""The rules common to all requests, and answers that fit them."""

import pytest

from daemon.ipp import build as b
from daemon.ipp.codec import decode, encode
from daemon.ipp.message import Group, IppError, Message
from daemon.ipp.registry import GroupTag, Operation, Status
from daemon.ipp.replies import error_reply, job_groups, reply, selected, unsupported_group
from daemon.ipp.requests import check_request, printer_request


def request(**changes) -> Message:
    message = printer_request(
        Operation.GET_JOBS,
        uri="ipp://h/p",
        request_id=5,
        user="ann",
        requested=("job-id",),
        job_values={"copies": b.integer(1)},
    )
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def head(**first) -> Message:
    return request(groups=[b.group(GroupTag.OPERATION, {k.replace("_", "-"): v for k, v in first.items()})])


def test_our_requests_pass_our_own_rules():
    """Charset, language, target, user, in the order of RFC 8011."""
    message = request()
    check_request(message)
    assert list(message.operation.attributes) == [
        "attributes-charset", "attributes-natural-language", "printer-uri", "requesting-user-name", "requested-attributes",
    ]  # fmt: skip
    assert decode(encode(message))[0] == message


BAD = {
    "version 0": (request(version=(0, 0)), Status.SERVER_ERROR_VERSION_NOT_SUPPORTED),
    "version 3": (request(version=(3, 0)), Status.SERVER_ERROR_VERSION_NOT_SUPPORTED),
    "request id 0": (request(request_id=0), Status.CLIENT_ERROR_BAD_REQUEST),
    "request id beyond its range": (request(request_id=1 << 31), Status.CLIENT_ERROR_BAD_REQUEST),
    "no groups": (request(groups=[]), Status.CLIENT_ERROR_BAD_REQUEST),
    "job attributes first": (request(groups=[Group(2), Group(1)]), Status.CLIENT_ERROR_BAD_REQUEST),
    "operation attributes twice": (request(groups=[request().groups[0], Group(1)]), Status.CLIENT_ERROR_BAD_REQUEST),
    "job attributes twice": (
        request(groups=[request().groups[0], Group(2), Group(2)]),
        Status.CLIENT_ERROR_BAD_REQUEST,
    ),
    "no charset": (head(attributes_natural_language=b.language("en")), Status.CLIENT_ERROR_BAD_REQUEST),
    "no language": (head(attributes_charset=b.charset("utf-8")), Status.CLIENT_ERROR_BAD_REQUEST),
    "charset second": (
        head(attributes_natural_language=b.language("en"), attributes_charset=b.charset("utf-8")),
        Status.CLIENT_ERROR_BAD_REQUEST,
    ),
    "charset as a keyword": (
        head(attributes_charset=b.keyword("utf-8"), attributes_natural_language=b.language("en")),
        Status.CLIENT_ERROR_BAD_REQUEST,
    ),
    "no target": (
        head(attributes_charset=b.charset("utf-8"), attributes_natural_language=b.language("en")),
        Status.CLIENT_ERROR_BAD_REQUEST,
    ),
    "two charsets": (
        head(attributes_charset=b.charset("utf-8", "utf-8"), attributes_natural_language=b.language("en")),
        Status.CLIENT_ERROR_BAD_REQUEST,
    ),
    "another charset": (
        head(attributes_charset=b.charset("utf-16"), attributes_natural_language=b.language("en")),
        Status.CLIENT_ERROR_CHARSET_NOT_SUPPORTED,
    ),
}


@pytest.mark.parametrize(("message", "status"), BAD.values(), ids=BAD.keys())
def test_what_every_request_must_have(message, status):
    """Each breach has its own status, in the order the RFC asks for."""
    with pytest.raises(IppError) as caught:
        check_request(message)
    assert caught.value.status == status


def test_answers_repeat_version_and_request_id():
    """An answer is in the request's version, an unknown version's answer in 1.1, with its id in any case."""
    assert (reply(request(), Status.SUCCESSFUL_OK).version, reply(request(), Status.SUCCESSFUL_OK).request_id) == (
        (2, 0),
        5,
    )
    error = IppError(Status.SERVER_ERROR_VERSION_NOT_SUPPORTED, "no", request_id=8, version=(9, 9))
    answer = error_reply(error)
    assert (answer.version, answer.request_id, answer.code) == ((1, 1), 8, 0x0503)
    assert answer.operation.text("status-message") == "no"
    assert list(answer.operation.attributes)[:2] == ["attributes-charset", "attributes-natural-language"]


def test_selection_and_unsupported():
    """Group words stand for their attributes; what is in no group comes only by name."""
    attributes = b.attributes(
        {"copies-default": b.integer(1), "printer-name": b.name("x"), "media-col-database": b.no_value()}
    )
    groups = {"all": frozenset({"copies-default", "printer-name"}), "job-template": frozenset({"copies-default"})}
    assert list(selected(attributes, ["all"], groups=groups)) == ["copies-default", "printer-name"]
    assert list(selected(attributes, ["job-template", "media-col-database"], groups=groups)) == [
        "copies-default",
        "media-col-database",
    ]
    group = unsupported_group({"copies": None, "sides": b.keyword("triangular")})
    assert group.get("copies").values[0].tag == 0x10 and group.first("sides") == "triangular"
    assert len(job_groups([b.attributes({"job-id": b.integer(1)}).values(), []])) == 2
