"""The IPP front over real sockets in front of a small house in memory: who is believed, what is refused and how."""

from __future__ import annotations

import zlib
from types import SimpleNamespace

import pytest

from daemon.ipp import build
from daemon.ipp.registry import GroupTag, Operation, Status
from daemon.system import SystemClock
from daemon.web.ipp import capability
from daemon.web.ipp.addresses import Ports
from daemon.web.ipp.front import JOB_OPERATIONS, PRINTER_OPERATIONS, IppFront
from daemon.web.ipp.listener import IppListener
from daemon.web.ipp.queues import Queues, QueueView, Rule
from tests.helpers.certificate import self_signed
from tests.helpers.ipp_post import ask, exchange, request
from tests.helpers.memory_house import MemoryHouse

PDF = b"%PDF-1.4 small but ours"
HELD, AUTH, PERSONAL = "/ipp/print/held", "/ipp/print/auth", "/ipp/p/s3cr3t"


def view(number, name, **more):
    return QueueView(name=name, uuid=f"urn:uuid:00000000-0000-4000-8000-00000000000{number}", **more)


@pytest.fixture
async def front():
    """Plain and TLS listeners over one house with a queue of every rule."""
    clock = SystemClock()
    queues = Queues.of(
        view(1, "held", is_default=True),
        view(2, "auth", rule=Rule.AUTHENTICATED),
        view(3, "personal", rule=Rule.PERSONAL),
        view(4, "account", needs_account=True),
        view(5, "closed", is_accepting=False),
    )
    house = MemoryHouse(clock)
    door = IppFront(
        queues=queues, backend=house, ports=Ports(0, 0), clock=clock, key=b"k" * 32, document_bytes_max=1 << 26
    )
    server, client = self_signed("localhost")
    plain, secure = IppListener(handler=door, clock=clock), IppListener(handler=door, clock=clock, context=server)
    [(_, port)], [(_, tls_port)] = await plain.start(), await secure.start()
    door.ports = Ports(port, tls_port)
    yield SimpleNamespace(house=house, port=port, tls_port=tls_port, tls=client, door=door)
    await plain.close()
    await secure.close()


async def submit(front, path=HELD, *, port=None, **options):
    return await ask(port or front.port, path, Operation.PRINT_JOB, document=PDF, **options)


async def test_a_job_is_held_with_both_reasons(front):
    """Print-Job answers pending-held with job-held-for-release and job-release-wait, and the document is whole."""
    answer = await submit(front, job_name=build.name("Quarterly"))
    assert answer.code == Status.SUCCESSFUL_OK
    assert answer.job.integer("job-state") == 4
    assert set(answer.job.all("job-state-reasons")) == {"job-held-for-release", "job-release-wait"}
    assert front.house.documents[1][0] == len(PDF)


async def test_a_value_of_the_wrong_type_is_a_bad_request(front):
    """A tag the attribute's syntax does not know refuses the job, fidelity or not; a missing value does not."""
    for job in ({"copies": build.keyword("two")}, {"sides": build.integer(2)}, {"page_ranges": build.text("1-2")}):
        answer = await submit(front, job=job)
        assert answer.code == Status.CLIENT_ERROR_BAD_REQUEST
        assert set(answer.unsupported.attributes) == {name.replace("_", "-") for name in job}
    assert front.house.jobs == {}
    answer = await submit(front, job={"media": build.no_value()})
    assert answer.code == Status.SUCCESSFUL_OK_IGNORED_OR_SUBSTITUTED_ATTRIBUTES


async def test_every_advertised_operation_is_there_and_no_other(front):
    """operations-supported is what the front dispatches; Print-URI and Send-URI are not among them."""
    assert set(PRINTER_OPERATIONS) | set(JOB_OPERATIONS) == set(capability.OPERATIONS)
    answer = await ask(front.port, HELD, Operation.PRINT_URI)
    assert answer.code == Status.SERVER_ERROR_OPERATION_NOT_SUPPORTED


async def test_addresses_carry_the_host_the_client_used(front):
    """printer-uri-supported, icons and job-uri name the Host header's host and port."""
    raw = request(HELD, Operation.GET_PRINTER_ATTRIBUTES, host="print.example.org:8631")
    printer = (await exchange(front.port, raw)).message.printer
    assert "ipp://print.example.org:8631/ipp/print/held" in printer.all("printer-uri-supported")
    assert all("print.example.org" in uri for uri in printer.all("printer-icons"))


