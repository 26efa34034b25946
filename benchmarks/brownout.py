"""Stock and patched LiteLLM side by side while the hosts of a group fail a part of what they are asked: the attempts a
request makes, and how many are answered, with the retry budget and without.

`nox -s bench -- brownout` runs this.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from brownout_work import BOTH, ONE, PER_SECOND, PERCENTS, SECONDS, VARIANTS, Count
from harness import Benchmark, Row, asked_together, concluded

GROUPS = {BOTH: "both fail", ONE: "one fails, the other is well"}
MOST_ATTEMPTS = 1.3
"""Attempts a request may make where both hosts fail at least `FROM` percent."""
FROM = 70
TOGETHER = 2
"""Groups that are measured at the same time: more would keep a processor busy."""

EXPLANATION = f"""\
{PER_SECOND} requests/s, num_retries 2 as is LiteLLM's default; hosts that fail answer 503 by chance
kept in rotation: with disable_cooldowns; attempts are those of a request, answered is of the requests
stock → patched without the retry budget → patched
"""


@dataclass(frozen=True)
class Outcome:
    """A group at one error rate: on stock LiteLLM, on the patched one without the budget, and as it is."""

    variant: str
    keeps: bool
    stock: Count
    unlimited: Count
    patched: Count

    @property
    def name(self) -> str:
        return f"{GROUPS[self.variant]}{', kept in rotation' if self.keeps else ''}, {self.patched.percent} %"

    @property
    def complaints(self) -> list[str]:
        """What the patched side does worse than it promises."""
        found = []
        if self.variant == ONE and self.patched.answered < self.patched.asked:
            found.append(f"lost {self.patched.asked - self.patched.answered} requests beside a healthy host")
        is_limited = self.variant == BOTH and self.patched.percent >= FROM
        if is_limited and attempts(self.patched) > MOST_ATTEMPTS:
            found.append(f"{attempts(self.patched):.2f} attempts a request")
        return found


def attempts(count: Count) -> float:
    """Attempts that a request made."""
    return count.attempts / count.asked


def run(pythons: Mapping[str, str], options: argparse.Namespace) -> Iterator[Outcome]:
    """Both sides of a variant together, since they mostly wait."""
    some = [options.percent[place : place + TOGETHER] for place in range(0, len(options.percent), TOGETHER)]
    cells = list(itertools.product(options.variant, options.keeps, some))
    questions = [
        {"variant": variant, "keeps": keeps, "percents": percents, "has_budget": budget, "seconds": options.seconds}
        for variant, keeps, percents in cells
        for budget in (False, True)
    ]
    answers = asked_together(pythons, "brownout_work", questions)
    for variant, keeps, _ in cells:
        without, budgeted = next(answers)["patched"], next(answers)
        for stock, unlimited, patched in zip(budgeted["stock"], without, budgeted["patched"], strict=True):
            yield Outcome(variant, keeps, Count(**stock), Count(**unlimited), Count(**patched))


COLUMNS = ("group", "asked", "attempts", "answered", "")


def row(outcome: Outcome) -> Row:
    """A group, stock → patched without the budget → patched."""

    def change(of: Callable[[Count], str]) -> str:
        return " → ".join(map(of, (outcome.stock, outcome.unlimited, outcome.patched)))

    return (
        outcome.name,
        str(outcome.patched.asked),
        change(lambda count: f"{attempts(count):.2f}"),
        change(lambda count: f"{count.answered / count.asked:.0%}"),
        "WRONG" if outcome.complaints else "",
    )


def sentence(outcomes: Sequence[Outcome]) -> str:
    """The run in one sentence."""
    failing = [one for one in outcomes if one.variant == BOTH and one.patched.percent >= FROM]
    most = [max((attempts(getattr(one, side)) for one in failing), default=0.0) for side in ("stock", "patched")]
    said = f"where both fail {FROM} % or more, a request made up to {most[0]:.2f} attempts, patched {most[1]:.2f}"
    wrong = [f"{one.name}: {complaint}" for one in outcomes for complaint in one.complaints]
    return concluded(said, wrong)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be left out or made shorter."""
    parser.add_argument("--variant", nargs="+", choices=VARIANTS, default=VARIANTS, help="only these")
    parser.add_argument(
        "--kept", dest="keeps", action="store_const", const=(True,), default=(False, True), help="only these"
    )
    parser.add_argument("--percent", nargs="+", type=int, default=PERCENTS, help="of failures; default: %(default)s")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each; default: %(default)s")


def report(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Everything measured, for `--json`."""
    return {"groups": [{**asdict(one), "complaints": one.complaints} for one in outcomes]}


BENCHMARK: Benchmark[Outcome] = Benchmark(
    name="brownout",
    about=__doc__,
    add_arguments=add_arguments,
    steps=lambda options: len(options.variant) * len(options.keeps) * len(options.percent),
    run=run,
    explain=lambda options: EXPLANATION,
    columns=COLUMNS,
    rows=lambda outcomes: list(map(row, outcomes)),
    remarks=lambda outcomes: (),
    sentence=sentence,
    report=report,
    failed=lambda outcomes: any(outcome.complaints for outcome in outcomes),
)
