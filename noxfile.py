"""Every task of this repository is a session here: `nox -l` lists them, `nox -s NAME` runs one."""

from __future__ import annotations

import os
import sys
import tempfile
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
OLDEST_BASE, *_ = nox.project.load_toml("fork/bases.toml")
BASES = [OLDEST_BASE, DEFAULT_BASE]
"""What is tested day by day: the oldest release and the default one; `compat` tests all."""

OWN_MODULES = [path.relative_to(".") for path in sorted(Path("litellm").rglob("*_utils/*.py"))]
ABOUT_LITELLM = ["tests/exception_mapping", "tests/router_unit_tests"]
"""Test folders that are about what LiteLLM does; the others are about the build, our own modules and test doubles."""

IN_PARALLEL = ["-n", "2", "--dist", "worksteal"]


@nox.session
def check(session: nox.Session) -> None:
    """Format, lint and strict types of all our code, and the workflows for GitHub."""
    install_patched(session, DEFAULT_BASE, *dependencies("check"))
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    workflows = [str(path) for path in sorted(Path(".github/workflows").glob("*.yml"))]
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows)
    session.run("zizmor", "--offline", "--quiet", *workflows)
    session.run("mypy")
    # As part of the whole package, where LiteLLM's own types are known.
    modules = [argument for path in own_modules() for argument in ("-m", path)]
    with session.chdir(session.create_tmp()):
        session.run("mypy", "--strict", "--follow-imports=silent", *modules)


@nox.session
@nox.parametrize("base", BASES)
def router(session: nox.Session, base: str) -> None:
    """The whole suite on the patched package, for the oldest base and the default one (the maintainers' command)."""
    install_patched(session, base, *dependencies("test"))
    # Not `python -m pytest`, which would put this folder, and so a vendored litellm/, before the installed package.
    # Once is enough: our modules are the same on every base.
    measured = ["-p", "support.quick_coverage", "--cov", "--cov-report=term-missing:skip-covered"]
    coverage = measured if base == DEFAULT_BASE else []
    session.run("pytest", *IN_PARALLEL, *(session.posargs or coverage), env={"PYTHONPATH": "tests"})


@nox.session
@nox.parametrize("base", BASES)
def proxy(session: nox.Session, base: str) -> None:
    """The real proxy as a process: every provider, route and fault, real clients, secrets (--stock: LiteLLM's own)."""
    arguments = [argument for argument in session.posargs if argument != "--stock"]
    if arguments != session.posargs:
        session.install(f"litellm[proxy]==={base}", *dependencies("proxy"))
    else:
        install_patched(session, base, *dependencies("proxy"), extra="[proxy]")
    session.run("pytest", "-n", "2", "--dist", "loadscope", *(arguments or ["tests/proxy"]))


@nox.session
def node(session: nox.Session) -> None:
    """OpenAI's client for Node at the real proxy. Needs Node 20 or newer, and npm."""
    install_patched(session, DEFAULT_BASE, *dependencies("proxy"), extra="[proxy]")
    with session.chdir("tests/node_client"):
        session.run("npm", "ci", "--no-audit", "--no-fund", external=True)
    session.run("pytest", *(session.posargs or ["tests/node_client"]))


@nox.session
@nox.parametrize("base", BASES)
def baseline(session: nox.Session, base: str) -> None:
    """The same tests on stock LiteLLM: must fail exactly where tests/stock_failures says (--update rewrites it)."""
    session.install(f"litellm==={base}", *dependencies("test"))
    plugin = ["-p", "support.stock_failures", f"--base={base}", "--continue-on-collection-errors"]
    plugin += ["--hypothesis-profile=no-shrinking", "--tb=no", "-rN", "-q"]  # how a known failure fails is no news
    impatient = {"ROUTER_PATIENCE": "1", "PYTHONPATH": "tests"}
    session.run("pytest", *IN_PARALLEL, *plugin, *ABOUT_LITELLM, *session.posargs, env=impatient)


@nox.session
def compat(session: nox.Session) -> None:
    """Build every supported release and run the suite on it; ends with which patch each one gets (RELEASE ...)."""
    try_releases(session, "tests/releases/compat.py", *session.posargs)


@nox.session
def apart(session: nox.Session) -> None:
    """Apply the patches one by one, in order: each builds and passes its own tests without the next (RELEASE ...)."""
    try_releases(session, "tests/releases/apart.py", *(session.posargs or [DEFAULT_BASE]))


@nox.session
def upstream(session: nox.Session) -> None:
    """Look at the newest release: do the patches still apply, and are they needed? For a scheduled job."""
    try_releases(session, "tests/releases/newest.py", *session.posargs)


@nox.session
def failover(session: nox.Session) -> None:
    """The main job: stock and patched side by side over faults, providers, strategies (--json FILE, --full)."""
    compare(session, "benchmarks/failover.py")


@nox.session
def outages(session: nox.Session) -> None:
    """Sixteen outages of a primary with a fallback, stock and patched side by side (--json FILE, --full)."""
    compare(session, "benchmarks/outages.py")