async def test_a_foreign_job_needs_a_proven_owner(front):
    """Another name cannot see, cancel, hold or release a job; nothing changes; its list stays empty."""
    await submit(front)
    for operation in (Operation.GET_JOB_ATTRIBUTES, Operation.CANCEL_JOB, Operation.HOLD_JOB, Operation.RELEASE_JOB):
        answer = await ask(front.port, HELD, operation, user="mallory", job_id=1)
        assert answer.code == Status.CLIENT_ERROR_NOT_AUTHENTICATED
    answer = await ask(front.tls_port, HELD, Operation.CANCEL_JOB, job_id=1, ssl=front.tls, basic=("bob", "builder"))
    assert answer.code == Status.CLIENT_ERROR_FORBIDDEN
    assert (await ask(front.port, HELD, Operation.GET_JOBS, user="mallory")).message.jobs == []
    assert front.house.jobs[1].state == "pending-held"


async def test_a_claim_never_holds_or_releases_on_a_holding_queue(front):
    """Even the right name, unproven, may not steer a waiting job by IPP; its submitter may still cancel it."""
    await submit(front)
    for operation in (Operation.HOLD_JOB, Operation.RELEASE_JOB):
        assert (await ask(front.port, HELD, operation, job_id=1)).code == Status.CLIENT_ERROR_NOT_AUTHENTICATED
    assert (await ask(front.port, HELD, Operation.CANCEL_JOB, job_id=1)).code == Status.SUCCESSFUL_OK
    assert (await ask(front.port, HELD, Operation.CANCEL_JOB, job_id=1)).code == Status.CLIENT_ERROR_NOT_POSSIBLE


async def test_the_authenticated_name_overrides_every_claim(front):
    """With Basic over TLS the job belongs to who proved it, whatever names the client sent."""
    job = {"job_accounting_user_id": build.name("mallory")}
    answer = await submit(
        front, AUTH, port=front.tls_port, ssl=front.tls, basic=("alice", "wonderland"), user="mallory", job=job
    )
    assert answer.code == Status.SUCCESSFUL_OK
    stored = front.house.jobs[1]
    assert (stored.person_id, stored.claimed_name) == (1, "alice")


async def test_an_authenticated_queue_challenges_all_but_get_printer_attributes(front):
    """Over TLS 401 with Basic; in clear 426 with Upgrade, credentials unused; attributes are for everyone."""
    answer = await submit(front, AUTH, port=front.tls_port, ssl=front.tls)
    assert (answer.status, answer.headers["www-authenticate"].split()[0]) == (401, "Basic")
    answer = await submit(front, AUTH, basic=("alice", "wonderland"))
    assert answer.status == 426
    assert "TLS/1.2" in answer.headers["upgrade"]
    assert front.house.password_checks == 0
    answer = await ask(front.port, AUTH, Operation.GET_PRINTER_ATTRIBUTES)
    assert answer.code == Status.SUCCESSFUL_OK
    assert answer.message.printer.all("uri-security-supported") == ("tls",)
    assert front.house.jobs == {}


@pytest.mark.parametrize("basic", [("alice", "wrong"), ("nobody", "x"), ("alice", "")])
async def test_wrong_credentials_are_refused_before_the_body(front, basic):
    """Unknown and wrong look alike, and the document is never invited."""
    raw = request(AUTH, Operation.PRINT_JOB, basic=basic, headers=("Expect: 100-continue",))
    answer = await exchange(front.tls_port, raw, ssl=front.tls)
    assert (answer.status, answer.headers["connection"]) == (401, "close")


async def test_a_proof_is_remembered_but_not_beyond_its_owner(front):
    """Repeated credentials are checked once; a person disabled meanwhile is out at the next request."""
    for _ in range(3):
        await submit(front, AUTH, port=front.tls_port, ssl=front.tls, basic=("alice", "wonderland"))
    assert front.house.password_checks == 1
    front.house.disabled.add("alice")
    answer = await submit(front, AUTH, port=front.tls_port, ssl=front.tls, basic=("alice", "wonderland"))
    assert answer.status == 401


async def test_a_secret_address_is_an_identity(front):
    """The personal address works without credentials on both ports; wrong secrets and the queue's plain name are 404."""
    assert (await submit(front, PERSONAL, user="HOST\\somebody")).code == Status.SUCCESSFUL_OK
    assert front.house.jobs[1].person_id == 1
    for path in ("/ipp/p/wrong", "/ipp/p/", "/ipp/print/personal", "/ipp/print/nowhere", "/other"):
        assert (await submit(front, path)).status == 404


