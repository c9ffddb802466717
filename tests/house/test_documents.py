"""The documents are true: reference pages are those the declarations make, links lead somewhere, words are explained."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from daemon.accounting.tariff import ROUNDINGS

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
NEEDED = (
    "README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE", "docs/tour.md", "docs/glossary.md", "docs/architecture.md",
    "docs/threat-model.md", "docs/privacy.md", "docs/operations.md", "docs/performance.md", "docs/conformance.md",
    "docs/pricing.md", "docs/allowances.md", "docs/adr/README.md",
)  # fmt: skip


def reference_pages() -> dict[Path, str]:
    """What the generator would write now."""
    path = ROOT / "tools/generate_reference.py"
    spec = importlib.util.spec_from_file_location("generate_reference", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return {ROOT / name: text for name, text in module.pages().items()}


def test_every_setting_and_command_is_documented():
    """The reference pages and the example file are what the declarations make; to renew: tools/generate_reference.py."""
    for path, text in reference_pages().items():
        assert path.read_text("utf-8") == text, f"{path.name} is old: run tools/generate_reference.py"


def test_every_setting_has_a_meaning():
    """No option or argument without a word of what it means."""
    told = {path: text for path, text in reference_pages().items() if path.stem in ("settings", "commands")}
    assert len(told) == 2
    for path, text in told.items():
        empty = [line for line in text.splitlines() if re.match(r"\| `.*\|\s*\|$", line)]
        assert not empty, f"{path.name}: {empty}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    """Every relative link in a document names a file that exists."""
    targets = [link for link in LINK.findall(path.read_text("utf-8")) if "://" not in link]
    assert not [link for link in targets if not (path.parent / link).exists()]


def test_needed_documents_exist():
    """What a newcomer and an operator look for is there."""
    assert not [name for name in NEEDED if not (ROOT / name).is_file()]


def test_decisions_are_listed():
    """Each decision stands in the list, under its number."""
    listed = (ROOT / "docs/adr/README.md").read_text("utf-8")
    for path in sorted((ROOT / "docs/adr").glob("0*.md")):
        assert f"]({path.name})" in listed
        assert path.read_text("utf-8").startswith(f"# {int(path.name[:4])}. ")


def test_rounding_policies_are_explained():
    """Every named rounding policy has its row in the table."""
    document = (ROOT / "docs/pricing.md").read_text("utf-8")
    assert not [policy for policy in ROUNDINGS if f"| `{policy}`" not in document]


def test_readme_begins_with_two_commands_and_a_picture():
    """The first block is the two commands to try; the picture exists."""
    text = (ROOT / "README.md").read_text("utf-8")
    first = re.search(r"```sh\n(.*?)```", text, re.DOTALL)
    assert first
    assert [line.split("#")[0].split() for line in first[1].splitlines()] == [
        ["./run", "demo"],
        ["./run", "demo", "--once"],
    ]
    assert len(re.findall(r"!\[", text)) == 1
