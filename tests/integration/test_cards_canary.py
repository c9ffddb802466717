"""Card numbers are nowhere but in the hash and the sealed read: a real daemon, searched byte by byte."""

import contextlib

import httpx
import pytest

from daemon.system import SystemClock
from kiosk import identity
from kiosk.enrolment import enrol
from kiosk.link import DaemonLink, DaemonRefused
from tests.helpers.daemon_process import DaemonProcess

PASSWORD = "tinned peaches at nine"
ENROLLED, LINKED, UNKNOWN, BLOCKED = "04C0FFEE112233", "04C0FFEE445566", "04C0FFEE778899", "04C0FFEEAABBCC"
GARBAGE = ("\x1b]0;c4n4ry\x07", "<script>alert('c4n4ry')</script>", "c4n4ry" * 9000, "C0FFEE c4n4ry \r\n\r\n{}")
CANARIES = ("c0ffee", "c4n4ry")


@pytest.fixture
def daemon(tmp_path):
    made = DaemonProcess(tmp_path / "state", config='[log]\nlevel = "debug"\n')
    made.start()
    yield made
    made.stop()


@contextlib.asynccontextmanager
async def _terminal(daemon, folder):
    daemon.cli("printer", "add", "p1", "--uri", "ipp://127.0.0.1:9/ipp/print")
    made = daemon.cli("terminal", "add", "door", "--printer", "p1", "--policy", "card")
    await enrol(url=made["daemon_url"], code_text=made["code"], directory=folder)
    config = identity.load(folder / identity.CONFIG_NAME)
    link = DaemonLink(
        url=config.daemon_url,
        ca_pem=config.ca_pem,
        terminal_id=config.terminal_id,
        key=identity.load_key(config.key_file),
        counter=identity.Counter(folder / identity.COUNTER_NAME),
        clock=SystemClock(),
    )
    async with link:
        yield link


async def _refused(link, raw) -> dict:
    with pytest.raises(DaemonRefused) as refused:
        await link.post("/session", {"reader": "desk", "raw": raw})
    return refused.value.data["error"] | {"code": refused.value.code}


async def _live(daemon, link) -> bytes:
    """Every way a number can come in; what the outside was answered."""
    said = []
    card = daemon.cli("card", "add", "anna", "--label", "fob", stdin=f"{ENROLLED}\n")
    lost = daemon.cli("card", "add", "anna", stdin=f"{BLOCKED}\n")
    daemon.cli("card", "block", lost["card_id"])
    for raw, code in (
        (UNKNOWN, "sign-in-failed"),
        (BLOCKED, "sign-in-failed"),
        *((r, "card-unreadable") for r in GARBAGE),
    ):
        error = await _refused(link, raw)
        assert error["code"] == code
        said.append({key: value for key, value in error.items() if key != "link"})
    ticket = (await _refused(link, LINKED))["link"]
    session = (await link.post("/session", {"pin": "1001", "password": PASSWORD}))["session"]
    said.append(await link.post("/link", {"ticket": ticket}, session=session))
    said.append(await link.post("/session", {"reader": "desk", "raw": ENROLLED}))
    said += [card, daemon.cli("card", "list"), daemon.cli("user", "show", "anna"), daemon.cli("card", "check")]
    said += [daemon.cli("card", "rekey"), daemon.cli("job", "list")]
    return repr(said).encode()


async def test_a_number_is_in_no_answer_log_figure_or_file(daemon, tmp_path):
    """Enrolled, linked, unknown, blocked and hostile reads at log level debug: no trace in any of them, in either case."""
    daemon.cli("user", "add", "anna", "--pin", "1001", "--password-stdin", stdin=f"{PASSWORD}\n")
    async with _terminal(daemon, tmp_path / "kiosk") as link:
        answers = await _live(daemon, link)
    headers = {"Authorization": f"Bearer {daemon.made['admin_token']}"}
    async with httpx.AsyncClient(verify=False, headers=headers) as http:  # noqa: S501  -- our own daemon on loopback
        figures = (await http.get(f"{daemon.made['urls']['api']}/metrics")).content
    assert daemon.stop() == 0
    for name, count in {"unknown": 2, "blocked": 1, "unreadable": len(GARBAGE), "card": 1}.items():
        assert f'holdfast_card_taps_total{{result="{name}"}} {count}.0'.encode() in figures
    places = {"answers": answers, "metrics": figures, "log": daemon.log.read_bytes()}
    places |= {str(file): file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert len(places) > 10
    for canary in CANARIES:
        assert [place for place, content in places.items() if canary.encode() in content.lower()] == []
    raw = bytes.fromhex("C0FFEE")
    assert [place for place, content in places.items() if raw + bytes.fromhex("112233") in content] == []
