"""The units under a real systemd in a guest: activation, credentials, watchdog, restarts, and a terminal with a reader."""

from __future__ import annotations

import sys

import pytest

from tests.helpers.guest import ROOT, Guest

TESTS_S = 1500
MEMORY_MB = 2048

# /opt/holdfast as docs/operations.md makes it, of this tree and its environment: a program in a home directory is
# nothing a locked-in service could see. An emulated processor is some twenty times slower: it is given time.
PREPARE = """
mkdir -p /opt/python /opt/holdfast
mount --bind {base} /opt/python
mount --bind {root} /opt/holdfast
mkdir -p /opt/holdfast/venv/bin /opt/holdfast/venv/lib/python{version}
printf 'home = /opt/python/bin\\ninclude-system-site-packages = false\\n' >/opt/holdfast/venv/pyvenv.cfg
ln -s /opt/python/bin/python{version} /opt/holdfast/venv/bin/python
mkdir /opt/holdfast/venv/lib/python{version}/site-packages
mount --bind {site} /opt/holdfast/venv/lib/python{version}/site-packages
echo /opt/holdfast >/opt/holdfast/venv/lib/python{version}/site-packages/holdfast.pth
printf '#!/bin/sh\\nexec /opt/holdfast/venv/bin/python -m daemon "$@"\\n' >/opt/holdfast/venv/bin/holdfast
chmod 755 /opt/holdfast/venv/bin/holdfast
for unit in holdfast holdfast-kiosk; do
  mkdir -p /etc/systemd/system/$unit.service.d
  printf '[Service]\nTimeoutStartSec=300\nWatchdogSec=30\n' >/etc/systemd/system/$unit.service.d/emulated.conf
done
echo /opt/python/lib >/etc/ld.so.conf.d/00-python.conf && ldconfig
"""


@pytest.mark.slow
@pytest.mark.timeout(TESTS_S + 100)
def test_the_units_under_a_real_systemd():
    """Everything in `tests/guest/test_units.py` holds: installed by the document, started by a client, killed, hung, tapped."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    site = next(path for path in sys.path if path.endswith("site-packages"))
    prepare = PREPARE.format(base=sys.base_prefix, root=ROOT, version=version, site=site)
    tests = (
        "python",
        "-m",
        "pytest",
        "-q",
        "-rA",
        "-x",
        "-o",
        "timeout=900",
        "-p",
        "no:cacheprovider",
        "tests/guest/test_units.py",
    )
    with Guest(*tests, prepare=prepare, has_systemd=True, memory_mb=MEMORY_MB) as guest:
        code = guest.finish(timeout_s=TESTS_S)
        assert code == 0, guest.log()[-8000:] + guest.console()[-2000:]
        print("\n".join(line for line in guest.log().splitlines() if "answered" in line))
