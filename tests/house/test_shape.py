"""Files and functions stay small enough to read, pure modules stay pure, and nothing is left half done."""

from __future__ import annotations

import ast
import re
from pathlib import Path

FUNCTION_LINES_MAX = 49
FILE_LINES_MAX = 400
TEST_LINES_MAX = 700
ROOT = Path(__file__).parents[2]

UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK")) + r")\b")
WORKPLACE = tuple(
    "".join(parts)
    for parts in (
        ("/wor", "k/"), ("shared/", "reference"), ("shared/", "recipes"), ("/tmp/", "hf"), ("CONTRACT", ".md"),
        ("ARCHITECTURE", ".md"), ("pypi", ".org/"), ("files.python", "hosted"),
    )
)  # fmt: skip
NEVER_IN_CODE = tuple("".join(parts) for parts in (("pragma: no ", "cover"), ("pytest.mark.", "skip("), ("x", "fail(")))
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def functions(tree: ast.Module):
    return [node for node in ast.walk(tree) if isinstance(node, FUNCTIONS)]


def test_functions_are_short(trees):
    """No function has 50 lines or more."""
    long = [
        f"{name}:{node.lineno} {node.name}: {node.end_lineno - node.lineno + 1} lines"
        for name, tree in trees.items()
        for node in functions(tree)
        if node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert not long, "\n".join(long)


def test_files_are_short(sources):
    """No file of the program has more than 400 lines; a list of tests may be longer, up to 700."""
    long = {name: len(text.splitlines()) for name, text in sources.items()}
    most = {name: TEST_LINES_MAX if name.startswith("tests/") else FILE_LINES_MAX for name in long}
    assert not {name: lines for name, lines in long.items() if lines > most[name]}


def test_every_module_says_what_it_is(trees):
    """Each module of the program and each test file begins with a docstring."""
    assert not [name for name, tree in trees.items() if tree.body and not ast.get_docstring(tree)]


def test_pure_modules_do_not_wait(trees, pyproject):
    """No `async` where only rules live: what waits belongs to the edge."""
    contracts = {one["name"]: one for one in pyproject["tool"]["importlinter"]["contracts"]}
    pure = [module.replace(".", "/") for module in contracts["pure modules touch nothing"]["source_modules"]]
    waiting = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    found = [
        f"{name}:{node.lineno}"
        for name, tree in trees.items()
        if any(name in (f"{module}.py", f"{module}/__init__.py") or name.startswith(f"{module}/") for module in pure)
        for node in ast.walk(tree)
        if isinstance(node, waiting)
    ]
    assert not found


def test_pure_modules_exist(trees, pyproject):
    """A contract about a module that does not exist would protect nothing."""
    missing = [
        module
        for contract in pyproject["tool"]["importlinter"]["contracts"]
        for module in contract.get("source_modules", [])
        if f"{module.replace('.', '/')}.py" not in trees and not (ROOT / module.replace(".", "/")).is_dir()
    ]
    assert not missing


def test_nothing_is_left_for_later(texts):
    """No note that something is still to be done: it is done, or it is an issue."""
    found = [
        f"{name}:{number}"
        for name, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if UNFINISHED.search(line) and not name.endswith("LICENSE")
    ]
    assert not found


def test_nothing_points_outside_the_project(texts):
    """No path or address of a place that a reader of this project does not have."""
    found = [f"{name}: {word}" for name, text in texts.items() for word in WORKPLACE if word in text]
    assert not found


def test_no_test_is_switched_off(sources):
    """Nothing is excluded from coverage, skipped always, or expected to fail."""
    found = [f"{name}: {word}" for name, text in sources.items() for word in NEVER_IN_CODE if word in text]
    assert not found


def test_every_test_has_a_promise_and_checks_it(trees):
    """A test's docstring says what it promises, and something in it, or in a helper beside it, can fail."""
    bad = []
    for name, tree in trees.items():
        if not Path(name).name.startswith("test_"):
            continue
        checking = {node.name for node in functions(tree) if _checks(node, set())}
        for node in functions(tree):
            if node.name.startswith("test_") and not ast.get_docstring(node):
                bad.append(f"{name}:{node.lineno} {node.name} promises nothing")
            if node.name.startswith("test_") and not _checks(node, checking - {node.name}):
                bad.append(f"{name}:{node.lineno} {node.name} checks nothing")
    assert not bad, "\n".join(bad)


def _checks(function: ast.AST, checking: set[str]) -> bool:
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        called = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
        if called in {"raises", "fail", "timeout", "wait_for", "expect"} | checking or called.startswith(
            ("assert_", "expect_")
        ):
            return True
    return False


def test_installations_get_the_house_tariff():
    """The tariff `holdfast init` writes is the one that is documented in config/tariffs."""
    given = (ROOT / "daemon/cli/data/standard.toml.txt").read_text("utf-8")
    assert given == (ROOT / "config/tariffs/standard.toml").read_text("utf-8")
