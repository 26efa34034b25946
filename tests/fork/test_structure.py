"""How our own modules are put together: which way they import, who looks at releases, and what has a type."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from fork.tree import own_modules

ROOT = Path(__file__).parents[2]
MODULES = sorted(own_modules(ROOT))
LAYERS = ("litellm_core_utils", "router_utils", "proxy")
"""From the bottom to the top: a module imports what stands at its own height or below."""

COMMANDS = "litellm_drill/"
"""A package beside LiteLLM's, which knows nothing of it."""

ASKS_THE_PROXY = "litellm/router_utils/failover/automatic_fallbacks.py"
"""What the router chooses as a fallback is not for a key that may not use it: the proxy is asked, if there is one."""

KNOW_THE_RELEASE = (
    "litellm/litellm_core_utils/release_differences.py",
    "litellm/router_utils/failover/router_view.py",
)
READS_WHAT_MAY_NOT_BE_THERE = "litellm/litellm_core_utils/exception_chain.py"


def tree_of(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def height(module: str) -> int | None:
    """Of a dotted name or a path in LiteLLM's package, None where it is in none of the layers."""
    parts = module.replace("/", ".").split(".")
    return LAYERS.index(parts[1]) if len(parts) > 1 and parts[1] in LAYERS else None


LAYERED = [path for path in MODULES if not path.startswith(COMMANDS)]


@pytest.mark.parametrize("path", [path for path in MODULES if path.startswith(COMMANDS)])
def test_commands_import_no_litellm(path: str) -> None:
    """What stands beside the package starts without it: importing it takes seconds and asks the network."""
    assert [name for name in imported(tree_of(path)) if name.partition(".")[0] == "litellm"] == []


@pytest.mark.parametrize("path", [path for path in LAYERED if path != ASKS_THE_PROXY])
def test_no_module_imports_upwards(path: str) -> None:
    """What lies below does not know what lies above it."""
    own = height(path)
    assert own is not None
    assert [name for name in imported(tree_of(path)) if (found := height(name)) is not None and found > own] == []


def probes(tree: ast.AST) -> Iterator[str]:
    """Where a module asks whether something is there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            is_probe = node.func.id == "hasattr" or (node.func.id == "getattr" and len(node.args) == 3)
            if is_probe:
                yield f"line {node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.ExceptHandler) and node.type is not None and "ImportError" in ast.unparse(node.type):
            yield f"line {node.lineno}: {ast.unparse(node.type)}"


@pytest.mark.parametrize("path", [path for path in MODULES if path != READS_WHAT_MAY_NOT_BE_THERE])
def test_releases_are_told_apart_in_one_place(path: str) -> None:
    """Two modules know what only some releases have, one for the core and one for what the router is asked."""
    assert bool(list(probes(tree_of(path)))) is (path in KNOW_THE_RELEASE)


TESTS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("path", TESTS)
def test_names_of_tests_are_short(path: str) -> None:
    """A test's name has at most eight words: what it is about stands in its docstring."""
    functions = (node for node in ast.walk(tree_of(path)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    assert [node.name for node in functions if node.name.startswith("test_") and node.name.count("_") > 8] == []


def untyped(path: str) -> Iterator[str]:
    """The parameters and returns of type Any whose line does not say why it is one."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    for node in ast.walk(tree_of(path)):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        reasons = any("# any-ok: " in line for line in lines[node.lineno - 1 : node.body[0].lineno])
        parameters = [argument for argument in ast.walk(node.args) if isinstance(argument, ast.arg)]
        for annotation in [*(argument.annotation for argument in parameters), node.returns]:
            names = [] if annotation is None else list(ast.walk(annotation))
            if not reasons and any(isinstance(name, ast.Name) and name.id == "Any" for name in names):
                yield f"{node.name}, line {node.lineno}"


@pytest.mark.parametrize("path", MODULES)
def test_any_has_a_reason(path: str) -> None:
    """A parameter or a return is of type Any only where a comment says why."""
    assert list(untyped(path)) == []
