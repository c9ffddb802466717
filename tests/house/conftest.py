"""What the house rules are read from: the project's own files and their syntax trees."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("daemon", "kiosk", "tests", "benchmarks", "tools")
GENERATED = {"daemon/ipp/registry_data.py", "daemon/devices/mib/tables.py"}


def python_files() -> list[Path]:
    """Every Python file of the project that a person wrote."""
    found = [path for part in PARTS for path in sorted((ROOT / part).rglob("*.py"))]
    return [path for path in found if str(path.relative_to(ROOT)) not in GENERATED]


@pytest.fixture(scope="session")
def sources() -> dict[str, str]:
    """Text of every Python file, by its path in the project."""
    return {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in python_files()}


@pytest.fixture(scope="session")
def trees(sources) -> dict[str, ast.Module]:
    """Syntax tree of every Python file."""
    return {name: ast.parse(text, name) for name, text in sources.items()}


@pytest.fixture(scope="session")
def pyproject() -> dict:
    """The project's own description."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


@pytest.fixture(scope="session")
def texts() -> dict[str, str]:
    """Every text file a person wrote: code, data, documents, pages."""
    kinds = {".py", ".md", ".toml", ".sql", ".html", ".js", ".css", ".json", ".service", ".socket", ".txt", ".sh", ""}
    roots = [ROOT / part for part in (*PARTS, "config", "docs", "systemd", "requirements", ".ci")]
    files = [path for root in roots for path in sorted(root.rglob("*")) if path.is_file() and path.suffix in kinds]
    files += [path for path in sorted(ROOT.iterdir()) if path.is_file() and path.suffix in kinds]
    found = {}
    for path in files:
        if "__pycache__" in path.parts or path.stat().st_size > 1_000_000:
            continue
        try:
            found[str(path.relative_to(ROOT))] = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
    return found
