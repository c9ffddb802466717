"""The units are understood without a word of complaint, lock the services in, and fit the programs they start."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
EXPOSURE_TENTHS_MAX = 15
TIMEOUT_S = 60

if shutil.which("systemd-analyze") is None:
    pytest.fail("systemd-analyze is missing: it comes with the package systemd", pytrace=False)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def values(unit: Path, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", unit.read_text("utf-8"), re.MULTILINE)


def test_units_are_understood(tmp_path):
    """On a copy whose programs exist, `systemd-analyze verify` says nothing at all: no unknown key, no bad value."""
    for unit in (*SERVICES, *UNITS.glob("*.socket")):
        text = re.sub(r"^(ExecStart=)\S+", rf"\1{shutil.which('true')}", unit.read_text("utf-8"), flags=re.MULTILINE)
        (tmp_path / unit.name).write_text(text, "utf-8")
    done = run("systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.iterdir())))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_wrong_key_would_be_noticed(tmp_path):
    """The test above is not blind: an unknown key makes verify speak."""
    bad = tmp_path / "bad.service"
    bad.write_text("[Service]\nExecStart=/bin/true\nProtectSistem=strict\n", "utf-8")
    assert "ProtectSistem" in run("systemd-analyze", "verify", "--man=no", str(bad)).stderr


@pytest.mark.parametrize("name", ["holdfast.service", "holdfast-kiosk.service"])
def test_exposure_stays_low(name):
    """What a taken-over service could reach is bounded: exposure 1.5 of 10 at most."""
    done = run(
        "systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_TENTHS_MAX}", "--no-pager",
        str(UNITS / name),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-400:]


def test_sockets_and_service_belong_together():
    """Every socket starts the daemon under its own name, on the ports production is promised."""
    sockets = {unit.name: unit for unit in UNITS.glob("*.socket")}
    ports = {values(unit, "FileDescriptorName")[0]: values(unit, "ListenStream")[0] for unit in sockets.values()}
    assert ports == {"ipp": "631", "ipps": "8631", "https": "443"}
    assert {values(unit, "Service")[0] for unit in sockets.values()} == {"holdfast.service"}
    assert set(values(UNITS / "holdfast.service", "Requires")[0].split()) == set(sockets)


def test_credentials_are_those_the_daemon_reads():
    """Each key the daemon knows is handed over under the name it looks for."""
    from daemon.auth.keys import CREDENTIAL_PREFIX, PURPOSES

    given = [value.partition(":")[0] for value in values(UNITS / "holdfast.service", "LoadCredential")]
    assert given == [f"{CREDENTIAL_PREFIX}{purpose}" for purpose in PURPOSES]


def test_document_workers_may_lock_themselves_in():
    """The daemon's system call filter takes resources and privileges away, not the calls that make the sandbox."""
    filters = values(UNITS / "holdfast.service", "SystemCallFilter")
    assert filters[:2] == ["@system-service", "~@privileged @resources"]
    assert {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp"} == set(
        filters[2].split()
    )


def test_accounts_and_directories_exist_for_every_service():
    """The sysusers file makes every user a unit names; tmpfiles every place their state lives in."""
    accounts = re.findall(r"^u (\S+)", (UNITS / "holdfast.sysusers").read_text("utf-8"), re.MULTILINE)
    assert {values(unit, "User")[0] for unit in SERVICES} == set(accounts)
    places = (UNITS / "holdfast.tmpfiles").read_text("utf-8")
    for unit in SERVICES:
        for place in values(unit, "StateDirectory"):
            assert f"d /var/lib/{place} 0700 {values(unit, 'User')[0]} " in places


def test_accounts_can_be_made(tmp_path):
    """systemd-sysusers takes the file and writes the accounts into a fresh root."""
    (tmp_path / "etc").mkdir()
    done = run("systemd-sysusers", f"--root={tmp_path}", str(UNITS / "holdfast.sysusers"))
    assert done.returncode == 0, done.stderr
    made = (tmp_path / "etc/passwd").read_text("utf-8")
    assert [line.split(":")[0] for line in made.splitlines()].count("holdfast") == 1


def test_the_browser_cannot_wander():
    """Chromium's policy allows the screen's own address and nothing else, without developer tools."""
    policy = json.loads((UNITS / "chromium-policy.json").read_text("utf-8"))
    assert policy["URLBlocklist"][0] == "*"
    assert all(address.startswith(("http://127.0.0.1", "file:///run/")) for address in policy["URLAllowlist"])
    assert policy["DeveloperToolsAvailability"] == 2


def test_the_screens_token_is_on_no_command_line():
    """The address with its token travels as a credential into a page, not as an argument."""
    script = UNITS / "holdfast-display"
    assert run("sh", "-n", str(script)).returncode == 0
    assert "$address" not in script.read_text("utf-8").partition("exec ")[2]
    assert values(UNITS / "holdfast-display.service", "LoadCredential")[0].startswith("screen-url:")


def test_the_terminal_program_may_use_cards_where_polkit_asks():
    """The polkit rule lets in the unit's own user, for both of pcscd's questions, and names nobody else."""
    rule = (UNITS / "50-holdfast-pcsc.rules").read_text("utf-8")
    assert set(re.findall(r'subject\.user == "([^"]+)"', rule)) == {values(UNITS / "holdfast-kiosk.service", "User")[0]}
    asked = {"org.debian.pcsc-lite.access_pcsc", "org.debian.pcsc-lite.access_card"}
    assert set(re.findall(r'action\.id == "([^"]+)"', rule)) == asked
    assert rule.count("polkit.Result.") == rule.count("polkit.Result.YES") == 1
