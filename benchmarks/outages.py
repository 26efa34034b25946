"""Stock and patched LiteLLM side by side through sixteen outages: a broken primary, a healthy fallback, one stream.

`nox -s bench -- outages` runs this.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import picture
from harness import SIDES, Benchmark, Row, asked_together, writable
from scenarios import (
    FAST,
    RETRIES,
    SCENARIOS,
    STREAM_TIMEOUT,
    TIMEOUT,
    Observation,
    Scenario,
    Verdict,
    back_after,
    missed,
    per_cooldown,
    while_dead,
)

PUBLISHED = 1.0
"""The scale of `--full`."""


@dataclass(frozen=True)
class Outcome:
    """One scenario on both sides."""

    scenario: Scenario
    stock: Observation
    patched: Observation

    @property
    def sides(self) -> tuple[Observation, Observation]:
        return self.stock, self.patched

    @property
    def verdicts(self) -> tuple[Verdict, Verdict]:
        return self.scenario.verdict(self.stock), self.scenario.verdict(self.patched)

    @property
    def change(self) -> int:
        """Steps by which patched is better than stock; negative where it is worse."""
        stock, patched = self.verdicts
        return patched - stock

    @property
    def complaints(self) -> list[str]:
        """What the patched side does worse than stock, or not as promised."""
        stock, patched = map(_name, self.verdicts)
        worse = [f"{patched} where stock is {stock}"] if self.change < 0 else []
        return worse + [f"not kept: {words}" for words in missed(self.scenario.promised, self.patched)]


def _name(verdict: Verdict) -> str:
    return verdict.name.lower()


def run(pythons: Mapping[str, str], options: argparse.Namespace) -> Iterator[Outcome]:
    """Go through the scenarios that were asked for, both sides of one together, since they mostly wait."""
    scenarios = chosen(options)
    questions = [{"scenario": scenario.id, "scale": _scale(options)} for scenario in scenarios]
    for scenario, answers in zip(scenarios, asked_together(pythons, "outages_run", questions), strict=True):
        outcome = Outcome(scenario, **{side: Observation.from_json(answer) for side, answer in answers.items()})
        if options.picture is not None and scenario.heals_after is not None:
            sides = (("stock LiteLLM", outcome.stock), ("patched", outcome.patched))
            options.picture.write_text(picture.draw(sides), "utf-8")
        yield outcome


def chosen(options: argparse.Namespace) -> list[Scenario]:
    """The scenarios that were asked for."""
    return [scenario for scenario in SCENARIOS if scenario.id in options.scenario]


def _scale(options: argparse.Namespace) -> float:
    return PUBLISHED if options.full else FAST


COLUMNS = ("", "fault", "verdict", "on the primary", "on the fallback", "time", "")


def rows(outcomes: Sequence[Outcome]) -> list[Row]:
    """One row a scenario, stock → patched; the time is that of the longest request."""
    return [
        (
            outcome.scenario.id,
            outcome.scenario.fault,
            " → ".join(map(_name, outcome.verdicts)),
            _change(outcome, lambda seen: str(len(seen.primary))),
            _change(outcome, lambda seen: str(len(seen.fallback))),
            _change(outcome, lambda seen: f"{seen.worst:.2f} s"),
            "WRONG" if outcome.complaints else "better" if outcome.change > 0 else "",
        )
        for outcome in outcomes
    ]


def _change(outcome: Outcome, show: Callable[[Observation], str]) -> str:
    return " → ".join(map(show, outcome.sides))


def remarks(outcomes: Sequence[Outcome]) -> list[str]:
    """What the table has no column for: how an outage that ends went, and where stock is not as published."""
    found = []
    for outcome in outcomes:
        name, published, stock = outcome.scenario.id, outcome.scenario.today, outcome.verdicts[0]
        if outcome.scenario.heals_after is not None:
            found += [f"{name}: {words} {_change(outcome, show)}" for words, show in RECOVERY.items()]
        if stock is not published:
            why = "; ".join(outcome.scenario.misses(outcome.stock)) or "every check met"
            found.append(f"{name}: stock LiteLLM is published as {_name(published)} and is {_name(stock)} here ({why})")
    return found


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f} s"


RECOVERY: dict[str, Callable[[Observation], str]] = {
    "attempts on the dead primary:": lambda seen: str(while_dead(seen)),
    "most of them within one cooldown:": lambda seen: str(per_cooldown(seen)),
    "worst request over the fallback's own time:": lambda seen: _seconds(seen.worst - seen.own_time),
    "the primary used again, after it healed:": lambda seen: _seconds(back_after(seen)),
}


def sentence(outcomes: Sequence[Outcome]) -> str:
    """The run in one sentence."""
    wrong = [(outcome, complaint) for outcome in outcomes for complaint in outcome.complaints]
    scores = [_score([outcome.verdicts[side] for outcome in outcomes]) for side, _ in enumerate(SIDES)]
    numbers = f"stock LiteLLM: {scores[0]}; the patched one: {scores[1]}"
    if not wrong:
        return f"The patched LiteLLM is nowhere worse and keeps every promise; {numbers}."
    broken = ", ".join(f"{outcome.scenario.id} {complaint}" for outcome, complaint in wrong)
    return f"The patched LiteLLM is wrong: {broken}; {numbers}."


def _score(verdicts: Sequence[Verdict]) -> str:
    return ", ".join(f"{verdicts.count(verdict)} {_name(verdict)}" for verdict in sorted(Verdict, reverse=True))


def report(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Everything seen, for `--json`."""
    return {
        "remarks": remarks(outcomes),
        "scenarios": [
            {
                "id": outcome.scenario.id,
                "fault": outcome.scenario.fault,
                "published": _name(outcome.scenario.today),
                "complaints": outcome.complaints,
                **{side: _side(outcome.scenario, getattr(outcome, side)) for side in SIDES},
            }
            for outcome in outcomes
        ],
    }


def _side(scenario: Scenario, seen: Observation) -> dict[str, Any]:
    return {"verdict": _name(scenario.verdict(seen)), "missed": scenario.misses(seen), **asdict(seen)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be left out or asked for."""
    names = tuple(scenario.id for scenario in SCENARIOS)
    parser.add_argument("--full", action="store_true", help="the published times, not a tenth of them; five minutes")
    parser.add_argument("--picture", metavar="FILE", type=writable, help="draw S15, the outage that ends, as an SVG")
    parser.add_argument("--scenario", nargs="+", choices=names, default=names, help="only these")


BENCHMARK: Benchmark[Outcome] = Benchmark(
    name="outages",
    about=__doc__,
    add_arguments=add_arguments,
    steps=lambda options: len(chosen(options)),
    run=run,
    explain=lambda options: (
        f"times are the published ones times {_scale(options):g}, but Retry-After and LiteLLM's own back-off;\n"
        f"num_retries: {RETRIES}, timeout: {TIMEOUT:g} s, stream_timeout: {STREAM_TIMEOUT:g} s, "
        "content_policy_fallbacks: [{primary: []}],\n"
        "model_info: {supports_assistant_prefill: true} of each deployment; stream_recovery is continue, the default\n"
    ),
    columns=COLUMNS,
    rows=rows,
    remarks=remarks,
    sentence=sentence,
    report=report,
    failed=lambda outcomes: any(outcome.complaints for outcome in outcomes),
)
