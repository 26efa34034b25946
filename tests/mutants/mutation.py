"""What a mutant of one of our modules is, which tests should notice it, and which are known to survive.

A mutant is the module with one thing changed. If every test still passes, a test is missing, or the change makes no
difference: `run.py` makes the mutants and runs the tests, `survivors.toml` explains those that survive.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from os.path import commonprefix
from pathlib import Path
from typing import NamedTuple, TypeGuard

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SURVIVORS = Path(__file__).with_name("survivors.toml")


class Killers(NamedTuple):
    """Test files, under tests/: every mutant meets the `quick` ones, one that survives those the `thorough` ones."""

    quick: tuple[str, ...]
    thorough: tuple[str, ...] = ()

    @property
    def stages(self) -> list[tuple[str, ...]]:
        """The files to run one after the other."""
        return [tests for tests in (self.quick, self.thorough) if tests]

    def without(self, absent: Collection[str]) -> Killers:
        """As it is but for the files, by their paths in the repository, that a release does not have."""
        quick, thorough = (tuple(test for test in tests if f"tests/{test}" not in absent) for tests in self)
        return Killers(quick, thorough)


TESTS = Path(__file__).parents[1]
REDACTION = "proxy_unit_tests/test_redaction.py"
ANSWERS = (
    "proxy_unit_tests/test_failure_response.py",
    "proxy_unit_tests/test_error_formats.py",
    "proxy_unit_tests/test_error_words.py",
    "proxy_unit_tests/test_kept_errors.py",
)
FAILURES = (
    "exception_mapping/test_status_kinds.py",
    "exception_mapping/test_transport_errors.py",
    "exception_mapping/test_wording.py",
    "exception_mapping/test_garbled_json.py",
    "exception_mapping/test_exception_chain.py",
    "exception_mapping/test_unreadable_exceptions.py",
    "exception_mapping/test_error_codes.py",
)
MAPPING = (
    "exception_mapping/test_http_status_mapping.py",
    "exception_mapping/test_aligned_class.py",
    "exception_mapping/test_kept_failure.py",
    "exception_mapping/test_rebuilt_exceptions.py",
    "exception_mapping/test_response_headers.py",
    "exception_mapping/test_json_providers.py",
)
DRILL = (
    "drill/test_seeded_defects.py",
    "drill/test_ordinary_configs.py",
    "drill/test_idioms.py",
    "drill/test_endpoints.py",
    "drill/test_misspelt_settings.py",
    "drill/test_fit_of_fallbacks.py",
    "drill/test_endpoints.py",
    "drill/test_misspelt_settings.py",
)
WAITS = "exception_mapping/test_stated_wait.py"
DECISIONS = ("exception_mapping/test_http_status_mapping.py", "router_unit_tests/test_cooldown_decision.py")
ATTEMPTS = (
    "router_unit_tests/test_attempts.py",
    "router_unit_tests/test_described_attempts.py",
    "router_unit_tests/test_affinity.py",
    "router_unit_tests/test_decide_retry.py",
    "router_unit_tests/test_fallbacks_left.py",
    "router_unit_tests/test_fallback_cooldown.py",
    "router_unit_tests/test_attempt_streams.py",
)
COMPILED_ROUTER = (
    "router_unit_tests/test_compiled_router_cooldown.py",
    "router_unit_tests/test_compiled_router_retry.py",
    "router_unit_tests/test_compiled_router_choice.py",
    "router_unit_tests/test_compiled_router.py",
)
STREAMS = (
    "router_unit_tests/test_first_event.py",
    "router_unit_tests/test_failed_streams.py",
    "router_unit_tests/test_empty_streams.py",
)

NAMES = ("router_unit_tests/test_model_names.py", "router_unit_tests/test_all_cooling_down.py")

OTHER_KILLERS = {
    "abandoned_stream": Killers(
        quick=("router_unit_tests/test_abandoned_stream.py", "router_unit_tests/test_stream_wait.py")
    ),
    "anthropic_errors": Killers(
        quick=(*ANSWERS, "router_unit_tests/test_failed_streams.py", "exception_mapping/test_errors_in_answers.py")
    ),
    **dict.fromkeys(
        ("inband_failure", "inband_formats", "inband_stream"),
        Killers(
            quick=(
                "exception_mapping/test_odd_answers.py",
                "exception_mapping/test_inband_failures.py",
                "exception_mapping/test_inband_whole.py",
            )
        ),
    ),
    "inband_aws": Killers(quick=("exception_mapping/test_aws_streams.py", "exception_mapping/test_odd_answers.py")),
    "inband_whole": Killers(
        quick=("exception_mapping/test_inband_whole.py",), thorough=("router_unit_tests/test_whole_answers.py",)
    ),
    "inband_fast_path": Killers(quick=("exception_mapping/test_inband_fast_path.py",)),
    "billed_usage": Killers(
        quick=("exception_mapping/test_billed_usage.py", "router_unit_tests/test_inband_answers.py")
    ),
    "inband_http": Killers(quick=("router_unit_tests/test_inband_answers.py",)),
    "json_values": Killers(
        quick=("exception_mapping/test_inband_whole.py", "exception_mapping/test_error_codes.py"),
        thorough=("exception_mapping/test_inband_failures.py",),
    ),
    **dict.fromkeys(
        ("config", "document", "finding", "models", "release", "rules"),
        Killers(quick=DRILL, thorough=("drill/test_broken_files.py", "drill/test_includes.py")),
    ),
    **dict.fromkeys(("fallback_rules", "group_rules", "limit_rules", "setting_rules"), Killers(quick=DRILL)),
    **dict.fromkeys(("cli", "report"), Killers(quick=("drill/test_reports.py", "drill/test_broken_files.py"))),
    "copied": Killers(quick=("drill/test_copies.py", "drill/test_no_secrets_of_run.py")),
    **dict.fromkeys(("plan", "providers"), Killers(quick=("drill/test_plans.py", "drill/test_copies.py"))),
    **dict.fromkeys(("formats", "stand_in"), Killers(quick=("drill/test_stand_ins.py",))),
    **dict.fromkeys(("outcome", "drill_report", "page"), Killers(quick=("drill/test_drilled_reports.py",))),
    "gateway_process": Killers(quick=("drill/test_loopback.py", "drill/test_gateway_process.py")),
    **dict.fromkeys(
        ("drill", "gateway", "run_command"),
        Killers(
            quick=(
                "drill/test_run_errors.py",
                "drill/test_drills.py",
                "drill/test_gateway.py",
                "drill/test_stock_side.py",
            )
        ),
    ),
    "known_credentials": Killers(quick=(REDACTION, *ANSWERS)),
    "redaction": Killers(quick=(REDACTION, *ANSWERS)),
    "handler": Killers(quick=ANSWERS),
    "response": Killers(quick=(*ANSWERS, REDACTION)),
    "failed_health_checks": Killers(
        quick=("proxy_unit_tests/test_health_check_cooldown.py", "proxy_unit_tests/test_background_health_checks.py")
    ),
    "compiled_router_cooldown": Killers(quick=COMPILED_ROUTER),
    "compiled_router": Killers(
        quick=COMPILED_ROUTER,
        thorough=(
            "router_unit_tests/test_fallback.py",
            "router_unit_tests/test_user_settings.py",
            "router_unit_tests/test_policies_by_class.py",
            "router_unit_tests/test_limits_of_preferred.py",
        ),
    ),
    "compiled_router_reports": Killers(quick=("router_unit_tests/test_cooldown_reports.py",)),
    "compiled_router_types": Killers(quick=COMPILED_ROUTER),
    "driver_state": Killers(quick=COMPILED_ROUTER),
    "compiled_router_patterns": Killers(quick=("router_unit_tests/test_pattern_cooldown.py",)),
    "compiled_router_waiting": Killers(quick=("router_unit_tests/test_all_cooling_down.py",)),
    "error_object": Killers(quick=("exception_mapping/test_error_codes.py",)),
    "failure_evidence": Killers(quick=FAILURES, thorough=DECISIONS),
    "failure": Killers(quick=FAILURES, thorough=(*DECISIONS, WAITS)),
    "stated_back_off": Killers(quick=("router_unit_tests/test_stated_waits.py",)),
    "exception_chain": Killers(quick=FAILURES, thorough=MAPPING),
    "http_status_mapping": Killers(quick=MAPPING, thorough=("exception_mapping/test_properties.py", WAITS)),
    "release_differences": Killers(quick=(*MAPPING, "router_unit_tests/test_empty_streams.py")),
    "answer_settings": Killers(quick=("router_unit_tests/test_inband_answers.py",)),
    "stream_start": Killers(quick=(*STREAMS, "router_unit_tests/test_event_stream.py")),
    "unwrapped_failures": Killers(quick=("router_unit_tests/test_public_methods.py",)),
    "caller_fault": Killers(
        quick=("router_unit_tests/test_callers_part.py", "router_unit_tests/test_trouble_by_code.py"),
        thorough=("router_unit_tests/test_attempts.py",),
    ),
    "cooldown": Killers(
        quick=(
            "router_unit_tests/test_cooldown_decision.py",
            "router_unit_tests/test_reports.py",
            "router_unit_tests/test_pattern_cooldown.py",
        ),
        thorough=(
            "router_unit_tests/test_fallback.py",
            "router_unit_tests/test_user_settings.py",
            "router_unit_tests/test_stated_waits.py",
        ),
    ),
    "content_policy": Killers(quick=("router_unit_tests/test_content_policy.py",)),
    "rotation_wait": Killers(quick=("router_unit_tests/test_all_cooling_down.py",)),
    "router_view": Killers(
        quick=ATTEMPTS,
        thorough=("router_unit_tests/test_fallback.py", "router_unit_tests/test_user_settings.py"),
    ),
    "retries": Killers(quick=ATTEMPTS, thorough=("router_unit_tests/test_user_settings.py",)),
    "context_slot": Killers(quick=("router_unit_tests/test_retry_state.py", "router_unit_tests/test_stream_wait.py")),
    "background_probe": Killers(quick=("router_unit_tests/test_rotation.py",)),
    **dict.fromkeys(
        ("rotation_state", "rotation_metrics"), Killers(quick=("router_unit_tests/test_rotation_state.py",))
    ),
    "deadline": Killers(quick=("router_unit_tests/test_deadline.py",)),
    "total_timeout": Killers(
        quick=("router_unit_tests/test_run_within.py",), thorough=("router_unit_tests/test_total_timeout.py",)
    ),
    "rotation_endpoint": Killers(quick=("proxy_unit_tests/test_rotation_endpoint.py",)),
    **dict.fromkeys(
        ("python_router_recovery", "compiled_router_recovery"),
        Killers(quick=("router_unit_tests/test_silent_hosts.py",)),
    ),
    "retry_budget": Killers(quick=("router_unit_tests/test_retry_budget.py",)),
    "budgeted_retries": Killers(quick=("router_unit_tests/test_budgeted_retries.py",)),
    "longer_cooldown": Killers(quick=("router_unit_tests/test_longer_cooldown.py",)),
    "stream_recovery": Killers(quick=("router_unit_tests/test_splice.py",)),
    "failed_attempt_log": Killers(quick=("router_unit_tests/test_failed_attempt_log.py",)),
    "rescued_log": Killers(quick=("router_unit_tests/test_rescued_log.py",)),
    "message_halves": Killers(quick=("router_unit_tests/test_message_halves.py",)),
    "responses_halves": Killers(quick=("router_unit_tests/test_responses_halves.py",)),
    **dict.fromkeys(
        (
            "chat_halves",
            "recovering_events",
            "recovering_stream",
            "second_answers",
            "stream_rescue",
            "stream_settings",
        ),
        Killers(quick=("router_unit_tests/test_stream_recovery.py",)),
    ),
    "token_estimates": Killers(
        quick=("router_unit_tests/test_stream_recovery.py", "router_unit_tests/test_rescued_log.py")
    ),
    "compiled_router_isolation": Killers(quick=("router_unit_tests/test_attempt_isolation.py",)),
    "retry_state": Killers(
        quick=("router_unit_tests/test_retry_state.py", *ATTEMPTS), thorough=("router_unit_tests/test_fallback.py",)
    ),
    "attempts": Killers(quick=ATTEMPTS, thorough=("router_unit_tests/test_public_methods.py",)),
    "affinity": Killers(
        quick=(*ATTEMPTS, "router_unit_tests/test_limits_of_preferred.py"),
        thorough=("router_unit_tests/test_every_strategy.py",),
    ),
    "fallback_cooldown": Killers(quick=ATTEMPTS, thorough=("router_unit_tests/test_fallback.py",)),
    "fallbacks": Killers(quick=("router_unit_tests/test_fallbacks_left.py", *NAMES)),
    **dict.fromkeys(
        ("group_names", "python_router_names", "compiled_router_names", "compiled_router_registry"),
        Killers(quick=NAMES),
    ),
    **dict.fromkeys(
        ("automatic_fallbacks", "python_router_fallbacks", "compiled_router_fallbacks"),
        Killers(
            quick=(
                "router_unit_tests/test_automatic_fallbacks.py",
                "router_unit_tests/test_fallback_permissions.py",
                *NAMES,
            )
        ),
    ),
    "single_attempts": Killers(quick=("router_unit_tests/test_public_methods.py",)),
    "python_router": Killers(
        quick=(*ATTEMPTS, "router_unit_tests/test_wrapped_methods.py"),
        thorough=(
            "router_unit_tests/test_policy_decisions.py",
            "router_unit_tests/test_fallback.py",
        ),
    ),
    "policy": Killers(
        quick=(
            "router_unit_tests/test_next_step.py",
            "router_unit_tests/test_policy_functions.py",
            "router_unit_tests/test_policy_table.py",
            "router_unit_tests/test_policy_decisions.py",
        ),
        thorough=("router_unit_tests/test_cooldown_decision.py", "router_unit_tests/test_fallback.py"),
    ),
}
"""By the last part of a module's name: the tests of those that have none of their own, or need more than these."""


