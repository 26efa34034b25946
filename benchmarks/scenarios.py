"""Sixteen outages of one provider, what a good router makes of each, and how far a router got.

An outage is a row of `SCENARIOS`: the primary's script, the checks that matter, and what this branch promises on top.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from support.faulty_provider import FAULTS, RESET, SILENT, Fault
from support.scripted_provider import HEALTHY_STREAM, PREFILL_REFUSAL, Step, Stream, rejection

RETRIES = 2
TIMEOUT = 30.0
"""Seconds the Router gives an attempt; this and every time of a script is scaled."""
STREAM_TIMEOUT = 12.0
"""Seconds to the first words of a stream and between two of its events, scaled, as docs/settings.md recommends."""
COOLDOWN = 5.0
"""Seconds of the Router's cooldown, scaled; LiteLLM's own default."""
FAST = 0.1
"""The scale unless the published timings are asked for."""

# These are not scaled: a Retry-After is in whole seconds, and LiteLLM's back-off is its own.
RETRY_AFTER = 2
WAITED = 1.8
STORM_WINDOW = 3.0
BACK_OFF = 0.5
"""LiteLLM's shortest back-off: between two attempts with no pause as long as this there was none."""
MARGIN = 1.0
"""Seconds over the fallback's own time in which a request that loses no time is answered."""

WORDS = 60
ANSWER = " ".join(f"word{number}" for number in range(1, WORDS + 1))
PRIMARY, FALLBACK, LARGER = "primary-model", "fallback-model", "larger-model"
PRIMARY_TOKENS, FALLBACK_TOKENS = 11, 22
"""Prompt tokens each provider counts: they tell whose usage the caller was given."""

REFUSED_CONTENT = "Our safety rules do not allow this prompt."


class Verdict(IntEnum):
    """How a router got through an outage; more is better."""

    FAIL = 0
    """The caller hangs, takes a part for the whole, or a required check is missed."""
    SAFE = 1
    """A bounded, clean error."""
    PARTIAL = 2
    """Rescued, with an advisory check missed."""
    PASS = 3
    """Rescued, and every check met."""


@dataclass(frozen=True)
class Reply:
    """What the caller of one request saw; times in seconds since the scenario began.

    `models` are the models its chunks named, in order; `prompt_tokens` and `completion_tokens` those of its usage.
    `error` is the class that was raised, `message` its text and `clean` whether it is one of OpenAI's classes; `hung`
    is that the request came to no end.
    """

    begun: float
    ended: float
    first_word: float | None = None
    text: str = ""
    finish_reason: str | None = None
    models: tuple[str, ...] = ()
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    error: str | None = None
    message: str = ""
    clean: bool = True
    hung: bool = False

    @property
    def seconds(self) -> float:
        return self.ended - self.begun

    @property
    def whole(self) -> bool:
        return self.error is None and not self.hung and self.text == ANSWER

    @property
    def false_success(self) -> bool:
        return self.error is None and not self.hung and self.text != ANSWER


@dataclass(frozen=True)
class Attempt:
    """A request one of the providers read, `at` seconds after the scenario began; whether it was met by the fault."""

    at: float
    model: str
    prefilled: bool
    faulty: bool


@dataclass(frozen=True)
class Observation:
    """What became of a scenario.

    `own_time` is how long the fallback takes when it is asked itself, in seconds; `healed` when the primary became
    healthy; `afterwards` a request made when the fault had gone, whose attempts are not among the others.
    """

    scenario: str
    scale: float
    own_time: float
    replies: tuple[Reply, ...]
    primary: tuple[Attempt, ...]
    fallback: tuple[Attempt, ...]
    healed: float | None = None
    afterwards: Reply | None = None

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Observation:
        """The observation a worker printed as JSON."""
        replies, afterwards = content["replies"], content["afterwards"]
        attempts = {side: tuple(Attempt(**attempt) for attempt in content[side]) for side in ("primary", "fallback")}
        return cls(
            **{**content, **attempts, "replies": tuple(map(_reply, replies))}
            | {"afterwards": _reply(afterwards) if afterwards else None}
        )

    @property
    def worst(self) -> float:
        """The longest request, in seconds."""
        return max(reply.seconds for reply in self.replies)


def _reply(content: dict[str, Any]) -> Reply:
    return Reply(**{**content, "models": tuple(content["models"])})


@dataclass(frozen=True)
class Check:
    """Something to be seen in an observation, and the words for it."""

    words: str
    holds: Callable[[Observation], bool]


def most_within(times: Iterable[float], window: float) -> int:
    """The most of `times` in any stretch of `window` seconds."""
    every = list(times)
    return max((sum(start <= time < start + window for time in every) for start in every), default=0)


def per_cooldown(seen: Observation) -> int:
    """The most attempts on the broken primary within one cooldown period."""
    return most_within((attempt.at for attempt in seen.primary if attempt.faulty), COOLDOWN * seen.scale)


def while_dead(seen: Observation) -> int:
    """Attempts the fault met."""
    return sum(attempt.faulty for attempt in seen.primary)