@nox.session
def soak(session: nox.Session) -> None:
    """200 callers while deployments break and heal, a minute (--seconds, --concurrency, --seed, --strategy)."""
    install_patched(session, DEFAULT_BASE, *dependencies("bench"))
    session.run("python", "benchmarks/soak.py", *session.posargs, env={"PYTHONPATH": "tests"})


@nox.session
def overhead(session: nox.Session) -> None:
    """What the patches cost on the happy path and in exception_type(), patched over stock (--json FILE)."""
    compare(session, "benchmarks/overhead.py")


@nox.session
def dead_hosts(session: nox.Session) -> None:
    """One, two and four dead of five deployments: attempts wasted, latency added, stock and patched (--json FILE)."""
    compare(session, "benchmarks/dead_hosts.py")


@nox.session
def mutants(session: nox.Session) -> None:
    """Change our modules in one place at a time: a test must fail, or tests/mutants say why none can (MODULE ...,
    --base RELEASE)."""
    install_patched(session, chosen_base(session), *dependencies("mutants"))
    session.run("python", "tests/mutants/run.py", *session.posargs, env={"PYTHONPATH": "tests"})


@nox.session
def packages(session: nox.Session) -> None:
    """Build and install this commit for real on two bases: the same bytes twice, both bases from one cache."""
    session.install("build", "pip", "uv", "virtualenv")
    with tempfile.TemporaryDirectory() as folder:
        session.run("python", "tests/fork/packages.py", folder, DEFAULT_BASE, OLDEST_BASE)


@nox.session
def vendor(session: nox.Session) -> None:
    """Lay the whole patched source into litellm/, hidden from git; --diff shows what the patches change instead."""
    session.install(f"litellm==={chosen_base(session)}", *dependencies("build"))
    session.run("python", "-m", "fork", "vendor", *session.posargs)


@nox.session
def patches(session: nox.Session) -> None:
    """The series for `git am`, into series/ (--base RELEASE, --out FOLDER); or only --check CLONE, or --prove."""
    session.install(*dependencies("build"))
    session.install("--no-deps", f"litellm==={chosen_base(session)}")  # only its files are read
    session.run("python", "-m", "fork", "series", *session.posargs)


@nox.session
def base(session: nox.Session) -> None:
    """Enter a LiteLLM release into fork/bases.toml: nox -s base -- VERSION."""
    if len(session.posargs) != 1:
        session.error("name the release: nox -s base -- VERSION")
    session.install(*dependencies("build"))
    session.install("--no-deps", f"litellm==={session.posargs[0]}")  # only its files are read
    session.run("python", "-m", "fork", "base", *session.posargs)


def dependencies(group: str) -> list[str]:
    """The requirements of a [dependency-groups] entry of pyproject.toml."""
    return list(nox.project.dependency_groups(PROJECT, group))


def install_patched(session: nox.Session, base: str, *more: str, extra: str = "") -> None:
    """This branch built on `base`, as an operator's installer builds it; `extra` is "[proxy]" or nothing."""
    # Without it the installer takes a build of an earlier state of this folder, whose version is the same.
    again = "--reinstall-package=litellm" if session.venv_backend == "uv" else "--force-reinstall"
    session.install(again, "-C", f"base={base}", f".{extra}", *more)


def own_modules() -> list[str]:
    """The modules this branch adds to LiteLLM, dotted."""
    return [".".join(path.with_suffix("").parts) for path in OWN_MODULES]


def chosen_base(session: nox.Session) -> str:
    """The release after --base, or the default one."""
    arguments = [*session.posargs, None]
    return arguments[arguments.index("--base") + 1] or DEFAULT_BASE if "--base" in arguments else DEFAULT_BASE


def try_releases(session: nox.Session, script: str, *arguments: str) -> None:
    """Run a script that makes an environment for each release it looks at, with the tests' requirements."""
    session.install("uv", *dependencies("build"))
    folder = Path(session.create_tmp()).resolve()
    requirements = folder / "requirements.txt"
    requirements.write_text("\n".join(dependencies("test")))
    session.run(
        "python",
        script,
        str(folder),
        str(requirements),
        *arguments,
        env={"PYTHONPATH": os.pathsep.join((".", "tests"))},
    )


def compare(session: nox.Session, script: str) -> None:
    """Run a benchmark over two environments: the session's own is patched, one inside its folder is stock."""
    install_patched(session, DEFAULT_BASE, *dependencies("bench"), "virtualenv")
    folder = Path(session.create_tmp(), "stock").resolve()
    session.run("python", "-m", "virtualenv", "--quiet", folder)
    stock = str(folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
    session.run(stock, "-m", "pip", "install", "--quiet", f"litellm==={DEFAULT_BASE}", external=True)
    patched = str(Path(session.bin, "python"))
    session.run("python", script, "--stock", stock, "--patched", patched, *session.posargs, env={"PYTHONPATH": "tests"})
