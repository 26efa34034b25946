"""Stock and patched LiteLLM side by side through sixteen outages: a broken primary, a healthy fallback, one stream.

`nox -s outages` runs this. It needs two interpreters, one with each litellm; it imports neither itself.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from failover import SIDES, aligned
from scenarios import FAST, SCENARIOS, Observation, Scenario, Verdict, back_after, missed, per_cooldown, while_dead
from tqdm import tqdm
from worker import BenchmarkError, Worker, json_file, version

SCRIPT = Path(__file__).with_name("outages_run.py")
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


def run(pythons: dict[str, str], scenarios: Sequence[Scenario], scale: float) -> Iterator[Outcome]:
    """Go through `scenarios`, both sides of one together, since they mostly wait.

    Raises BenchmarkError as soon as a worker does.
    """
    workers = {side: Worker(python, SCRIPT) for side, python in pythons.items()}
    try:
        with ThreadPoolExecutor(len(workers)) as pool:
            try:
                for scenario in scenarios:
                    question = {"scenario": scenario.id, "scale": scale}
                    asked = {side: pool.submit(worker.ask, question) for side, worker in workers.items()}
                    seen = {side: Observation.from_json(answer.result()) for side, answer in asked.items()}
                    yield Outcome(scenario, **seen)
            finally:
                for worker in workers.values():
                    worker.kill()  # so that the pool need not wait for an answer
    finally:
        for worker in workers.values():
            worker.close()


COLUMNS = ("", "fault", "verdict", "on the primary", "on the fallback", "time", "")


def table(outcomes: Sequence[Outcome]) -> str:
    """One row a scenario, stock → patched; the time is that of the longest request."""
    rows = [
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
    return aligned([COLUMNS, *rows])


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


def report(versions: dict[str, str], scale: float, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Everything seen, for `--json`."""
    return {
        "versions": versions,
        "scale": scale,
        "summary": sentence(outcomes),
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


def _parser() -> argparse.ArgumentParser:
    names = tuple(scenario.id for scenario in SCENARIOS)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stock", required=True, metavar="PYTHON", help="interpreter that imports stock litellm")
    parser.add_argument("--patched", required=True, metavar="PYTHON", help="interpreter that imports the patched one")
    parser.add_argument("--full", action="store_true", help="the published times, not a tenth of them; five minutes")
    parser.add_argument("--json", metavar="FILE", type=json_file, help="write every observation to FILE")
    parser.add_argument("--scenario", nargs="+", choices=names, default=names, help="only these")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the outages; 0 when nothing is worse and every promise kept, else 1, 2 when nothing could be measured."""
    options = _parser().parse_args(arguments)
    pythons = {"stock": options.stock, "patched": options.patched}
    scale = PUBLISHED if options.full else FAST
    scenarios = [scenario for scenario in SCENARIOS if scenario.id in options.scenario]
    try:
        versions = {side: version(python) for side, python in pythons.items()}
        # disable=None: no bar where standard error is not a terminal.
        progress = tqdm(run(pythons, scenarios, scale), total=len(scenarios), unit="outage", leave=False, disable=None)
        outcomes = list(progress)
    except BenchmarkError as error:
        print(f"outages: {error}", file=sys.stderr)
        return 2
    if options.json is not None:
        options.json.write_text(json.dumps(report(versions, scale, outcomes), indent=1) + "\n")
    print("litellm {stock} (stock) → {patched} (patched)".format(**versions))
    print(f"times are the published ones times {scale:g}, but Retry-After and LiteLLM's own back-off\n")
    print(table(outcomes), end="\n\n")
    for remark in remarks(outcomes):
        print(f"- {remark}")
    print()
    print(sentence(outcomes))
    return int(any(outcome.complaints for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