def back_after(seen: Observation) -> float | None:
    """Seconds from the primary's healing to its next use; None if it never healed or was not used again."""
    if seen.healed is None:
        return None
    return min((attempt.at - seen.healed for attempt in seen.primary if not attempt.faulty), default=None)


def longest_pause(seen: Observation) -> float:
    """The longest time between two attempts that follow each other, in seconds."""
    times = sorted(attempt.at for attempt in (*seen.primary, *seen.fallback))
    return max((after - before for before, after in zip(times, times[1:], strict=False)), default=0.0)


def _waited(seen: Observation) -> bool:
    times = [attempt.at for attempt in seen.primary]
    return len(times) < 2 or times[1] - times[0] >= WAITED


def _back_within(seconds: float) -> Callable[[Observation], bool]:
    def holds(seen: Observation) -> bool:
        after = back_after(seen)
        return after is not None and after <= seconds * seen.scale

    return holds


def _first_word_within(seconds: float) -> Callable[[Observation], bool]:
    def holds(seen: Observation) -> bool:
        return all(r.first_word is not None and r.first_word - r.begun < seconds * seen.scale for r in seen.replies)

    return holds


def _primary_attempts(most: int) -> Check:
    words = "one attempt on the primary" if most == 1 else f"at most {most} attempts on the primary"
    return Check(words, lambda seen: len(seen.primary) <= most)


def _all(predicate: Callable[[Reply], bool]) -> Callable[[Observation], bool]:
    return lambda seen: all(map(predicate, seen.replies))


def _where_answered(predicate: Callable[[Reply], bool]) -> Callable[[Observation], bool]:
    return _all(lambda reply: not reply.whole or predicate(reply))


def _reason_shown(reply: Reply) -> bool:
    return REFUSED_CONTENT in reply.message


RESCUED = Check("the whole answer", _all(lambda reply: reply.whole))
DECIDED = Check("the whole answer or the reason", _all(lambda reply: reply.whole or _reason_shown(reply)))
REASON = Check("the provider's reason reaches the caller", _all(_reason_shown))
NO_FALSE_SUCCESS = Check("no part of an answer shown as the whole", _all(lambda reply: not reply.false_success))
NO_HANG = Check("every request comes to an end", _all(lambda reply: not reply.hung))
CLEAN = Check("an error of the API's classes", _all(lambda reply: reply.clean))
BUDGET = Check(
    f"at most {RETRIES} retries a request", lambda seen: len(seen.primary) <= (1 + RETRIES) * len(seen.replies)
)
FINISHED = Check("finish_reason is stop", _where_answered(lambda reply: reply.finish_reason == "stop"))
WAITED_OR_LEFT = Check(f"no second attempt on the primary before {WAITED} s", _waited)
NO_STORM = Check(
    f"at most 4 attempts on the primary in {STORM_WINDOW:g} s",
    lambda seen: most_within((attempt.at for attempt in seen.primary), STORM_WINDOW) <= 4,
)
ONE_RETRY = Check("at most one retry", lambda seen: len(seen.primary) + len(seen.fallback) <= 2)
ONE_ATTEMPT = _primary_attempts(1)
TWO_ATTEMPTS = _primary_attempts(2)
FIRST_WORD = Check("the first word within 15 s", _first_word_within(15))
AFTERWARDS = Check("the next request is answered", lambda seen: seen.afterwards is not None and seen.afterwards.whole)
PROMPT = Check(f"within {MARGIN:g} s of the fallback's own time", lambda seen: seen.worst < seen.own_time + MARGIN)
USAGE = Check("the usage is there", _where_answered(lambda reply: reply.completion_tokens == WORDS))
LARGER_MODEL = Check("only the larger model is asked", lambda seen: {a.model for a in seen.fallback} == {LARGER})
NO_PREFILL_REFUSAL = Check("the refused prefill is not shown", _all(lambda r: PREFILL_REFUSAL not in r.message))
NAMED = Check("only the fallback's model is named", _where_answered(lambda reply: reply.models == (FALLBACK,)))
OWN_USAGE = Check("the usage is the fallback's", _where_answered(lambda r: r.prompt_tokens == FALLBACK_TOKENS))
BACK = Check("the primary is used within 30 s of healing", _back_within(30))
NO_BACK_OFF = Check("no back-off", lambda seen: longest_pause(seen) < BACK_OFF)
ONE_TIMEOUT = Check("one timeout", lambda seen: len(seen.primary) == 1 and seen.worst < TIMEOUT * seen.scale)
ONE_PER_COOLDOWN = Check("at most one attempt on the primary per cooldown", lambda seen: per_cooldown(seen) <= 1)

EVERYWHERE = (NO_HANG, NO_FALSE_SUCCESS, CLEAN, BUDGET)
"""Required in every scenario."""

AT_ONCE = (RESCUED, TWO_ATTEMPTS, NO_BACK_OFF)
"""What this branch promises where the primary says that it cannot answer."""


