"""Every task of this repository is a session here: `nox -l` lists them, `nox -s NAME` runs one."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_external_run = True
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["check", "baseline", "router"]
nox.options.stop_on_first_error = True  # so that the end of the output says what failed

PROJECT = nox.project.load_toml("pyproject.toml")
DEFAULT_BASE: str = PROJECT["tool"]["fork"]["base"]
SUPPORTED = list(nox.project.load_toml("fork/bases.toml"))
OLDEST_BASE, LONG_TERM_BASE = SUPPORTED[0], "1.108.14"
BASES = [OLDEST_BASE, LONG_TERM_BASE, DEFAULT_BASE]
"""What is tested day by day: the oldest release, the long-term line and the default one. `releases` tests all."""

UNPUBLISHED = "tests/releases/unpublished.txt"
ASK_FOR_UNPUBLISHED = ("1.108.", "1.109.", "1.110.")
"""Releases whose extra [proxy] asks for what the index does not have: UNPUBLISHED says what is let go of."""

ABOUT_LITELLM = ["tests/exception_mapping", "tests/router_unit_tests"]
"""Test folders that are about what LiteLLM does; the others are about the build, our own modules and test doubles."""

OF_EACH_BASE = [*ABOUT_LITELLM, "tests/drill", "tests/proxy_unit_tests", "tests/support", "tests/fork/test_imports.py"]
"""What is tested on every base; the rest of the build and the benchmarks is the same on all, and tested on one."""

STRUCTURE = "tests/fork/test_structure.py"
"""Imports in one direction only, no `Any` without a reason: what upstream's own gates look at, and no linter does."""

IN_PARALLEL = ["-n", "4", "--dist", "worksteal"]
"""For two cores: many tests wait, for hosts that are silent and for back-offs."""

RELEASES: dict[str, tuple[str, list[str]]] = {
    "all": ("tests/releases/compat.py", []),
    "bisect": ("tests/releases/bisect_series.py", [DEFAULT_BASE]),
    "newest": ("tests/releases/newest.py", []),
    "packages": ("tests/releases/packages.py", [DEFAULT_BASE, OLDEST_BASE]),
}
"""The script of each kind, and the releases it is about unless others are named."""


@nox.session
def check(session: nox.Session) -> None:
    """Format, lint, strict types and structure of all our code, and the workflows for GitHub."""
    install_patched(session, DEFAULT_BASE, *dependencies("check"))
    modules = own_modules(session)
    add_to_package(session, modules)  # of which no release has all
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    workflows = [str(path) for path in sorted(Path(".github/workflows").glob("*.yml"))]
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows)
    session.run("zizmor", "--offline", "--quiet", *workflows)
    session.run("mypy")
    session.run("pytest", "-q", STRUCTURE, env={"PYTHONPATH": "tests"})
    # As part of the whole package, where LiteLLM's own types are known.
    named = [argument for path in modules for argument in ("-m", dotted(path))]
    with session.chdir(session.create_tmp()):
        session.run("mypy", "--strict", "--follow-imports=silent", *named)


@nox.session
@nox.parametrize("base", BASES)
def router(session: nox.Session, base: str) -> None:
    """The whole suite on the patched package: the maintainers' command."""
    session.install(*dependencies("build"))
    session.install("--no-deps", f"litellm==={base}")  # only its files are read
    session.run("python", "-m", "fork", "apply", base)
    install_patched(session, base, *dependencies("test"))
    # Not `python -m pytest`, which would put this folder, and so a vendored litellm/, before the installed package.
    # Once is enough: our modules are the same on every base.
    measured = ["-p", "support.quick_coverage", "--cov", "--cov-report=term-missing:skip-covered"]
    usual = measured if base == DEFAULT_BASE else OF_EACH_BASE
    session.run("pytest", *IN_PARALLEL, *(session.posargs or usual), env={"PYTHONPATH": "tests"})


