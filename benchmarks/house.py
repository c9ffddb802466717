"""What the benchmarks share: a real daemon over a state directory on this disk, and how a process is looked at."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

KIB = 1024

CONFIG = """\
[people]
auto_create = true
default_profile = "plenty"

[profiles.plenty]
title = "Plenty"
[[profiles.plenty.pots]]
pot = "allowance"
unit = "pages"
amount = 100000
period = "monthly"
cap = 200000

[spool]
jobs_per_person_max = 100000
"""


@contextmanager
def folder() -> Iterator[Path]:
    """A directory on the disk the project lies on, removed at the end."""
    made = Path(tempfile.mkdtemp(prefix="holdfast-bench-", dir=os.environ.get("HOLDFAST_BENCH_DIR", Path.cwd())))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def status_bytes(pid: int, key: str) -> int:
    """`VmRSS` (now) or `VmHWM` (highest) of a process, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * KIB
    raise KeyError(key)


def reset_peak(pid: int) -> None:
    """Let `VmHWM` start anew from now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def cpu_s(pid: int) -> float:
    """Processor seconds a process has used, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """The processes below one, at any depth."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *children(int(child))]
    return found


def quantile(values: list[float], share: float) -> float:
    """The value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