def by_name(paths: Iterable[str]) -> dict[str, str]:
    """The modules at `paths` in the wheel, as `killers` takes them, by the last part of their names; no packages."""
    modules = [path.removeprefix("litellm/").removesuffix(".py") for path in sorted(paths) if path.endswith(".py")]
    return {name: module for module in modules if (name := module.rpartition("/")[2]) != "__init__"}


def path_in_wheel(module: str) -> str:
    """The path of a `module` that `by_name` gives, without its ending."""
    return module if module.startswith("litellm_drill/") else f"litellm/{module}"


def killers(module: str) -> Killers:
    """The tests that the mutants of `module` meet ("router_utils/failover/caller_fault"): those of its name unless
    OTHER_KILLERS has others."""
    name = module.rpartition("/")[2]
    own = sorted(path.relative_to(TESTS).as_posix() for path in TESTS.glob(f"*_*/test_{name}.py"))
    return OTHER_KILLERS.get(name) or Killers(quick=tuple(own))


@dataclass(frozen=True)
class Mutant:
    """One change to a module: in a function, class or table called `where`, what `was` in a line and is there `now`."""

    where: str
    was: str
    now: str
    source: str = field(compare=False, repr=False, default="")  # of the whole module

    def __str__(self) -> str:
        return f"{self.where}: {self.was}  ->  {self.now}"