async def test_names_are_normalised(front):
    """Windows domains and case do not make another person of a claim."""
    for number, spelling in enumerate(("OFFICE\\Alice", "ALICE", "alice@example.org"), start=1):
        await submit(front, user=spelling)
        assert front.house.jobs[number].claimed_name == "alice"


async def test_fidelity_decides_over_unsupported_attributes(front):
    """Without fidelity the job comes with status 1 and an unsupported group; with it, it is refused and not stored."""
    job = {"sides": build.keyword("three-sided"), "copies": build.integer(2), "x_glitter": build.keyword("gold")}
    answer = await submit(front, job=job)
    assert answer.code == Status.SUCCESSFUL_OK_IGNORED_OR_SUBSTITUTED_ATTRIBUTES
    assert answer.unsupported.text("sides") == "three-sided"
    assert "x-glitter" in answer.unsupported
    assert front.house.jobs[1].ticket.copies == 2
    answer = await submit(front, job=job, ipp_attribute_fidelity=build.boolean(True))
    assert answer.code == Status.CLIENT_ERROR_ATTRIBUTES_OR_VALUES_NOT_SUPPORTED
    assert len(front.house.jobs) == 1


@pytest.mark.parametrize("method", ["gzip", "deflate"])
async def test_compressed_documents_are_unpacked(front, method):
    """gzip, raw deflate and zlib-wrapped deflate give the same document."""
    windows = (31,) if method == "gzip" else (-15, 15)
    for number, window in enumerate(windows, start=1):
        engine = zlib.compressobj(wbits=window)
        packed = engine.compress(PDF) + engine.flush()
        answer = await ask(front.port, HELD, Operation.PRINT_JOB, document=packed, compression=build.keyword(method))
        assert answer.code == Status.SUCCESSFUL_OK
        assert front.house.documents[number][0] == len(PDF)


async def test_bombs_and_damage_are_refused_and_nothing_is_stored(front):
    """A gzip bomb, a damaged and a cut-off stream: compression-error; the house has no job."""
    engine = zlib.compressobj(wbits=31)
    bomb = engine.compress(PDF + bytes(60_000_000)) + engine.flush()
    for packed in (bomb, b"\x1f\x8bnot gzip", zlib.compress(PDF, wbits=31)[:-9]):
        answer = await ask(front.port, HELD, Operation.PRINT_JOB, document=packed, compression=build.keyword("gzip"))
        assert answer.code == Status.CLIENT_ERROR_COMPRESSION_ERROR
    assert front.house.jobs == {}


async def test_refusals_have_their_status(front):
    """One status per reason, none of them internal-error; a full disk is retryable."""
    cases = [
        ({"document_format": build.mime("application/postscript")}, Status.CLIENT_ERROR_DOCUMENT_FORMAT_NOT_SUPPORTED),
        ({"compression": build.keyword("lzma")}, Status.CLIENT_ERROR_COMPRESSION_NOT_SUPPORTED),
        ({"printer_uri": build.uri("ipp://localhost/ipp/print/other")}, Status.CLIENT_ERROR_NOT_FOUND),
        ({"job_password": build.octets(b"12")}, Status.CLIENT_ERROR_ATTRIBUTES_OR_VALUES_NOT_SUPPORTED),
        ({"document_format": build.keyword("pdf")}, Status.CLIENT_ERROR_BAD_REQUEST),
        ({"version": (9, 0)}, Status.SERVER_ERROR_VERSION_NOT_SUPPORTED),
        ({"request_id": 0}, Status.CLIENT_ERROR_BAD_REQUEST),
    ]
    for options, status in cases:
        assert (await submit(front, **options)).code == status
    assert (await submit(front, "/ipp/print/account")).code == 0x049C
    assert (await submit(front, "/ipp/print/closed")).code == Status.SERVER_ERROR_NOT_ACCEPTING_JOBS
    front.house.is_full = True
    assert (await submit(front)).code == Status.SERVER_ERROR_TEMPORARY_ERROR
    assert front.house.jobs == {}


