"""`./run bench [--json] [NAME...]`: run benchmarks one after the other, each in a process of its own.

Without names all of them. Prints a table of figures, limits and ratios, or with --json one object. Exit code 1 when a
target was missed, 2 for an unknown name.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NAMES = (
    "ipp_decode", "ledger", "spool", "colour", "submission", "release", "terminals", "readers", "cards", "tap", "idle",
)  # fmt: skip
"""Each is a module here with `run() -> {"name", "medians", "ratios", "targets", "met"}`."""
LIMIT_S = 1800


def run_one(name: str) -> dict[str, Any]:
    """One benchmark's result, or its error."""
    code = f"import json; from benchmarks import {name}; print(json.dumps({name}.run()))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    if done.returncode != 0:
        return {"name": name, "error": f"exit code {done.returncode}", "met": {"ran": False}}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def table(result: dict[str, Any]) -> str:
    """One benchmark as text."""
    lines = [f"{result['name']} ({result.get('unit', '')})"]
    if "error" in result:
        return f"{lines[0]}\n  FAILED: {result['error']}"
    targets, met = result["targets"], result["met"]
    for name, value in {**result["medians"], **result["ratios"]}.items():
        verdict = f"   target {targets[name]:g}: {'met' if met[name] else 'MISSED'}" if name in targets else ""
        lines.append(f"  {name:<32}{value:>12g}{verdict}")
    return "\n".join(lines)


def main(argv: list[str]) -> int:
    """Run what is named."""
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    options = parser.parse_args(argv)
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    results = []
    for name in options.names or NAMES:
        print(f"running {name} ...", file=sys.stderr, flush=True)
        begin = time.monotonic()
        result = run_one(name)
        result["seconds"] = round(time.monotonic() - begin, 1)
        results.append(result)
        if not options.json:
            print(table(result), flush=True)
    missed = [f"{one['name']}: {name}" for one in results for name, is_met in one["met"].items() if not is_met]
    if options.json:
        load = [round(value, 2) for value in os.getloadavg()]
        print(json.dumps({"processors": os.cpu_count(), "load": load, "results": results, "missed": missed}))
    else:
        print("every target met" if not missed else f"missed: {'; '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