@dataclass(frozen=True)
class Explanation:
    """Why nothing is amiss when `mutant` survives."""

    mutant: Mutant
    why: str


@dataclass(frozen=True)
class Verdict:
    """What became of the mutants of one module."""

    mutants: int
    survivors: list[Mutant]
    explanations: list[Explanation]

    def __str__(self) -> str:
        survived = len(self.survivors)
        explained = survived - len(self._unexplained())
        return f"{self.mutants} mutants, {self.mutants - survived} killed, {survived} survived, {explained} explained"

    def complaints(self) -> list[str]:
        """What keeps every survivor from being explained and every explanation from being needed."""
        unneeded = {explanation.mutant for explanation in self.explanations} - set(self.survivors)
        return [
            *(f"survives and is not in {SURVIVORS.name}: {mutant}" for mutant in self._unexplained()),
            *(f"is in {SURVIVORS.name} and does not survive: {mutant}" for mutant in sorted(unneeded, key=str)),
        ]

    def _unexplained(self) -> list[Mutant]:
        explained = {explanation.mutant for explanation in self.explanations}
        return [mutant for mutant in self.survivors if mutant not in explained]


def explanations(module: str) -> list[Explanation]:
    """What `survivors.toml` says of `module`, such as "router_utils/failover/caller_fault"."""
    rows = tomllib.loads(SURVIVORS.read_text("utf-8")).get(module.rpartition("/")[2], [])
    return [Explanation(Mutant(row["where"], row["was"], now), row["why"]) for row in rows for now in row["now"]]