async def test_create_send_and_close(front):
    """A document follows by Send-Document; a second is refused; Close-Job without one aborts."""
    assert (await ask(front.port, HELD, Operation.CREATE_JOB)).job.integer("job-id") == 1
    last = build.boolean(True)
    answer = await ask(front.port, HELD, Operation.SEND_DOCUMENT, job_id=1, document=PDF)
    assert answer.code == Status.CLIENT_ERROR_BAD_REQUEST
    answer = await ask(front.port, HELD, Operation.SEND_DOCUMENT, job_id=1, document=PDF, last_document=last)
    assert answer.code == Status.SUCCESSFUL_OK
    answer = await ask(front.port, HELD, Operation.SEND_DOCUMENT, job_id=1, document=PDF, last_document=last)
    assert answer.code == Status.SERVER_ERROR_MULTIPLE_DOCUMENT_JOBS_NOT_SUPPORTED
    answer = await ask(front.port, HELD, Operation.SEND_DOCUMENT, job_id=1, last_document=last)
    assert answer.code == Status.SUCCESSFUL_OK
    await ask(front.port, HELD, Operation.CREATE_JOB)
    assert (await ask(front.port, HELD, Operation.CLOSE_JOB, job_id=2)).code == Status.SUCCESSFUL_OK
    assert front.house.jobs[2].state == "aborted"


async def test_set_job_attributes_by_a_proven_owner(front):
    """copies, sides, colour, name and priority of a waiting job can be set; other attributes are not settable."""
    who = {"ssl": front.tls, "basic": ("alice", "wonderland")}
    await submit(front, AUTH, port=front.tls_port, **who)
    job = {"copies": build.integer(3), "job_name": build.name("New"), "job_priority": build.integer(80)}
    answer = await ask(front.tls_port, AUTH, Operation.SET_JOB_ATTRIBUTES, job_id=1, job=job, **who)
    assert answer.code == Status.SUCCESSFUL_OK
    stored = front.house.jobs[1]
    assert (stored.ticket.copies, stored.title, stored.priority) == (3, "New", 80)
    answer = await ask(
        front.tls_port, AUTH, Operation.SET_JOB_ATTRIBUTES, job_id=1, job={"media": build.keyword("x")}, **who
    )
    assert answer.code == Status.CLIENT_ERROR_ATTRIBUTES_NOT_SETTABLE


async def test_cancel_my_jobs_takes_all_or_none(front):
    """All own jobs go; with a foreign job-id among them none does."""
    await submit(front)
    await submit(front, user="bob")
    answer = await ask(front.port, HELD, Operation.CANCEL_MY_JOBS, job_ids=build.integer(1, 2))
    assert answer.code == Status.CLIENT_ERROR_NOT_AUTHENTICATED
    assert front.house.jobs[1].state == "pending-held"
    assert (await ask(front.port, HELD, Operation.CANCEL_MY_JOBS)).code == Status.SUCCESSFUL_OK
    assert [job.state for job in front.house.jobs.values()] == ["canceled", "pending-held"]


async def test_malformed_messages_get_a_status_and_store_nothing(front):
    """Cut off, empty, garbage: client-error-bad-request in a well-formed answer."""
    whole = request(HELD, Operation.PRINT_JOB)
    body = whole.split(b"\r\n\r\n", 1)[1]
    head = "POST {} HTTP/1.1\r\nHost: x\r\nContent-Type: application/ipp\r\nContent-Length: {}\r\n\r\n"
    for broken in (b"", body[:8], body[:-10], body[:8] + b"\xff" * 40, b"\x02\x00"):
        answer = await exchange(front.port, head.format(HELD, len(broken)).encode() + broken)
        assert answer.code == Status.CLIENT_ERROR_BAD_REQUEST
    assert front.house.jobs == {}


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"POST /ipp/print HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\na", 415),
        (b"PUT /ipp/print HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (b"GET /ipp/pages/icon-128.png HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (b"GET /ipp/pages/strings/en.strings HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (b"GET /ipp/print/held HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (b"GET /etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    ],
)
async def test_plain_http(front, raw, status):
    """Pages that attributes name exist; other methods, types and paths are refused by HTTP status."""
    assert (await exchange(front.port, raw)).status == status


async def test_requested_attributes(front):
    """Groups and single names select; media-col-database comes only by name."""

    async def names(*words):
        asked = {"requested_attributes": build.keyword(*words)} if words else {}
        answer = await ask(front.port, HELD, Operation.GET_PRINTER_ATTRIBUTES, **asked)
        return set(answer.message.group(GroupTag.PRINTER).attributes)

    everything = await names()
    assert {"printer-state", "media-supported", "printer-uuid"} <= everything
    assert "media-col-database" not in everything | await names("job-template")
    assert await names("printer-state", "media-col-database") == {"printer-state", "media-col-database"}
    assert await names("job-template") < everything
    assert not await names("job-template") & await names("printer-description")
