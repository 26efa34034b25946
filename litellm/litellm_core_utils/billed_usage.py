"""
Has the log of a failure name the tokens that a provider bills for an answer of 200 that is none.
"""

import functools
from collections.abc import Callable, Iterator, MutableMapping
from typing import Final, NamedTuple, Protocol, TypeVar

import litellm
from litellm.litellm_core_utils.exception_chain import iter_exception_chain, safe_getattr
from litellm.litellm_core_utils.json_values import JsonObject, decoded_json, json_object

Result = TypeVar("Result")

BILLED: Final = "litellm_failover_billed"
"""Where it is kept on what is raised for such an answer, and among its response's extensions."""

_COUNTS: Final = (
    (("usage",), "prompt_tokens", ("completion_tokens",)),  # OpenAI's chat, Mistral's, …
    (("usage",), "input_tokens", ("output_tokens",)),  # Anthropic's messages, OpenAI's responses and images
    (("usage",), "inputTokens", ("outputTokens",)),  # Bedrock's Converse
    (("usageMetadata",), "promptTokenCount", ("candidatesTokenCount", "thoughtsTokenCount")),  # Google's
    (("usage", "billed_units"), "input_tokens", ("output_tokens",)),  # Cohere's
    (("meta", "billed_units"), "input_tokens", ("output_tokens",)),  # Cohere's before its second version
    ((), "prompt_eval_count", ("eval_count",)),  # Ollama's
)
"""Where an answer's object has its counts, and the names of the tokens that went in and came out."""

_PLACES: Final = frozenset(name for path, sent, received in _COUNTS for name in (path[:1] or (sent, *received)))
"""The fields of which an answer that says what it costs has one."""

_HOLDERS: Final = ("message", "response", "delta", "x_groq")
"""Where an event has the answer's object, if it is not that object itself."""


class Billed(NamedTuple):
    """The tokens of an answer, those of the request and its own."""

    prompt_tokens: int
    completion_tokens: int


class CallLog(Protocol):
    """What is asked of LiteLLM's `Logging`."""

    model_call_details: MutableMapping[str, object]


def billed_in(content: bytes) -> Billed | None:
    """What an answer's body says that it costs; None where it says nothing, or that it costs nothing."""
    return _billed_in(json_object(decoded_json(content)))


def billed_with(before: Billed | None, event: object) -> Billed | None:
    """What a stream costs, of which the events `before` have said so much, with one more. Each count is the highest one
    said: some providers count up, and some say in one event what was sent and in another what has come."""
    if not isinstance(event, dict):
        return before
    for holder in (event, *(event[name] for name in _HOLDERS if name in event)):
        if isinstance(holder, dict) and not _PLACES.isdisjoint(holder):  # few events say what they cost
            said = _billed_in(holder)
            before = Billed(*map(max, before or said, said)) if said else before
    return before


def _billed_in(answer: JsonObject) -> Billed | None:
    for path, sent, received in _COUNTS:
        counts = answer
        for name in path:
            counts = json_object(counts.get(name))
        billed = Billed(_count(counts.get(sent)), sum(_count(counts.get(one)) for one in received))
        if any(billed):
            return billed
    return None


def billed_for(failure: BaseException) -> Billed | None:
    """What is kept of the answer that `failure` was raised for."""
    found: Final = (kept for link in iter_exception_chain(failure) for kept in _kept(link))
    return next((one for one in found if isinstance(one, Billed)), None)


def log_billed_usage(record: Callable[..., Result]) -> Callable[..., Result]:
    """Wrap `Logging._failure_handler_helper_fn`, which makes the record of a failed call that callbacks get: with the
    tokens that were billed, and their price. What is spent by a key or a team is counted by LiteLLM as before."""

    @functools.wraps(record)
    def _failure_handler_helper_fn(self: CallLog, exception: BaseException, *args: object, **kwargs: object) -> Result:
        recorded: Final = record(self, exception, *args, **kwargs)
        billed: Final = billed_for(exception)
        if billed is not None:
            _enter_more(self.model_call_details, billed)
        return recorded

    return _failure_handler_helper_fn


def _kept(link: object) -> Iterator[object]:
    yield safe_getattr(link, BILLED)
    extensions: Final = safe_getattr(safe_getattr(link, "response"), "extensions")
    yield extensions.get(BILLED) if isinstance(extensions, dict) else None


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _enter_more(details: MutableMapping[str, object], billed: Billed) -> None:
    """Enter what is billed, unless the log has as much: newer releases count what has come of a stream themselves."""
    counted: Final = details.get("combined_usage_object")
    known: Final = Billed(*(_count(safe_getattr(counted, name)) for name in Billed._fields))
    most: Final = Billed(*map(max, billed, known))
    if most != known:
        _enter(details, most)


def _enter(details: MutableMapping[str, object], billed: Billed) -> None:
    cost: Final = _cost(details, billed)
    details["response_cost"] = cost
    record: Final = details.get("standard_logging_object")
    if isinstance(record, dict):
        record.update(billed._asdict(), total_tokens=sum(billed), response_cost=cost)


def _cost(details: MutableMapping[str, object], billed: Billed) -> float:
    """US dollars by LiteLLM's table of prices; 0 for a model that is not in it, as LiteLLM has it for an answer."""
    provider: Final = details.get("custom_llm_provider")
    try:
        return sum(
            litellm.cost_per_token(
                model=str(details.get("model")),
                custom_llm_provider=provider if isinstance(provider, str) else None,
                **billed._asdict(),
            )
        )
    except Exception:  # whatever the table lacks
        return 0.0