def distinct(source: str, changed: Iterable[str]) -> list[Mutant]:
    """The mutants among the texts `changed` that a module of text `source` has become.

    Left out is what does not compile, what changes the layout only, and what was there already.
    """
    meanings = {_meaning(source)}
    mutants = []
    for text in changed:
        meaning = _meaning(text)
        if meaning is not None and meaning not in meanings:
            meanings.add(meaning)
            mutants.append(_mutant(source, text))
    return mutants


def without_one_part(source: str) -> Iterator[str]:
    """`source` without a row of a dict, an item of a tuple, list or set, or a statement run for its effect, in turn."""
    tree = ast.parse(source)
    types = {node for it in ast.walk(tree) if isinstance(it, ast.Subscript) for node in ast.walk(it.slice)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if key is not None:
                    yield _replaced(source, key, value, "**{}")
        elif _is_a_list(node) and node not in types:
            for item in node.elts:
                yield _replaced(source, item, item, "*()")
        elif _has_an_effect(node):
            yield _replaced(source, node, node, "...")


def _is_a_list(node: ast.AST) -> TypeGuard[ast.Tuple | ast.List | ast.Set]:
    """Where items differ in kind, as a name and a status do, they are the cells of a row."""
    if not isinstance(node, (ast.Tuple, ast.List, ast.Set)) or isinstance(getattr(node, "ctx", None), ast.Store):
        return False
    return len({type(item.value) if isinstance(item, ast.Constant) else type(item) for item in node.elts}) == 1


def _has_an_effect(node: ast.AST) -> TypeGuard[ast.stmt]:
    if isinstance(node, ast.Assign):
        return any(isinstance(target, (ast.Attribute, ast.Subscript)) for target in node.targets)
    return isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant))