@dataclass(frozen=True)
class Scenario:
    """An outage. Times are in seconds before scaling.

    `required` are checks whose miss is a failure, `advisory` those whose miss makes a rescue partial: a miss of the
    first tells the caller something false or hammers a provider, of the second costs time or attempts. `today` is the
    published verdict on stock LiteLLM 1.103.7, and `promised` what this branch keeps beyond it. `heals_after` switches
    the fault off; `asked_afterwards` switches it off after the last request and makes one more.
    """

    id: str
    fault: str
    script: tuple[Step, ...]
    today: Verdict
    required: tuple[Check, ...] = ()
    advisory: tuple[Check, ...] = ()
    promised: tuple[Check, ...] = ()
    rescued: Check = RESCUED
    requests: int = 1
    interval: float = 0.0
    heals_after: float | None = None
    asked_afterwards: bool = False
    takes_prefill: bool = True

    def verdict(self, seen: Observation) -> Verdict:
        """How the router that was seen got through."""
        if missed((*EVERYWHERE, *self.required), seen):
            return Verdict.FAIL
        if not self.rescued.holds(seen):
            return Verdict.SAFE
        return Verdict.PARTIAL if missed((FINISHED, *self.advisory), seen) else Verdict.PASS

    def misses(self, seen: Observation) -> list[str]:
        """Every check that was missed, in words."""
        checks = (*EVERYWHERE, *self.required, self.rescued, FINISHED, *self.advisory)
        return missed(dict.fromkeys(checks), seen)


def missed(checks: Iterable[Check], seen: Observation) -> list[str]:
    """The words of those `checks` that do not hold."""
    return [check.words for check in checks if not check.holds(seen)]


def once(fault: Fault) -> tuple[Step, ...]:
    return (fault, HEALTHY_STREAM)


def always(step: Step) -> tuple[Step, ...]:
    return (step,)


TOO_LONG = rejection(
    "context_length_exceeded", "This model's maximum context length is 8192 tokens, and the messages have 9000."
)
UNSAFE = rejection("content_policy_violation", REFUSED_CONTENT)
LIMITED = Fault.status(429, retry_after=RETRY_AFTER)
LATE = Stream(first_after=20)
CUT = Stream(cut_after=40)
# Published as 30 s. That is the timeout too, and either might come first; half as long again leaves it to the timeout.
STALLED = Stream(stall_after=20, stall=45)
GARBLED = Stream(garbled_chunk=10)
NOT_DONE = Stream(done=False)

FAIL, SAFE, PARTIAL, PASS = Verdict

SCENARIOS: Sequence[Scenario] = (
    Scenario("S01", "429 with Retry-After 2, once", once(LIMITED), PASS, required=(WAITED_OR_LEFT,)),
    Scenario("S02", "429 always", always(FAULTS["429"]), PASS, required=(NO_STORM,), promised=AT_ONCE),
    Scenario("S03", "500 once", once(FAULTS["500"]), PASS, advisory=(ONE_RETRY,)),
    Scenario("S04", "503 always", always(FAULTS["503"]), PASS, promised=AT_ONCE),
    Scenario("S05", "reset once, before headers", once(RESET), PASS),
    Scenario("S06", "never answers", always(SILENT), PARTIAL, advisory=(ONE_ATTEMPT,), promised=(RESCUED, ONE_TIMEOUT)),
    Scenario(
        "S07", "first token after 20 s", always(LATE), PARTIAL, advisory=(FIRST_WORD,), promised=(RESCUED, FIRST_WORD)
    ),
    Scenario("S08", "cut after 40 of 60 words", always(CUT), SAFE, promised=(RESCUED,)),
    Scenario(
        "S09",
        "stalls after 20 words",
        always(STALLED),
        SAFE,
        required=(AFTERWARDS,),
        promised=(RESCUED,),
        asked_afterwards=True,
    ),
    Scenario("S10", "tenth chunk is not JSON", always(GARBLED), SAFE, promised=(RESCUED,)),
    Scenario("S11", "no [DONE]", always(NOT_DONE), PASS, required=(PROMPT,), advisory=(USAGE,)),
    Scenario("S12", "400 context_length_exceeded", always(TOO_LONG), PASS, advisory=(ONE_ATTEMPT, LARGER_MODEL)),
    Scenario(
        "S13",
        "400 content_policy_violation",
        always(UNSAFE),
        PARTIAL,
        advisory=(ONE_ATTEMPT, REASON),
        promised=(REASON,),
        rescued=DECIDED,
    ),
    Scenario(
        "S14",
        "as S08, no prefill",
        always(CUT),
        SAFE,
        required=(NO_PREFILL_REFUSAL,),
        promised=(RESCUED,),
        takes_prefill=False,
    ),
    Scenario(
        "S15",
        "503 for 60 s, then healthy",
        always(FAULTS["503"]),
        PASS,
        advisory=(BACK,),
        promised=(RESCUED, ONE_PER_COOLDOWN, PROMPT),
        requests=20,
        interval=4,
        heals_after=60,
    ),
    Scenario("S16", "503 always", always(FAULTS["503"]), PASS, required=(NAMED, OWN_USAGE), promised=AT_ONCE),
)