@nox.session
@nox.parametrize("base", BASES)
def proxy(session: nox.Session, base: str) -> None:
    """The real proxy as a process, with real clients (--stock: LiteLLM's own).

    Two proxies share a Redis: needs redis-server (apt-get install redis-server, brew install redis).
    `-- tests/node_client` asks it with the clients for Node, which need Node 20 or newer, and npm.
    """
    arguments = [argument for argument in session.posargs if argument != "--stock"]
    if arguments != session.posargs:
        session.install(*overrides(session, base), f"litellm[proxy]==={base}", *dependencies("proxy"))
    else:
        install_patched(session, base, *dependencies("proxy"), extra="[proxy]")
    if any(argument.startswith("tests/node_client") for argument in arguments):
        with session.chdir("tests/node_client"):
            session.run("npm", "ci", "--no-audit", "--no-fund", external=True)
    session.run("pytest", "-n", "2", "--dist", "loadscope", *(arguments or ["tests/proxy"]))


@nox.session
@nox.parametrize("base", [OLDEST_BASE, DEFAULT_BASE])
def baseline(session: nox.Session, base: str) -> None:
    """The same tests on stock LiteLLM, which must fail exactly the listed ones (--update rewrites the lists)."""
    session.install(f"litellm==={base}", *dependencies("test"))
    plugin = ["-p", "support.stock_failures", f"--base={base}", "--continue-on-collection-errors"]
    plugin += ["--hypothesis-profile=no-shrinking", "--tb=no", "-rN", "-q"]  # how a known failure fails is no news
    impatient = {"ROUTER_PATIENCE": "1", "PYTHONPATH": "tests"}
    differing = Path(session.create_tmp()).resolve() / "differing.txt"
    whole = [*IN_PARALLEL, *plugin, f"--differing={differing}", *ABOUT_LITELLM, *session.posargs]
    session.run("pytest", *whole, env=impatient, success_codes=[0, 1])
    if tests := differing.read_text("utf-8").splitlines():
        session.log("These differ from the list, maybe by chance; once more by themselves")
        session.run("pytest", *plugin, "--again", *tests, env=impatient)


@nox.session
def releases(session: nox.Session) -> None:
    """Every release: all, patch by patch (bisect), the index's newest, real installs (packages)."""
    what, *arguments = session.posargs or ["all"]
    if what not in RELEASES:
        session.error(f"{what} is none of {', '.join(RELEASES)}")
    session.install("build", "pip", "uv", "virtualenv", *dependencies("build"))
    folder = Path(session.create_tmp()).resolve()
    requirements = folder / "requirements.txt"
    requirements.write_text("\n".join(dependencies("test")))
    script, usual = RELEASES[what]
    environment = {"PYTHONPATH": os.pathsep.join((".", "tests"))}
    session.run("python", script, str(folder), str(requirements), *(arguments or usual), env=environment)


@nox.session
def bench(session: nox.Session) -> None:
    """Stock beside patched: failover, outages, dead_hosts, silent_host, brownout, inband, overhead; or soak.

    Two Routers of silent_host share a Redis: needs redis-server, as `proxy` does.
    """
    name, *arguments = session.posargs or [""]
    install_patched(session, DEFAULT_BASE, *dependencies("bench"), "virtualenv")
    environment = {"PYTHONPATH": "tests"}
    if name == "soak":
        session.run("python", "benchmarks/soak.py", *arguments, env=environment)
        return
    sides = ["--stock", stock_interpreter(session), "--patched", str(Path(session.bin, "python"))]
    session.run("python", "benchmarks", name, *sides, *arguments, env=environment)


@nox.session
def mutants(session: nox.Session) -> None:
    """Change our modules in one place at a time: a test must fail, or tests/mutants say why none can.

    Takes MODULE ... and --base RELEASE.
    """
    install_patched(session, chosen_base(session), *dependencies("mutants"))
    session.run("python", "tests/mutants/run.py", *session.posargs, env={"PYTHONPATH": "tests"})


