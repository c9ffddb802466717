"""The reference says what the program does: it is made from it, and nothing that can be set is without effect."""

from __future__ import annotations

import dataclasses
import re
import tomllib
import typing
from pathlib import Path

import daemon
from daemon.cli import registry
from daemon.settings import Profile, Queue, Settings, load
from daemon.settings.options import META
from tools.generate_reference import ROOT, pages

READ_BY_THE_SETTINGS_THEMSELVES = {"ipp_port", "ipps_port", "api_port"}


def test_the_reference_is_as_the_program_makes_it():
    """Commands, settings, ports and JSON keys in docs/reference and the example file are not behind the code."""
    stale = [name for name, content in pages().items() if (ROOT / name).read_text("utf-8") != content]
    assert stale == [], "run: python -m tools.generate_reference"


def test_the_example_file_is_valid_and_changes_nothing(tmp_path):
    """As shipped it is all comments; with every comment taken away each line is a valid option."""
    text = (ROOT / "config/holdfast.example.toml").read_text("utf-8")
    assert tomllib.loads(text) == {}
    options = [line for line in text.splitlines() if re.match(r"#(\[|[a-z_]+ = )", line)]
    kept = [line[1:] for line in options if not re.match(r"#(name|start|end) = \"\"$", line)]
    skipped = "profiles.standard.terms"
    body = "\n".join(line for line in kept if skipped not in line)
    path = tmp_path / "holdfast.toml"
    path.write_text(body)
    settings = load(path, environment={})
    assert settings.server.base_port == 8630


def test_every_option_has_an_effect():
    """An option that no other module reads would be a promise nobody keeps."""
    code = "\n".join(
        path.read_text("utf-8")
        for path in (ROOT / "daemon").rglob("*.py")
        if "settings" not in path.relative_to(ROOT).parts
    )
    unread = []
    for name, hint in typing.get_type_hints(Settings).items():
        cls = {"queues": Queue, "profiles": Profile}.get(name, hint)
        if not dataclasses.is_dataclass(cls):
            continue
        unread += [
            f"{name}.{option.name}"
            for option in dataclasses.fields(cls)
            if META in option.metadata
            and option.name not in READ_BY_THE_SETTINGS_THEMSELVES
            and not re.search(rf"\.{option.name}\b", code)
        ]
    assert unread == []


def test_every_command_is_explained_with_an_example():
    """No command without a sentence and something to copy."""
    assert all(command.summary.endswith(".") and command.examples for command in registry.COMMANDS)
    assert all(command.words[0] in registry.NOUNS for command in registry.COMMANDS if len(command.words) > 1)


def test_the_version_is_the_projects():
    """What `--version` and /metrics tell is what the package is called."""
    project = tomllib.loads((Path(ROOT) / "pyproject.toml").read_text("utf-8"))["project"]
    assert daemon.__version__ == project["version"]


def test_what_init_installs_is_the_published_tariff():
    """The tariff a new house starts with is the one in config/tariffs."""
    packaged = (ROOT / "daemon/cli/data/standard.toml.txt").read_bytes()
    assert packaged == (ROOT / "config/tariffs/standard.toml").read_bytes()