def _replaced(source: str, first: ast.expr | ast.stmt, last: ast.expr | ast.stmt, by: str) -> str:
    """`source` with all from `first` to `last` replaced."""
    lines = [line.encode() for line in source.splitlines(keepends=True)]  # ast counts bytes
    end_line, end_column = last.end_lineno or 0, last.end_col_offset or 0
    head = b"".join(lines[: first.lineno - 1]) + lines[first.lineno - 1][: first.col_offset]
    tail = lines[end_line - 1][end_column:] + b"".join(lines[end_line:])
    return (head + by.encode() + tail).decode()


def _meaning(source: str) -> str | None:
    """What Python makes of `source`; None if it does not compile."""
    try:
        compile(source, "mutant", "exec", dont_inherit=True)
    except SyntaxError:
        return None
    return ast.dump(ast.parse(source))


def _mutant(source: str, text: str) -> Mutant:
    """The difference between two texts of a module, told as the lines it is in, each way in one."""
    before, after = _tokens(source), _tokens(text)
    old, new = [token.string for token in before], [token.string for token in after]
    head = len(commonprefix([old, new]))
    tail = len(commonprefix([old[head:][::-1], new[head:][::-1]]))
    gone, added = before[head : len(old) - tail], after[head : len(new) - tail]
    start = before[head].start
    end = gone[-1].end if gone else start
    lines = source.splitlines()[start[0] - 1 : end[0]]
    glue = "" if gone and new[head : len(new) - tail] != ["not"] else " "
    now = f"{lines[0][: start[1]]}{_written(text, added)}{glue}{lines[-1][end[1] :]}"
    return Mutant(_place(source, start[0]), _in_one_line(lines), _in_one_line(now.splitlines()), text)


def _written(source: str, tokens: list[tokenize.TokenInfo]) -> str:
    """`tokens`, neighbours in `source`, as they are there."""
    if not tokens:
        return ""
    (first, column), (last, end) = tokens[0].start, tokens[-1].end
    lines = source.splitlines()[first - 1 : last]
    lines[-1] = lines[-1][:end]
    return "\n".join(lines)[column:]


def _in_one_line(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())


def _tokens(source: str) -> list[tokenize.TokenInfo]:
    """Those that matter: no comments and no layout."""
    layout = (tokenize.COMMENT, tokenize.NL)
    return [token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type not in layout]


def _place(source: str, line: int) -> str:
    """The name of the innermost function, class or table with `line`, counted from 1, in it."""
    name = ""
    for node in ast.walk(ast.parse(source)):  # outer ones come first
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            start, found = min([node, *node.decorator_list], key=lambda part: part.lineno).lineno, node.name
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.col_offset == 0:
            start, found = node.lineno, ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
        else:
            continue
        if start <= line <= (node.end_lineno or start):
            name = found
    return name
