"""feat(proxy): litellm-drill, what a config.yaml does in an outage

Problem
-------
Nobody can tell from a config.yaml whether a gateway survives the loss of a
deployment. `--validate_config` says OK to a fallback that names no group
and to a key that is not set; a misspelt router setting is one line of the
log, a fallback with a smaller context window is noticed at night.

Change
------
`litellm-drill check CONFIG` reads the file and what it includes, and says
by file and line what is wrong and what to do about it: fallbacks that go
nowhere, in a ring or to what cannot answer, groups of one deployment, host,
key or region, retries and timeouts that do not fit each other, cooldowns
that are off, settings and variables that do not exist. As text, JSON or
SARIF, for people, pre-commit and code scanning. Nothing is started or asked,
no value of a variable is read, no value of the file is shown.

`litellm-drill run CONFIG` tries it: a copy of the config, with servers on
loopback in the place of its deployments, which speak their formats, and
with no key, database, cache, callback or other sink of it, is run by the
real proxy. Each deployment, each pair and each whole group is refused,
silent, rate-limited, unauthorised, down, cut off and garbled, while the
proxy is asked, streamed and not. It tells who answered after how many
attempts and how much later, or what the caller saw: as a table, JSON,
JUnit's XML or a page. Before each fault the proxy reads its config again,
as when it starts, so that no cooldown is left of the one before. An audit
hook keeps the proxy's process on loopback.

It stands beside the package, as litellm_cli does: importing litellm takes
seconds, the check a third of one. Which settings and models there are it
reads from the installed LiteLLM's own files. ruamel.yaml gives the lines;
without it the command says how to install it.

For whoever merges this: add `litellm-drill = "litellm_drill.cli:main"` to
[project.scripts] of pyproject.toml, the package to what the wheel is built
of, and ruamel.yaml and junitparser to an extra and to the development
dependencies. The
wheel this series is made of has no pyproject.toml to change.

Tests
-----
Ten configs with more than forty seeded defects, each found at its line; ten
ordinary ones without a finding; every rule at its limits; broken files; a
property that no key in a config is in any output. Stand-ins on real
sockets, the copy, what is drilled, each form of report, and each way out of
loopback denied; the drill of real proxies is in this branch's repository.
"""

SCRIPTS = {"litellm-drill": "litellm_drill.cli:main"}
ADDS = (
    "litellm_drill/__init__.py",
    "litellm_drill/cli.py",
    "litellm_drill/config.py",
    "litellm_drill/copied.py",
    "litellm_drill/document.py",
    "litellm_drill/drill.py",
    "litellm_drill/drill_report.py",
    "litellm_drill/fallback_rules.py",
    "litellm_drill/finding.py",
    "litellm_drill/formats.py",
    "litellm_drill/gateway.py",
    "litellm_drill/gateway_process.py",
    "litellm_drill/group_rules.py",
    "litellm_drill/limit_rules.py",
    "litellm_drill/models.py",
    "litellm_drill/outcome.py",
    "litellm_drill/page.html",
    "litellm_drill/page.py",
    "litellm_drill/plan.py",
    "litellm_drill/providers.py",
    "litellm_drill/py.typed",
    "litellm_drill/release.py",
    "litellm_drill/report.py",
    "litellm_drill/rules.py",
    "litellm_drill/run_command.py",
    "litellm_drill/setting_rules.py",
    "litellm_drill/stand_in.py",
    "tests/drill/__init__.py",
    "tests/drill/configs.py",
    "tests/drill/drilled.py",
    "tests/drill/ordinary/anchors.yaml",
    "tests/drill/ordinary/automatic.yaml",
    "tests/drill/ordinary/azure_and_openai.yaml",
    "tests/drill/ordinary/database.yaml",
    "tests/drill/ordinary/extras.yaml",
    "tests/drill/ordinary/kinds.yaml",
    "tests/drill/ordinary/regions.yaml",
    "tests/drill/ordinary/teams.yaml",
    "tests/drill/ordinary/variables.yaml",
    "tests/drill/ordinary/wildcards.yaml",
    "tests/drill/seeded/access.yaml",
    "tests/drill/seeded/cooldowns.yaml",
    "tests/drill/seeded/fallbacks.yaml",
    "tests/drill/seeded/lonely.yaml",
    "tests/drill/seeded/loop.yaml",
    "tests/drill/seeded/names.yaml",
    "tests/drill/seeded/one_place.yaml",
    "tests/drill/seeded/order.yaml",
    "tests/drill/seeded/patience.yaml",
    "tests/drill/seeded/unlike.yaml",
    "tests/drill/test_broken_files.py",
    "tests/drill/test_copies.py",
    "tests/drill/test_drilled_reports.py",
    "tests/drill/test_drills.py",
    "tests/drill/test_endpoints.py",
    "tests/drill/test_fit_of_fallbacks.py",
    "tests/drill/test_gateway.py",
    "tests/drill/test_gateway_process.py",
    "tests/drill/test_idioms.py",
    "tests/drill/test_includes.py",
    "tests/drill/test_loopback.py",
    "tests/drill/test_misspelt_settings.py",
    "tests/drill/test_no_secrets.py",
    "tests/drill/test_no_secrets_of_run.py",
    "tests/drill/test_ordinary_configs.py",
    "tests/drill/test_plans.py",
    "tests/drill/test_reports.py",
    "tests/drill/test_run_errors.py",
    "tests/drill/test_seeded_defects.py",
    "tests/drill/test_stand_ins.py",
    "tests/drill/test_stock_side.py",
)
