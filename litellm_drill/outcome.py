"""What a drill has found out: which fault a group met, what became of the question, and what that says of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from litellm_drill.finding import joined
from litellm_drill.stand_in import Fault


class Scope(Enum):
    """How much of a group is broken."""

    ONE = "one"
    PAIR = "pair"
    ALL = "all"


class Verdict(Enum):
    """What became of the questions that met a fault, from best to worst."""

    UNASKED = "not asked"
    ANSWERED = "answered"
    CUT = "cut short"
    FAILED = "failed"


SEVERITIES = list(Verdict)


@dataclass(frozen=True)
class Scenario:
    """The deployments of `group` by their numbers that are `broken` by `fault` while it is asked, streamed or not."""

    group: str
    broken: tuple[int, ...]
    scope: Scope
    fault: Fault
    streamed: bool


@dataclass(frozen=True)
class Step:
    """An attempt of a question: at which deployment, from and to when in seconds after the question, and with what
    result."""

    label: str
    began: float
    ended: float
    result: str


@dataclass(frozen=True)
class Outcome:
    """What became of a scenario: the worst of its questions that met the fault. `added` is what it took beyond a
    healthy group's answer, `own` what it would take with the config's own timeouts, both in seconds; `own` is None
    where they are not in the file."""

    scenario: Scenario
    verdict: Verdict
    broken: tuple[str, ...]
    answered_by: str
    seen: str
    added: float
    own: float | None
    steps: tuple[Step, ...]

    @property
    def attempts(self) -> int:
        """How many deployments were asked, counted as often as they were."""
        return len(self.steps)


@dataclass(frozen=True)
class Report:
    """All that one LiteLLM `release` did with a config, and what was not drilled, with the reason, and denied; `unwell`
    has what was seen of each group that does not answer even while nothing is broken, by its name."""

    release: str
    outcomes: tuple[Outcome, ...]
    not_drilled: Mapping[str, str]
    replaced: tuple[str, ...]
    denied: tuple[str, ...]
    seconds: float
    unwell: Mapping[str, str] = field(default_factory=dict)

    @property
    def groups(self) -> list[str]:
        """Those that were drilled, in order."""
        return list(dict.fromkeys(outcome.scenario.group for outcome in self.outcomes))

    @property
    def left_out(self) -> dict[str, str]:
        """What was not drilled, with the reason."""
        unwell = {name: f"does not answer even when nothing is broken: {seen}" for name, seen in self.unwell.items()}
        return {**self.not_drilled, **unwell}

    def lost(self) -> list[str]:
        """The groups that do not survive the loss of one deployment, whatever its fault: a stream cut after its first
        words is not a loss, and told by itself."""
        failed = (one for one in self.outcomes if one.scenario.scope is Scope.ONE and is_loss(one))
        return list(dict.fromkeys(one.scenario.group for one in failed))

    def cut(self) -> list[str]:
        """The groups whose streams stay broken off when one deployment has cut them."""
        stayed = (one for one in self.outcomes if one.scenario.scope is Scope.ONE and one.verdict is Verdict.CUT)
        return list(dict.fromkeys(one.scenario.group for one in stayed))


def is_loss(outcome: Outcome) -> bool:
    """Whether a caller had no answer, a stream that was cut after its first words left aside."""
    return outcome.verdict is Verdict.FAILED


def is_cut_stream(scenario: Scenario) -> bool:
    """Whether the caller has the first words before anything fails."""
    return scenario.fault is Fault.CUT and scenario.streamed


def worst(outcomes: Iterable[Outcome]) -> Outcome | None:
    """The worst of them, the slowest of those that are equally bad; None if there is none."""
    return max(outcomes, key=lambda one: (SEVERITIES.index(one.verdict), one.added), default=None)


def sentence(report: Report) -> str:
    """The one that matters."""
    lost, every = report.lost(), report.groups
    if not every:
        return "No group could be drilled."
    if not lost:
        return (
            f"All {len(every)} groups survive the loss of one deployment."
            if len(every) > 1
            else ("The one group survives the loss of one deployment.")
        )
    verb = "do" if len(every) > 1 else "does"
    groups = "groups" if len(every) > 1 else "group"
    return f"{len(lost)} of {len(every)} {groups} {verb} not survive the loss of one deployment: {joined(lost)}."


def about_unwell(report: Report) -> str:
    """Which groups nothing can be said of; empty if there is none."""
    if not report.unwell:
        return ""
    return f"Not drilled, as no answer comes even when nothing is broken: {joined(report.unwell)}."


def remarks(report: Report) -> list[str]:
    """What is said of a report in sentences, the one that matters last."""
    return [*filter(None, (about_streams(report), about_standby(report), about_unwell(report))), sentence(report)]


def about_standby(report: Report) -> str:
    """Which deployments no question came to, so that their loss was not tried; empty if there is none."""
    asked: dict[str, bool] = {}
    for one in report.outcomes:
        if one.scenario.scope is Scope.ONE:
            asked[one.broken[0]] = asked.get(one.broken[0], False) or one.verdict is not Verdict.UNASKED
    idle = [label for label, is_asked in asked.items() if not is_asked]
    return f"No question came to what stands by, so that its loss alone was not tried: {joined(idle)}." if idle else ""


def about_streams(report: Report) -> str:
    """What becomes of streams that break off after their first words; empty where none was drilled."""
    drilled = [one for one in report.outcomes if is_cut_stream(one.scenario) and one.verdict is not Verdict.UNASKED]
    if not drilled:
        return ""
    cut = report.cut()
    if not cut:
        return "Streams that break off after their first words are finished by another deployment."
    return f"A stream that breaks off after its first words stays cut short in: {joined(cut)}."


def matrix(outcomes: Sequence[Outcome], group: str, fault: Fault) -> dict[Scope, Outcome | None]:
    """The worst outcome of a group and a fault, by how much of it is broken."""
    own = [one for one in outcomes if one.scenario.group == group and one.scenario.fault is fault]
    return {scope: worst(one for one in own if one.scenario.scope is scope) for scope in Scope}