@nox.session
def drill(session: nox.Session) -> None:
    """Break a config.yaml's deployments under the real proxy: -- CONFIG and options of `litellm-drill run`.

    Without a CONFIG the four recipes are drilled. `--base RELEASE` before it drills on another release.
    """
    base = chosen_base(session)
    arguments = [one for one in session.posargs if one not in ("--base", base)]
    install_patched(session, base, *dependencies("drill"), extra="[proxy]")
    configs = [[*arguments]] if arguments else [[str(path)] for path in sorted(Path("docs/recipes").glob("*.yaml"))]
    for config in configs:
        session.log(f"litellm-drill run {' '.join(config)}")
        session.run("litellm-drill", "run", *config, success_codes=[0, 1] if not arguments else [0])


@nox.session
def patches(session: nox.Session) -> None:
    """The series for `git am` (--base RELEASE, --out FOLDER; or only --check CLONE, --prove).

    `-- vendor` writes the whole patched source to litellm/, hidden from git (--diff: show what the patches change).
    """
    what, *arguments = session.posargs if session.posargs[:1] == ["vendor"] else ["series", *session.posargs]
    session.install(*dependencies("build"))
    session.install("--no-deps", f"litellm==={chosen_base(session)}")  # only its files are read
    session.run("python", "-m", "fork", what, *arguments)


@nox.session
def base(session: nox.Session) -> None:
    """Enter a LiteLLM release into fork/bases.toml, with the wheels of all platforms (VERSION)."""
    if len(session.posargs) != 1:
        session.error("name the release: nox -s base -- VERSION")
    session.install("pip", "uv", *dependencies("build"))  # and nothing of the release, which is read unpacked
    session.run("python", "-m", "fork", "base", *session.posargs)


def dependencies(group: str) -> list[str]:
    """The requirements of a [dependency-groups] entry of pyproject.toml."""
    return list(nox.project.dependency_groups(PROJECT, group))


def install_patched(session: nox.Session, base: str, *more: str, extra: str = "") -> None:
    """This branch built on `base`, as an operator's installer builds it; `extra` is "[proxy]" or nothing."""
    # Without it the installer takes a build of an earlier state of this folder, whose version is the same.
    again = "--reinstall-package=litellm" if session.venv_backend == "uv" else "--force-reinstall"
    override = overrides(session, base) if extra else []
    session.install(*override, again, "-C", f"base={base}", f".{extra}", *more)


def overrides(session: nox.Session, base: str) -> list[str]:
    """What an installer is told of requirements of the extra [proxy] that the index does not have; only uv can be."""
    if not base.startswith(ASK_FOR_UNPUBLISHED):
        return []
    session.log(f"LiteLLM {base}: the requirements in {UNPUBLISHED} are let go of")
    return ["--override", UNPUBLISHED]


def own_modules(session: nox.Session) -> list[Path]:
    """The modules this branch adds to LiteLLM, as its patches say, on whichever release."""
    return list(map(Path, printed(session, "python", "-m", "fork", "modules").split()))


def dotted(path: Path) -> str:
    """The name by which the module at `path` is imported."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def add_to_package(session: nox.Session, modules: Sequence[Path]) -> None:
    """Put each of `modules` into the installed package, also those that other releases have."""
    site = Path(printed(session, "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    for path in modules:
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, site / path)


def printed(session: nox.Session, *command: str) -> str:
    """What `command` prints, which is not shown."""
    return str(session.run(*command, silent=True))


def chosen_base(session: nox.Session) -> str:
    """The release after --base, or the default one; a supported one, as it is installed next."""
    arguments = [*session.posargs, "--base", DEFAULT_BASE]
    base = arguments[arguments.index("--base") + 1]
    if base not in SUPPORTED:
        session.error(f"{base} is no supported base: name one of {', '.join(SUPPORTED)} after --base")
    return base


def stock_interpreter(session: nox.Session) -> str:
    """An interpreter with stock LiteLLM, in an environment inside the session's own."""
    folder = Path(session.create_tmp(), "stock").resolve()
    session.run("python", "-m", "virtualenv", "--quiet", folder)
    stock = str(folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
    session.run(stock, "-m", "pip", "install", "--quiet", f"litellm==={DEFAULT_BASE}", external=True)
    return stock
